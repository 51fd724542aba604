"""The store loses replies, restarts, stands still or runs out of room, and the processes live on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import redis
from aiohttp.test_utils import TestClient, TestServer

from ingest import adapters, server
from ingest.settings import DoorSettings
from ingest.sources import SourceBook
from tests.faults.dying import DyingChannel, Fate
from tests.faults.fleet import Fleet, Senders, freeze, killing, lost, reckon, requests_in_journal, thaw, until
from tests.faults.points import each_point, outcome_of, undisturbed
from tests.faults.proxy import proxied
from tests.faults.world import World, short_history
from triage.model import Result
from triage.store import journal, keys
from triage.store.appender import Appender
from triage.store.audit import audit
from triage.store.client import connect
from workers.deliver import Deliver
from workers.drain import Drain

LOAD_S = 3.0
HANGS_S = 8.0
"""Less than a sender waits (10 s), more than the door gives the store (4 s)."""
ROUNDS = 12
THAWED_S = 0.3
"""For how long a drain that stood still runs on before the next one is stopped."""


class Surviving(World):
    """A worker whose connection is lost goes on with the same memory, as the processes do after half a second."""

    def outcome(self) -> dict[str, Any]:
        """Two deliveries of the same moment may change places: one of them had to wait for its claim."""
        found = super().outcome()
        return {**found, "timelines": {name: sorted(lines) for name, lines in found["timelines"].items()}}

    def work(self) -> None:
        while True:
            try:
                self.worker.work()
            except redis.ConnectionError:
                continue
            now_due = self.client.zcount(keys.DUE, "-inf", self.now)
            if not now_due:
                return
            # Its claim came to be, and nobody knows: somebody claims it anew a minute later.
            self.let_leases_run_out()


@pytest.mark.usefixtures("steady")
def test_whichever_reply_is_lost_everything_happens_once(quick_store: str) -> None:
    """At each command: it is lost on the way, or its reply is. Nobody dies, so there is no reason for a second copy."""

    def make(fate: Fate) -> World:
        return Surviving(quick_store, fate)

    def cut() -> None:
        raise redis.ConnectionError("the connection was cut")

    expected, calls = undisturbed(make, short_history)
    broken = {}
    for point, when in each_point(calls):
        if calls[point - 1].startswith("PROVIDER"):
            continue
        fate = Fate(point, when, cut)
        world, violations = outcome_of(make, short_history, fate, expected)
        if any(count > 1 for count in world.provider.copies.values()):
            violations.append("somebody was told twice")
        if violations:
            broken[str(fate)] = violations
    assert broken == {}


@pytest.mark.usefixtures("steady")
def test_a_commit_whose_reply_is_lost_is_not_repeated(quick_store: str) -> None:
    world = World(quick_store, Fate())
    with proxied(quick_store) as proxy, connect(proxy.url) as client:
        drain = Drain(client, world.clock)
        world.loads("first")
        world.fires("checkout")
        assert drain.step() == 1
        proxy.lose(keys.COMMITS.encode())
        assert drain.step() == 0, "it cannot know what became of its commit, and starts over"
        assert proxy.lost == 1
        assert audit(world.client).undecided == 0
        while drain.step():
            pass
        report = audit(world.client, replay=True)
        assert report.ok, report.lines
        assert (report.accepted, report.decided) == (1, 1)
        client.connection_pool.disconnect()
    world.close()


@pytest.mark.usefixtures("steady")
def test_a_report_whose_reply_is_lost_is_not_repeated(quick_store: str) -> None:
    """The journal has one result; the timeline does not tell of a second copy that never was."""
    world = World(quick_store, Fate())
    with proxied(quick_store) as proxy, connect(proxy.url) as client:
        channels = {"file": DyingChannel(world.provider, Fate())}
        deliver = Deliver(client, world.clock, channels, lambda _: None)
        world.loads("first")
        world.fires("checkout")
        while world.worker.drain.step():
            pass
        proxy.lose(b"XADD")
        deliver.pump()
        assert proxy.lost == 1
        while world.worker.drain.step() or deliver.pump():
            pass
        client.connection_pool.disconnect()
    assert list(world.provider.copies.values()) == [1]
    entries: Any = world.client.xrange(keys.JOURNAL)
    assert [journal.decode(*one).body.__class__ for one in entries].count(Result) == 1
    assert [line[1] for line in world.outcome()["timelines"]["checkout"]].count("delivered") == 1
    world.close()


async def test_an_append_whose_reply_is_lost_is_answered_503_and_written_once(quick_store: str) -> None:
    """The sender hears 503 and sends again; our own code never does."""
    with connect(quick_store) as store, proxied(quick_store) as proxy:
        store.flushall()
        appender = Appender(proxy.url)
        await appender.start()
        sources = SourceBook([adapters.load("generic")], lambda _: b"")
        app = server.application(DoorSettings(), appender, sources, lambda: 1_772_445_600_000)
        async with TestClient(TestServer(app)) as sender:
            statuses = []
            for number, marker in enumerate((b"", keys.ACCEPTED.encode(), b"")):
                proxy.lose(marker)
                body = {"status": "firing", "title": "down", "dedup_key": "d", "labels": {"request": str(number)}}
                async with sender.post("/v1/events/generic", json=body) as answer:
                    statuses.append(answer.status)
                    assert ("retry-after" in answer.headers) == (answer.status == 503)
        await appender.close()
        assert statuses == [202, 503, 202]
        assert proxy.lost == 1
        assert sorted(requests_in_journal(store).values()) == [[0], [1], [2]]
        assert int(store.get(keys.ACCEPTED) or b"0") == 3


# ------------------------------------------------------------------------------------------------ real processes


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with TemporaryDirectory(prefix="tsn-") as sockets:
        fleet = Fleet(tmp_path, Path(sockets), deliverers=1)
        try:
            fleet.start()
            yield fleet
        finally:
            fleet.stop()


def test_no_process_ends_when_the_store_restarts(fleet: Fleet) -> None:
    seed = time.time_ns() % 100_000
    print("seed", seed)
    with Senders(fleet) as senders, killing(fleet, [fleet.store], seed, mean_s=0.8) as killed:
        time.sleep(LOAD_S)
    fleet.come_to_rest()
    reckon(fleet, senders)
    assert killed["store"] >= 1
    others = [one for one in fleet.all if one is not fleet.store]
    assert [(one.runs, one.starts) for one in others] == [(True, 1)] * len(others)


def test_a_drain_that_stood_still_beyond_its_lease_is_refused(fleet: Fleet) -> None:
    """It still believes that the lease is its own; what it decided is refused, and nothing is decided twice."""
    first, second = fleet.drain, fleet.another_drain("heir")
    second.start()
    refusals = 0
    with Senders(fleet) as senders:
        until(lambda: len(senders.answered) > 30, "some load")
        for _ in range(ROUNDS):
            freeze(first)
            stood_at = fleet.cursor
            fleet.client.delete(keys.LEASE)  # as its ten seconds would do
            until(partial(fleet.has_decided_since, stood_at), "the other drain taking over")
            thaw(first)
            time.sleep(THAWED_S)
            refusals = sum(one.output.read_bytes().count(b"is further than this memory") for one in (first, second))
            if refusals:
                break
            first, second = second, first
    fleet.come_to_rest()
    reckon(fleet, senders)
    assert refusals, f"in {ROUNDS} rounds no drain stood still between reading and its commit"


def test_a_store_that_stands_still_is_answered_503_in_time_and_nothing_is_lost(fleet: Fleet) -> None:
    """Nobody waits for ever for a store that hangs; what it was asked meanwhile it may do later, once."""
    with Senders(fleet) as senders:
        until(lambda: len(senders.answered) > 30, "some load")
        freeze(fleet.store)
        refused = senders.refused
        until(lambda: senders.refused > refused, "a refusal", patience_s=HANGS_S)
        thaw(fleet.store)
        answered = len(senders.answered)
        until(lambda: len(senders.answered) > answered + 30, "answers after that")
    fleet.come_to_rest()
    reckon(fleet, senders)


def test_a_full_disk_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """The store cannot write any more and ends; senders hear 503; with room again, everything is there."""
    with TemporaryDirectory(prefix="tsn-") as sockets:
        fleet = Fleet(tmp_path, Path(sockets), deliverers=1, most_bytes=256 * 1024)
        try:
            fleet.start(fleet.store, fleet.receiver)
            with Senders(fleet) as senders:
                until(lambda: not fleet.store.runs, "the disk being full")
                refused = senders.refused
                until(lambda: senders.refused > refused, "a refusal")
            answered = senders.answered
            fleet.make_room()
            fleet.start(fleet.store, fleet.drain, *fleet.deliverers)
            assert lost(fleet.client, answered) == []
            fleet.come_to_rest()
            reckon(fleet, senders)
        finally:
            fleet.stop()
