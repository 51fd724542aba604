"""Who is on call, for people and their calendars: `/api/v1/oncall`, overrides, iCalendar feeds."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from desk import calendar, commands
from desk.api import BASE, Answered, Call, Office, Route
from desk.asking import Query
from desk.problems import Problem, not_found
from desk.shapes import Time
from desk.showing import time_of
from triage import schedules
from triage.imported import Imported
from triage.model import DAY, Millis, Override, OverrideAsked
from triage.rulebook import Rulebook
from triage.rulebook.problems import closest
from triage.rulebook.types import Schedule
from triage.rulebook.wall import first, last, parse_wall
from triage.schedules import Shift
from triage.store import queries, rotas, standing
from triage.store.rotas import Rota

LOOK: Final[Millis] = 35 * DAY
"""How far before and after an instant a shift is followed."""
RANGE_MAX: Final[Millis] = 400 * DAY
RANGE: Final[Millis] = 28 * DAY
"""How much is shown where nobody says."""
FEED_BACK: Final[Millis] = 30 * DAY
FEED_AHEAD: Final[Millis] = 180 * DAY
FEED_LONGEST: Final[Millis] = 370 * DAY
"""A shift that began earlier before the feed than this, or ends later after it, is left out of it."""
GAPS_MAX: Final = 10
"""How many gaps of one schedule are listed."""
_END_OF_TIME: Final[Millis] = 7_258_118_400_000
_WHEN: Final = "RFC 3339, or the wall clock of the schedule's zone: 2026-12-24T00:00"


class ShiftShape(BaseModel):
    """`person` is on call from `start` to before `end`, by the layer `via`, or by an `override`."""

    schedule: str
    person: str
    name: str
    via: str
    start: Time
    end: Time


class CalendarState(BaseModel):
    """The calendar that a schedule imports: when it was read last, why it cannot be read now, whom nobody knows."""

    read_at: Time | None
    unknown: list[str]
    fault: str


class Gap(BaseModel):
    """From `start` to before `end` nobody is on call."""

    start: Time
    end: Time


class OverrideShape(BaseModel):
    """An override; one that nobody asked for at run time, but that oncall.yaml holds, has no `id` and no `by`."""

    id: str
    person: str
    start: Time
    end: Time
    by: str


class ScheduleNow(BaseModel):
    """Who is on call in a schedule; `next` is the first shift that begins later, within five weeks.

    `gaps` are the first ten of the four weeks to come, none where the schedule says that they are meant (`partial`);
    `overrides` those that have not ended, of the file and of run time.
    """

    schedule: str
    time_zone: str
    on_call: list[ShiftShape]
    next: ShiftShape | None
    calendar: CalendarState | None
    gaps: list[Gap]
    overrides: list[OverrideShape]


class OnCall(BaseModel):
    """Who is on call at an instant, in every schedule."""

    at: Time
    schedules: list[ScheduleNow]


class Calendar(BaseModel):
    """The shifts of a schedule or a person. `feed` is the iCalendar feed for whoever asks, "" without a token."""

    of: str
    time_zone: str
    shifts: list[ShiftShape]
    overrides: list[OverrideShape]
    feed: str
    calendar: CalendarState | None = None


class OverrideDone(BaseModel):
    """What became of it: `done`, or `pending` when it is in the journal and not decided yet."""

    ending: str
    text: str
    entry: str


class AtQuery(Query):
    """When."""

    at: Annotated[str, Field(max_length=40, description="RFC 3339; now if left out.")] = ""


class RangeQuery(Query):
    """From when to when."""

    start: Annotated[str, Field(alias="from", max_length=40, description=f"{_WHEN}; now if left out.")] = ""
    end: Annotated[str, Field(alias="to", max_length=40, description=f"{_WHEN}; four weeks later if left out.")] = ""


class OverrideBody(BaseModel):
    """Who takes a schedule, from when to when."""

    model_config = ConfigDict(extra="forbid")
    person: Annotated[str, Field(min_length=1, max_length=200)]
    start: Annotated[str, Field(alias="from", max_length=40, description=f"{_WHEN}; now if left out.")] = ""
    end: Annotated[str, Field(alias="to", min_length=1, max_length=40, description=_WHEN)]


class SwapBody(BaseModel):
    """Two people exchange two shifts, each named by a time within it."""

    model_config = ConfigDict(extra="forbid")
    person: Annotated[str, Field(min_length=1, max_length=200)]
    at: Annotated[str, Field(min_length=1, max_length=40, description=f"A time in their shift. {_WHEN}.")]
    other: Annotated[str, Field(min_length=1, max_length=200)]
    other_at: Annotated[str, Field(min_length=1, max_length=40, description="A time in the shift of the other.")]


def moment(text: str, time_zone: str, ends: bool = False) -> Millis:
    """Return the instant that a text means. Raises Problem 400.

    A wall clock without an offset is read in `time_zone`; what ends at a time that comes twice ends at its last.
    """
    try:
        given = datetime.fromisoformat(text)
        if given.tzinfo is not None:
            at = int(given.timestamp() * 1_000)
        else:
            at = (last if ends else first)(parse_wall(text), time_zone)
    except (ValueError, OverflowError) as error:
        raise Problem(400, "invalid", "The time cannot be used", f"{text[:40]!r}: {error}") from None
    if not 0 <= at < _END_OF_TIME:
        raise Problem(400, "invalid", "The time cannot be used", f"{text[:40]!r} is out of range: 1970 to 2199")
    return at


async def get_oncall(call: Call) -> BaseModel:
    """Return who is on call in every schedule, now or at another time."""
    rulebook = await _rulebook(call)
    at = moment(call.query.at, "UTC") if call.query.at else call.office.desk.clock()
    known = await rotas.load(call.client, rulebook, sorted(rulebook.schedules))
    return OnCall(at=time_of(at), schedules=[_now(rulebook, rota, at) for rota in known.values()])


def _now(rulebook: Rulebook, rota: Rota, at: Millis) -> ScheduleNow:
    schedule = rota.schedule
    around = schedules.joined(rota.shifts(at - LOOK, at + LOOK))
    here = [_shift(rulebook, schedule.name, shift) for shift in around if shift.start <= at < shift.end]
    later = next((shift for shift in around if shift.start > at), None)
    return ScheduleNow(
        schedule=schedule.name,
        time_zone=schedule.time_zone,
        on_call=here,
        next=_shift(rulebook, schedule.name, later) if later is not None else None,
        calendar=_calendar_state(rota),
        gaps=[Gap(start=time_of(start), end=time_of(end)) for start, end in _gaps(schedule, around, at)[:GAPS_MAX]],
        overrides=[_override(one) for one in (*schedule.overrides, *rota.overrides) if one.end > at],
    )


def _gaps(schedule: Schedule, around: list[Shift], at: Millis) -> list[schedules.Stretch]:
    return [] if schedule.partial else schedules.gaps(around, at, at + RANGE)


def _calendar_state(rota: Rota) -> CalendarState | None:
    if rota.schedule.ical is None:
        return None
    known = rota.calendar or Imported()
    return CalendarState(
        read_at=time_of(known.read_at) if known.read_at else None, unknown=list(known.unknown), fault=known.fault
    )


async def get_schedule(call: Call) -> BaseModel:
    """Return the shifts of a schedule with its run-time overrides, and the address of its feed."""
    rulebook = await _rulebook(call)
    schedule = _schedule(rulebook, call.request.match_info["schedule"])
    start, end = _range(call, schedule.time_zone)
    rota = (await rotas.load(call.client, rulebook, [schedule.name]))[schedule.name]
    found = rota.shifts(start, end)
    return Calendar(
        of=schedule.name,
        time_zone=schedule.time_zone,
        shifts=[_shift(rulebook, schedule.name, shift) for shift in found[: calendar.EVENTS_MAX]],
        overrides=[_override(one) for one in rota.overrides],
        feed=_feed_url(call, f"/oncall/{schedule.name}.ics"),
        calendar=_calendar_state(rota),
    )


async def get_person(call: Call) -> BaseModel:
    """Return the shifts of a person in all schedules, and the address of their feed."""
    rulebook = await _rulebook(call)
    name = call.request.match_info["person"]
    if name not in rulebook.people:
        raise not_found(f"oncall.yaml knows nobody called {name[:100]!r}")
    here = rulebook.people[name].time_zone or "UTC"
    start, end = _range(call, here)
    found = await _of_person(call.client, rulebook, name, start, end)
    return Calendar(
        of=name,
        time_zone=here,
        shifts=[_shift(rulebook, schedule, shift) for schedule, shift in found[: calendar.EVENTS_MAX]],
        overrides=[],
        feed=_feed_url(call, f"/oncall/people/{quote(name, safe='')}.ics"),
    )


async def add_override(call: Call) -> Answered:
    """Let somebody take a schedule for a time: whoever is paged then is found by it."""
    return await take(call, call.request.match_info["schedule"])


async def take(call: Call, name: str) -> Answered:
    """Let whom the body says take the schedule of that name. Raises Problem."""
    body: OverrideBody = call.body
    rulebook = await _rulebook(call)
    schedule = _schedule(rulebook, name)
    start = moment(body.start, schedule.time_zone) if body.start else call.office.desk.clock()
    end = moment(body.end, schedule.time_zone, ends=True)
    return await _ask(call, schedule=schedule.name, person=body.person, start=start, end=end)


async def withdraw_override(call: Call) -> Answered:
    """Withdraw an override that was asked for at run time."""
    named = call.request.match_info
    withdraw = named["override"][:100]
    return await _ask(call, schedule=named["schedule"][:200], person="", start=0, end=0, withdraw=withdraw)


async def swap(call: Call) -> Answered:
    """Let two people exchange two shifts, both or none: whoever is paged then is found by it."""
    body: SwapBody = call.body
    rulebook = await _rulebook(call)
    schedule = _schedule(rulebook, call.request.match_info["schedule"])
    rota = (await rotas.load(call.client, rulebook, [schedule.name]))[schedule.name]
    now = call.office.desk.clock()
    other_start, other_end = _shift_at(rota, body.person, moment(body.at, schedule.time_zone), now)
    start, end = _shift_at(rota, body.other, moment(body.other_at, schedule.time_zone), now)
    return await _ask(
        call,
        schedule=schedule.name,
        person=body.person,
        start=start,
        end=end,
        other=body.other,
        other_start=other_start,
        other_end=other_end,
    )


def _shift_at(rota: Rota, person: str, at: Millis, now: Millis) -> tuple[Millis, Millis]:
    """Return what is left of the shift that a person has at a time. Raises Problem 409."""
    low, high = at - LOOK, at + LOOK
    found = [one for one in schedules.joined(rota.shifts(low, high)) if one.start <= at < one.end]
    mine = next((one for one in found if one.person == person), None)
    if mine is None:
        others = ", ".join(dict.fromkeys(one.person for one in found)) or "nobody"
        detail = f"{person[:100]} is not on call in {rota.schedule.name} at {time_of(at)}: {others} is"
        raise Problem(409, "refused", "Refused", detail)
    if mine.start == low or mine.end == high:
        raise Problem(
            409, "refused", "Refused", f"the shift of {person[:100]} is longer than five weeks; use overrides"
        )
    return max(mine.start, min(now, at)), mine.end


async def _ask(call: Call, **words: Any) -> Answered:
    assert call.person is not None  # noqa: S101  a route that changes is never called without
    asked = OverrideAsked(by=call.person.name, via=call.person.via, request=call.request_id, **words)
    heard = await commands.ask(call.office.desk, asked)
    if heard.answer is not None and heard.answer.ending != "done":
        raise Problem(409, "refused", "Refused", heard.text)
    ending = "done" if heard.decided else "pending"
    shape = OverrideDone(ending=ending, text=heard.text, entry=heard.entry)
    return Answered(shape, 200 if heard.decided else 202, heard.again)


async def _rulebook(call: Call) -> Rulebook:
    return call.office.rulebooks.of(await standing.rules(call.client))


def _schedule(rulebook: Rulebook, name: str) -> Schedule:
    if name not in rulebook.schedules:
        known = ", ".join(sorted(rulebook.schedules)[:10]) or "none"
        hint = closest(name, rulebook.schedules) or f"oncall.yaml has {known}"
        raise not_found(f"there is no schedule {name[:100]!r}; {hint}")
    return rulebook.schedules[name]


def _range(call: Call, time_zone: str) -> tuple[Millis, Millis]:
    start = moment(call.query.start, time_zone) if call.query.start else call.office.desk.clock()
    end = moment(call.query.end, time_zone, ends=True) if call.query.end else start + RANGE
    if not start < end <= start + RANGE_MAX:
        raise Problem(400, "invalid", "The query cannot be used", "to: must be later than from, by at most 400 days")
    return start, end


def _shift(rulebook: Rulebook, schedule: str, shift: Shift) -> ShiftShape:
    person = rulebook.people.get(shift.person)
    return ShiftShape(
        schedule=schedule,
        person=shift.person,
        name=person.display if person is not None else shift.person,
        via=shift.via,
        start=time_of(shift.start),
        end=time_of(shift.end),
    )


def _override(one: Override) -> OverrideShape:
    return OverrideShape(id=one.id, person=one.person, start=time_of(one.start), end=time_of(one.end), by=one.by)


async def _of_person(
    client: queries.Client, rulebook: Rulebook, person: str, start: Millis, end: Millis
) -> list[tuple[str, Shift]]:
    known = await rotas.load(client, rulebook, rulebook.schedules)
    found = [
        (name, shift) for name, rota in known.items() for shift in rota.shifts(start, end) if shift.person == person
    ]
    return sorted(found, key=lambda one: (one[1], one[0]))


# --------------------------------------------------------------------------------------------------------------------
# Feeds. Calendars send no headers, so the address carries a token that opens feeds and nothing else.


def feed_token(token_sha256: str) -> str:
    """Return the token that opens feeds, made of somebody's token: it changes with it, and cannot act for them."""
    return hmac.new(token_sha256.lower().encode(), b"tocsin calendar feed 1", hashlib.sha256).hexdigest()[:40]


