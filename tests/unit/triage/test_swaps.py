"""Swaps: two shifts change hands in one entry, or none does; and what a schedule then says is what was agreed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triage.stage import FILES, START, Stage
from triage import schedules
from triage.imported import Imported
from triage.importing import shifts_of
from triage.memory import CALENDAR, OVERRIDES
from triage.model import DAY, HOUR, Answer, CalendarRead, Millis, OverrideAsked, Overrides
from triage.overrides import COUNT_MAX
from triage.rulebook import compile_files

SCHEDULE = """
schedules:
  primary:
    time_zone: UTC
    layers: [{users: [ana, ben, eve], start: "2026-03-02T00:00", every: 1d}]
    ical: {file: a.ics}
"""
RULES = {**FILES, "oncall.yaml": FILES["oncall.yaml"] + SCHEDULE}
NOON = START - 10 * HOUR + 12 * HOUR
"""Monday, in ana's day; ben has Tuesday, eve Wednesday, and so on."""


def swap(stage: Stage, person: str, theirs: tuple[Millis, Millis], other: str, his: tuple[Millis, Millis]) -> Answer:
    """Let `person` give `theirs` for `his`, the shift of `other`."""
    asked = OverrideAsked(
        "primary", person, *his, "ana", "test", other=other, other_start=theirs[0], other_end=theirs[1]
    )
    return stage.answers[stage.append(asked)]


def held(stage: Stage) -> tuple[tuple[str, Millis, Millis], ...]:
    known = stage.memory.get((OVERRIDES, "primary"))
    items = known.items if isinstance(known, Overrides) else ()
    return tuple((one.person, one.start, one.end) for one in items)


def day(number: int) -> tuple[Millis, Millis]:
    """A day from midnight to midnight; 0 is the Monday of the story."""
    begin = START - 10 * HOUR + number * DAY
    return begin, begin + DAY


def test_two_shifts_change_hands() -> None:
    stage = Stage(files=RULES)
    answer = swap(stage, "ana", day(3), "ben", day(1))
    assert answer.ending == "done"
    assert held(stage) == (("ana", *day(1)), ("ben", *day(3)))
    again = swap(stage, "ana", day(3), "ben", day(1))
    assert (again.ending, "already" in again.text) == ("done", True)
    assert len(held(stage)) == 2


def test_a_swap_back_and_forth_and_back_again_is_three_swaps() -> None:
    stage = Stage(files=RULES)
    assert swap(stage, "ana", day(3), "ben", day(1)).ending == "done"
    assert swap(stage, "ben", day(3), "ana", day(1)).ending == "done"
    assert swap(stage, "ana", day(3), "ben", day(1)).ending == "done"
    assert held(stage)[-2:] == (("ana", *day(1)), ("ben", *day(3)))
    assert len(held(stage)) == 6


@pytest.mark.parametrize(
    ("person", "theirs", "other", "his", "says"),
    [
        ("ana", day(1), "ben", day(4), "no shift of ana in schedule primary, or not all of it: ben has it"),
        ("ana", day(3), "ben", day(2), "no shift of ben"),
        ("ana", (day(3)[0], day(3)[1] + HOUR), "ben", day(1), "or not all of it"),
        ("ana", day(3), "ana", day(0), "two people"),
        ("ana", day(3), "nobody", day(1), "no person “nobody”"),
        ("ana", day(3), "ben", (day(1)[1], day(1)[0]), "ends before it starts"),
        ("ana", (day(3)[1], day(3)[0]), "ben", day(1), "ends before it starts"),
    ],
)
def test_a_swap_that_cannot_be_changes_nothing_and_says_why(
    person: str, theirs: tuple[Millis, Millis], other: str, his: tuple[Millis, Millis], says: str
) -> None:
    stage = Stage(files=RULES)
    answer = swap(stage, person, theirs, other, his)
    assert answer.ending == "refused"
    assert says in answer.text
    assert held(stage) == ()


