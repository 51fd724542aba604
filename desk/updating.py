"""Status updates as routes and a form: what was said, to whom, and saying more after a look at how it reads."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, Field

from desk import shapes, showing, statements, verbs
from desk.api import Call, Office, Route
from desk.asking import CommandBody, Nothing, Text
from desk.people import Person
from triage import updates
from triage.model import Verb
from triage.public import Effects
from triage.rulebook.durations import parse_duration
from triage.status import Audience, Standing
from triage.store import queries, standing
from triage.store import statements as stored


def _next(text: str) -> str:
    if text and text != "none":
        parse_duration(text)
    return text


class UpdateBody(CommandBody):
    """What to say to whom. Without `confirm` it is answered with what it would say, and is not sent."""

    text: Annotated[Text, Field(min_length=1, max_length=updates.TEXT_MAX, description="What is known and done.")]
    status: Standing
    audience: Audience = Audience.RESPONDERS
    title: Annotated[
        Text,
        Field(max_length=updates.TITLE_MAX, description="The incident's, if left out; for the public its service's."),
    ] = ""
    impact: Annotated[
        Text,
        Field(max_length=updates.IMPACT_MAX, description="The incident's, if left out; for the public none."),
    ] = ""
    next: Annotated[
        str,
        Field(max_length=40, description="Like `45m`, or `none`; if left out, the severity's interval."),
        AfterValidator(_next),
    ] = ""
    components: Annotated[
        Text,
        Field(
            max_length=2_000, description="For the public: what it is about, separated by commas; else its service's."
        ),
    ] = ""
    effects: Annotated[
        Effects | None, Field(description="For the public: how much they suffer; as before, or degraded, if left out.")
    ] = None


class Update(BaseModel):
    """One status update."""

    id: str
    at: shapes.Time
    by: str
    audience: Audience
    status: Standing
    title: str
    text: str
    impact: str
    eta: shapes.Time | None
    next_at: Annotated[shapes.Time | None, Field(description="When the next one was promised.")]


class Updates(BaseModel):
    """The last hundred status updates of an incident, newest first, and how many there ever were."""

    items: list[Update]
    total: int


async def list_updates(call: Call) -> Updates:
    """Return the status updates of an incident."""
    incident = await queries.incident(call.client, call.request.match_info["id"])
    known = await stored.of(call.client, incident.key)
    items = [
        Update(
            id=one.id,
            at=showing.time_of(one.at),
            by=one.by,
            audience=one.audience,
            status=one.status,
            title=one.title,
            text=one.text,
            impact=one.impact,
            eta=None if one.eta is None else showing.time_of(one.eta),
            next_at=None if one.next_at is None else showing.time_of(one.next_at),
        )
        for one in reversed(known.items)
    ]
    return Updates(items=items, total=known.total)


async def _render(office: Office, ref: str, person: Person, text: str, data: dict[str, str]) -> dict[str, str]:
    """Return how the update reads by the templates in force, which go into the journal with it."""
    client = office.desk.client
    incident = await queries.incident(client, ref)
    rules = await standing.rules(client)
    rulebook = office.rulebooks.of(rules)
    made = updates.draft(rulebook, incident, data, text, person.name, office.desk.clock())
    if isinstance(made, str):
        return {}  # it is refused, in the same words
    public = updates.public_name(rulebook, incident)
    service = public if made.audience is Audience.PUBLIC else incident.service
    known = await stored.of(client, incident.key)
    files = rules.files if rules is not None else {}
    return {"rendered": statements.rendered(files, incident, made, known.items, service)}


verbs.PREPARE[Verb.UPDATE] = _render

ROUTES: Final = (
    verbs.command(
        Verb.UPDATE,
        "send_update",
        "Send a status update; asks for `confirm` with what it would say",
        "Send a status update to responders, the company or the public, and promise the next one.",
        "The update is sent.",
        UpdateBody,
    ),
    Route(
        "GET",
        "/incidents/{id}/updates",
        "Status updates of an incident, newest first",
        list_updates,
        Updates,
        query=Nothing,
    ),
)
