"""Slack's Web API through slack_sdk: one try, with what went wrong in words, and text that mentions nobody.

Used by the channel and by incident rooms. slack_sdk's own retries are off: there is one retry policy, in triage.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.error import URLError

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from triage.model import Ending, Millis
from workers.channel import Delivery
from workers.outbound import RETRY_AFTER_MAX

TIMEOUT_S: Final = 5
TEXT_MAX: Final = 3_000
"""Longest text of one section, in characters (Slack's limit)."""
HEADER_MAX: Final = 150
BUTTON_PREFIX: Final = "tocsin:"
"""Begins the action ids of our buttons; the desk knows them by it."""
METADATA: Final = "tocsin_message"
LOOKED_AT: Final = 30
"""How many of the newest messages are looked at for an earlier copy."""
QUIET: Final = {"unfurl_links": False, "unfurl_media": False, "mrkdwn": False, "parse": "none", "link_names": False}
"""Nothing in a text becomes a mention, a preview or mark-up."""
_LATER: Final = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_REMEDIES: Final = {
    "invalid_auth": "Slack does not know this bot token: set the variable of the contact method anew",
    "not_authed": "the bot token is empty: set the variable of the contact method",
    "account_inactive": "the bot was removed from the workspace: install the app again",
    "token_revoked": "the bot token was revoked: install the app again",
    "token_expired": "the bot token has expired: give one that does not rotate",
    "channel_not_found": "Slack knows no such channel, or the bot may not see it: give its ID (C…) and invite the bot",
    "not_in_channel": "the bot is not in the channel: /invite it there",
    "is_archived": "the channel is archived",
    "user_not_found": "Slack knows no such member: give the member ID (U…)",
    "restricted_action": "the workspace does not let the bot post there",
    "missing_scope": "the bot lacks a scope",
}
_log: Final = logging.getLogger("tocsin.slack_sdk")
_log.setLevel(logging.CRITICAL)  # what it would say of failures is in the result; of requests, they hold tokens
_api: str = "https://slack.com/api"


def use(api_url: str) -> None:
    """Let this process call the Web API at this address."""
    global _api
    _api = api_url


def call(token: str, method: str, **arguments: Any) -> Mapping[str, Any] | Delivery:
    """Call one of slack_sdk's methods once, like `chat_postMessage`. Return the answer, or how it ended without one."""
    client = WebClient(token, _api, TIMEOUT_S, logger=_log, retry_handlers=[])
    try:
        answer: SlackResponse = getattr(client, method)(**arguments)
    except SlackApiError as fault:
        return _refused(fault.response) if isinstance(fault.response, SlackResponse) else _broken(fault)
    except (OSError, SlackClientError, ValueError) as fault:
        return _broken(fault)
    return answer.data if isinstance(answer.data, dict) else {}


def error_of(answer: Mapping[str, Any] | Delivery) -> str:
    """Return Slack's word for what went wrong, like `channel_not_found`, or ""."""
    if not isinstance(answer, Delivery):
        return ""
    found = answer.reason.partition("Slack says ")[2]
    return found.partition(" ")[0].rstrip(":")


def _refused(answer: SlackResponse) -> Delivery:
    said = answer.data if isinstance(answer.data, dict) else {}
    error = str(said.get("error", ""))
    if answer.status_code == 429 or error in ("ratelimited", "rate_limited"):
        return Delivery(Ending.TRY_AGAIN, "Slack says ratelimited", retry_after=_pause(answer.headers))
    if answer.status_code >= 500:
        ambiguous = answer.status_code in (502, 504)
        return Delivery(Ending.TRY_AGAIN, f"Slack answered HTTP {answer.status_code}", ambiguous)
    if answer.status_code != 200 or not error.isidentifier():
        return Delivery(Ending.GIVE_UP, f"Slack answered HTTP {answer.status_code}, and not as its API does")
    if error in _LATER:
        return Delivery(Ending.TRY_AGAIN, f"Slack says {error}", ambiguous=error != "service_unavailable")
    needed = f": {said['needed']}" if isinstance(said.get("needed"), str) else ""
    remedy = f": {_REMEDIES[error]}{needed}" if error in _REMEDIES else ""
    return Delivery(Ending.GIVE_UP, f"Slack says {error}{remedy}")


def _pause(headers: Mapping[str, Any]) -> Millis:
    text = next((str(value) for name, value in headers.items() if name.lower() == "retry-after"), "")
    return min(int(text[:9]) * 1_000, RETRY_AFTER_MAX) if text.isdigit() else 0


def _broken(fault: Exception) -> Delivery:
    """Tell failures before the message left (safe to repeat) from those after."""
    if isinstance(fault, URLError):
        cause = fault.reason if isinstance(fault.reason, Exception) else fault
        return Delivery(Ending.TRY_AGAIN, f"Slack cannot be reached: {type(cause).__name__}")
    return Delivery(Ending.TRY_AGAIN, "Slack may have taken it, but no answer came", ambiguous=True)


def metadata(message: str, incident: str = "") -> dict[str, Any]:
    """Return what goes with a message so that `earlier` finds it."""
    return {"event_type": METADATA, "event_payload": {"id": message, "incident": incident}}


def earlier(token: str, channel: str, first: str, message: str) -> str:
    """Return the receipt of an earlier copy of a message, found by its metadata; "" where there is none, or we may not
    look. `first` is the message that begins its thread, or "".
    """
    if channel[0] in "UW":
        opened = call(token, "conversations_open", users=channel)
        if isinstance(opened, Delivery):
            return ""
        channel = str(opened["channel"]["id"])
    method, more = ("conversations_replies", {"ts": first}) if first else ("conversations_history", {})
    answer = call(token, method, channel=channel, limit=LOOKED_AT, include_all_metadata=True, **more)
    if isinstance(answer, Delivery):
        return ""
    for one in answer.get("messages", ()):
        payload = (one.get("metadata") or {}).get("event_payload") or {}
        if payload.get("id") == message:
            return receipt(channel, one.get("ts"))
    return ""


def receipt(channel: Any, ts: Any) -> str:
    """Return what a later message is to know of one, or ""."""
    return f"{channel}:{ts}" if channel and ts else ""


def escaped(text: str) -> str:
    """Return text for a `text` field, in which only these three characters begin mark-up."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str, limit: int) -> dict[str, Any]:
    """Return a text object in which Slack reads no mark-up, mention or emoji."""
    return {"type": "plain_text", "text": text[:limit] or " ", "emoji": False}


def header(text: str) -> dict[str, Any]:
    """Return a block with one bold line."""
    return {"type": "header", "text": plain(text, HEADER_MAX)}


def section(text: str) -> dict[str, Any]:
    """Return a block of text."""
    return {"type": "section", "text": plain(text, TEXT_MAX)}


def context(text: str) -> dict[str, Any]:
    """Return a block of small print."""
    return {"type": "context", "elements": [plain(text, TEXT_MAX)]}


def actions(elements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a row of buttons."""
    return {"type": "actions", "elements": list(elements)}


def button(text: str, action: str, value: str, style: str = "") -> dict[str, Any]:
    """Return a button that the desk hears of."""
    made: dict[str, Any] = {
        "type": "button",
        "text": plain(text, 75),
        "action_id": f"{BUTTON_PREFIX}{action}",
        "value": value,
    }
    return made | ({"style": style} if style else {})


def link(text: str, url: str) -> list[dict[str, Any]]:
    """Return a button that opens an address; none for what is no http or https link."""
    if not url.startswith(("https://", "http://")) or len(url) > TEXT_MAX:
        return []
    name = f"{BUTTON_PREFIX}open-{text.lower()}"
    return [{"type": "button", "text": plain(text, 75), "action_id": name, "url": url}]
