"""What a year of the schedules holds: gaps, people who cannot be reached, changes of the clock, who carries how much.

Pure, and from the files alone: overrides of run time are for days, not for the year.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from triage import schedules
from triage.model import HOUR, MINUTE, Millis, Severity
from triage.rulebook import Rulebook
from triage.rulebook.cron import next_after
from triage.rulebook.drills import DrillPlan
from triage.rulebook.intervals import DAY_MINUTES, zone
from triage.rulebook.types import Schedule
from triage.rulebook.wall import Minutes, first, wall_of
from triage.schedules import Shift, Stretch

NIGHT: Final[tuple[Minutes, Minutes]] = (22 * 60, 30 * 60)
"""From 22:00 to 06:00 of the next day, in minutes of the first."""
SATURDAY: Final = 6
_THURSDAY: Final = 4
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEP: Final[Millis] = 12 * HOUR


class Edge(msgspec.Struct, frozen=True):
    """A change of the clock: when, the offsets before and after (minutes), and who is on call just before and after."""

    schedule: str
    at: Millis
    before: Minutes
    after: Minutes
    people_before: tuple[str, ...]
    people_after: tuple[str, ...]


class Load(msgspec.Struct, frozen=True):
    """What one person carries: time on call, and how many nights (22:00 to 06:00) and weekends of theirs it touches."""

    person: str
    time: Millis
    nights: int
    weekends: int
    shifts: int


DRILLS_MAX: Final = 100
"""How many turns of one planned drill are looked for."""


class Report(msgspec.Struct, frozen=True):
    """What was found. `gaps` are faults, `meant` those of schedules marked `partial`.

    `unreachable`: people whom a step, a schedule or the last resort needs and who have no contact method, with where.
    `calendars`: what is wrong with the calendar of a schedule. `last_resort`: why it reaches nobody, or "". `skipped`:
    schedules whose calendar nobody looked at, so that their gaps are not known. `drills`: when those that are planned
    come, by their names.
    """

    start: Millis
    end: Millis
    gaps: dict[str, list[Stretch]]
    meant: dict[str, list[Stretch]]
    unreachable: dict[str, list[str]]
    edges: list[Edge]
    loads: list[Load]
    calendars: dict[str, list[str]] = {}
    last_resort: str = ""
    skipped: tuple[str, ...] = ()
    drills: dict[str, list[Millis]] = {}

    @property
    def good(self) -> bool:
        """Tell whether somebody who can be reached is on call whenever somebody is meant to be."""
        return not (any(self.gaps.values()) or self.unreachable or any(self.calendars.values()) or self.last_resort)


class Read(msgspec.Struct, frozen=True):
    """What the calendar of a schedule holds, and what is wrong with it. `skipped`: nobody looked at it."""

    shifts: tuple[Shift, ...] = ()
    faults: tuple[str, ...] = ()
    skipped: bool = False


def examine(rulebook: Rulebook, start: Millis, end: Millis, calendars: Mapping[str, Read] | None = None) -> Report:
    """Look at every schedule from `start` to before `end`. `calendars`: what schedules import, by their name."""
    read = calendars or {}
    gaps: dict[str, list[Stretch]] = {}
    meant: dict[str, list[Stretch]] = {}
    edges: list[Edge] = []
    by_person: dict[str, list[tuple[Schedule, Shift]]] = {}
    for name, schedule in sorted(rulebook.schedules.items()):
        held = read.get(name, Read())
        imported = held.shifts
        found = schedules.shifts(schedule, start, end, (), rulebook.people, imported)
        if not held.skipped:
            (meant if schedule.partial else gaps)[name] = schedules.gaps(found, start, end)
        edges += _edges(schedule, start, end, imported)
        for shift in schedules.joined(found):
            by_person.setdefault(shift.person, []).append((schedule, shift))
    loads = [_load(rulebook, person, held) for person, held in sorted(by_person.items())]
    skipped = tuple(name for name, one in sorted(read.items()) if one.skipped)
    faults = {name: [*one.faults] for name, one in sorted(read.items())}
    return Report(
        start,
        end,
        gaps,
        meant,
        _unreachable(rulebook, read),
        edges,
        loads,
        faults,
        _last_resort(rulebook),
        skipped,
        {name: _drills(plan, start, end) for name, plan in sorted(rulebook.drills.items())},
    )


def _drills(plan: DrillPlan, start: Millis, end: Millis) -> list[Millis]:
    """Return when a planned drill comes, DRILLS_MAX times at most."""
    found: list[Millis] = []
    at = next_after(plan.cron, plan.time_zone, start - 1)
    while at < end and len(found) < DRILLS_MAX:
        found.append(at)
        at = next_after(plan.cron, plan.time_zone, at)
    return found


def _last_resort(rulebook: Rulebook) -> str:
    named = [rulebook.people[name] for name in rulebook.last_resort if name in rulebook.people]
    if any(person.methods for person in named) or not rulebook.policies:
        return ""
    return "nobody of it has a contact method" if rulebook.last_resort else "it is empty"


def _edges(schedule: Schedule, start: Millis, end: Millis, imported: Sequence[Shift]) -> Iterator[Edge]:
    for at, before, after in changes(schedule.time_zone, start, end):
        sides = (schedules.on_call(schedule, moment, imported=imported) for moment in (at - 1, at))
        yield Edge(schedule.name, at, before, after, *sides)


def changes(time_zone: str, start: Millis, end: Millis) -> Iterator[tuple[Millis, Minutes, Minutes]]:
    """Yield the changes of a zone's clock in a range: the instant, and the offsets before and after in minutes."""
    low = start
    while low < end:
        high = min(low + _STEP, end)
        before, after = _offset(low, time_zone), _offset(high, time_zone)
        if before != after:
            left, right = low, high
            while right - left > 1:
                middle = (left + right) // 2
                left, right = (middle, right) if _offset(middle, time_zone) == before else (left, middle)
            yield right, before, after
        low = high


