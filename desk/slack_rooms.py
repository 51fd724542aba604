"""Messages in Slack's incident rooms: by Socket Mode, or posted to /slack/events, signed like presses of buttons."""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import Any, Final

import structlog
from aiohttp import ClientError, web
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from desk import chat, slack
from desk.context import Desk
from desk.saying import MARK
from triage.model import Millis
from triage.store.appender import StoreUnavailable

PATH: Final = "/slack/events"
ANSWER_S: Final = 5
_log: Final = logging.getLogger("tocsin.slack_sdk")
log: Final = structlog.get_logger("desk.slack")


class Rooms:
    """Hears what is said in the incident rooms of one workspace."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

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
        place, ts = str(event.get("channel", "")), str(event.get("ts", ""))
        text = str(event.get("text", "")).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        try:
            answer = await chat.take(self._desk, chat.Said(chat.SLACK, place, str(event["user"]), text, ts, _ms(ts)))
        except chat.DOWN as error:
            log.warning("a message in a room could not be noted", error=str(error))
            known = isinstance(error, StoreUnavailable)  # the room was found, and what was said could not be kept
            answer = chat.STORE_DOWN if known and text.lstrip().startswith(MARK) else ""
        if answer:
            await self._say(place, ts, answer)

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
                channel=place,
                thread_ts=ts,
                text=words,
                parse="none",
                link_names=False,
                mrkdwn=False,
                unfurl_links=False,
                unfurl_media=False,
            )
        except (ClientError, SlackClientError, OSError) as error:
            log.warning("an answer did not arrive", error=type(error).__name__)


def _said_by_somebody(event: dict[str, Any]) -> bool:
    """Tell a person's new message from a bot's, ours included, and from edits, joins and the like."""
    return bool(event.get("user")) and not event.get("bot_id") and not event.get("subtype")


def _ms(ts: str) -> Millis:
    """Return when a message was said, by what Slack calls it: seconds and a count."""
    seconds = ts.partition(".")[0]
    return int(seconds) * 1_000 if seconds.isascii() and seconds.isdigit() and len(seconds) < 13 else 0


async def _posted(rooms: Rooms, request: web.Request) -> web.Response:
    raw = await slack.signed(rooms.desk, request)
    if isinstance(raw, web.Response):
        return raw
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
