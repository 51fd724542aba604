"""Subscriptions to status updates over the API: people subscribe themselves, admins subscribe whom they like."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from desk import asking, commands
from desk.admitting import require
from desk.api import Answered, Call, Route
from desk.people import Person
from desk.problems import Problem, not_found
from desk.shapes import SeverityName, Time
from desk.showing import time_of
from triage import subscriptions
from triage.model import SubscriptionAsked, clean_text
from triage.model.roles import Scope
from triage.store import subscriptions as kept
from triage.subscription import Subscription

Text = Annotated[str, AfterValidator(clean_text), Field(max_length=300)]
_ENDING: Final = {202: "Appended, but not decided within two seconds."}


class SubscriptionBody(BaseModel):
    """Who is told of what. Without `name` and `contact` it is whoever asks, by their own contact methods."""

    model_config = ConfigDict(extra="forbid")
    services: Annotated[
        list[Text],
        Field(max_length=subscriptions.SERVICES_MAX, description="Of these services only; of all, if left out."),
    ] = []
    severities: Annotated[
        list[SeverityName], Field(max_length=5, description="Of these severities only; of all, if left out.")
    ] = []
    audience: Annotated[Literal["company", "public"], Field(description="Which updates.")] = "company"
    name: Annotated[Text, Field(description="Somebody else: a person of oncall.yaml, or a stakeholder. Admins.")] = ""
    contact: Annotated[
        list[Text],
        Field(
            max_length=subscriptions.CONTACTS_MAX,
            description="How a stakeholder is told: `mailto:ADDRESS`, or `place:NAME` of updates.yaml.",
        ),
    ] = []


class SubscriptionShape(BaseModel):
    """Somebody is told of updates. Empty `services` and `severities` mean all of them; `mine`: it is the asker's own.

    `contact` is empty for people of oncall.yaml; of others only admins see it.
    """

    id: str
    name: str
    audience: str
    services: list[str]
    severities: list[str]
    contact: list[str]
    by: str
    at: Time
    mine: bool


class SubscriptionPage(BaseModel):
    """Subscriptions by run time, oldest first; `next` is the `after` of the next page, null at the end."""

    items: list[SubscriptionShape]
    next: str | None


class SubscriptionDone(BaseModel):
    """What became of it: `done`, or `pending` when it is in the journal and not decided yet."""

    ending: str
    text: str
    entry: str


async def list_subscriptions(call: Call) -> BaseModel:
    """Return who has subscribed at run time. Those whom updates.yaml names stand there."""
    query: asking.PageQuery = call.query
    known = await kept.every(call.client)
    order = [one.id for one in known]
    start = order.index(query.after) + 1 if query.after in order else 0
    shown = known[start : start + query.limit]
    more = start + query.limit < len(known)
    items = [_shape(one, call.person) for one in shown]
    return SubscriptionPage(items=items, next=shown[-1].id if more else None)


def _shape(one: Subscription, person: Person | None) -> SubscriptionShape:
    sees = person is not None and person.may(Scope.ADMIN)
    return SubscriptionShape(
        id=one.id,
        name=one.name,
        audience=one.audience.value,
        services=list(one.services),
        severities=[severity.name for severity in one.severities],
        contact=list(one.contact) if sees else [],
        by=one.by,
        at=time_of(one.at),
        mine=person is not None and _is_theirs(one, person),
    )


def _is_theirs(one: Subscription, person: Person) -> bool:
    return not one.contact and one.name == person.name


async def subscribe(call: Call) -> Answered:
    """Subscribe whoever asks, or, as an admin, somebody else."""
    assert call.person is not None  # noqa: S101  a route that changes is never called without
    body: SubscriptionBody = call.body
    name = body.name or call.person.name
    if name != call.person.name or body.contact:
        require(call.person, Scope.ADMIN)
    asked = SubscriptionAsked(
        name=name,
        by=call.person.name,
        via=call.person.via,
        audience=body.audience,
        services=tuple(body.services),
        severities=tuple(body.severities),
        contact=tuple(body.contact),
        request=call.request_id,
    )
    return await _ask(call, asked)


async def unsubscribe(call: Call) -> Answered:
    """End a subscription: one's own, or, as an admin, any."""
    assert call.person is not None  # noqa: S101  a route that changes is never called without
    wanted = call.request.match_info["id"]
    one = next((one for one in await kept.every(call.client) if one.id == wanted), None)
    if one is None:
        raise not_found(f"there is no subscription {wanted[:40]}; it may have ended already")
    if not _is_theirs(one, call.person):
        require(call.person, Scope.ADMIN)
    asked = SubscriptionAsked(one.name, call.person.name, call.person.via, end=one.id, request=call.request_id)
    return await _ask(call, asked)


async def _ask(call: Call, asked: SubscriptionAsked) -> Answered:
    """Append what is asked, and wait for the answer. Raises Problem 409 when it is refused."""
    heard = await commands.ask(call.office.desk, asked)
    if heard.answer is not None and heard.answer.ending != "done":
        raise Problem(409, "refused", "Refused", heard.text)
    ending = "done" if heard.decided else "pending"
    shape = SubscriptionDone(ending=ending, text=heard.text, entry=heard.entry)
    return Answered(shape, 200 if heard.decided else 202, heard.again)


ROUTES: Final = (
    Route(
        "GET",
        "/subscriptions",
        "Who has subscribed to status updates",
        list_subscriptions,
        SubscriptionPage,
        asking.PageQuery,
    ),
    Route(
        "POST",
        "/subscriptions",
        "Subscribe to status updates, or as an admin somebody else",
        subscribe,
        SubscriptionDone,
        body=SubscriptionBody,
        statuses=_ENDING,
        scope=Scope.READ,
    ),
    Route(
        "DELETE",
        "/subscriptions/{id}",
        "End a subscription",
        unsubscribe,
        SubscriptionDone,
        statuses=_ENDING,
        scope=Scope.READ,
    ),
)
