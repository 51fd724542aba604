"""Presses of buttons in Slack: who pressed, what they want, and the answer that only they see.

They come two ways: Slack posts them here, signed with the app's signing secret, or they come by Socket Mode
(`slack_socket`). Either way a press is a command like any other, by the person whose `slack:` in oncall.yaml is the
member's ID, and what became of it goes to the address that came with the press.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import structlog
from aiohttp import ClientError, web
from slack_sdk.errors import SlackClientError
from slack_sdk.signature import Clock, SignatureVerifier
from slack_sdk.webhook.async_client import AsyncWebhookClient

from desk import chat, commands, reading
from desk.context import Desk
from desk.people import Person
from desk.problems import Problem
from triage.model import HOUR, Millis, Verb
from triage.model.roles import Scope
from triage.responding import UNLESS_TAKEN
from triage.store import deeds, queries
from triage.store.appender import StoreUnavailable
from triage.store.deeds import Deed

PATH: Final = "/slack/interactions"
VIA: Final = "slack"
PREFIX: Final = "tocsin:"
"""Begins the action ids of our buttons."""
ANSWER_S: Final = 5
BUTTONS: Final[Mapping[str, tuple[Verb, Millis, Mapping[str, str]]]] = {
    "acknowledge": (Verb.ACKNOWLEDGE, 0, {UNLESS_TAKEN: "yes"}),
    "take-over": (Verb.ACKNOWLEDGE, 0, {}),
    "snooze": (Verb.SNOOZE, HOUR, {}),
    "escalate": (Verb.ESCALATE, 0, {}),
}
"""What each button asks for. One that says Acknowledge takes the incident only from nobody: it may be an old one."""
_log: Final = logging.getLogger("tocsin.slack_sdk")
_log.setLevel(logging.CRITICAL)
log: Final = structlog.get_logger("desk.slack")


class Refused(Exception):
    """A press that asks for nothing that can be done. The message is for whoever pressed."""


def add_routes(app: web.Application, desk: Desk) -> None:
    """Let Slack post presses, if its signing secret is known."""
    if desk.settings.slack_secret:
        app.router.add_post(PATH, partial(_posted, desk))


async def signed(desk: Desk, request: web.Request) -> bytes | web.Response:
    """Return the body of a request that Slack signed, or the answer to one that it did not."""
    try:
        raw = await reading.limited(request)
    except Problem as problem:
        return web.Response(status=problem.status, text=str(problem))
    if not genuine(desk, request.headers, raw):
        return web.Response(status=401, text="not signed by our Slack app within the last five minutes")
    return raw


async def _posted(desk: Desk, request: web.Request) -> web.Response:
    raw = await signed(desk, request)
    if isinstance(raw, web.Response):
        return raw
    try:
        payload = json.loads(parse_qs(raw.decode())["payload"][0])
    except (KeyError, ValueError):
        return web.Response(status=400, text="no payload of a Slack interaction")
    await take(desk, payload)
    return web.Response()


def genuine(desk: Desk, headers: Mapping[str, str], raw: bytes) -> bool:
    """Tell whether a request was signed with the app's signing secret within the last five minutes."""

    class Now(Clock):
        def now(self) -> float:
            return desk.clock() / 1_000

    given = {name.lower(): value for name, value in headers.items()}
    stamp = given.get("x-slack-request-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        return False
    verifier = SignatureVerifier(desk.settings.slack_secret, Now())
    return bool(verifier.is_valid(raw, stamp, given.get("x-slack-signature", "")))


async def take_envelope(desk: Desk, kind: str, payload: Any) -> None:
    """Take what came by Socket Mode: an `interactive` envelope is a press."""
    if kind == "interactive":
        await take(desk, payload)


async def take(desk: Desk, payload: Any) -> None:
    """Do what a press asks for, and tell whoever pressed what became of it. Never raises for what Slack sent."""
    if not isinstance(payload, dict) or payload.get("type") != "block_actions":
        return
    actions = [one for one in payload.get("actions") or () if isinstance(one, dict)]
    for action in actions[:1]:
        name = str(action.get("action_id", "")).removeprefix(PREFIX)
        if name.startswith("open-"):
            return
        try:
            text = await _done(desk, _user(payload), name, str(action.get("value", "")))
        except Refused as refused:
            text = str(refused)
        await _answer(desk, str(payload.get("response_url", "")), text)


def _user(payload: Mapping[str, Any]) -> str:
    user = payload.get("user")
    return str(user.get("id", "")) if isinstance(user, dict) else ""


def person_of(desk: Desk, user: str) -> Person:
    """Return the person behind a Slack member. Raises Refused, which says what to add where."""
    person, known = chat.person_of(desk, chat.SLACK, user)
    if not known:
        raise Refused(
            f"Tocsin does not know you yet: add slack: {user[: chat.USER_MAX]} to your entry under people: in "
            "oncall.yaml, then press again."
        )
    return person


async def _done(desk: Desk, user: str, name: str, incident: str) -> str:
    """Return what became of a press. Raises Refused."""
    person = person_of(desk, user)
    if name not in BUTTONS:
        raise Refused("this button is of another version of Tocsin; use the desk or the command line")
    verb, duration, data = BUTTONS[name]
    if not person.may(Scope.RESPOND):
        await _note(desk, person, user, name, incident, 403)
        raise Refused(f"{person.name} ({person.role}) may not do this: it needs the scope {Scope.RESPOND.value}")
    try:
        outcome = await commands.perform(desk, verb, incident, person, duration=duration, data=data)
    except LookupError as error:
        if isinstance(error, queries.Unknown | queries.Ambiguous):
            raise Refused("this incident is no longer kept") from None
        raise
    except (StoreUnavailable, *queries.DOWN) as error:
        log.warning("a press could not be noted", error=str(error))
        raise Refused("Tocsin's store does not answer: nothing was done, press again") from None
    log.info("button pressed", incident=incident, person=person.name, button=name, ending=outcome.ending)
    await _note(desk, person, user, name, incident, 409 if outcome.ending == "refused" else 200)
    return outcome.text


async def _note(desk: Desk, person: Person, user: str, name: str, incident: str, status: int) -> None:
    """Write into the audit log; the address is the member's."""
    deed = Deed(person.name, person.role, VIA, f"slack:{user}", f"button:{name}", incident, status)
    with contextlib.suppress(*queries.DOWN):
        await deeds.note(desk.client, deed, desk.clock(), desk.settings.audit_ms, status == 403)


async def _answer(desk: Desk, url: str, text: str) -> None:
    """Tell whoever pressed, and nobody else. The press stands whether this arrives or not."""
    if not _is_slack(desk, url):
        log.warning("a press came with no address of Slack's to answer at")
        return
    client = AsyncWebhookClient(url, timeout=ANSWER_S, logger=_log, retry_handlers=[])
    try:
        await client.send(text=text, response_type="ephemeral", replace_original=False)
    except (ClientError, SlackClientError, OSError, ValueError) as error:
        log.warning("the answer to a press did not arrive", error=type(error).__name__)


def _is_slack(desk: Desk, url: str) -> bool:
    """Tell whether an address is of the Slack that we talk to: its API's own host, or `hooks.` of it."""
    api, given = urlsplit(desk.settings.slack_api), urlsplit(url)
    return given.scheme == api.scheme and given.netloc in (api.netloc, f"hooks.{api.netloc}")