def test_a_swap_needs_room_for_both_halves() -> None:
    stage = Stage(files=RULES)
    for number in range(COUNT_MAX - 1):
        stage.append(OverrideAsked("primary", "eve", *day(100 + number), "ana", "test"))
    assert swap(stage, "ana", day(3), "ben", day(1)).ending == "refused"
    assert len(held(stage)) == COUNT_MAX - 1


def test_a_shift_of_an_imported_calendar_can_be_swapped() -> None:
    stage = Stage(files=RULES)
    shifts = ((*day(1), "eve"), (*day(5), "ben"))
    stage.append(CalendarRead("primary", "one", shifts, *day(-1)))
    assert stage.memory.get((CALENDAR, "primary")) is not None
    assert swap(stage, "eve", day(1), "ben", day(4)).ending == "done"


ASKED = st.lists(
    st.tuples(
        st.sampled_from(["swap", "override", "calendar"]),
        st.integers(0, 12),
        st.integers(0, 12),
        st.sampled_from(["ana", "ben", "eve", "gone"]),
        st.integers(1, 60),
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(ASKED)
def test_at_every_hour_whoever_is_on_call_is_who_a_table_of_hours_says(
    asked: list[tuple[str, int, int, str, int]],
) -> None:
    """A table of hours, written over entry by entry, against the shifts: overrides over calendar over layers."""
    stage = Stage(files=RULES)
    hours = range(14 * 24)
    layer = {hour: ("ana", "ben", "eve")[hour // 24 % 3] for hour in hours}
    calendar: dict[int, set[str]] = {}
    over: dict[int, str] = {}
    midnight = day(0)[0]

    def now() -> list[set[str]]:
        return [{over[hour]} if hour in over else calendar.get(hour) or {layer[hour]} for hour in hours]

    for kind, first, second, person, length in asked:
        table = now()
        if kind == "swap":
            mine, his = table[first * 24 + 5], table[second * 24 + 5]
            one, other = sorted(mine)[0], sorted(his)[0]
            answer = swap(stage, one, day(first), other, day(second))
            fits = all(one in table[first * 24 + n] and other in table[second * 24 + n] for n in range(24))
            right = fits and one != other and first != second
            assert (answer.ending == "done") is right, answer
            if right:
                over.update({first * 24 + n: other for n in range(24)})
                over.update({second * 24 + n: one for n in range(24)})
        elif kind == "override":
            span = (midnight + (first * 24 + second) * HOUR, midnight + (first * 24 + second + length) * HOUR)
            answer = stage.answers[stage.append(OverrideAsked("primary", person, *span, "ana", "test"))]
            if answer.ending == "done":
                over.update({first * 24 + second + n: person for n in range(length)})
        else:
            start = midnight + (first * 24 + second) * HOUR
            shifts = ((start, start + length * HOUR, person), (start + HOUR, start + 3 * HOUR, "eve"))
            stage.append(CalendarRead("primary", f"{first}", shifts, *day(-1)))
            calendar = {}
            for begin, end, who in shifts:
                for hour in range((begin - midnight) // HOUR, (end - midnight) // HOUR):
                    if who != "gone":
                        calendar.setdefault(hour, set()).add(who)
    book = compile_files(RULES)
    known = stage.memory.get((OVERRIDES, "primary"))
    overrides = known.items if isinstance(known, Overrides) else ()
    imported = imported_of(stage)
    expected = now()
    for hour in hours:
        if midnight + hour * HOUR >= stage.now:  # overrides that ended are forgotten
            at = midnight + hour * HOUR + 1
            found = schedules.on_call(book.schedules["primary"], at, overrides, book.people, imported)
            assert set(found) == expected[hour], (hour, asked)


def imported_of(stage: Stage) -> tuple[schedules.Shift, ...]:
    known = stage.memory.get((CALENDAR, "primary"))
    return shifts_of(known if isinstance(known, Imported) else None)
