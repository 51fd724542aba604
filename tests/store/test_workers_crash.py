"""Every store command of deliver is a place to die, before and after it took effect. No page is lost, and a second copy
exists only where the provider took the first and we died before noting it; it carries the same id and says so."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from redis.connection import UnixDomainSocketConnection

from tests.store.workers_support import NOW, Watched, client, commit, decide, effect, results, wait_for
from triage.model import Ending, Millis, Result
from triage.store import effects, journal, keys
from triage.store.client import connect
from workers.deliver import Deliver

__all__ = ["client"]
NAMES = ("a", "b")


class Died(BaseException):
    """Stands for the end of the process: nothing catches it."""


class DyingConnection(UnixDomainSocketConnection):
    """Counts what goes to the store, and dies at a chosen place: before it is sent, or after its reply came."""

    sent = 0
    die_at = 0
    after = False

    def send_packed_command(self, *arguments: Any, **options: Any) -> None:
        kind = type(self)
        kind.sent += 1
        if kind.sent == kind.die_at and not kind.after:
            raise Died
        super().send_packed_command(*arguments, **options)  # type: ignore[no-untyped-call]

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        reply = super().read_response(*arguments, **options)
        kind = type(self)
        if kind.sent == kind.die_at and kind.after:
            raise Died
        return reply


@contextmanager
def dying(redis_url: str, place: int, after: bool) -> Iterator[redis.Redis]:
    DyingConnection.sent, DyingConnection.die_at, DyingConnection.after = 0, place, after
    mortal = connect(redis_url)
    mortal.connection_pool.connection_class = DyingConnection
    yield mortal
    mortal.close()


def deliver(one: redis.Redis, watched: Watched) -> Deliver:
    return Deliver(one, lambda: NOW, {"watch": watched}, lambda _: None)


def live_and_die(redis_url: str, watched: Watched, place: int, after: bool) -> bool:
    """Deliver until death at that place. Return whether it came so far."""
    with dying(redis_url, place, after) as mortal:
        try:
            deliver(mortal, watched).pump()
        except Died:
            return True
        finally:
            wait_for(lambda: not [one for one in threading.enumerate() if one.name.startswith("send ")])
    return False


def restart(client: redis.Redis, watched: Watched) -> list[Result]:
    """Let the leases of the dead end, and go on until everything is decided."""
    for name in NAMES:
        if client.get(keys.claim(name)) != b"reported":
            client.delete(keys.claim(name))
    deliver(client, watched).pump()
    return decide(client)


def every_place(redis_url: str, check: Callable[[int, bool], bool]) -> int:
    """Run `check` for each place and both sides of it, until it lives to the end. Return how many places there are."""
    for place in range(1, 200):
        survived = [not check(place, after) for after in (False, True)]
        if all(survived):
            return place - 1
    raise AssertionError("there is no end to the places")


def test_death_at_every_store_command(client: redis.Redis, redis_url: str) -> None:
    def check(place: int, after: bool) -> bool:
        client.flushall()
        watched = Watched()
        commit(client, *(effect(name) for name in NAMES))
        died = live_and_die(redis_url, watched, place, after)
        noted = {result.effect for result in results(client)}
        sent_before = Counter(watched.ids)
        found = restart(client, watched)
        assert {result.effect for result in found if result.ending is Ending.DELIVERED} == set(NAMES)
        assert client.zcard(keys.DUE) == 0
        for name, count in Counter(watched.ids).items():
            unnoted = sent_before[name] and name not in noted
            assert count == (2 if unnoted else 1), (place, after, name)
            copies = [message for message in watched.messages if message.id == name]
            assert not any(message.possible_repeat for message in copies[:1] if sent_before[name])
            assert all(message.possible_repeat for message in copies[1:])
        return died

    assert every_place(redis_url, check) >= 10


def test_the_check_finds_a_report_that_lets_go_of_its_claim(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weaker design, for control: append the result and free the effect, though it is still due."""

    def weak(one: redis.Redis, result: Result, token: str, at: Millis) -> None:
        journal.append(one, result, at)
        one.delete(keys.claim(result.effect))

    monkeypatch.setattr(effects, "report", weak)
    watched = Watched()
    commit(client, *(effect(name) for name in NAMES))
    deliver(client, watched).pump()
    assert max(Counter(watched.ids).values()) > 1
