"""Declaring an incident that no alert has opened: over the API, and by a form that says what P0 to P4 mean."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from desk import commands, reading, shapes, showing
from desk.api import BASE, Answered, Call, Office, Route
from desk.asking import Text
from desk.commands import TEXT_MAX
from desk.people import Person
from desk.problems import Problem
from desk.rendering import lead_to
from triage.commanding import IMPACT_MAX
from triage.declaring import ASKS, TITLE_MAX
from triage.model import Declared, Event, Kind, Severity, short
from triage.responding import REFUSED
from triage.store import queries, standing

if TYPE_CHECKING:
    from desk.views import Views


class DeclareBody(BaseModel):
    """What is wrong, and how severe it is. From a user's report, its words are the title if none is given."""

    model_config = ConfigDict(extra="forbid")
    severity: shapes.SeverityName
    title: Annotated[Text, Field(max_length=TITLE_MAX, description="What is wrong, in one line.")] = ""
    service: Annotated[Text, Field(max_length=200, description="A service, by which the rules find the policy.")] = ""
    impact: Annotated[Text, Field(max_length=IMPACT_MAX, description="Whom it hurts.")] = ""
    text: Annotated[Text, Field(max_length=TEXT_MAX, description="What is known.")] = ""
    take: Annotated[bool, Field(description="You have it: nobody is paged.")] = False
    report: Annotated[
        str, Field(max_length=60, description="A user's report: its entry id, or `<entry id>/<index>`.")
    ] = ""
    confirm: bool = False


class DeclareDone(BaseModel):
    """What became of it: `done` with the incident, or `pending` when it is in the journal and not decided yet."""

    ending: str
    text: str
    entry: str
    incident: shapes.Incident | None
    look: str


async def declare_incident(call: Call) -> Answered:
    """Declare an incident: it is open at once, and pages by the policy that the rules name for its service."""
    assert call.person is not None  # noqa: S101  a route that changes is never called without
    heard = await declare(call.office, call.person, call.body, call.request_id)
    entry, answer = heard.entry, heard.answer
    if answer is None:
        look = f"{BASE}/why?of={entry}"
        return Answered(DeclareDone(ending="pending", text=heard.text, entry=entry, incident=None, look=look), 202)
    if answer.ending == ASKS:
        raise Problem(409, "confirm", "Say it again to mean it", answer.text, confirm=True)
    if answer.ending == REFUSED:
        raise Problem(409, "refused", "Refused", answer.text)
    one = await queries.incident(call.client, answer.incident)
    shape = showing.incident(one, call.external_url)
    look = f"{BASE}/incidents/{shape.id}"
    return Answered(
        DeclareDone(ending="done", text=answer.text, entry=entry, incident=shape, look=look), 200, heard.again
    )


async def declare(office: Office, person: Person, body: DeclareBody, request: str = "") -> commands.Heard:
    """Append it, and wait for the answer. Raises queries.Unknown for an unknown report, and as `commands.ask`."""
    reported = await _report(office, body.report) if body.report else None
    asked = Declared(
        title=body.title or (reported.title if reported else ""),
        severity=Severity[body.severity],
        by=person.name,
        via=person.via,
        service=body.service or (reported.labels.get("service", "") if reported else ""),
        text=body.text,
        impact=body.impact,
        take=body.take,
        report=body.report,
        confirm=body.confirm,
        request=request or secrets.token_hex(8),
    )
    return await commands.ask(office.desk, asked)


async def _report(office: Office, ref: str) -> Event:
    """Return a user's report by `<entry id>` or `<entry id>/<index>`. Raises queries.Unknown."""
    entry, _, index = ref.partition("/")
    events = queries.events_of(await queries.entry(office.desk.client, entry))
    wanted = int(index) if index.isascii() and index.isdigit() and len(index) < 7 else 0
    if wanted >= len(events) or events[wanted][1].kind is not Kind.REPORT:
        raise queries.Unknown(f"{ref[:60]} is no user's report; `tocsin why {entry[:40]}` says what it is")
    return events[wanted][1]


ROUTES: Final = (
    Route(
        "POST",
        "/incidents",
        "Declare an incident; asks for `confirm` where one is open for the same",
        declare_incident,
        DeclareDone,
        body=DeclareBody,
        statuses={202: "Appended, but not decided within two seconds; `look` says where its outcome will be."},
    ),
)


def add_views(app: web.Application, house: Views) -> None:
    """Put the form on `app`: empty, or from a user's report (`?report=`)."""

    async def show(request: web.Request, person: Person) -> web.Response:
        report = request.query.get("report", "")[:60]
        fields = {"report": report}
        if report:
            event = await _report(house.office, report)
            fields |= {"title": event.title, "service": event.labels.get("service", "")}
        return await _form(house, person, fields)

    async def take(request: web.Request, person: Person) -> web.Response:
        fields = reading.fields(request)
        heard = await declare(house.office, person, reading.shaped(DeclareBody, fields))
        answer = heard.answer
        if answer is not None and answer.ending in (ASKS, REFUSED):
            asks = short(answer.incident) if answer.ending == ASKS else ""
            return await _form(house, person, fields, 409, answer.text, asks)
        goal = f"/incidents/{short(answer.incident)}" if answer is not None else f"/?declared={heard.entry}"
        return lead_to(goal)

    app.router.add_get("/declare", house.signed_in(show))
    app.router.add_post("/declare", house.signed_in(take))


async def _form(
    house: Views, person: Person, fields: dict[str, str], status: int = 200, fault: str = "", asks: str = ""
) -> web.Response:
    rulebook = house.office.rulebooks.of(await standing.rules(house.office.desk.client))
    return house.renderer.answer(
        "declare.html",
        status=status,
        person=person,
        now=house.office.desk.clock(),
        fields={**dict.fromkeys(DeclareBody.model_fields, ""), **fields},
        fault=fault,
        asks=asks,
        services=sorted(rulebook.services),
        meant=rulebook.meanings,
    )
