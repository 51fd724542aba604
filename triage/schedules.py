"""Who is on call: rotations, restrictions and overrides of a schedule, and whom the targets of a step mean.

Schedules are written in the wall clock of their zone; everything is compared in UTC (milliseconds). A wall time is
counted in whole minutes since 1970-01-01 00:00 as that clock shows it.

One rule for changes of the clock, GoAlert's: what begins, begins at the first occurrence of its wall time; what ends,
ends at the last one; and a wall time that does not exist is the instant at which the clock jumps over it. So two may be
on call in the hour that comes twice, and no hand-off leaves a gap.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final, TypeAlias

import msgspec

from triage.model import DAY, Millis, Override
from triage.rulebook import Rulebook
from triage.rulebook.intervals import DAY_MINUTES, Piece, day_holds
from triage.rulebook.types import Layer, Rotation, Schedule
from triage.rulebook.wall import Minutes, first, last, wall_of

Stretch: TypeAlias = tuple[Millis, Millis]
"""From an instant to before another."""

WEEK: Final[Minutes] = 7 * DAY_MINUTES
SLACK: Final[Minutes] = 26 * 60
"""How far a wall clock can be from where it would be without its changes: Apia once left out a day."""
OVERRIDE: Final = "override"
"""What `Shift.via` says of an override; no layer has this name."""
IMPORTED: Final = "calendar"
"""What `Shift.via` says of a shift of the calendar that the schedule imports."""
QUIET_MAX: Final[Millis] = 8 * DAY
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_THURSDAY: Final = 4
"""The weekday of 1970-01-01, Sunday being 0."""


class Shift(msgspec.Struct, frozen=True, order=True):
    """`person` is on call from `start` to before `end`, by the layer named `via`, or by an override."""

    start: Millis
    end: Millis
    person: str
    via: str


class Called(msgspec.Struct, frozen=True):
    """Somebody whom a step calls, and why: "on call in primary", "of team shop", or "" when it names them."""

    person: str
    why: str = ""


class Whom(msgspec.Struct, frozen=True):
    """Whom the targets of a step mean now. `empty`: for each target that means nobody, a phrase that says why."""

    called: tuple[Called, ...]
    empty: tuple[str, ...] = ()


# --------------------------------------------------------------------------------------------------------------------
# Layers.


def handoff(rotation: Rotation, turn: int) -> Minutes:
    """Return when the turn of that number begins, on the wall clock; the first one is 0."""
    if rotation.every:
        return rotation.start + turn * rotation.every
    if turn == 0:
        return rotation.start
    sunday, before = _week_of(rotation)
    week, slot = divmod(before + turn - 1, len(rotation.slots))
    return sunday + week * WEEK + rotation.slots[slot]


def _turn_at(rotation: Rotation, wall: Minutes) -> int:
    """Return the number of the turn that a wall time is in; 0 before the first hand-off."""
    if rotation.every:
        return max(0, (wall - rotation.start) // rotation.every)
    sunday, before = _week_of(rotation)
    weeks, rest = divmod(wall - sunday, WEEK)
    return max(0, weeks * len(rotation.slots) + bisect_right(rotation.slots, rest) - before)


def _week_of(rotation: Rotation) -> tuple[Minutes, int]:
    """Return the Sunday 00:00 before the first hand-off, and how many slots of that week it does not come before."""
    days, minute = divmod(rotation.start, DAY_MINUTES)
    rest = (days + _THURSDAY) % 7 * DAY_MINUTES + minute
    return rotation.start - rest, bisect_right(rotation.slots, rest)


def _turns(layer: Layer, time_zone: str, start: Millis, end: Millis) -> Iterator[Shift]:
    """Yield the turns of a layer that touch a range, in order, as if nothing restricted them."""
    if not layer.users:
        return
    ends = last(layer.end, time_zone) if layer.end is not None else None
    turn = _turn_at(layer.rotation, wall_of(start, time_zone) - SLACK)
    while (begins := first(handoff(layer.rotation, turn), time_zone)) < end:
        over = last(handoff(layer.rotation, turn + 1), time_zone)
        over = over if ends is None else min(over, ends)
        if begins < over and over > start:
            yield Shift(begins, over, layer.users[turn % len(layer.users)], layer.name)
        if ends is not None and begins >= ends:
            return
        turn += 1


def windows(pieces: Sequence[Piece], start: Millis, end: Millis) -> list[Stretch]:
    """Return when these pieces are open, as far as it touches a range: in order, apart from each other, not cut off."""
    found = []
    for piece in pieces:
        low, high = (wall_of(at, piece.zone) // DAY_MINUTES for at in (start, end))
        for day in range(low - 2, high + 3):
            if day_holds(piece, date.fromordinal(_EPOCH_DAY + day)):
                for opens, closes in piece.minutes or ((0, DAY_MINUTES),):
                    midnight = day * DAY_MINUTES
                    found.append((first(midnight + opens, piece.zone), last(midnight + closes, piece.zone)))
    return [(opens, closes) for opens, closes in merged(found) if opens < end and closes > start]


def quiet_until(pieces: Sequence[Piece], at: Millis) -> Millis | None:
    """Return when the quiet hours end that hold at an instant, at most eight days later; None when none hold."""
    for opens, closes in windows(pieces, at, at + QUIET_MAX) if pieces else ():
        if opens <= at < closes:
            return min(closes, at + QUIET_MAX)
    return None


def _layer(layer: Layer, time_zone: str, start: Millis, end: Millis) -> list[Shift]:
    turns = _turns(layer, time_zone, start, end)
    if not layer.restrict:
        return list(turns)
    opened = windows(layer.restrict, start, end)
    found = []
    for turn in turns:
        for opens, closes in _touching(opened, turn.start, turn.end):
            cut = msgspec.structs.replace(turn, start=max(turn.start, opens), end=min(turn.end, closes))
            found.append(cut)
    return found


# --------------------------------------------------------------------------------------------------------------------
# Schedules.


def shifts(
    schedule: Schedule,
    start: Millis,
    end: Millis,
    overrides: Sequence[Override] = (),
    people: Collection[str] | None = None,
    imported: Sequence[Shift] = (),
) -> list[Shift]:
    """Return who is on call from `start` to `end`, in order; the first and last shifts are cut off there.

    `overrides` are those asked for at run time, oldest first; they win over those of the file. `imported` are the
    shifts of its calendar; they win over the layers. What either gives to somebody who is not among `people` is passed
    over (None: everybody is known).
    """
    taken: list[Stretch] = []
    found: list[Shift] = []
    for level in _levels(schedule, start, end, overrides, people, imported):
        for shift in level:
            low, high = max(shift.start, start), min(shift.end, end)
            found += [
                msgspec.structs.replace(shift, start=opens, end=closes) for opens, closes in _without(low, high, taken)
            ]
        taken = merged([*taken, *((shift.start, shift.end) for shift in level)])
    return sorted(found)


def _levels(
    schedule: Schedule,
    start: Millis,
    end: Millis,
    overrides: Sequence[Override],
    people: Collection[str] | None,
    imported: Sequence[Shift],
) -> Iterator[list[Shift]]:
    """Yield what each level covers, the one that wins over all others first."""
    for one in (*reversed(overrides), *reversed(schedule.overrides)):
        if one.start < end and one.end > start and (people is None or one.person in people):
            yield [Shift(one.start, one.end, one.person, OVERRIDE)]
    known = (one for one in imported if people is None or one.person in people)
    yield [one for one in known if one.start < end and one.end > start]
    for layer in reversed(schedule.layers):
        yield _layer(layer, schedule.time_zone, start, end)


def on_call(
    schedule: Schedule,
    at: Millis,
    overrides: Sequence[Override] = (),
    people: Collection[str] | None = None,
    imported: Sequence[Shift] = (),
) -> tuple[str, ...]:
    """Return who is on call at an instant: nobody, one, or two while a hand-off overlaps."""
    found = shifts(schedule, at, at + 1, overrides, people, imported)
    return tuple(dict.fromkeys(shift.person for shift in found))


def joined(found: Iterable[Shift]) -> list[Shift]:
    """Return the shifts with those of the same person that touch or overlap made one, which keeps the first `via`."""
    whole: list[Shift] = []
    open_: dict[str, int] = {}
    for shift in sorted(found):
        index = open_.get(shift.person)
        if index is not None and whole[index].end >= shift.start:
            whole[index] = msgspec.structs.replace(whole[index], end=max(whole[index].end, shift.end))
            continue
        open_[shift.person] = len(whole)
        whole.append(shift)
    return sorted(whole)


def gaps(found: Iterable[Shift], start: Millis, end: Millis) -> list[Stretch]:
    """Return when nobody of these shifts is on call between two instants."""
    return _without(start, end, merged((shift.start, shift.end) for shift in found))


def merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return stretches in order, with those that touch or overlap made one, and empty ones left out."""
    whole: list[Stretch] = []
    for opens, closes in sorted(stretches):
        if opens >= closes:
            continue
        if whole and opens <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(whole[-1][1], closes))
        else:
            whole.append((opens, closes))
    return whole


