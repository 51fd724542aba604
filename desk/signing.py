"""Signing in and out. A cookie is 256 random bits; the store knows only its hash."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from desk import admitting, people, reading
from desk.api import Office
from desk.people import Person
from desk.rendering import Renderer, lead_to
from triage.store import sessions

COOKIE_MAX_S: Final = 7 * 24 * 3600


def local_path(text: str) -> str:
    """Return where to go after signing in: a path of our own, else the board."""
    bad = not text.startswith("/") or text.startswith(("//", "/\\")) or any(ord(one) < 33 for one in text)
    return "/" if bad or len(text) > 500 else text


async def show(renderer: Renderer, request: web.Request) -> web.Response:
    """Show the form."""
    return renderer.answer("login.html", next=local_path(request.query.get("next", "/")), fault="")


async def sign_in(office: Office, renderer: Renderer, request: web.Request) -> web.Response:
    """Check the token and begin a new session; one that this browser had before ends."""
    desk = office.desk
    people.refuse_foreign(desk, request)
    fields = dict(await reading.pairs(request))
    goal = local_path(fields.get("next", "/"))
    name = people.sign_in(desk, request, office.attempts, fields.get("token", "").strip())
    who = Person(name or "", "desk")
    if name is None:
        await admitting.note(desk, request, who, "sign_in", 401, "this token is not known here", refused=True)
        return renderer.answer("login.html", status=401, next=goal, fault="This token is not known here.")
    before = request.cookies.get(people.cookie_name(desk.settings), "")
    if before:
        await sessions.end(desk.client, before)
    await admitting.note(desk, request, who, "sign_in", 303)
    cookie, _ = await sessions.begin(desk.client, name, desk.settings.tokens[name], desk.clock())
    response = lead_to(goal)
    response.set_cookie(
        people.cookie_name(desk.settings),
        cookie,
        max_age=COOKIE_MAX_S,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=desk.settings.secure,
    )
    return response


async def sign_out(office: Office, person: people.Person) -> web.Response:
    """End the session."""
    settings = office.desk.settings
    await sessions.end(office.desk.client, person.cookie)
    response = lead_to("/login")
    response.del_cookie(people.cookie_name(settings), path="/", secure=settings.secure, httponly=True, samesite="Lax")
    return response