def opens_feeds(token: str, tokens: Mapping[str, str]) -> bool:
    """Tell whether a token opens feeds, looking at all of them in constant time."""
    offered = token.encode("utf-8", "replace")
    matches = [hmac.compare_digest(offered, feed_token(known).encode()) for known in tokens.values()]
    return any(matches)


def _feed_url(call: Call, path: str) -> str:
    known = call.office.desk.settings.tokens.get(call.person.name) if call.person is not None else None
    if known is None:
        return ""
    base = call.external_url.rstrip("/") or str(call.request.url.origin())
    return f"{base}{BASE}{path}?token={feed_token(known)}"


async def schedule_feed(office: Office, request: web.Request) -> web.Response:
    """Return the calendar of a schedule."""
    client, now = office.desk.client, office.desk.clock()
    rulebook = office.rulebooks.of(await standing.rules(client))
    schedule = _schedule(rulebook, request.match_info["schedule"])
    rota = (await rotas.load(client, rulebook, [schedule.name]))[schedule.name]
    start, end = now - FEED_BACK - FEED_LONGEST, now + FEED_AHEAD + FEED_LONGEST
    found = rota.shifts(start, end)
    return _calendar(f"On call: {schedule.name}", [(schedule.name, shift) for shift in found], now)


async def person_feed(office: Office, request: web.Request) -> web.Response:
    """Return the calendar of a person."""
    client, now = office.desk.client, office.desk.clock()
    rulebook = office.rulebooks.of(await standing.rules(client))
    person = request.match_info["person"]
    if person not in rulebook.people:
        raise not_found(f"oncall.yaml knows nobody called {person[:100]!r}")
    start, end = now - FEED_BACK - FEED_LONGEST, now + FEED_AHEAD + FEED_LONGEST
    return _calendar(f"{person} on call", await _of_person(client, rulebook, person, start, end), now)


