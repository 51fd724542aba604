"""Who may: each route needs one scope, and whoever asks has it, or is refused and noted in the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import structlog
from aiohttp import web

from desk import people
from desk.api import Office, Route
from desk.context import Desk
from desk.people import Person
from desk.problems import Problem
from triage.model.roles import Scope
from triage.silences import SILENCER
from triage.store import deeds, queries, tokens
from triage.store.deeds import Deed

NOBODY: Final = Person(name="", via="api")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = structlog.get_logger("desk.audit")


class Gate(NamedTuple):
    """What is noted of an address outside the table of routes, and what it needs."""

    name: str
    needs: Scope
    changes: bool = True
    silencers: bool = False


async def admit(
    office: Office, request: web.Request, needs: Scope, *, changes: bool, silencers: bool = False
) -> Person | None:
    """Return who asks, if they may; None for anybody on this machine. Raises Problem 401, 403 or 429."""
    person = await _known(office, request, silencers)
    if person is None:
        if needs is Scope.READ and not changes and people.may_read_openly(office.desk, request):
            return None
        raise people.unauthorized(
            "send a token as `Authorization: Bearer …`; `tocsin init` writes the admin's to a file"
        )
    if person.via == "desk" and changes:
        people.check_form(office.desk, request, person, request.headers.get(people.CSRF_HEADER, ""))
    require(person, needs, silencers=silencers)
    return person


def require(person: Person, needs: Scope, *, silencers: bool = False) -> None:
    """Raise Problem 403 unless somebody has a scope. `silencers`: one that may only silence will do."""
    if needs in person.scopes or (silencers and Scope.SILENCE in person.scopes):
        return
    detail = f"{person.name} ({person.role or 'no role'}) may not do this: it needs the scope {needs.value}"
    raise Problem(403, "forbidden", "Not allowed", detail, who=person.name)


async def _known(office: Office, request: web.Request, silencers: bool) -> Person | None:
    desk = office.desk
    person = people.by_silencer(desk, request, office.attempts) if silencers else None
    person = person or await _by_token(office, request)
    person = person or people.by_bearer(desk, request, office.attempts)
    return person or await people.by_cookie(desk, request)


async def _by_token(office: Office, request: web.Request) -> Person | None:
    """Return whom a token made at run time stands for; None for any other. Raises Problem 401 or 429."""
    text = people.bearer(request)
    if not tokens.is_ours(text):
        return None
    people.check_attempts(office.desk, request, office.attempts)
    token = await tokens.find(office.desk.client, text)
    if token is None:
        return None
    now = office.desk.clock()
    if token.expired(now):
        raise people.unauthorized(f"the token {token.name} has expired; an admin can make another one")
    if now - office.used.get(token.name, 0) >= tokens.USED_EVERY_MS:
        office.used[token.name] = now
        await tokens.note_use(office.desk.client, token.name, now)
    via = SILENCER if token.silences_only else "api"
    return Person(name=token.name, via=via, role=token.role, scopes=token.scopes)


def logged(
    office: Office, route: Route | Gate, handler: Callable[[web.Request, Person | None], Awaitable[web.StreamResponse]]
) -> Handler:
    """Wrap a route's handler: whoever asks is admitted first; what changes, and what is refused, is noted."""

    async def handle(request: web.Request) -> web.StreamResponse:
        person: Person | None = None
        try:
            person = await admit(office, request, route.needs, changes=route.changes, silencers=route.silencers)
            answer = await handler(request, person)
        except Problem as problem:
            await _note_problem(office, request, person, route.name, problem)
            raise
        if route.changes:
            await note(office.desk, request, person or NOBODY, route.name, answer.status)
        return answer

    return handle


async def _note_problem(
    office: Office, request: web.Request, person: Person | None, what: str, problem: Problem
) -> None:
    if problem.status in {401, 403} and (request.method not in {"GET", "HEAD"} or people.bearer(request)):
        who = person or Person(name=problem.who, via="api")
        await note(office.desk, request, who, what, problem.status, problem.shape.detail, refused=True)
    elif person is not None and request.method not in {"GET", "HEAD"}:
        await note(office.desk, request, person, what, problem.status)


async def note(
    desk: Desk,
    request: web.Request,
    person: Person,
    what: str,
    status: int,
    detail: str = "",
    *,
    refused: bool = False,
    target: str | None = None,
) -> None:
    """Write into the audit log. A log that cannot be written is no reason to refuse what was done."""
    deed = Deed(
        who=person.name,
        role=person.role,
        via=person.via,
        address=request.remote or "",
        what=what,
        target=request.path if target is None else target,
        status=status,
        forwarded=request.headers.get("X-Forwarded-For", ""),
        detail=detail,
    )
    try:
        await deeds.note(desk.client, deed, desk.clock(), desk.settings.audit_ms, refused)
    except queries.DOWN as error:
        log.warning("not in the audit log", what=what, who=person.name, address=deed.address, error=str(error))
    if refused:
        log.warning("refused", what=what, who=person.name, address=deed.address, detail=detail)


async def noted(
    desk: Desk,
    request: web.Request,
    person: Person,
    view: Callable[[web.Request, Person], Awaitable[web.Response]],
    needs: Scope,
) -> web.Response:
    """Call a view for somebody who has the scope; what it changes is in the audit log. Raises Problem 403."""
    changes = request.method == "POST"
    what = f"form:{getattr(view, '__name__', 'view')}"
    try:
        require(person, needs)
    except Problem as problem:
        await note(desk, request, person, what, problem.status, problem.shape.detail, refused=True)
        raise
    answer = await view(request, person)
    if changes:
        await note(desk, request, person, what, answer.status)
    return answer