def _offset(at: Millis, time_zone: str) -> Minutes:
    offset = (_EPOCH + timedelta(milliseconds=at)).astimezone(zone(time_zone)).utcoffset()
    return (offset or timedelta()) // timedelta(minutes=1)


def _load(rulebook: Rulebook, person: str, held: list[tuple[Schedule, Shift]]) -> Load:
    known = rulebook.people.get(person)
    nights: set[int] = set()
    weekends: set[int] = set()
    for schedule, shift in held:
        here = (known.time_zone if known is not None else "") or schedule.time_zone
        days = range(wall_of(shift.start, here) // DAY_MINUTES - 2, wall_of(shift.end, here) // DAY_MINUTES + 3)
        nights |= {
            day for day in days if _touches(shift, day * DAY_MINUTES + NIGHT[0], day * DAY_MINUTES + NIGHT[1], here)
        }
        weekends |= {
            day
            for day in days
            if (day + _THURSDAY) % 7 == SATURDAY and _touches(shift, day * DAY_MINUTES, (day + 2) * DAY_MINUTES, here)
        }
    whole = schedules.merged((shift.start, shift.end) for _, shift in held)
    return Load(person, sum(end - start for start, end in whole), len(nights), len(weekends), len(held))


def _touches(shift: Shift, start: Minutes, end: Minutes, time_zone: str) -> bool:
    """Tell whether a shift has at least a minute between two wall times."""
    return min(shift.end, first(end, time_zone)) - max(shift.start, first(start, time_zone)) >= MINUTE


def _unreachable(rulebook: Rulebook, read: Mapping[str, Read]) -> dict[str, list[str]]:
    """Return people without a contact method, each with the places that need them; and steps that mean nobody."""
    found: dict[str, list[str]] = {}
    imported = ((shift.person, f"schedule {name}") for name, one in sorted(read.items()) for shift in one.shifts)
    for person, place in (*_needed(rulebook), *dict.fromkeys(imported)):
        known = rulebook.people.get(person)
        if known is None or not known.methods:
            found.setdefault(person, []).append(place)
    return {person: list(dict.fromkeys(places)) for person, places in sorted(found.items())}


def _needed(rulebook: Rulebook) -> Iterator[tuple[str, str]]:
    for name, schedule in sorted(rulebook.schedules.items()):
        for layer in schedule.layers:
            yield from ((user, f"schedule {name}") for user in layer.users)
        yield from ((one.person, f"schedule {name}") for one in schedule.overrides)
    for name, policy in sorted(rulebook.policies.items()):
        for severity in ("", *Severity.__members__):
            for step in policy.steps.get(severity, ()):
                yield from ((person, f"policy {name}") for person in _people(rulebook, step.notify))
    yield from ((person, "last_resort") for person in rulebook.last_resort)
    yield from ((person, "operators") for person in rulebook.operators)


def _people(rulebook: Rulebook, targets: Iterable[str]) -> Iterator[str]:
    for target in targets:
        kind, name = rulebook.target(target)
        if kind == "team":
            yield from rulebook.teams[name]
        elif kind != "schedule":
            yield name