def _calendar(title: str, found: list[tuple[str, Shift]], now: Millis) -> web.Response:
    """Show whole shifts only: one cut off at an end of the range would move whenever the feed is read."""
    begin, end = now - FEED_BACK - FEED_LONGEST, now + FEED_AHEAD + FEED_LONGEST
    shown = [
        (schedule, shift)
        for schedule, shift in found
        if begin < shift.start < now + FEED_AHEAD and now - FEED_BACK < shift.end < end
    ]
    text = calendar.feed(title, shown, now)
    headers = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
    return web.Response(body=text.encode(), content_type="text/calendar", charset="utf-8", headers=headers)


_PENDING: Final = {202: "Appended, but not decided within two seconds."}
FEEDS: Final[dict[str, Any]] = {
    "/oncall/people/{person}.ics": person_feed,
    "/oncall/{schedule}.ics": schedule_feed,
}
ROUTES: Final = (
    Route("GET", "/oncall", "Who is on call", get_oncall, OnCall, AtQuery),
    Route("GET", "/oncall/people/{person}", "Shifts of a person", get_person, Calendar, RangeQuery),
    Route("GET", "/oncall/{schedule}", "Shifts of a schedule", get_schedule, Calendar, RangeQuery),
    Route(
        "POST",
        "/oncall/{schedule}/overrides",
        "Somebody takes a schedule for a time",
        add_override,
        OverrideDone,
        body=OverrideBody,
        statuses=_PENDING,
    ),
    Route(
        "POST",
        "/oncall/{schedule}/swaps",
        "Two people exchange two shifts",
        swap,
        OverrideDone,
        body=SwapBody,
        statuses=_PENDING,
    ),
    Route(
        "DELETE",
        "/oncall/{schedule}/overrides/{override}",
        "Withdraw an override",
        withdraw_override,
        OverrideDone,
        statuses=_PENDING,
    ),
)
"""The routes about who is on call, beside those of `desk.api`."""
