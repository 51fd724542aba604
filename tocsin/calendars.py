"""Calendars that schedules import, read here and now: for a check of a rules folder."""

from __future__ import annotations

from collections.abc import Mapping

from tocsin import settings as environment
from tocsin.settings import Settings
from triage.coverage import Read
from triage.model import Millis
from triage.rulebook import Rulebook
from triage.schedules import IMPORTED, Shift
from workers import calendars, outbound
from workers.calendar_names import names_of


def read_calendars(
    settings: Settings,
    rulebook: Rulebook,
    files: Mapping[str, str],
    span: tuple[Millis, Millis],
    offline: bool,
) -> dict[str, Read]:
    """Return what the calendar of each schedule that imports one holds in a range, or why it cannot be read."""
    outbound.allow(filter(None, settings.outbound_allow.split(",")))
    found: dict[str, Read] = {}
    for name, schedule in rulebook.schedules.items():
        if schedule.ical is None:
            continue
        if offline and schedule.ical.url:
            found[name] = Read(skipped=True)
            continue
        text = files.get(schedule.ical.file, "")
        got = calendars.read(schedule, names_of(rulebook, schedule), text, span, environment.lookup)
        faults = [got.fault] if got.fault else []
        faults += [f"nobody is called “{word}”" for word in got.unknown]
        shifts = tuple(Shift(*one, IMPORTED) for one in got.shifts)
        found[name] = Read(shifts, tuple(faults))
    return found
