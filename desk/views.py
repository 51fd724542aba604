"""What people see: the board, an incident, alerts. All of it works without JavaScript; the script saves reloading.

Views are for signed-in people, on loopback too. Each POST carries the session's secret and comes from our own view.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Final, cast
from urllib.parse import quote

from aiohttp import web

from desk import (
    admitting,
    answering,
    asking,
    covering,
    declaring,
    people,
    phone,
    postmortems,
    problems,
    reading,
    ruling,
    sections,
    signing,
    silencing,
    subscribing,
    summing,
    verbs,
)
from desk.api import Office, Route
from desk.people import Person
from desk.problems import Problem
from desk.rendering import Renderer, lead_to, static_type
from triage.model import ENDED, AlertState, short
from triage.model.roles import Scope
from triage.store import queries, standing
from triage.store.appender import StoreUnavailable

OPEN_SHOWN: Final = 100
ENDED_SHOWN: Final = 10
ALERTS_SHOWN: Final = 50
PENDING: Final = "It is in the journal. Triage has not come to it yet; this view shows it when it has."
View = Callable[[web.Request, Person], Awaitable[web.Response]]


def add_routes(app: web.Application, office: Office, routes: Iterable[Route]) -> None:
    """Put the views on `app`; those of `routes` that are a verb become forms of an incident's view."""
    forms = {route.path.rpartition("/")[2]: route for route in routes if route.verb is not None}
    house = Views(office, forms)
    app.router.add_get("/login", house.login)
    app.router.add_post("/login", house.caught(house.sign_in))
    app.router.add_get("/static/{name}", house.static)
    app.router.add_post("/logout", house.signed_in(house.sign_out, Scope.READ))
    app.router.add_get("/", house.signed_in(house.board))
    app.router.add_get("/incidents/{id}", house.signed_in(house.incident))
    app.router.add_post("/incidents/{id}/{verb:" + "|".join(forms) + "}", house.signed_in(house.command))
    declaring.add_views(app, house)
    postmortems.add_views(app, house)
    silencing.add_views(app, house)
    subscribing.add_views(app, house)
    covering.add_views(app, house)
    summing.add_views(app, house)
    ruling.add_views(app, house)
    app.router.add_get("/alerts", house.signed_in(house.alerts))
    app.router.add_get("/a/{token}", house.caught(house.link))
    app.router.add_post("/a/{token}", house.caught(house.answer))
    app.router.add_post("/a/{token}/tap", house.caught(house.tap))
    for name, handler in phone.BY_PAGE.items():
        app.router.add_post("/a/{token}/" + name, house.caught(partial(handler, office)))
    app.router.add_post(phone.REPLIES, house.caught(partial(phone.reply, office)))


