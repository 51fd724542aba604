"""The people's door on a shared aiohttp application: who may ask, what they asked, and how errors are answered."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, get_origin

import structlog
from aiohttp import web
from pydantic import BaseModel, ValidationError

from desk import (
    actions,
    admitting,
    before,
    checks,
    commanding,
    declaring,
    drills,
    guides,
    insights,
    mattermost,
    metrics,
    oncall,
    openapi,
    people,
    postmortems,
    problems,
    reading,
    repeating,
    silences,
    slack,
    slack_rooms,
    subscriptions,
    tokens,
    updating,
    verbs,
    views,
)
from desk.api import BASE, ROUTES, Answered, Call, Office, Route
from desk.context import Desk
from desk.people import Person
from desk.problems import Problem
from desk.status import StatusDoor
from desk.stream import Pulse
from triage.model.roles import Scope
from triage.store import queries
from triage.store.appender import StoreUnavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
EVERY_ROUTE: Final = (
    *ROUTES,
    *verbs.ROUTES,
    *commanding.ROUTES,
    *actions.ROUTES,
    *declaring.ROUTES,
    *postmortems.ROUTES,
    *insights.ROUTES,
    *oncall.ROUTES,
    *silences.ROUTES,
    *checks.ROUTES,
    *tokens.ROUTES,
    *guides.ROUTES,
    *before.ROUTES,
    *metrics.ROUTES,
    *updating.ROUTES,
    *drills.ROUTES,
    *subscriptions.ROUTES,
)
"""Every JSON route. `/stream`, `/openapi.json`, the feeds and the pictures stand beside them."""
log = structlog.get_logger("desk")


def add_routes(app: web.Application, desk: Desk) -> Office:
    """Put the API, the live stream and the views on `app`; return what they share. Streams end with the application."""
    office = Office(desk, Pulse(desk))
    app.on_shutdown.append(office.pulse.stop)
    for path, feed in oncall.FEEDS.items():  # first: a schedule's own route would take its name for `<name>.ics`
        app.router.add_get(BASE + path, _feed(office, feed))
    for path, picture in metrics.PICTURES.items():
        app.router.add_get(BASE + path, _guarded(office, partial(picture, office)))
    for route in EVERY_ROUTE:
        app.router.add_route(route.method, BASE + route.path, _endpoint(office, route), name=f"api:{route.name}")
    app.router.add_get(f"{BASE}/stream", _guarded(office, office.pulse.serve))
    described = openapi.document(EVERY_ROUTE, desk.settings.version, desk.settings.external_url)
    app.router.add_get(f"{BASE}/openapi.json", _describe(described))
    app.router.add_route("*", BASE + "/{rest:.*}", _lost)
    slack.add_routes(app, desk)
    slack_rooms.Rooms(desk).add_routes(app)
    mattermost.add_routes(app, desk)
    StatusDoor(office).add_routes(app)
    views.add_routes(app, office, EVERY_ROUTE)
    return office


def _endpoint(office: Office, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await admitted(request)

    async def perform(request: web.Request, person: Person | None) -> web.StreamResponse:
        query = _query(route, request)
        raw = await _raw(request) if route.body is not None else b""
        identity = repeating.identity(route, request, person, raw)
        body = _body(route.body, raw) if route.body is not None else None
        return _answer(await route.handler(Call(office, request, person, query, body, identity)))

    admitted = admitting.logged(office, route, perform)
    return _caught(handle)


def _guarded(
    office: Office, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        await admitting.admit(office, request, Scope.READ, changes=False)
        return await handler(request)

    return _caught(handle)


def _feed(
    office: Office, handler: Callable[[Office, web.Request], Awaitable[web.StreamResponse]]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        token = request.query.get("token", "")
        if token:
            people.check_attempts(office.desk, request, office.attempts)
        if not token or not oncall.opens_feeds(token, office.desk.settings.tokens):
            if token:
                office.attempts.failed(request.remote or "", office.desk.clock())
            await admitting.admit(office, request, Scope.READ, changes=False)
        return await handler(office, request)

    return _caught(handle)


def _caught(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Turn what a handler raises into problem+json."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            return _problem(problem)
        except LookupError as error:
            if isinstance(error, (queries.Unknown, queries.Ambiguous)):
                return _problem(problems.from_lookup(error))
            raise
        except (StoreUnavailable, *queries.DOWN) as error:
            log.warning("store unavailable", path=request.path, error=str(error))
            return _problem(problems.store_down())

    return handle


def _query(route: Route, request: web.Request) -> BaseModel:
    given: dict[str, Any] = {}
    for name in request.query:
        known = route.query.model_fields.get(name)
        values = request.query.getall(name)
        given[name] = values if known is not None and get_origin(known.annotation) is list else values[-1]
    try:
        return route.query.model_validate(given)
    except ValidationError as error:
        raise problems.from_validation(error, "query") from None


async def _raw(request: web.Request) -> bytes:
    raw = await reading.limited(request, reading.LONG_MAX)
    if raw and request.content_type != "application/json":
        raise Problem(415, "media-type", "Not JSON", "send the body as Content-Type: application/json")
    return raw


def _body(model: type[BaseModel], raw: bytes) -> BaseModel:
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise problems.from_validation(error, "body") from None


def _answer(found: BaseModel | Answered) -> web.Response:
    answered = found if isinstance(found, Answered) else Answered(found, 200)
    headers = {**_HEADERS, repeating.AGAIN: "true"} if answered.again else _HEADERS
    body = answered.shape.model_dump_json().encode()
    return web.Response(body=body, status=answered.status, content_type="application/json", headers=headers)


def _problem(problem: Problem) -> web.Response:
    body = problem.shape.model_dump_json(exclude_defaults=True).encode()
    headers = {**_HEADERS, **problem.headers}
    return web.Response(body=body, status=problem.status, content_type="application/problem+json", headers=headers)


def _describe(described: dict[str, Any]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    body = json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()

    async def handle(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json", headers=_HEADERS)

    return handle


async def _lost(request: web.Request) -> web.StreamResponse:
    path = request.path.removeprefix(BASE)[:100]
    detail = f"the API has no {request.method} {path}; {BASE}/openapi.json lists what it has"
    known = any(path.count("/") == route.path.count("/") and _fits(route.path, path) for route in EVERY_ROUTE)
    if known:
        return _problem(Problem(405, "method", "Not with this method", detail))
    return _problem(problems.not_found(detail))


def _fits(pattern: str, path: str) -> bool:
    pairs = zip(pattern.split("/"), path.split("/"), strict=False)
    return all(one == other or one.startswith("{") for one, other in pairs)


def admins_only(office: Office, what: str, handler: Handler) -> Handler:
    """Let only admins reach a handler outside the API; what they do is in the audit log as `what`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    return _caught(admitting.logged(office, admitting.Gate(what, Scope.ADMIN), lambda request, _: handle(request)))
