"""The view behind the link of a page: acknowledge without signing in, but never by a program that reads mail.

Scanners fetch each link, and some submit each form. Fetching changes nothing here, and what a form submits by itself is
"my number is not here". Taking the incident needs the number that the message shows, on a view that is up to date.
"""

from __future__ import annotations

import hmac
from typing import Final

import structlog
from aiohttp import web

from desk import admitting, commands, people, reading
from desk.context import Desk
from desk.people import Person
from desk.problems import Problem
from desk.rendering import Renderer, lead_to
from triage import links
from triage.links import Link
from triage.model import ENDED, Incident, Verb
from triage.responding import MISTAPS_MAX
from triage.store import queries

VIA: Final = "link"
BUTTON: Final = "button"
STALE: Final = "This view was out of date. Tap the number again."
WRONG: Final = "That is not the number of this message. Look at it once more."
log: Final = structlog.get_logger("desk.links")


async def show(desk: Desk, renderer: Renderer, request: web.Request) -> web.Response:
    """Show the incident and the numbers to choose from. Changes nothing."""
    link = read(desk, request)
    return _view(desk, renderer, link, await queries.incident(desk.client, link.incident))


async def answer(desk: Desk, renderer: Renderer, request: web.Request) -> web.Response:
    """Acknowledge as the person who got the page, when the number is the one of the message."""
    link = read(desk, request)
    people.refuse_foreign(desk, request)
    fields = dict(await reading.pairs(request))
    incident = await queries.incident(desk.client, link.incident)
    tries = incident.mistaps.get(link.page, 0)
    if _closed(link, incident):
        return _view(desk, renderer, link, incident, 409)
    if fields.get("tries") != str(tries):
        return _view(desk, renderer, link, incident, 409, STALE)
    right = fields.get("number") == str(links.number_of(desk.settings.link_secret, link.page))
    verb = Verb.ACKNOWLEDGE if right else Verb.MISTAP
    by = Person(link.person, VIA)
    outcome = await commands.perform(desk, verb, link.incident, by, page=link.page, tries=tries)
    agent = request.headers.get("User-Agent", "")[:200]
    await admitting.note(desk, request, by, "link_answer", 303 if right else 409, target=link.incident)
    log.info("link answered", incident=link.incident, person=link.person, right=right, agent=agent)
    if not right:
        return _view(desk, renderer, link, outcome.incident, 409, WRONG)
    if outcome.ending == "refused":
        return _view(desk, renderer, link, outcome.incident, 409, outcome.text)
    if outcome.ending == "pending":
        return _view(desk, renderer, link, outcome.incident, 202, commands.PENDING_TEXT)
    return lead_to(request.path)


async def tap(desk: Desk, request: web.Request) -> web.Response:
    """Acknowledge by the button of a message: its POST carries a word that stands in no address.

    Nothing but that word counts, whatever site or program sends it, so that answers may be read from everywhere.
    """
    link = read(desk, request)
    word = (await reading.limited(request)).strip()
    if not hmac.compare_digest(word, links.word_of(desk.settings.link_secret, link.page).encode()):
        raise Problem(403, "no-word", "Not the button of a message", "this address takes the button of a message only")
    incident = await queries.incident(desk.client, link.incident)
    tries = incident.mistaps.get(link.page, 0)
    by = Person(link.person, BUTTON)
    outcome = await commands.perform(desk, Verb.ACKNOWLEDGE, link.incident, by, page=link.page, tries=tries)
    log.info("button tapped", incident=link.incident, person=link.person, ending=outcome.ending)
    status = {"done": 200, "pending": 202}.get(outcome.ending, 409)
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
    return web.Response(status=status, text=outcome.text, headers=headers)


def read(desk: Desk, request: web.Request) -> Link:
    """Return what the link says. Raises Problem 404 for none of ours, 410 for one that is too old."""
    try:
        link = links.read(desk.settings.link_secret, request.match_info["token"])
    except links.NoLink:
        detail = "it was cut off, or was made by another Tocsin; copy the whole address, or sign in and look there"
        raise Problem(404, "no-link", "This link is not known here", detail) from None
    if desk.clock() > link.expires:
        detail = f"it held for {links.HOLDS // 3_600_000} hours; sign in to see what became of the incident"
        raise Problem(410, "link-expired", "This link is too old", detail)
    return link


def _closed(link: Link, incident: Incident) -> str:
    """Return why the link asks for nothing any more, or ""."""
    if link.page in incident.answered:
        mine = incident.acked_by == link.person
        return "You have it." if mine else "This link was used. " + _holder(incident)
    if incident.phase in ENDED:
        return "It is over: resolved."
    if incident.acked_by == link.person:
        return "You have it."
    if incident.mistaps.get(link.page, 0) >= MISTAPS_MAX:
        return f"{MISTAPS_MAX} wrong numbers were tapped, so this link is no longer taken. Sign in instead."
    return ""


def _holder(incident: Incident) -> str:
    return f"{incident.acked_by} has it." if incident.acked_by else "Nobody has it now: sign in to take it."


def _view(
    desk: Desk, renderer: Renderer, link: Link, incident: Incident, status: int = 200, fault: str = ""
) -> web.Response:
    mistaps = incident.mistaps.get(link.page, 0)
    return renderer.answer(
        "answer.html",
        status=status,
        one=incident,
        now=desk.clock(),
        whom=link.person,
        closed=_closed(link, incident),
        holder=_holder(incident) if incident.acked_by else "",
        fault=fault,
        tries=mistaps,
        numbers=links.choices(desk.settings.link_secret, link.page, mistaps),
    )
