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
from desk.problems import Problem
from desk.saying import MARK

PATH: Final = "/mattermost/command"
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
    text = fields.get("text", "")
    if fields.get("command"):
        text = f"{MARK}{text}"
    room, user = fields.get("channel_id", ""), fields.get("user_name", "")
    try:
        answer = await chat.take(desk, chat.Said(chat.MATTERMOST, room, user, text, fields.get("post_id", "")))
    except chat.DOWN as error:
        log.warning("a command in a room could not be taken", error=str(error))
        return chat.STORE_DOWN, False
    return ("This channel is no room of an incident.", False) if answer is None else (answer, True)


def quoted(text: str) -> str:
    """Return text as code, in which Mattermost reads no mention, link or mark-up. It holds no back-tick of its own."""
    words = text.replace("`", "'")
    return f"```text\n{words}\n```" if "\n" in words else f"`{words}`"


def _said(text: str, everybody: bool) -> web.Response:
    if not text:
        return web.json_response({})
    return web.json_response({"response_type": "in_channel" if everybody else "ephemeral", "text": quoted(text)})
