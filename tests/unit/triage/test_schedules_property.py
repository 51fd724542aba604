"""At every half hour of two years, whoever is on call is who a slow and simple reading of the rule says.

The simple reading knows no instants of hand-offs. It walks through time once and notes the furthest that the wall clock
has been; and from the end, what it still has to pass: a turn is over once its hand-off has come for the last time.
The two differ only around an hour that comes twice, and whoever has any wall time between them is on call.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from triage.model import MINUTE, Millis, Override
from triage.rulebook.intervals import Piece
from triage.rulebook.intervals import zone as zone_data
from triage.rulebook.types import Layer, Rotation, Schedule
from triage.schedules import gaps, handoff, on_call, shifts

HALF = 30 * MINUTE
CELLS = 2 * 366 * 48
DAY = 48
"""Half hours of a day: times of the wall are counted in half hours since 1970 here."""
ZONES = {
    "Europe/Berlin": datetime(2026, 1, 1, tzinfo=UTC),
    "America/New_York": datetime(2027, 2, 1, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2026, 3, 1, tzinfo=UTC),
    "Africa/Casablanca": datetime(2026, 1, 10, tzinfo=UTC),
    "Pacific/Apia": datetime(2011, 6, 1, tzinfo=UTC),
    "Asia/Kolkata": datetime(2026, 1, 1, tzinfo=UTC),
}
PEOPLE = ("ana", "ben", "carl", "dora")


@cache
def clock(zone: str) -> tuple[Millis, list[tuple[int, int]]]:
    """When the two years begin; and for each half hour the earliest and the latest that the wall is taken to show."""
    begin = ZONES[zone] - timedelta(days=40)
    here = zone_data(zone)  # the pinned one: the machine may know other changes of the clock
    epoch = datetime(1970, 1, 1)
    shown = [
        (begin + n * timedelta(minutes=30)).astimezone(here).replace(tzinfo=None) - epoch for n in range(CELLS + 4_000)
    ]
    halves = [one // timedelta(minutes=30) for one in shown]
    latest = list(accumulate(halves, max))
    ahead = list(accumulate(reversed(halves), min))[::-1]
    earliest = [min(now, later - 1) for now, later in zip(halves, [*ahead[1:], ahead[-1] + 1], strict=True)]
    skipped = 40 * 48
    start = int(ZONES[zone].timestamp() * 1_000)
    pairs = list(zip(earliest, latest, strict=True))
    return start, pairs[skipped : skipped + CELLS]


def weekday(half: int) -> int:
    return (half // DAY + 4) % 7


class Simple:
    """One layer, read simply: whose turn is it at a wall time, and is it open then."""

    def __init__(self, layer: Layer, first: int, last: int) -> None:
        self.layer = layer
        rotation = layer.rotation
        self.start = rotation.start // 30
        slots = {slot // 30 for slot in rotation.slots}
        turn = 0
        self.turns: dict[int, int] = {}
        for half in range(self.start, last + 1):
            sunday = half - weekday(half) * DAY - half % DAY
            due = (half - self.start) % (rotation.every // 30) == 0 if rotation.every else half - sunday in slots
            if due and half > self.start:
                turn += 1
            self.turns[half] = turn
        self.week = [self.is_open(half) for half in range(7 * DAY)]

    def open_at(self, half: int) -> bool:
        return self.week[half % (7 * DAY)]

    def is_open(self, half: int) -> bool:
        pieces = self.layer.restrict
        minute = half % DAY * 30
        return not pieces or any(
            any(low <= weekday(half) <= high for low, high in piece.weekdays or ((0, 6),))
            and any(low <= minute < high for low, high in piece.minutes or ((0, 1440),))
            for piece in pieces
        )

    def turns_at(self, earliest: int, latest: int) -> set[int]:
        halves = range(earliest, latest + 1)
        if self.layer.end is not None and earliest >= self.layer.end // 30:
            return set()
        if earliest == latest:  # as at nearly every time
            return {self.turns[latest]} if latest in self.turns and self.open_at(latest) else set()
        if not any(self.open_at(half) for half in halves):
            return set()
        return {
            self.turns[half]
            for half in halves
            if half in self.turns and (self.layer.end is None or half < self.layer.end // 30)
        }

    def people_at(self, earliest: int, latest: int) -> set[str]:
        return {self.layer.users[turn % len(self.layer.users)] for turn in self.turns_at(earliest, latest)}


def pieces(zone: str) -> st.SearchStrategy[tuple[Piece, ...]]:
    """Hours in one or two pieces, which may pass through every hour at which clocks change."""
    minute = st.integers(0, 47).map(lambda half: half * 30)
    times = st.tuples(minute, minute).map(lambda pair: (min(pair), max(pair) + 30))
    days = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda pair: (min(pair), max(pair)))
    piece = st.builds(
        Piece,
        st.just(zone),
        st.lists(times, max_size=2).map(tuple),
        st.lists(days, max_size=2).map(tuple),
    )
    return st.lists(piece, max_size=2).map(tuple)


def layers(zone: str, restricted: bool = True) -> st.SearchStrategy[Layer]:
    first, last = clock(zone)[1][0][0], clock(zone)[1][-1][1]
    starts = st.integers(first - 20 * DAY, first + 300 * DAY).map(lambda half: half * 30)
    every = st.sampled_from([1, 2, 5, 8, 12, 24, 36, 48, 7 * 24, 14 * 24]).map(lambda hours: hours * 60)
    slots = st.sets(st.integers(0, 7 * DAY - 1), min_size=1, max_size=6).map(
        lambda found: tuple(sorted(half * 30 for half in found))
    )
    rotation = st.one_of(st.builds(Rotation, starts, every), st.builds(Rotation, starts, st.just(0), slots))
    users = st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4).map(tuple)
    ends = st.none() | st.integers(first + 301 * DAY, last).map(lambda half: half * 30)
    none: st.SearchStrategy[tuple[Piece, ...]] = st.just(())
    return st.builds(
        Layer,
        st.sampled_from(["low", "high"]),
        users,
        rotation,
        pieces(zone) if restricted else none,
        ends if restricted else st.none(),
    )


def covered(zone: str, schedule: Schedule, overrides: list[Override]) -> list[set[str]]:
    """Who is on call in each half hour, by the shifts."""
    start = clock(zone)[0]
    cells: list[set[str]] = [set() for _ in range(CELLS)]
    for shift in shifts(schedule, start, start + CELLS * HALF, overrides):
        assert (shift.start - start) % HALF == (shift.end - start) % HALF == 0
        assert shift.start < shift.end
        for cell in range((shift.start - start) // HALF, (shift.end - start) // HALF):
            cells[cell].add(shift.person)
    return cells


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@pytest.mark.parametrize("zone", ZONES)
@given(data=st.data())
def test_coverage_is_what_the_simple_reading_says(zone: str, data: st.DataObject) -> None:
    start, cells = clock(zone)
    found = tuple(data.draw(st.lists(layers(zone), min_size=1, max_size=3)))
    cell = st.integers(0, CELLS - 1)
    stretch = st.tuples(cell, cell, st.sampled_from(PEOPLE))
    drawn = data.draw(st.lists(stretch, max_size=3))
    overrides = [
        Override(who, start + min(a, b) * HALF, start + (max(a, b) + 1) * HALF, str(n))
        for n, (a, b, who) in enumerate(drawn)
    ]
    schedule = Schedule("one", zone, found)
    simple = [Simple(layer, cells[0][0], cells[-1][1]) for layer in found]
    expected = []
    for n, (earliest, latest) in enumerate(cells):
        taken = [who for a, b, who in drawn if min(a, b) <= n <= max(a, b)]
        levels = ({taken[-1]} if taken else set(), *(one.people_at(earliest, latest) for one in reversed(simple)))
        expected.append(next((level for level in levels if level), set()))
    got = covered(zone, schedule, overrides)
    assert [(n, cells[n], got[n], expected[n]) for n in range(CELLS) if got[n] != expected[n]][:5] == []
    for n in data.draw(st.lists(cell, max_size=30)):
        for moment in (start + n * HALF, start + n * HALF + HALF - 1):
            assert set(on_call(schedule, moment, overrides)) == expected[n]


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@pytest.mark.parametrize("zone", ZONES)
@given(data=st.data())
def test_no_hand_off_leaves_a_gap_and_none_is_lost(zone: str, data: st.DataObject) -> None:
    start, cells = clock(zone)
    end = start + CELLS * HALF
    layer = data.draw(layers(zone, restricted=False))
    found = shifts(Schedule("one", zone, (layer,)), start, end)
    assert gaps(found, max(start, found[0].start), end) == []
    simple = Simple(layer, cells[0][0], cells[-1][1])
    turns = set().union(*(simple.turns_at(earliest, latest) for earliest, latest in cells))
    assert len(found) == len(turns)


@given(st.integers(0, 10_000), st.integers(0, 20_000), st.sets(st.integers(0, 335), min_size=1, max_size=5))
def test_hand_offs_come_one_after_the_other(start: int, turn: int, slots: set[int]) -> None:
    rotation = Rotation(start * 30, slots=tuple(sorted(slot * 30 for slot in slots)))
    assert handoff(rotation, 0) == rotation.start
    assert handoff(rotation, turn) < handoff(rotation, turn + 1) <= handoff(rotation, turn) + 7 * 24 * 60
