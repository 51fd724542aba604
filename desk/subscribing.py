"""The view of subscriptions: who is told of status updates, subscribing, and ending that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from desk import reading, subscriptions
from desk.api import Call
from desk.asking import PageQuery
from desk.people import Person
from desk.problems import Problem
from desk.rendering import lead_to
from triage.model import Severity
from triage.model.roles import Scope
from triage.store import standing
from triage.subscriptions import KEPT

if TYPE_CHECKING:
    from desk.views import Views

_EMPTY: Final = dict.fromkeys(("service", "audience", "name", "contact"), "")


def add_views(app: web.Application, house: Views) -> None:
    """Put the view and its forms on `app`."""

    async def show(request: web.Request, person: Person) -> web.Response:
        return await _page(house, request, person, {})

    async def put(request: web.Request, person: Person) -> web.Response:
        fields = reading.fields(request)
        try:
            body = reading.shaped(subscriptions.SubscriptionBody, _body_of(fields))
            await subscriptions.subscribe(Call(house.office, request, person, None, body))
        except Problem as problem:
            if problem.status not in (400, 409):
                raise
            return await _page(house, request, person, fields, status=problem.status, fault=problem.shape.detail)
        return lead_to("/subscriptions?done=put")

    async def end(request: web.Request, person: Person) -> web.Response:
        await subscriptions.unsubscribe(Call(house.office, request, person, None, None))
        return lead_to("/subscriptions?done=end")

    app.router.add_get("/subscriptions", house.signed_in(show))
    app.router.add_post("/subscriptions", house.signed_in(put, Scope.READ))
    app.router.add_post("/subscriptions/{id}/end", house.signed_in(end, Scope.READ))


def _body_of(fields: dict[str, str]) -> dict[str, Any]:
    """Return the API's body for what a form says."""
    contacts = [one.strip() for one in fields.get("contact", "").splitlines() if one.strip()]
    body: dict[str, Any] = {"name": fields.get("name", "").strip(), "contact": contacts}
    body["services"] = [fields["service"]] if fields.get("service") else []
    body["severities"] = [severity.name for severity in Severity if fields.get(severity.name)]
    body["audience"] = fields.get("audience", "company")
    return body


async def _page(
    house: Views, request: web.Request, person: Person, fields: dict[str, str], *, status: int = 200, fault: str = ""
) -> web.Response:
    wanted = PageQuery.model_construct(limit=KEPT, after=None)
    listed = await subscriptions.list_subscriptions(Call(house.office, request, person, wanted, None))
    rulebook = house.office.rulebooks.of(await standing.rules(house.office.desk.client))
    return house.renderer.answer(
        "subscriptions.html",
        status=status,
        person=person,
        now=house.office.desk.clock(),
        listed=listed,
        fields={**_EMPTY, **fields},
        fault=fault,
        done=request.query.get("done", ""),
        services=sorted(rulebook.services),
        meant=rulebook.meanings,
        named=rulebook.updates.subscribers,
        places=sorted(rulebook.updates.places),
        mail=bool(rulebook.updates.mail),
        reachable=person.name in rulebook.people,
        admin=person.may(Scope.ADMIN),
    )