class Views:
    """The handlers, with what they share."""

    def __init__(self, office: Office, forms: Mapping[str, Route]) -> None:
        self.office = office
        self._forms = forms
        self._desk = office.desk
        self.renderer = Renderer(office.desk.settings.data_loss_accepted, office.desk.settings.shadow)

    # How they are called.

    def caught(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[..., Awaitable[web.Response]]:
        """Turn what a handler raises into a view that says what to do."""

        async def handle(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except Problem as problem:
                return self._problem(problem)
            except (queries.Unknown, queries.Ambiguous) as error:
                return self._problem(problems.from_lookup(error))
            except (StoreUnavailable, *queries.DOWN):
                return self._problem(problems.store_down())

        return handle

    def signed_in(self, view: View, needs: Scope | None = None) -> Callable[..., Awaitable[web.Response]]:
        """Let only signed-in people see a view, and take only our own forms.

        `needs`: the scope for it; else to look for what only shows, to act for what changes.
        """

        async def handle(request: web.Request) -> web.Response:
            person = await people.by_cookie(self._desk, request)
            if person is None:
                goal = request.path_qs if request.method in {"GET", "HEAD"} else "/"
                return lead_to(f"/login?next={quote(goal, safe='/')}")
            if request.method == "POST":
                request[reading.FORM] = await reading.form(request, reading.LONG_MAX)
                people.check_form(self._desk, request, person, request[reading.FORM].get(people.CSRF_FIELD, ""))
            wanted = needs or (Scope.RESPOND if request.method == "POST" else Scope.READ)
            return await admitting.noted(self._desk, request, person, view, wanted)

        return self.caught(handle)

    def _problem(self, problem: Problem) -> web.Response:
        answer = self.renderer.answer("problem.html", status=problem.status, problem=problem.shape)
        answer.headers.update(problem.headers)
        return answer

    # Coming and going.

    async def login(self, request: web.Request) -> web.Response:
        return await signing.show(self.renderer, request)

    async def sign_in(self, request: web.Request) -> web.Response:
        return await signing.sign_in(self.office, self.renderer, request)

    async def sign_out(self, _request: web.Request, person: Person) -> web.Response:
        return await signing.sign_out(self.office, person)

    async def link(self, request: web.Request) -> web.Response:
        return await answering.show(self._desk, self.renderer, request)

    async def answer(self, request: web.Request) -> web.Response:
        return await answering.answer(self._desk, self.renderer, request)

    async def tap(self, request: web.Request) -> web.Response:
        return await answering.tap(self._desk, request)

    async def static(self, request: web.Request) -> web.Response:
        """Answer the style, the script or the icon. Their address carries a stamp, so they may be kept."""
        name = request.match_info["name"]
        body = self.renderer.static.get(name)
        if body is None:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=body, headers={**headers, "Content-Type": static_type(name)})

    # What there is to see.

    async def board(self, _request: web.Request, person: Person) -> web.Response:
        """Show open incidents by severity, then age; below them those that ended lately."""
        opened, total = await queries.open_incidents(self._desk.client)
        ended = await queries.incidents(self._desk.client, queries.IncidentFilter(open=False), ENDED_SHOWN)
        rulebook = self.office.rulebooks.of(await standing.rules(self._desk.client))
        return self.renderer.answer(
            "board.html",
            person=person,
            tz=sections.zone_of(rulebook, person),
            now=self._desk.clock(),
            opened=opened[:OPEN_SHOWN],
            total=total,
            ended=ended.items,
        )

    async def incident(self, request: web.Request, person: Person) -> web.Response:
        """Show one incident: what `desk.sections` lists, in its order."""
        done = request.query.get("done", "")
        said = PENDING if done == "pending" else self._forms[done].done if done in self._forms else ""
        return await self._incident(request, person, said=said)

    async def _incident(
        self, request: web.Request, person: Person, status: int = 200, said: str = "", fault: str = ""
    ) -> web.Response:
        one = await queries.incident(self._desk.client, request.match_info["id"])
        rulebook = self.office.rulebooks.of(await standing.rules(self._desk.client))
        look = sections.Look(self.office, request, person, one, rulebook, self._desk.clock())
        shown = await sections.gather(look)
        return self.renderer.answer(
            "incident.html",
            status=status,
            person=person,
            now=look.now,
            one=one,
            here=f"/incidents/{short(one.key)}",
            ended=one.phase in ENDED,
            said=said,
            fault=fault,
            sections=sections.TEMPLATES,
            **shown,
        )

    async def command(self, request: web.Request, person: Person) -> web.Response:
        """Do what a form asks; when triage asks back, show its question."""
        fields = request[reading.FORM]
        name, ref = request.match_info["verb"], request.match_info["id"]
        route = self._forms[name]
        assert route.verb is not None and route.body is not None  # noqa: S101  a form is a verb's, by verbs.command
        body = cast("asking.CommandBody", reading.shaped(route.body, fields))
        outcome = await verbs.ask(self.office, route.verb, ref, person, body)
        if outcome.ending == "asks":
            again = {key: value for key, value in fields.items() if key not in (people.CSRF_FIELD, "confirm")}
            return self.renderer.answer(
                "confirm.html",
                status=409,
                person=person,
                one=outcome.incident,
                name=name,
                again=again,
                asks=outcome.text,
            )
        if outcome.ending == "refused":
            return await self._incident(request, person, status=409, fault=outcome.text)
        if outcome.ending == "done" and fields.get("dry_run"):
            return await self._incident(request, person, said=outcome.text)
        done = "pending" if outcome.ending == "pending" else name
        return lead_to(f"/incidents/{outcome.incident.key[:6]}{route.view}?done={done}")

    async def alerts(self, request: web.Request, person: Person) -> web.Response:
        """Show alerts that are remembered, filtered."""
        asked = {name: request.query.get(name, "")[:300] for name in ("state", "source", "label")}
        try:
            labels = (asking.label_filter(asked["label"]),) if asked["label"] else ()
            state = AlertState(asked["state"]) if asked["state"] else None
        except ValueError as error:
            raise Problem(400, "invalid", "The filter cannot be used", str(error)) from None
        wanted = queries.AlertFilter(state=state, source=asked["source"] or None, labels=labels)
        page = await queries.alerts(self._desk.client, wanted, ALERTS_SHOWN, request.query.get("after"))
        return self.renderer.answer(
            "alerts.html", person=person, now=self._desk.clock(), page=page, asked=asked, states=list(AlertState)
        )
