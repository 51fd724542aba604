"""Reads one calendar: fetches it, expands it to shifts, says whom they mean. A program of its own, run and then gone.

A calendar is somebody else's text: a rule for every second, an endless file, a server that drips. Whatever it does, it
does to this process, which has a limit on time and memory; who asked waits for an answer or ends it
(`workers/calendars.py`). A job is a JSON object on standard input, never on the command line, since it holds secrets.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import icalendar
import msgspec
import recurring_ical_events

from triage.model import DAY, Millis
from triage.rulebook.intervals import zone
from triage.rulebook.wall import first, last
from workers import outbound
from workers.calendar_job import Answer, Job
from workers.calendar_names import Names

BODY_MAX: Final = 4 * 1024 * 1024
"""Largest calendar, in bytes."""
EVENTS_MAX: Final = 20_000
SHIFTS_MAX: Final = 5_000
"""Most shifts of one calendar; more is a fault, since leaving some out would leave a gap."""
UNKNOWN_MAX: Final = 20
UNKNOWN_LENGTH_MAX: Final = 100
CPU_S: Final = 20
MEMORY_MAX: Final = 1 << 30
PERSON: Final = "X-TOCSIN-PERSON"
"""Where our own feed says who it is, so that it reads back as it was."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WALL_EPOCH: Final = _EPOCH.replace(tzinfo=None)
_OPENS: Final = "BEGIN:VCALENDAR"


class Unreadable(Exception):
    """The calendar cannot be used. The message is a sentence."""


def answer(job: Job) -> Answer:
    """Do a job. What is wrong with the calendar or its server is a fault in the answer."""
    try:
        if not job.url:
            return expanded(job, job.text)
        outbound.allow(job.allow)
        got = outbound.get(job.url.replace("webcal://", "https://", 1), _conditions(job), BODY_MAX)
        if not isinstance(got, outbound.Page):
            return Answer(fault=f"The server does not give it: {got.reason}.")
        if got.status == 304:
            return Answer(unchanged=True, etag=job.etag, modified=job.modified)
        if got.status != 200:
            return Answer(fault=f"The server does not give it: {outbound.judge(got.answer, '').reason}.")
        found = expanded(job, got.answer.body.decode("utf-8", "replace"))
        found.etag, found.modified = got.etag[:200], got.modified[:100]
    except Unreadable as fault:
        return Answer(fault=str(fault))
    return found


def _conditions(job: Job) -> dict[str, str]:
    given = {"If-None-Match": job.etag, "If-Modified-Since": job.modified}
    return {"Accept": "text/calendar", **{name: value for name, value in given.items() if value}}


def expanded(job: Job, text: str) -> Answer:
    """Return the shifts of a calendar's text. Raises Unreadable."""
    if len(text) > BODY_MAX:
        raise Unreadable(f"It is larger than {BODY_MAX // 1024**2} MiB.")
    text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}").lstrip()
    if not text[: len(_OPENS)].upper().startswith(_OPENS):
        raise Unreadable("What it gives is no calendar: it does not begin with BEGIN:VCALENDAR.")
    names = Names(job.names)
    found: dict[tuple[Millis, Millis, str], None] = {}
    unknown: dict[str, None] = {}
    for event in _occurrences(job, text):
        start, end = _span(event, job.time_zone)
        if start >= end or end <= job.start or start >= job.end:
            continue
        people, words = _people(event, job.by, names)
        found.update(dict.fromkeys((start, end, person) for person in people))
        unknown.update(dict.fromkeys(word[:UNKNOWN_LENGTH_MAX] for word in words))
        if len(found) > SHIFTS_MAX:
            raise Unreadable(f"It has more than {SHIFTS_MAX} shifts in these months.")
    return Answer(sorted(found), sorted(unknown)[:UNKNOWN_MAX])


def _occurrences(job: Job, text: str) -> list[icalendar.Event]:
    """Return every event that touches the range, recurring ones expanded. Raises Unreadable.

    Without an end to what it may hold: a rule for every second meets the limits of this process.
    """
    begin, end = (_EPOCH + timedelta(milliseconds=at) for at in (job.start - 2 * DAY, job.end + 2 * DAY))
    try:
        calendar = icalendar.Calendar.from_ical(text)
        if not isinstance(calendar, icalendar.Calendar):
            raise Unreadable("It holds several calendars.")
        found = recurring_ical_events.of(calendar, skip_bad_series=False).between(begin, end)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, ArithmeticError) as fault:
        words = " ".join(str(fault).split())[:200]
        raise Unreadable(f"It cannot be understood: {type(fault).__name__}: {words}.") from None
    if len(found) > EVENTS_MAX:
        raise Unreadable(f"It has more than {EVENTS_MAX} events in these months.")
    return [event for event in found if str(event.get("STATUS", "")).upper() != "CANCELLED"]


def _span(event: icalendar.Event, time_zone: str) -> tuple[Millis, Millis]:
    """Return when an occurrence begins and ends. By the one rule for changes of the clock: see `triage.schedules`."""
    try:
        return _instant(event.start, time_zone, ends=False), _instant(event.end, time_zone, ends=True)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as fault:
        raise Unreadable(f"The times of an event cannot be understood: {str(fault)[:200]}.") from None


def _instant(given: date, time_zone: str, ends: bool) -> Millis:
    """Return the instant of a date (its midnight), of a time without a zone (the schedule's), or of one with it."""
    moment = given if isinstance(given, datetime) else datetime.combine(given, time.min)
    here = time_zone if moment.tzinfo is None else getattr(moment.tzinfo, "key", "")
    if here and not moment.second:
        wall = (moment.replace(tzinfo=None) - _WALL_EPOCH) // timedelta(minutes=1)
        with contextlib.suppress(ValueError):  # a zone that the pinned data does not have
            return (last if ends else first)(wall, here)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone(time_zone))
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _people(event: icalendar.Event, by: str, names: Names) -> tuple[list[str], list[str]]:
    """Return who is on call by an event, and the words in it that mean nobody."""
    own = str(event.get(PERSON, ""))
    if own:
        person = names.exact([own])
    elif by == "attendee":
        return _attendees(event, names)
    else:
        person = names.within(str(event.get("SUMMARY", "")))
    words = own or str(event.get("SUMMARY", "")).strip() or "(an event without a title)"
    return ([person], []) if person else ([], [words])


def _attendees(event: icalendar.Event, names: Names) -> tuple[list[str], list[str]]:
    found: list[str] = []
    unknown: list[str] = []
    given = event.get("ATTENDEE", [])
    for one in given if isinstance(given, list) else [given]:
        if str(one.params.get("PARTSTAT", "")).upper() == "DECLINED":
            continue
        address, name = str(one).removeprefix("mailto:").removeprefix("MAILTO:"), str(one.params.get("CN", ""))
        person = names.exact([address, name])
        (found if person else unknown).append(person or address or name)
    if not found and not unknown:
        unknown.append(f"nobody attends “{str(event.get('SUMMARY', ''))[:UNKNOWN_LENGTH_MAX]}”")
    return found, unknown


def _bounded() -> None:
    """Limit what this process may take. Where a machine has no such limit, who asked still has one on time."""
    zoneinfo.reset_tzpath([])  # the zones that come with Tocsin, not the machine's
    for what, limit in ((resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_AS, MEMORY_MAX)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (limit, limit))


def main() -> None:
    """Read a job, print its answer."""
    _bounded()
    job: Any = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    try:
        found = answer(job)
    except MemoryError:
        found = Answer(fault="It takes too much memory to understand.")
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
