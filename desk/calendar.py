"""Shifts as an iCalendar feed (RFC 5545): times in UTC, lines folded at 75 octets, a UID that stays with its shift."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from triage.model import Millis, key_of
from triage.schedules import OVERRIDE, Shift

OCTETS_MAX: Final = 75
EVENTS_MAX: Final = 5_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def feed(title: str, shifts: Iterable[tuple[str, Shift]], now: Millis) -> str:
    """Return the calendar called `title` of shifts, each with the name of its schedule."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Tocsin//On call//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_text(title)}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        "X-PUBLISHED-TTL:PT1H",
    ]
    for schedule, shift in [*shifts][:EVENTS_MAX]:
        lines += _event(schedule, shift, now)
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in _folded(line))


def _event(schedule: str, shift: Shift, now: Millis) -> list[str]:
    by = "by an override" if shift.via == OVERRIDE else f"layer {shift.via}"
    return [
        "BEGIN:VEVENT",
        f"UID:{key_of('shift', schedule, shift.person, str(shift.start))}@tocsin",
        f"DTSTAMP:{_utc(now)}",
        f"DTSTART:{_utc(shift.start)}",
        f"DTEND:{_utc(shift.end)}",
        f"SUMMARY:{_text(f'{shift.person} on call: {schedule}')}",
        f"DESCRIPTION:{_text(by)}",
        f"X-TOCSIN-PERSON;VALUE=TEXT:{_text(shift.person)}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def _utc(at: Millis) -> str:
    return (_EPOCH + timedelta(milliseconds=at)).strftime("%Y%m%dT%H%M%SZ")


def _text(text: str) -> str:
    """Return text as a value: with what has a meaning escaped, and control characters left out."""
    kept = "".join(one for one in text.replace("\r\n", "\n") if one >= " " or one == "\n")
    for mark in ("\\", ";", ","):
        kept = kept.replace(mark, f"\\{mark}")
    return kept.replace("\n", "\\n")


def _folded(line: str) -> Iterator[str]:
    """Yield a line in parts of at most 75 octets, never cutting a character; each further one begins with a space."""
    part, used = "", 0
    for character in line:
        size = len(character.encode())
        if used + size > OCTETS_MAX:
            yield part
            part, used = " ", 1
        part += character
        used += size
    yield part
