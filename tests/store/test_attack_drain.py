"""Attacks on the drain: poison in the journal, clocks that disagree, memory that must be read again, time limits."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any, cast

import msgspec
import pytest
import redis

from tests.store.test_drain import Bench
from tests.unit.triage.stage import FILES, START, alert
from triage import incidents
from triage.memory import INCIDENT, Changes, Key
from triage.model import (
    HOUR,
    MINUTE,
    Command,
    Effect,
    EffectKind,
    Ending,
    Events,
    Millis,
    Result,
    RulesLoaded,
    Severity,
    Status,
    Verb,
    rules_digest,
)
from triage.rulebook import Rulebook, RulesError
from triage.store import checkpoint, effects, journal, keys
from triage.store.audit import audit
from triage.store.commit import Cursor
from triage.store.memory import Cache
from triage.version import VERSION
from workers import jobs


@pytest.fixture
def bench(redis_url: str) -> Bench:
    return Bench(redis_url)


def store_now(bench: Bench) -> Millis:
    seconds, micros = bench.client.time()
    return seconds * 1_000 + micros // 1_000


def append(bench: Bench, events: list[Any]) -> None:
    with bench.client.pipeline() as pipe:
        pipe.xadd(keys.JOURNAL, cast("Any", journal.fields(Events("am", events), bench.now)))
        pipe.incrby(keys.ACCEPTED, len(events))
        pipe.execute()


POISON: dict[str, dict[str, Any]] = {
    "text that is no UTF-8": {"k": "events", "a": START, "n": 1, "b": b"\x93\xa1\xff\x90\xa0"},
    "nested without end": {"k": "tick", "a": START, "n": 0, "b": b"\x91" * 100_000},
    "a time that is no number": {"k": "tick", "a": "soon", "n": 0, "b": b"\x90"},
    "a count that is no number": {"k": "hologram", "a": START, "n": "many", "b": b"\x90"},
    "nothing known": {"x": "y"},
}


@pytest.mark.parametrize("what", POISON)
def test_a_poisoned_entry_does_not_stop_the_line(bench: Bench, what: str) -> None:
    bench.settle()
    bench.client.xadd(keys.JOURNAL, cast("Any", POISON[what]))
    if POISON[what].get("n") == 1:
        bench.client.incr(keys.ACCEPTED)
    bench.arrive("Down")
    bench.settle()
    bench.holds()
    assert "ana" in [one.person for one in chain(*effects._open(bench.client, bench.now))]


@pytest.mark.parametrize("fingerprint", ["its-own-id", "", "AB" * 16, "é" * 16, "ab" * 17])
def test_an_adapter_with_a_fingerprint_of_its_own_making_does_not_stop_the_line(bench: Bench, fingerprint: str) -> None:
    bench.settle()
    append(bench, [msgspec.structs.replace(alert("Odd"), fingerprint=fingerprint), alert("Down", service="other")])
    bench.settle()
    bench.holds()
    append(bench, [msgspec.structs.replace(alert("Odd", Status.RESOLVED), fingerprint=fingerprint)])
    bench.settle()
    bench.holds()
    assert audit(bench.client).outcomes["resolved/last-firing-alert-ended"] == 1


@pytest.mark.parametrize("kind", ["repeats with other words", "beginnings under a clause", "ends under a clause"])
def test_a_cold_memory_is_read_in_a_few_round_trips_however_large_the_entry(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    number = 1_500
    name = "Down" if kind.startswith("repeats") else "ReplicaDown"
    first = [alert(name, instance=str(one), service=f"s{one}") for one in range(number)]
    bench.settle()
    if not kind.startswith("beginnings"):
        append(bench, first)
        bench.settle()
    if kind.startswith("ends"):
        second = [alert(name, Status.RESOLVED, instance=str(one), service=f"s{one}") for one in range(number)]
    else:
        second = [msgspec.structs.replace(one, annotations={"value": "2"}) for one in first]
    append(bench, second)
    loads = counted(monkeypatch)
    bench.settle(bench.another())
    bench.holds()
    assert len(loads) < 40, loads


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many keys each round trip of memory reads, from now on."""
    loads: list[int] = []
    load = Cache.load

    def count(cache: Cache, client: redis.Redis, wanted: Iterable[Key]) -> None:
        keys_ = list(wanted)
        loads.append(len(keys_))
        load(cache, client, keys_)

    monkeypatch.setattr(Cache, "load", count)
    return loads


