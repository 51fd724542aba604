"""The view of who is on call: now and next in every schedule, what is amiss with it, and taking a schedule over."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from aiohttp import web

from desk import oncall, reading, sections
from desk.api import Answered, Call
from desk.people import Person
from desk.problems import Problem
from desk.rendering import lead_to
from desk.showing import time_of
from triage.model.roles import Scope
from triage.store import standing

if TYPE_CHECKING:
    from desk.views import Views

_EMPTY: Final = dict.fromkeys(("schedule", "person", "from", "to"), "")


def add_views(app: web.Application, house: Views) -> None:
    """Put the view and its forms on `app`. `?take=` fills in a schedule, and the end of the shift that runs there."""

    async def show(request: web.Request, person: Person) -> web.Response:
        return await _page(house, request, person, {})

    async def take(request: web.Request, person: Person) -> web.Response:
        fields = reading.fields(request)
        try:
            asked = {name: value for name, value in fields.items() if name != "schedule"}
            body = reading.shaped(oncall.OverrideBody, asked)
            done = await oncall.take(Call(house.office, request, person, None, body), fields.get("schedule", ""))
        except Problem as problem:
            if problem.status not in (400, 404, 409):
                raise
            return await _page(house, request, person, fields, status=problem.status, fault=problem.shape.detail)
        return _done("take", done)

    async def end(request: web.Request, person: Person) -> web.Response:
        try:
            done = await oncall.withdraw_override(Call(house.office, request, person, None, None))
        except Problem as problem:
            if problem.status != 409:
                raise
            return await _page(house, request, person, {}, status=problem.status, fault=problem.shape.detail)
        return _done("end", done)

    app.router.add_get("/oncall", house.signed_in(show))
    app.router.add_post("/oncall", house.signed_in(take))
    app.router.add_post("/oncall/{schedule}/overrides/{override}/end", house.signed_in(end))


def _done(what: str, answered: Answered) -> web.Response:
    done = "pending" if answered.status == 202 else what
    return lead_to(f"/oncall?done={done}")


async def _page(
    house: Views, request: web.Request, person: Person, fields: dict[str, str], *, status: int = 200, fault: str = ""
) -> web.Response:
    found = await oncall.get_oncall(Call(house.office, request, person, oncall.AtQuery(), None))
    assert isinstance(found, oncall.OnCall)  # noqa: S101  what it always returns
    rulebook = house.office.rulebooks.of(await standing.rules(house.office.desk.client))
    taken = _taken(found.schedules, request.query.get("take", ""))
    itself = {"person": person.name} if person.name in rulebook.people else {}
    return house.renderer.answer(
        "oncall.html",
        status=status,
        person=person,
        now=house.office.desk.clock(),
        found=found,
        horizon=time_of(oncall.moment(found.at, "UTC") + oncall.RANGE),
        tz=sections.zone_of(rulebook, person) or "UTC",
        gaps_max=oncall.GAPS_MAX,
        fields={**_EMPTY, **itself, **taken, **fields},
        fault=fault,
        done=request.query.get("done", ""),
        people={name: one.display for name, one in sorted(rulebook.people.items())},
        may=person.may(Scope.RESPOND),
    )


def _taken(schedules: list[oncall.ScheduleNow], name: str) -> dict[str, str]:
    """Return what fills in the form for a schedule: its name, and until when the shift lasts that runs in it now."""
    one = next((one for one in schedules if one.schedule == name), None)
    if one is None:
        return {}
    ends = min((shift.end for shift in one.on_call), default="")
    if not ends:
        return {"schedule": name}
    there = datetime.fromisoformat(ends).astimezone(ZoneInfo(one.time_zone))
    return {"schedule": name, "to": there.strftime("%Y-%m-%dT%H:%M")}
