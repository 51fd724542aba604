"""Commands in Mattermost's incident rooms: `/tocsin ack` as a slash command, or what an outgoing webhook brings."""

from __future__ import annotations

import hmac
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

import structlog
from aiohttp import web

from desk import chat, reading
from desk.context import Desk
from desk.people import Person
from desk.problems import Problem
from triage.model.roles import GRANTS
from triage.store import queries

PATH: Final = "/mattermost/command"
SERVICE: Final = "mattermost"
FIELDS_MAX: Final = 40
log: Final = structlog.get_logger("desk.mattermost")


def add_routes(app: web.Application, desk: Desk) -> None:
    """Let Mattermost bring commands, if its tokens are known."""
    if desk.settings.mattermost_tokens:
        app.router.add_post(PATH, partial(_asked, desk))


async def _asked(desk: Desk, request: web.Request) -> web.Response:
    try:
        raw = await reading.limited(request)
        fields = dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except Problem as problem:
        return web.Response(status=problem.status, text=str(problem))
    except ValueError:
        return web.Response(status=400, text=f"more than {FIELDS_MAX} fields")
    given = fields.get("token", "").encode()
    if sum(hmac.compare_digest(given, one.encode()) for one in desk.settings.mattermost_tokens) == 0:
        return web.Response(status=401, text="this token is not known here: see --mattermost.tokens")
    return _said(*await _answer(desk, fields))


async def _answer(desk: Desk, fields: dict[str, str]) -> tuple[str, bool]:
    """Return what to answer, and whether everybody in the room sees it."""
    try:
        incident = await chat.incident_at(desk, SERVICE, fields.get("channel_id", ""))
    except queries.DOWN as error:
        log.warning("a command in a room could not be taken", error=str(error))
        return "Tocsin's store does not answer: nothing was done, say it again.", False
    if incident is None:
        return "This channel is no room of an incident.", False
    text = fields.get("text", "")
    if fields.get("command"):
        text = f"{chat.MARK}{text}"
    name = desk.settings.mattermost_people.get(fields.get("user_name", ""))
    if name is None:
        person = Person(f"{SERVICE}:{fields.get('user_name', '')[:30]}", SERVICE)
    else:
        role = desk.settings.role_of(name)
        person = Person(name, SERVICE, role=role.value, scopes=GRANTS[role])
    return await chat.hear(desk, incident, person, name is not None, text), True


def _said(text: str, everybody: bool) -> web.Response:
    """Return the answer in code marks, in which Mattermost reads no mention, link or mark-up."""
    if not text:
        return web.json_response({})
    words = text.replace("`", "'")
    shown = f"```text\n{words}\n```" if "\n" in words else f"`{words}`"
    return web.json_response({"response_type": "in_channel" if everybody else "ephemeral", "text": shown})
