"""The worker that runs an action dies at any point: the call is made once or not at all, and people hear of it.

Every round trip to the store and the call itself is a place to die, before or after. A fresh worker goes on; then time
passes. What was sent and not reported is `unknown`, is never run again, and pages the responders.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import redis

from tests.faults.dying import AFTER, BEFORE, Died, Fate, dying_client
from tests.store.workers_support import wait_for
from tests.unit.workers.http_server import Provider, serving
from triage.memory import ACTION
from triage.model import (
    MINUTE,
    Command,
    Effect,
    Event,
    Events,
    Incident,
    Millis,
    RulesLoaded,
    Status,
    Verb,
    fingerprint_of,
    rules_digest,
)
from triage.run import Run, RunState
from triage.store import actions, journal, keys
from triage.store.audit import audit
from triage.store.memory import value_of
from workers import actor as actor_module
from workers.actor import Actor
from workers.drain import Drain
from workers.outbound import allow

START: Millis = 1_772_445_600_000
ROOT = Path(__file__).parents[2]
FILES = {
    "severity.yaml": "rules: [{name: down, matchers: ['service=\"shop\"'], severity: P0}]\n",
    "oncall.yaml": (
        "people: {ana: {contact: ['terminal://']}}\n"
        "policies: {default: {steps: [{notify: [ana], wait: 5m}]}}\nlast_resort: [ana]\noperators: [ana]\n"
    ),
}


class Scene:
    """A shop that is down, whose rollback ana asked for."""

    def __init__(self, url: str, place: str = "https://deploy.example.org/") -> None:
        self.url = url
        self.now = START
        actions_yaml = f"actions: {{rollback: {{title: Roll back, request: {{url: '{place}'}}}}}}\n"
        files = {**FILES, "actions.yaml": actions_yaml}
        self.client = self.connect()
        self.client.flushall()
        self.drain = Drain(self.connect(), lambda: self.now)
        journal.append(self.client, RulesLoaded(rules_digest(files), files), self.now)
        event = Event(Status.FIRING, fingerprint_of("am", "shop"), "Shop down", {"service": "shop"})
        with self.client.pipeline() as pipe:
            pipe.xadd(keys.JOURNAL, cast("Any", journal.fields(Events("am", [event]), self.now)))
            pipe.incrby(keys.ACCEPTED, 1)
            pipe.execute()
        self.settle()
        for verb, data in ((Verb.ACKNOWLEDGE, {}), (Verb.ACTION, {"action": "rollback"})):
            command = Command(verb, self.incident.key, "ana", "test", confirm=True, data=data)
            journal.append(self.client, command, self.now)
        self.settle()
        assert self.run.state is RunState.ASKED

    def connect(self) -> redis.Redis:
        """Return a client on the moved clock that nobody dies by."""
        return dying_client(self.url, Fate(), lambda: self.now)

    def settle(self) -> None:
        while self.drain.step():
            pass

    @contextmanager
    def draining(self) -> Iterator[None]:
        """Decide in the background."""
        stop = threading.Event()

        def decide() -> None:
            while not stop.is_set():
                self.settle()
                stop.wait(0.002)

        thread = threading.Thread(target=decide)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    @property
    def incident(self) -> Incident:
        (raw,) = cast("list[bytes]", self.client.hvals(keys.family("incident")))
        return cast("Incident", value_of("incident", raw))

    @property
    def run(self) -> Run:
        (raw,) = cast("list[bytes]", self.client.hvals(keys.family(ACTION)))
        return msgspec.msgpack.decode(raw, type=Run)

    def pages(self) -> list[str]:
        """Return why people are paged now."""
        raws = cast("list[bytes]", self.client.hvals(keys.family("effect")))
        effects = [cast("Effect", value_of("effect", raw)) for raw in raws]
        return [one.facts["why"] for one in effects if one.kind.value == "page"]

    def go_on(self) -> None:
        """A fresh worker looks, after the leases have run out; then time passes."""
        self.client.delete(*[keys.acting(self.run.id)])
        for minutes in (0, 1, 2, 5):
            self.now += minutes * MINUTE
            with self.draining():
                fresh = Actor(self.connect(), lambda: self.now, lambda _: None)
                while fresh.begin():
                    fresh.settle()
            self.settle()

    def close(self) -> None:
        self.settle()
        report = audit(self.client, replay=True)
        assert report.ok, report.lines
        self.client.close()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Fate]:
    """The calls that were made; each goes past the fate of the worker that makes it."""
    made: list[Fate] = []
    monkeypatch.setattr(actor_module, "make", lambda run, lookup: _made(made))
    return made


_FATE: threading.local = threading.local()


def _made(made: list[Fate]) -> tuple[bool, bool, str]:
    fate: Fate = getattr(_FATE, "fate", Fate())

    def send() -> tuple[bool, bool, str]:
        made.append(fate)
        return True, False, "HTTP 200"

    return fate.around("CALL", send)


def act(scene: Scene, fate: Fate) -> None:
    """One worker takes the run and goes as far as its fate lets it."""
    client = dying_client(scene.url, fate, lambda: scene.now)
    _FATE.fate = fate
    worker = Actor(client, lambda: scene.now, lambda _: None)
    try:
        with scene.draining():
            for run in actions.waiting(client):
                if actions.take(client, run.id, "token", 60_000):
                    worker._act(run, "token")
                    actions.release(client, run.id, "token")
    except Died:
        pass
    finally:
        _FATE.fate = Fate()


def points(url: str, calls: list[Fate]) -> list[str]:
    scene = Scene(url)
    fate = Fate()
    act(scene, fate)
    assert scene.run.state is RunState.DONE
    assert len(calls) == 1
    calls.clear()
    scene.close()
    kept: list[str] = []
    for call in fate.trace:  # how often it asks whether `started` was decided is chance
        if not kept or kept[-1] != call:
            kept.append(call)
    return kept


def test_whoever_dies_the_call_is_made_once_at_most_and_what_is_unknown_pages(
    quick_store: str, calls: list[Fate]
) -> None:
    names = points(quick_store, calls)
    assert "CALL" in names
    ends = set()
    for point in range(1, len(names) + 3):
        for when in (BEFORE, AFTER):
            calls.clear()
            scene = Scene(quick_store)
            fate = Fate(point, when)
            act(scene, fate)
            scene.go_on()
            run = scene.run
            assert len(calls) <= 1, str(fate)
            assert run.state in (RunState.DONE, RunState.UNKNOWN), f"{fate}: {run.state}"
            if not calls:
                assert run.state is RunState.UNKNOWN, f"{fate}: done without a call"
            if run.state is RunState.UNKNOWN:
                assert any("may or may not have been done" in why for why in scene.pages()), str(fate)
            ends.add((run.state, len(calls)))
            scene.close()
    assert ends >= {(RunState.DONE, 1), (RunState.UNKNOWN, 1), (RunState.UNKNOWN, 0)}


def test_two_workers_that_both_hold_a_run_make_one_call(quick_store: str, calls: list[Fate]) -> None:
    """The lease of one ran out while it was slow: `started` is decided for it, and the other one does nothing."""
    scene = Scene(quick_store)
    asked = scene.run
    with scene.draining():
        for token in ("one", "two"):
            Actor(scene.client, lambda: scene.now, lambda _: None)._act(asked, token)
    assert (len(calls), scene.run.state, scene.run.token) == (1, RunState.DONE, "one")
    scene.close()


def weaker(worker: Actor, run: Run, token: str) -> None:
    """A worker that does not wait until `started` is its own."""
    ended = worker._ended(run, token)
    worker._report(ended)


def test_a_worker_that_does_not_wait_for_started_makes_two_calls(quick_store: str, calls: list[Fate]) -> None:
    scene = Scene(quick_store)
    try_twice: Callable[[str], None] = lambda token: weaker(  # noqa: E731
        Actor(scene.client, lambda: scene.now, lambda _: None), scene.run, token
    )
    with scene.draining():
        try_twice("one")
        try_twice("two")
    assert len(calls) == 2, "what the test above would object to"
    scene.close()


PROCESS = """
import sys, threading
from tests.faults.dying import Fate, dying_client
from workers.actor import Actor
from workers.outbound import allow
allow(["127.0.0.0/8"])
clock = lambda: int(sys.argv[2])
Actor(dying_client(sys.argv[1], Fate(), clock), clock, lambda _: None).run(threading.Event())
"""


def test_a_worker_that_is_killed_in_the_middle_of_the_call_leaves_it_unknown_and_nobody_repeats_it(
    quick_store: str,
) -> None:
    held = threading.Event()
    service = Provider(status=200, held=held)
    with serving(service) as port:
        scene = Scene(quick_store, f"http://127.0.0.1:{port}/")
        worker = subprocess.Popen([sys.executable, "-c", PROCESS, quick_store, str(scene.now)], cwd=ROOT)
        try:
            with scene.draining():
                wait_for(lambda: service.got)
        finally:
            worker.kill()
            worker.wait()
        assert scene.run.state is RunState.STARTED
        allow(["127.0.0.0/8"])
        scene.go_on()
        allow([])
        held.set()
        assert (scene.run.state, len(service.got)) == (RunState.UNKNOWN, 1)
        assert any("may or may not have been done" in why for why in scene.pages())
        scene.close()