def _touching(apart: list[Stretch], start: Millis, end: Millis) -> Iterator[Stretch]:
    """Yield those of some ordered stretches, which lie apart, that touch a range."""
    for index in range(max(0, bisect_right(apart, (start, start)) - 1), len(apart)):
        opens, closes = apart[index]
        if opens >= end:
            return
        if closes > start:
            yield opens, closes


def _without(start: Millis, end: Millis, taken: list[Stretch]) -> list[Stretch]:
    """Return what of a range is not in `taken`, whose stretches are in order and apart."""
    free = []
    for opens, closes in _touching(taken, start, end):
        if opens > start:
            free.append((start, opens))
        start = max(start, closes)
    return [*free, (start, end)] if start < end else free


# --------------------------------------------------------------------------------------------------------------------
# Targets of an escalation step.


def schedules_in(rulebook: Rulebook, targets: Iterable[str]) -> tuple[str, ...]:
    """Return the schedules that these targets name: their run-time overrides are needed to say who is meant."""
    found = (rulebook.target(text) for text in targets)
    return tuple(dict.fromkeys(name for kind, name in found if kind == "schedule"))


def whom(
    rulebook: Rulebook,
    targets: Iterable[str],
    at: Millis,
    overrides: Mapping[str, Sequence[Override]],
    imported: Mapping[str, Sequence[Shift]] | None = None,
) -> Whom:
    """Return the people that targets mean at an instant, each once.

    By schedule: `overrides` are those asked for at run time, `imported` the shifts of its calendar.
    """
    called: dict[str, Called] = {}
    shared = imported or {}
    empty = []
    for target in dict.fromkeys(targets):
        kind, name = rulebook.target(target)
        found: tuple[str, ...] = ()
        why, missing = "", f"there is no person, schedule or team “{name}”"
        if kind == "person":
            found = (name,)
        elif kind == "schedule":
            found = on_call(
                rulebook.schedules[name], at, overrides.get(name, ()), rulebook.people, shared.get(name, ())
            )
            why, missing = f"on call in {name}", f"nobody is on call in schedule {name}"
        elif kind == "team":
            found = tuple(one for one in rulebook.teams[name] if one in rulebook.people)
            why, missing = f"of team {name}", f"team {name} has nobody"
        for person in found:
            called.setdefault(person, Called(person, why))
        if not found:
            empty.append(missing)
    return Whom(tuple(called.values()), tuple(empty))
