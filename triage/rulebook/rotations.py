"""Compiles the schedules and teams of oncall.yaml, and checks every name that the on-call files refer to."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from triage.model import DAY, HOUR, MINUTE, Override
from triage.rulebook import intervals, secrets, shapes, wall
from triage.rulebook.pieces import read_piece, read_weekdays
from triage.rulebook.problems import Problem, closest
from triage.rulebook.reading import Part
from triage.rulebook.types import Ical, Layer, Rotation, Schedule
from triage.rulebook.yaml import Path

LONGEST_TURN: Final = 364 * DAY
MOST_LAYERS: Final = 50
MOST_OVERRIDES: Final = 1_000
MOST_NAMES: Final = 1_000
_FIELDS: Final = {"person": "people", "schedule": "schedules", "team": "teams"}
"""Kind of target → where its names are."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z")


class Rotations:
    """Compiles what one file says of schedules and of people's quiet hours."""

    def __init__(self, part: Part, problems: list[Problem]) -> None:
        self.part = part
        self.problems = problems

    def fault(self, place: Path, message: str, hint: str = "", key: bool = False) -> None:
        self.problems.append(self.part.document.problem(place, message, hint, key=key))

    def zone(self, place: Path, name: str) -> str:
        """Return a time zone that exists: the one named, or UTC after noting that there is none."""
        try:
            intervals.zone(name)
        except ValueError as error:
            self.fault(place, str(error))
            return "UTC"
        return name

    def quiet(self, name: str, person: shapes.PersonShape) -> tuple[str, tuple[intervals.Piece, ...]]:
        """Return a person's time zone ("" when they have none) and quiet hours."""
        place: Path = ("people", name)
        here = self.zone((*place, "time_zone"), person.time_zone) if person.time_zone else ""
        if person.quiet_hours and not here:
            self.fault(
                (*place, "quiet_hours"), "quiet hours need a time zone", "add time_zone: Europe/Berlin", key=True
            )
        return here, self.hours((*place, "quiet_hours"), person.quiet_hours, here or "UTC")

    def hours(self, place: Path, given: list[shapes.Hours] | None, time_zone: str) -> tuple[intervals.Piece, ...]:
        """Return the pieces that hours mean."""
        return tuple(
            read_piece(self.fault, (*place, index), hours, time_zone) for index, hours in enumerate(given or ())
        )

    def schedule(self, name: str, shape: shapes.ScheduleShape) -> Schedule:
        """Compile one schedule."""
        place: Path = ("schedules", name)
        if not _NAME.match(name):
            hint = "use letters, digits, _ and -"
            self.fault(place, f'"{name}" can\'t be a part of a web address', hint, key=True)
        here = self.zone((*place, "time_zone"), shape.time_zone)
        for field, most in (("layers", MOST_LAYERS), ("overrides", MOST_OVERRIDES)):
            if len(getattr(shape, field)) > most:
                self.fault((*place, field), f"a schedule has at most {most} {field}", key=True)
        return Schedule(
            name,
            here,
            tuple(self._layer((*place, "layers", index), one, here, index) for index, one in enumerate(shape.layers)),
            tuple(self._override((*place, "overrides", i), one, here) for i, one in enumerate(shape.overrides)),
            shape.partial,
            self._ical((*place, "ical"), shape.ical) if shape.ical is not None else None,
        )

    def _ical(self, place: Path, shape: shapes.IcalShape) -> Ical:
        if bool(shape.url) == bool(shape.file):
            self.fault(place, "a calendar comes either from a url or from a file", "", key=True)
        if shape.url:
            fault = secrets.address_fault(shape.url)
            if fault:
                self.fault((*place, "url"), fault, secrets.REMEDY if "literal" in fault else "")
            elif secrets.suspicious(shape.url):
                message = "a part of this URL looks like a token"
                self.problems.append(
                    self.part.document.problem((*place, "url"), message, secrets.REMEDY, severity="warning")
                )
        if shape.file and (not shape.file.endswith(".ics") or shape.file.startswith("/") or ".." in shape.file):
            hint = "put it into the folder, like calendars/primary.ics"
            self.fault((*place, "file"), "this is no .ics file of the rules folder", hint)
        if len(shape.people) > MOST_NAMES:
            self.fault((*place, "people"), f"a calendar has at most {MOST_NAMES} names", key=True)
        if not MINUTE <= shape.every <= DAY:
            self.fault((*place, "every"), "a calendar is read every 1m to 1d")
        return Ical(shape.url, shape.file, dict(shape.people), shape.by, shape.every)

    def _layer(self, place: Path, shape: shapes.LayerShape, here: str, index: int) -> Layer:
        if not shape.users:
            self.fault((*place, "users"), "nobody takes turns here", "name at least one person")
        if shape.name == "override":
            self.fault((*place, "name"), 'no layer can be called "override"', "that word is for overrides")
        if shape.end is not None and shape.end <= shape.start:
            self.fault((*place, "end"), "the layer ends before it starts", f"start is {wall.show_wall(shape.start)}")
        return Layer(
            shape.name or f"layer {index + 1}",
            tuple(shape.users),
            self._rotation(place, shape),
            self.hours((*place, "restrict"), shape.restrict, here),
            shape.end,
        )

    def _rotation(self, place: Path, shape: shapes.LayerShape) -> Rotation:
        if (shape.every is None) == (shape.handoffs is None):
            self.fault(place, "a layer has either every or handoffs", "for example every: 1w")
        if shape.handoffs is not None:
            return Rotation(shape.start, slots=self._slots((*place, "handoffs"), shape.handoffs) or (0,))
        every = DAY if shape.every is None else shape.every
        if every % HOUR or not HOUR <= every <= LONGEST_TURN:
            self.fault((*place, "every"), "a turn is whole hours long, at least 1h and at most 52w")
            every = DAY
        return Rotation(shape.start, every // MINUTE)

    def _slots(self, place: Path, given: list[shapes.HandoffShape]) -> tuple[int, ...]:
        """Return the hand-offs of a week, in minutes after Sunday 00:00."""
        slots: set[int] = set()
        if not given:
            self.fault(place, "handoffs is empty", 'for example [{weekdays: [monday], time: "09:00"}]')
        for index, one in enumerate(given):
            try:
                minute = intervals.read_clock(one.time)
            except ValueError as error:
                self.fault((*place, index, "time"), str(error))
                continue
            if minute == intervals.DAY_MINUTES:
                self.fault((*place, index, "time"), 'no hand-off is at "24:00"', 'write "00:00" of the day after')
                continue
            for low, high in read_weekdays(self.fault, (*place, index, "weekdays"), one.weekdays):
                slots |= {day * intervals.DAY_MINUTES + minute for day in range(low, high + 1)}
        return tuple(sorted(slots))

    def _override(self, place: Path, shape: shapes.OverrideShape, here: str) -> Override:
        if shape.end <= shape.start:
            self.fault((*place, "end"), "the override ends before it starts", f"start is {wall.show_wall(shape.start)}")
        return Override(shape.user, wall.first(shape.start, here), wall.last(shape.end, here))


def check_names(parts: list[Part], problems: list[Problem]) -> None:
    """Note every name in a schedule, a team or after `schedule:` and `team:` that nothing has."""
    known = {field: _names(parts, field) for field in _FIELDS.values()}
    for part in parts:
        if not isinstance(part.shape, shapes.TeamOncallFile):
            continue
        for place, name, field in _named(part.shape):
            if name not in known[field]:
                word = next(kind for kind, known_field in _FIELDS.items() if known_field == field)
                hint = closest(name, known[field]) or f"add it under {field}:"
                problems.append(part.document.problem(place, f'there is no {word} "{name}"', hint))


def _names(parts: list[Part], field: str) -> Collection[str]:
    return {name for part in parts if isinstance(part.shape, shapes.TeamOncallFile) for name in part.names(field)}


def _named(shape: shapes.TeamOncallFile) -> list[tuple[Path, str, str]]:
    """Return each place of a file that must name something, with the name and the field it must be under."""
    found: list[tuple[Path, str, str]] = []
    for name, people in shape.teams.items():
        found += [(("teams", name, index), person, "people") for index, person in enumerate(people)]
    for name, schedule in shape.schedules.items():
        place: Path = ("schedules", name)
        for at, layer in enumerate(schedule.layers):
            found += [((*place, "layers", at, "users", i), user, "people") for i, user in enumerate(layer.users)]
        found += [((*place, "overrides", i, "user"), one.user, "people") for i, one in enumerate(schedule.overrides)]
        if schedule.ical is not None:
            found += [((*place, "ical", "people", key), one, "people") for key, one in schedule.ical.people.items()]
    for name, policy in shape.policies.items():
        for key, steps in _steps(policy):
            for at, step in enumerate(steps):
                for index, target in enumerate(step.notify):
                    kind, mark, rest = target.partition(":")
                    if mark and kind in _FIELDS:
                        found.append((("policies", name, key, at, "notify", index), rest, _FIELDS[kind]))
    return found


def _steps(policy: shapes.PolicyShape) -> list[tuple[str, list[Any]]]:
    fields = ("steps", "P0", "P1", "P2", "P3", "P4")
    return [(field, getattr(policy, field) or []) for field in fields]