def test_what_was_to_be_done_after_many_earlier_incidents_is_read_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = [f"s{one}" for one in range(60)]
    bench.settle()
    for round_ in range(3):
        begins = [alert("Down", service=one) for one in services]
        append(bench, begins)
        if round_ == 2:
            break
        bench.settle()
        for key in [] if round_ else cast("list[bytes]", bench.client.hkeys(keys.family(INCIDENT))):
            command = Command(Verb.ITEM, key.decode(), "ana", "test", text="mend it", person="ben")
            journal.append(bench.client, command, bench.now)
        append(bench, [alert("Down", Status.RESOLVED, service=one) for one in services])
        bench.settle()
        for hours in (1, 1, 4, 24):  # settled, ended, and too long ago to open again
            bench.now += hours * HOUR
            bench.settle()
    loads = counted(monkeypatch)
    bench.settle(bench.another())
    bench.holds()
    assert len(bench.client.hkeys(keys.family(INCIDENT))) >= 3 * len(services)
    assert len(loads) < 40, loads


def test_a_store_whose_clock_is_behind_neither_stops_time_nor_makes_the_drain_run_hot(bench: Bench) -> None:
    bench.now = store_now(bench) + HOUR
    bench.drain = bench.another(monotonic=lambda: bench.now / 1_000)
    bench.arrive("Down")
    steps = 0
    while bench.drain.step() and steps < 50:
        steps += 1
    assert steps < 20, "ticks without end"
    bench.now += 6 * MINUTE
    while bench.drain.step() and steps < 50:
        steps += 1
    assert steps < 20, "ticks without end"
    people = sorted(one.person for one in chain(*effects._open(bench.client, bench.now)))
    assert people == ["ana", "ben"]
    bench.holds()


def test_a_clock_that_was_set_back_does_not_stop_time(bench: Bench) -> None:
    bench.now = store_now(bench)
    bench.arrive("Down")
    bench.settle()
    bench.now -= HOUR  # and the journal stands an hour ahead
    moment = [100.0]
    late = bench.another(monotonic=lambda: moment[0])
    bench.settle(late)
    moment[0] += 6 * 60
    bench.settle(late)
    people = sorted(one.person for one in chain(*effects._open(bench.client, bench.now + 2 * HOUR)))
    assert people == ["ana", "ben"]
    bench.holds()


def test_what_is_due_by_the_journals_time_is_delivered_though_the_deliverers_clock_is_behind(bench: Bench) -> None:
    bench.arrive("Down")
    bench.settle()
    taken = effects.claim(bench.client, effects.now(bench.client, bench.now - HOUR), 5, 60_000, "t")
    assert [one.effect.person for one in taken.claimed] == ["ana"]


