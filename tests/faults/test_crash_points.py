"""Every store command and every provider call of the drain, the commit and deliver is a place to die.

The history of `world.py` is played once undisturbed, then once for each call: the worker dies there, before the call
took effect or after it and before it saw the reply; a fresh worker goes on. What comes of it must be the same. Then
the same with designs that are weaker at one place each: the checker must object to every one of them, or it proves
nothing.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.faults.dying import AFTER, BEFORE, Fate
from tests.faults.points import Make, each_point, outcome_of, undisturbed
from tests.faults.world import Story, World, history, short_history
from triage.memory import Changes
from triage.model import MINUTE, EffectKind, Ending, Entry, Millis, Phase
from triage.store import keys
from triage.store.audit import audit
from triage.store.commit import Cursor, commit
from triage.store.effects import Claimed
from triage.store.retention import Retention
from workers import drain as drain_module
from workers.channel import Delivery
from workers.deliver import Deliver
from workers.drain import Clock, Drain

TRIMMING = ("XRANGE", "XLEN", "HSCAN", "ZSCAN", "EXEC(DEL checkpoint", "EXEC(XTRIM")

pytestmark = pytest.mark.usefixtures("steady")


# ------------------------------------------------------------------------------------------------------- the promise


@pytest.mark.parametrize("part", range(3))
def test_nothing_is_lost_wherever_a_worker_dies(quick_store: str, part: int) -> None:
    def make(fate: Fate) -> World:
        return World(quick_store, fate)

    expected, calls = undisturbed(make, history)
    assert_everything_happens(expected, calls)
    broken: dict[str, list[str]] = {}
    repeated: set[str] = set()
    for point, when in each_point(calls)[part::3]:
        fate = Fate(point, when)
        world, violations = outcome_of(make, history, fate, expected)
        assert fate.struck, f"the worker did not reach {fate}"
        if violations:
            broken[str(fate)] = violations
        if any(count > 1 for count in world.provider.copies.values()):
            repeated.add(f"{when} {calls[point - 1].split(' ')[0].split('(')[0]}")
    assert broken == {}
    # Second copies exist, and only for a death after the provider took it and before the journal had the result.
    assert repeated
    assert repeated <= {"after PROVIDER", "before WATCH", "before MGET", "before EXEC"}


def assert_everything_happens(expected: dict[str, Any], calls: list[str]) -> None:
    """The history is worth dying in: all of what it is to show is there."""
    paged = [(kind, person) for _, _, kind, person, _ in expected["messages"]]
    assert [paged.count(("page", person)) for person in ("ana", "ben")] == [2, 2]
    what = {line[1] for lines in expected["timelines"].values() for line in lines}
    assert {"opened", "delivered", "failed", "acknowledged", "resolved"} <= what, what
    assert {"opened", "attached", "deduplicated", "resolved"} <= {one.partition("/")[0] for one in expected["outcomes"]}
    assert all(one["phase"] == "resolved" for one in expected["incidents"])
    assert any(call.startswith("PROVIDER") for call in calls)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_worker_that_dies_again_and_again_loses_nothing(quick_store: str, seed: int) -> None:
    """Here pages may come late: what several workers died of is tried again later. But all come, and all is decided."""

    def make(fate: Fate) -> World:
        return World(quick_store, fate)

    chance = random.Random(seed)

    def fate() -> Fate:
        return Fate(chance.randint(1, 60), chance.choice((BEFORE, AFTER)))

    expected, _ = undisturbed(make, history)
    world = make(fate())
    world.next_fate = fate
    history(world)
    world.close()
    report = audit(world.client, replay=True)
    assert report.ok, report.lines
    assert (report.accepted, report.undecided, report.outcomes) == (world.accepted, 0, expected["outcomes"])
    assert len(world.deaths) > 10
    pages = {name for _, name, kind, _, _ in expected["messages"] if kind is EffectKind.PAGE}
    assert pages <= set(world.provider.copies)
    assert {name for name, count in world.provider.copies.items() if count > 1} <= world.unrecorded
    assert {one.phase for one in world.incidents} == {Phase.RESOLVED}


def test_nothing_is_lost_wherever_a_worker_dies_that_trims_the_journal(quick_store: str, tmp_path: Path) -> None:
    """What left the journal is in the archive, whole."""

    def make(fate: Fate) -> World:
        archive = tmp_path / str(len(list(tmp_path.iterdir())))
        archive.mkdir()
        return World(quick_store, fate, kept=Retention(keep_ms=MINUTE, archive=archive, every_ms=MINUTE))

    expected, calls = undisturbed(make, short_history)
    trims = {point for point, call in enumerate(calls, 1) if call.startswith(TRIMMING)}
    assert any(calls[point - 1].startswith("EXEC(XTRIM journal") for point in trims)
    broken = {}
    for point, when in each_point(calls):
        if not trims & {point - 1, point, point + 1, point + 2}:
            continue
        fate = Fate(point, when)
        world, violations = outcome_of(make, short_history, fate, expected)
        if gone := world.appended - world.kept_entries():
            violations.append(f"neither in the journal nor in the archive: {gone}")
        if violations:
            broken[str(fate)] = violations
    assert broken == {}


def test_a_drain_that_was_stopped_for_long_decides_nothing_twice(quick_store: str) -> None:
    """Wherever a drain stands still, another one takes over and decides all; then the first one goes on."""

    def make(fate: Fate) -> World:
        return World(quick_store, fate)

    expected, calls = undisturbed(make, short_history)
    broken = {}
    for point, when in each_point(calls):
        world, violations = with_a_zombie(make, point, when, expected)
        if violations:
            broken[str(world.fate)] = violations
    assert broken == {}


def with_a_zombie(make: Make, point: int, when: str, expected: dict[str, Any]) -> tuple[World, list[str]]:
    """Play the short history with a drain that stands still at one call while another decides everything."""

    def meanwhile() -> None:
        other = world.other_drain()
        while other.step():
            pass

    fate = Fate(point, when, meanwhile)
    world = make(fate)
    try:
        short_history(world)
        return world, world.violations(expected)
    except redis.RedisError as broken:
        return world, [f"{type(broken).__name__}: {broken}"]
    finally:
        world.close()


class Behind(Drain):
    """Decides each batch while the commit of the one before is under way, which here happens as late as it can."""

    def __init__(self, client: redis.Redis, clock: Clock, kept: Retention | None = None) -> None:
        super().__init__(client, clock, kept=kept, launch=lambda write: write, overlap=0)


@pytest.mark.parametrize("part", range(2))
def test_nothing_is_lost_wherever_a_worker_dies_that_decides_ahead(quick_store: str, part: int) -> None:
    def make(fate: Fate) -> World:
        return World(quick_store, fate, drain=Behind)

    expected, calls = undisturbed(make, short_history)
    broken: dict[str, list[str]] = {}
    for point, when in each_point(calls)[part::2]:
        fate = Fate(point, when)
        _, violations = outcome_of(make, short_history, fate, expected)
        assert fate.struck, f"the worker did not reach {fate}"
        if violations:
            broken[str(fate)] = violations
    assert broken == {}


def test_a_drain_that_decides_ahead_and_was_stopped_decides_nothing_twice(quick_store: str) -> None:
    def make(fate: Fate) -> World:
        return World(quick_store, fate, drain=Behind)

    expected, calls = undisturbed(make, short_history)
    broken = {}
    for point, when in each_point(calls):
        world, violations = with_a_zombie(make, point, when, expected)
        if violations:
            broken[str(world.fate)] = violations
    assert broken == {}


# --------------------------------------------------------------------------------------------------- weaker designs


def first_objection(make: Make, story: Story = short_history) -> str:
    """Return the first point at which the checker objects to a design, or "" when it finds nothing wrong with it."""
    expected, calls = undisturbed(make, story)
    for point, when in each_point(calls):
        fate = Fate(point, when)
        _, violations = outcome_of(make, story, fate, expected)
        if violations:
            return f"{fate}: {violations[0]}"
    return ""


def test_a_cursor_that_moves_before_the_commit_loses_events(quick_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def cursor_first(
        client: redis.Redis, cursor: Cursor, first: str, last: str, token: str, version: int, changes: Changes
    ) -> Cursor:
        moved = Cursor(last, f"{token}-moved", cursor.digest)
        client.set(keys.CURSOR, str(moved))
        return commit(client, moved, first, last, token, version, changes)

    monkeypatch.setattr(drain_module, "commit", cursor_first)
    objection = first_objection(lambda fate: World(quick_store, fate))
    assert "SET cursor" in objection or "WATCH cursor" in objection, objection


def test_without_the_fence_a_zombie_decides_twice(quick_store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unfenced(
        client: redis.Redis, _cursor: Cursor, first: str, last: str, token: str, version: int, changes: Changes
    ) -> Cursor:
        return commit(client, Cursor.read(client), first, last, token, version, changes)

    def make(fate: Fate) -> World:
        return World(quick_store, fate)

    monkeypatch.setattr(drain_module, "commit", unfenced)
    expected, calls = undisturbed(make, short_history)
    objections = (with_a_zombie(make, point, when, expected)[1] for point, when in each_point(calls))
    objection = next((found for found in objections if found), [])
    assert any("LEDGER DOES NOT HOLD" in one or "already" in one or "equal or smaller" in one for one in objection)


class PopsTimers(Drain):
    """Takes the timers away when it reads them, before what they do is committed."""

    def _due(self, entry: Entry) -> tuple[list[str], Millis | None]:
        names, oldest = super()._due(entry)
        if names:
            self._client.zrem(keys.TIMERS, *names)
        return names, oldest


def test_a_timer_popped_before_acting_loses_pages(quick_store: str) -> None:
    objection = first_objection(lambda fate: World(quick_store, fate, drain=PopsTimers))
    assert "ZREM timers" in objection, objection


class MarksFirst(Deliver):
    """Writes down that a message was delivered, then sends it."""

    def _start(self, claimed: Claimed, token: str, since: float) -> None:
        self._report(claimed.effect, Delivery(Ending.DELIVERED, "taken"), token, 0)
        self._attempt(claimed.effect, repeat=claimed.count > 1)


def test_a_delivery_marked_before_it_is_sent_loses_pages(quick_store: str) -> None:
    objection = first_objection(lambda fate: World(quick_store, fate, deliver=MarksFirst))
    assert "messages differ" in objection, objection
