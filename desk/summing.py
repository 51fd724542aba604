"""The view of insights: the figures about the past, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from desk import insights, reading
from desk.api import Call
from desk.people import Person
from triage.model.roles import Scope
from triage.store import standing

if TYPE_CHECKING:
    from desk.views import Views

DAYS: Final = (7, 30, 90, 180, 365, 800)
"""Of how many days one may choose; the address takes any number that the API takes."""
BY: Final = ("service", "severity", "week")


def add_views(app: web.Application, house: Views) -> None:
    """Put the view on `app`. `?days=` says of how long."""

    async def show(request: web.Request, person: Person) -> web.Response:
        asked = {name: request.query[name] for name in ("days",) if name in request.query}
        wanted = reading.shaped(insights.InsightsQuery, asked)
        found = await insights.get_insights(Call(house.office, request, person, wanted, None))
        rulebook = house.office.rulebooks.of(await standing.rules(house.office.desk.client))
        return house.renderer.answer(
            "insights.html",
            person=person,
            now=house.office.desk.clock(),
            found=found,
            days=wanted.days,
            choices=sorted({*DAYS, wanted.days}),
            by=BY,
            places={rule.name: f"{rule.path}:{rule.line}" for rule in rulebook.rules if person.may(Scope.RESPOND)},
        )

    app.router.add_get("/insights", house.signed_in(show))
