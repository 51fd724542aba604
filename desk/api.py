"""The REST API under `/api/v1`: one table of routes, from which the router and the OpenAPI document are both made."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from aiohttp import web
from pydantic import BaseModel

from desk import asking, heartbeats, shapes, showing
from desk.context import Desk
from desk.people import Attempts, Person
from desk.problems import Problem, not_found
from desk.stream import Pulse
from triage.model import Millis, Severity, Verb
from triage.model.roles import Scope
from triage.store import errands, queries, standing
from triage.store import why as reasons
from triage.store.why import Rulebooks

BASE: Final = "/api/v1"


@dataclass(slots=True)
class Office:
    """What the handlers of one application share: the desk, failed sign-ins, the live pulse, a compiled rulebook.

    `used`: when the use of each API token was last noted, by its name.
    """

    desk: Desk
    pulse: Pulse
    attempts: Attempts = field(default_factory=Attempts)
    rulebooks: Rulebooks = field(default_factory=Rulebooks)
    used: dict[str, Millis] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One request after it was checked: who asks (None: anybody on this machine), what, and under which id."""

    office: Office
    request: web.Request
    person: Person | None
    query: Any
    body: Any
    identity: str = ""

    @property
    def request_id(self) -> str:
        """Return the id under which it goes into the journal."""
        return self.identity or secrets.token_hex(8)

    @property
    def client(self) -> queries.Client:
        return self.office.desk.client

    @property
    def external_url(self) -> str:
        return self.office.desk.settings.external_url


@dataclass(frozen=True, slots=True)
class Answered:
    """A body with its status. `again`: it is the answer of the first time, under the same Idempotency-Key."""

    shape: BaseModel
    status: int
    again: bool = False


Handler = Callable[[Call], Awaitable[BaseModel | Answered]]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table. `statuses`: what it may answer besides 200 and the errors that every route may answer.

    `silencers`: tokens that may silence and nothing else may use it too. `scope`: what it needs where that is not what
    its method says (`needs`). `secret`: its answer is never kept, not even for a repeat. `operation` is its stable name
    where that is not the handler's. A route with a `verb` (`desk.verbs`) is also a form of the incident's view, at the
    same address without `/api/v1`; `done` is what the view says then, `view` what follows the incident's address there.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    answer: type[BaseModel]
    query: type[asking.Query] = asking.Nothing
    body: type[BaseModel] | None = None
    statuses: dict[int, str] = field(default_factory=dict)
    silencers: bool = False
    scope: Scope | None = None
    secret: bool = False
    operation: str = ""
    verb: Verb | None = None
    done: str = ""
    view: str = ""

    @property
    def name(self) -> str:
        """Return the operation's stable name."""
        return self.operation or str(cast("Any", self.handler).__name__)

    @property
    def needs(self) -> Scope:
        """Return what whoever asks must have: to look, for what only shows; to act, for what changes; or `scope`."""
        return self.scope or (Scope.RESPOND if self.changes else Scope.READ)

    @property
    def repeatable(self) -> bool:
        """Tell whether a request may name itself by an Idempotency-Key; what is put or deleted may be so anyway."""
        return self.method == "POST" and not self.secret

    @property
    def changes(self) -> bool:
        """Tell whether this route changes anything, so that it needs a person."""
        return self.method != "GET"


async def list_incidents(call: Call) -> BaseModel:
    """Return incidents, newest first."""
    query: asking.IncidentsQuery = call.query
    wanted = queries.IncidentFilter(
        open=query.open,
        phase=query.phase,
        severity=Severity[query.severity] if query.severity else None,
        service=query.service,
        text=query.q,
    )
    found = await queries.incidents(call.client, wanted, query.limit, query.after)
    return showing.incidents(found, call.external_url, call.office.desk.settings.shadow)


async def get_incident(call: Call) -> BaseModel:
    """Return one incident with the first page of its timeline and alerts."""
    one = await queries.incident(call.client, call.request.match_info["id"])
    timeline = await queries.story(call.client, one)
    alerts = await queries.alerts_of(call.client, one.key)
    return shapes.IncidentDetail(
        **showing.incident(one, call.external_url).model_dump(),
        timeline=showing.timeline(timeline),
        alert_page=showing.alerts(alerts),
        verification=await errands.verification(call.client, one),
    )


