"""The drain on a real store: fences, leases, checkpoints, retention, versions, entries of another version."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import redis

import workers.drain as module
from tests.unit.triage.stage import FILES, START, alert
from triage.memory import Changes
from triage.model import HOUR, MINUTE, Events, Millis, RulesLoaded, Status, rules_digest
from triage.store import checkpoint, journal, keys
from triage.store.audit import audit
from triage.store.client import connect
from triage.store.commit import Cursor, Fenced, commit
from triage.store.retention import Retention, archived
from triage.version import VERSION
from workers.drain import Drain
from workers.flight import Threaded, Write


class Bench:
    """A store with the rules loaded, a clock that is moved, and a drain."""

    def __init__(self, url: str) -> None:
        self.now: Millis = START
        self.url = url
        self.client = connect(url)
        self.drain = self.another()
        journal.append(self.client, RulesLoaded(rules_digest(FILES), FILES), self.now)

    def another(self, **kwargs: Any) -> Drain:
        return Drain(connect(self.url), lambda: self.now, **kwargs)

    def arrive(self, *names: str, status: Status = Status.FIRING) -> None:
        events = [alert(name, status) for name in names]
        with self.client.pipeline() as pipe:
            pipe.xadd(keys.JOURNAL, cast("Any", journal.fields(Events("am", events), self.now)))
            pipe.incrby(keys.ACCEPTED, len(events))
            pipe.execute()

    def settle(self, drain: Drain | None = None) -> None:
        while (drain or self.drain).step():
            pass

    def holds(self) -> list[str]:
        report = audit(self.client, replay=True)
        assert report.ok, report.lines
        assert report.undecided == 0
        return report.lines


@pytest.fixture
def bench(redis_url: str) -> Bench:
    return Bench(redis_url)


def test_two_drains_at_once_decide_everything_once(bench: Bench) -> None:
    other = bench.another()
    for number in range(20):
        bench.arrive(f"A{number}", f"B{number}")
        (bench.drain if number % 2 else other).step()
        (other if number % 3 else bench.drain).step()
    bench.settle()
    bench.settle(other)
    assert audit(bench.client).decided == 40
    bench.holds()


def test_what_is_decided_ahead_of_a_commit_that_is_refused_is_decided_again(bench: Bench) -> None:
    waiting: list[str] = []

    def late(write: Write) -> Write:
        waiting.append("begun")
        return write

    ahead, other = bench.another(launch=late, overlap=0), bench.another()
    bench.settle(ahead)
    for number in range(3):
        bench.arrive(f"A{number}")
        ahead.step()  # decided, and its commit waits for the next step
    assert len(waiting) == 3
    bench.settle(other)  # somebody else commits what was under way
    bench.arrive("B")
    assert ahead.step() == 0, "its commit is refused, and its memory dropped"
    bench.settle(ahead)
    assert audit(bench.client).decided == 4
    bench.holds()


def test_a_commit_in_a_thread_is_waited_for_before_the_lease_is_given_up(bench: Bench) -> None:
    drain = bench.another(overlap=0)
    for number in range(50):
        bench.arrive(f"A{number}")
    drain.run(30, lambda: audit(bench.client).decided == 50)
    assert not bench.client.exists(keys.LEASE)
    bench.holds()


def test_a_commit_that_is_stuck_is_left_behind(bench: Bench) -> None:
    held = threading.Event()
    threaded = Threaded()

    def stuck(write: Write) -> Write:
        def held_write() -> Cursor:
            if not held.is_set():
                held.wait()
            return write()

        return threaded(held_write)

    drain = bench.another(launch=stuck, overlap=0)
    bench.arrive("A")
    drain.step()
    drain.drop()  # as on a job's time-out
    bench.settle()
    held.set()
    bench.settle(drain)
    bench.arrive("B")
    bench.settle(drain)
    assert audit(bench.client).decided == 2
    bench.holds()


def test_a_commit_from_a_stale_memory_is_refused_and_writes_nothing(bench: Bench) -> None:
    bench.arrive("Down")
    bench.settle()
    before = bench.client.dbsize(), Cursor.read(bench.client)
    with pytest.raises(Fenced):
        commit(bench.client, Cursor(), "1-0", "1-0", "zombie", 1, Changes())
    assert (bench.client.dbsize(), Cursor.read(bench.client)) == before


def test_only_one_drain_holds_the_lease_and_a_released_one_is_free_at_once(bench: Bench) -> None:
    other = bench.another()
    assert bench.drain.hold_lease()
    assert not other.hold_lease()
    bench.drain.release_lease()
    assert other.hold_lease()
    bench.drain.release_lease()
    assert bench.client.exists(keys.LEASE), "nobody gives up another's lease"


def test_run_hands_over_and_stops_when_asked(bench: Bench) -> None:
    bench.arrive("Down")
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    bench.drain.run(30, stop)
    assert audit(bench.client).decided == 1
    assert not bench.client.exists(keys.LEASE)


def test_a_checkpoint_carries_history_on_after_the_journal_is_trimmed(bench: Bench, tmp_path: Path) -> None:
    kept = Retention(keep_ms=HOUR, archive=tmp_path / "archive", every_ms=0)
    bench.arrive("Down", "Slow")
    bench.settle()
    trimmed_at = Cursor.read(bench.client)
    kept.trim(bench.client, trimmed_at, f"{2**62}-0", VERSION, bench.now)
    assert bench.client.xlen(keys.JOURNAL) == 1, "the last decided entry stays: it marks the cursor"
    (stretch,) = (tmp_path / "archive").glob("journal-before-*.msgpack.z")
    entries = [journal.decode(entry.encode(), fields) for entry, fields in archived(stretch)]
    assert [type(entry.body) for entry in entries] == [RulesLoaded, Events], "the tick is the last decided entry"
    bench.arrive("Down", status=Status.RESOLVED)
    bench.now += 10 * MINUTE
    bench.settle()
    assert any("checkpoint" in line for line in bench.holds())


@pytest.mark.parametrize(("entries_max", "bytes_max"), [(100, 1_000_000_000), (1_000_000, 20_000)])
def test_a_journal_that_grows_too_large_loses_its_oldest_decided_entries_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, entries_max: int, bytes_max: int
) -> None:
    monkeypatch.setattr("triage.store.retention.LOOK_EVERY", 1)
    kept = Retention(keep_ms=24 * HOUR, entries_max=entries_max, bytes_max=bytes_max)
    drain = bench.another(kept=kept)
    for number in range(300):
        bench.arrive(f"A{number}")
    undecided = bench.client.xlen(keys.JOURNAL)
    monkeypatch.setattr(module, "BATCH_EVENTS", 20)
    drain.step()
    assert bench.client.xlen(keys.JOURNAL) >= undecided - 21, "what is not decided stays"
    bench.settle(drain)
    assert bench.client.xlen(keys.JOURNAL) <= 130
    assert (bench.client.memory_usage(keys.JOURNAL) or 0) <= bytes_max + 5_000
    bench.holds()


def test_archived_history_goes_after_its_time_and_other_files_stay(bench: Bench, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "journal-before-1000-0.msgpack.z").write_bytes(b"old")
    (archive / "notes.txt").write_text("mine")
    bench.arrive("Down")
    bench.settle()
    kept = Retention(keep_ms=HOUR, archive=archive, archive_ms=HOUR)
    cursor = Cursor.read(bench.client)
    kept.trim(bench.client, cursor, f"{2**62}-0", VERSION, bench.now)
    left = {path.name for path in archive.iterdir()}
    assert "notes.txt" in left
    assert "journal-before-1000-0.msgpack.z" not in left
    assert len(left) == 2


def test_another_version_of_decide_begins_with_a_checkpoint_and_pages_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.arrive("Down")
    bench.settle()
    due = bench.client.zcard(keys.DUE)
    monkeypatch.setattr(module, "VERSION", 99)
    upgraded = bench.another()
    bench.settle(upgraded)
    head = checkpoint.head(bench.client)
    assert head is not None
    assert head.version == 99
    assert bench.client.zcard(keys.DUE) == due


def test_an_entry_of_another_version_is_a_dead_letter_and_the_ledger_holds(bench: Bench) -> None:
    with bench.client.pipeline() as pipe:
        pipe.xadd(keys.JOURNAL, {"k": "hologram", "a": bench.now, "n": 3, "b": b"\x93\x01\x02\x03"})
        pipe.xadd(keys.JOURNAL, {"k": "events", "a": bench.now, "n": 2, "b": b"not msgpack"})
        pipe.incrby(keys.ACCEPTED, 5)
        pipe.execute()
    bench.arrive("Down")
    bench.settle()
    assert bench.client.xlen(keys.DEAD_LETTERS) == 2
    assert audit(bench.client).outcomes["dead-letter/decide-error"] == 5
    bench.holds()


def test_a_forgotten_cache_costs_nothing_but_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triage.store.memory.CACHE_MAX", 3)
    for number in range(30):
        bench.arrive(f"A{number % 7}", "Down")
        bench.settle()
    bench.holds()


def test_the_audit_finds_a_changed_memory_and_a_wrong_ledger(bench: Bench) -> None:
    bench.arrive("Down")
    bench.settle()
    bench.holds()
    bench.client.incr(keys.ACCEPTED)
    assert not audit(bench.client).ok
    bench.client.decr(keys.ACCEPTED)
    field = cast("list[bytes]", bench.client.hkeys(keys.family("incident")))[0]
    raw = cast("bytes", bench.client.hget(keys.family("incident"), cast("Any", field)))
    bench.client.hset(keys.family("incident"), cast("Any", field), cast("Any", raw.replace(b"detected", b"resolved")))
    report = audit(bench.client, replay=True)
    assert not report.ok
    assert any("MEMORY DIFFERS" in line for line in report.lines)


def test_the_audit_finds_history_that_was_tampered_with(bench: Bench) -> None:
    bench.arrive("Down")
    bench.settle()
    entry, fields = cast("Any", bench.client.xrange(keys.JOURNAL, count=2))[1]
    bench.client.delete(keys.COMMITS)
    bench.client.xadd(keys.COMMITS, {"c": f"0-1 {entry.decode()}", "g": "00" * 16, "v": VERSION}, id=entry)
    assert fields
    assert any("REPLAY DIFFERS" in line for line in audit(bench.client, replay=True).lines)


def test_a_store_that_fails_leaves_nothing_half_done(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply of a commit is lost: whether it took effect is read from the store."""
    bench.settle()
    bench.arrive("Down")
    original: Callable[..., Any] = redis.client.Pipeline.execute

    def lost(pipe: redis.client.Pipeline, *args: Any, **kwargs: Any) -> Any:
        commits = pipe.explicit_transaction
        answers = original(pipe, *args, **kwargs)
        if commits:
            raise redis.ConnectionError("the reply was lost")
        return answers

    with monkeypatch.context() as patched:
        patched.setattr(redis.client.Pipeline, "execute", lost)
        with pytest.raises(redis.ConnectionError):
            bench.drain.step()
    bench.settle()
    assert audit(bench.client).decided == 1
    bench.holds()
