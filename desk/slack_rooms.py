"""Messages in Slack's incident rooms: by Socket Mode, or posted to /slack/events, signed like presses of buttons."""

from __future__ import annotations

import json
import logging
from collections import deque
from functools import partial
from typing import Any, Final

import structlog
from aiohttp import ClientError, web
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from desk import chat, reading, slack
from desk.context import Desk
from desk.people import Person
from desk.problems import Problem
from triage.model.roles import GRANTS
from triage.store import queries

PATH: Final = "/slack/events"
SERVICE: Final = "slack"
SEEN_MAX: Final = 1_000
"""How many events are known, so that one that Slack sends again is not taken twice."""
ANSWER_S: Final = 5
_log: Final = logging.getLogger("tocsin.slack_sdk")
log: Final = structlog.get_logger("desk.slack")


class Rooms:
    """Hears what is said in the incident rooms of one workspace."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._seen: deque[str] = deque(maxlen=SEEN_MAX)

    def add_routes(self, app: web.Application) -> None:
        """Let Slack post events, if its signing secret is known."""
        if self._desk.settings.slack_secret:
            app.router.add_post(PATH, partial(_posted, self))

    @property
    def desk(self) -> Desk:
        return self._desk

    async def take(self, payload: Any) -> None:
        """Take one event. Never raises for what Slack sent."""
        event = payload.get("event") if isinstance(payload, dict) else None
        if not isinstance(event, dict) or event.get("type") != "message" or not _said_by_somebody(event):
            return
        event_id = str(payload.get("event_id", ""))
        if event_id in self._seen:
            return
        self._seen.append(event_id)
        place, user = str(event.get("channel", "")), str(event["user"])
        try:
            incident = await chat.incident_at(self._desk, SERVICE, place)
        except queries.DOWN as error:
            log.warning("a message in a room could not be noted", error=str(error))
            return
        if incident is None:
            return
        person, known = _person(self._desk, user)
        text = str(event.get("text", "")).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        answer = await chat.hear(self._desk, incident, person, known, text)
        if answer:
            await self._say(place, str(event.get("ts", "")), answer)

    async def _say(self, place: str, ts: str, text: str) -> None:
        """Answer in the thread of what was said. What was done stands whether this arrives or not."""
        settings = self._desk.settings
        if not settings.slack_bot_token:
            log.warning("an answer was not posted: --slack.bot-token is not set", text=text)
            return
        client = AsyncWebClient(settings.slack_bot_token, settings.slack_api, ANSWER_S, logger=_log, retry_handlers=[])
        words = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        try:
            await client.chat_postMessage(
                channel=place, thread_ts=ts, text=words, parse="none", link_names=False, unfurl_links=False
            )
        except (ClientError, SlackClientError, OSError) as error:
            log.warning("an answer did not arrive", error=type(error).__name__)


def _said_by_somebody(event: dict[str, Any]) -> bool:
    """Tell a person's new message from a bot's, ours included, and from edits, joins and the like."""
    return bool(event.get("user")) and not event.get("bot_id") and not event.get("subtype")


def _person(desk: Desk, user: str) -> tuple[Person, bool]:
    name = desk.settings.slack_people.get(user)
    if name is None:
        return Person(f"slack:{user[:30]}", slack.VIA), False
    role = desk.settings.role_of(name)
    return Person(name, slack.VIA, role=role.value, scopes=GRANTS[role]), True


async def _posted(rooms: Rooms, request: web.Request) -> web.Response:
    try:
        raw = await reading.limited(request)
    except Problem as problem:
        return web.Response(status=problem.status, text=str(problem))
    if not slack.genuine(rooms.desk, request.headers, raw):
        return web.Response(status=401, text="not signed by our Slack app within the last five minutes")
    try:
        payload = json.loads(raw)
    except ValueError:
        return web.Response(status=400, text="no event of Slack")
    if isinstance(payload, dict) and payload.get("type") == "url_verification":
        return web.Response(text=str(payload.get("challenge", "")))
    await rooms.take(payload)
    return web.Response()


async def take_envelope(rooms: Rooms, kind: str, payload: Any) -> None:
    """Take what came by Socket Mode: a press of a button, or an event."""
    if kind == "events_api":
        await rooms.take(payload)
    else:
        await slack.take_envelope(rooms.desk, kind, payload)