async def list_incident_alerts(call: Call) -> BaseModel:
    """Return the alerts of an incident, page by page."""
    one = await queries.incident(call.client, call.request.match_info["id"])
    return showing.alerts(await queries.alerts_of(call.client, one.key, call.query.limit, call.query.after))


async def list_incident_timeline(call: Call) -> BaseModel:
    """Return the timeline of an incident, with those of incidents that became part of it, page by page."""
    one = await queries.incident(call.client, call.request.match_info["id"])
    return showing.timeline(await queries.story(call.client, one, call.query.limit, call.query.after))


async def list_alerts(call: Call) -> BaseModel:
    """Return alerts."""
    query: asking.AlertsQuery = call.query
    try:
        labels = tuple(asking.label_filter(text) for text in query.label)
    except ValueError as error:
        raise Problem(400, "invalid", "The query cannot be used", f"label: {error}") from None
    wanted = queries.AlertFilter(state=query.state, source=query.source, labels=labels)
    return showing.alerts(await queries.alerts(call.client, wanted, query.limit, query.after))


async def list_events(call: Call) -> BaseModel:
    """Return the events of an entry with their decisions."""
    query: asking.EventsQuery = call.query
    if query.wait:
        await queries.wait_decided(call.client, query.entry, query.wait)
    return showing.entry_events(await queries.entry(call.client, query.entry))


async def get_ledger(call: Call) -> BaseModel:
    """Return where every accepted event ended."""
    return showing.ledger(await standing.ledger(call.client))


async def list_dead_letters(call: Call) -> BaseModel:
    """Return bodies that could not be read."""
    return showing.dead_letters(await standing.dead_letters(call.client, call.query.limit, call.query.after))


async def list_heartbeats(call: Call) -> BaseModel:
    """Return how what must be heard of again and again stands."""
    rulebook = call.office.rulebooks.of(await standing.rules(call.client))
    return heartbeats.page(await standing.heartbeats(call.client), rulebook, call.query.limit, call.query.after)


async def get_rules(call: Call) -> BaseModel:
    """Return the rules in force."""
    rules = await standing.rules(call.client)
    if rules is None:
        raise not_found("no rules were loaded yet; `tocsin serve --rules.path DIR` loads a folder")
    return showing.rules(rules)


async def get_why(call: Call) -> BaseModel:
    """Return why Tocsin did what it did."""
    found = await reasons.why(call.client, call.query.of, call.office.rulebooks)
    return showing.why(found)


ROUTES: Final = (
    Route("GET", "/incidents", "Incidents, newest first", list_incidents, shapes.IncidentPage, asking.IncidentsQuery),
    Route("GET", "/incidents/{id}", "One incident", get_incident, shapes.IncidentDetail),
    Route(
        "GET",
        "/incidents/{id}/alerts",
        "Alerts of an incident",
        list_incident_alerts,
        shapes.AlertPage,
        asking.PageQuery,
    ),
    Route(
        "GET",
        "/incidents/{id}/timeline",
        "Timeline of an incident",
        list_incident_timeline,
        shapes.Timeline,
        asking.PageQuery,
    ),
    Route("GET", "/alerts", "Alerts that are remembered", list_alerts, shapes.AlertPage, asking.AlertsQuery),
    Route("GET", "/events", "Events of an entry, decided", list_events, shapes.EntryEvents, asking.EventsQuery),
    Route("GET", "/ledger", "Where every accepted event ended", get_ledger, shapes.Ledger),
    Route("GET", "/dead-letters", "Unreadable bodies", list_dead_letters, shapes.DeadLetterPage, asking.PageQuery),
    Route("GET", "/heartbeats", "Heartbeats", list_heartbeats, heartbeats.HeartbeatPage, asking.PageQuery),
    Route("GET", "/rules", "Rules in force", get_rules, shapes.Rules),
    Route("GET", "/why", "Why", get_why, shapes.Why, asking.WhyQuery),
)
"""What can be read of incidents, alerts and rules. `desk.application` has the whole table."""