def test_a_deliverer_whose_clock_is_ahead_does_not_hurry(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triage.retries.BACK_OFF", (MINUTE,))  # far more than this test takes on a busy machine
    bench.now = store_now(bench)
    bench.arrive("Down")
    bench.settle()
    ahead = bench.now + HOUR
    (taken,) = effects.claim(bench.client, effects.now(bench.client, ahead), 5, 60_000, "t").claimed
    effects.report(bench.client, Result(taken.effect.id, 0, Ending.TRY_AGAIN, "503"), "t", bench.now)
    bench.settle()
    assert not [
        one.effect.attempt
        for one in effects.claim(bench.client, effects.now(bench.client, ahead), 5, 60_000, "t").claimed
        if one.effect.attempt
    ]


def test_the_ledger_is_counted_however_long_the_backlog(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triage.store.audit.PAGE", 3)
    for number in range(10):
        bench.arrive(f"A{number}", "B")
    report = audit(bench.client)
    assert report.ok, report.lines
    assert report.undecided == 20


def test_a_forgotten_incident_leaves_no_key_behind(bench: Bench) -> None:
    files = dict(FILES)
    files["sources.yaml"] = "sources:\n  am: {adapter: alertmanager, stale_after: 90d}\n"
    files["severity.yaml"] = FILES["severity.yaml"].replace(
        "{severity: P3}", "{severity: P3, forget_incident_after: 90d}"
    )
    journal.append(bench.client, RulesLoaded(rules_digest(files), files), bench.now)
    bench.arrive("Down")
    bench.settle()
    (key,) = [name.decode() for name in cast("list[bytes]", bench.client.zrange(keys.ALL, 0, -1))]
    journal.append(bench.client, Command(Verb.RESOLVE, key, "ana", "test", confirm=True), bench.now)
    bench.settle()
    bench.now += 91 * 24 * HOUR
    bench.settle()
    assert not bench.client.exists(keys.timeline(key))
    assert not bench.client.exists(keys.members(key))
    bench.holds()


def test_a_time_limit_is_not_taken_for_a_fault_of_the_event(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.settle()
    bench.arrive("Down", "Slow")
    penalty = cast("Any", jobs.Worker.death_penalty_class)(5, ValueError)
    hit: list[int] = []

    def late(*args: Any, **kwargs: Any) -> Any:
        if not hit:
            hit.append(1)
            penalty.handle_death_penalty(14, None)
        return original(*args, **kwargs)

    original = incidents.place
    monkeypatch.setattr(incidents, "place", late)
    with pytest.raises(BaseException, match="longer than 5 seconds"):
        bench.drain.step()
    bench.settle()
    assert audit(bench.client).outcomes.get("dead-letter/decide-error") is None
    bench.holds()


def test_a_timeline_is_bounded_however_long_an_alert_flaps(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triage.store.commit.LINES_KEPT", 50)
    for _ in range(60):
        append(bench, [alert("Flap", severity="warning")])
        append(bench, [alert("Flap", Status.RESOLVED, severity="warning")])
    bench.settle()
    (key,) = cast("list[bytes]", bench.client.zrange(keys.ALL, 0, -1))
    assert bench.client.llen(keys.timeline(key.decode())) == 50
    bench.holds()


def page(name: str, due: Millis, target: str, severity: Severity) -> Effect:
    return Effect(name, EffectKind.PAGE, "i", "ana", target, "t", {}, due, due, due + HOUR, severity=severity)


def plant(bench: Bench, *planted: Effect) -> None:
    with bench.client.pipeline() as pipe:
        for effect in planted:
            pipe.hset(keys.family("effect"), effect.id, cast("Any", msgspec.msgpack.encode(effect)))
            pipe.zadd(keys.DUE, {effect.id: effect.due})
        pipe.execute()


def test_an_effect_that_cannot_be_read_does_not_hold_up_the_others(bench: Bench) -> None:
    plant(bench, page("good", START, "terminal://ana", Severity.P1))
    bench.client.hset(keys.family("effect"), "bad", cast("Any", b"\xc1"))
    bench.client.zadd(keys.DUE, {"bad": START - 1})
    assert [one.effect.id for one in effects.claim(bench.client, START, 8, 60_000, "t").claimed] == ["good"]


def test_many_pages_for_a_slow_provider_do_not_hold_up_the_others(bench: Bench) -> None:
    slow = [page(f"s{number}", START - 10, "slow://host", Severity.P1) for number in range(effects.WINDOW + 10)]
    plant(bench, *slow, page("quick", START, "quick://host", Severity.P0))
    taken = effects.claim(bench.client, START, 8, 60_000, "t", lambda effect: effect.target.startswith("quick"))
    assert [one.effect.id for one in taken.claimed] == ["quick"]


def test_history_replays_though_this_version_refuses_the_rules_in_force(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(files: dict[str, str]) -> Rulebook:
        raise RulesError([])

    bench.arrive("Down")
    bench.settle()
    checkpoint.write(bench.client, Cursor.read(bench.client), VERSION, bench.now)
    monkeypatch.setattr("workers.drain.compile_files", refuse)
    monkeypatch.setattr("triage.store.audit.compile_files", refuse)
    bench.arrive("Slow")
    bench.settle(bench.another())
    bench.holds()


def test_what_another_version_decided_is_not_called_a_difference(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade the audit may come before the new drain's checkpoint: there is nothing to compare yet."""
    bench.arrive("Down")
    bench.settle()
    monkeypatch.setattr("triage.store.audit.VERSION", VERSION + 1)
    monkeypatch.setattr("triage.store.audit.decide", lambda *_: Changes())
    report = audit(bench.client, replay=True)
    assert report.ok, report.lines
    assert f"by version {VERSION:x}; this is {VERSION + 1:x}: nothing to compare" in report.lines[-1]
