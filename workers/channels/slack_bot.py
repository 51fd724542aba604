"""`slack+bot://${SLACK_BOT_TOKEN}@workspace/C0123456`: Slack through a bot of one's own, with buttons.

The place behind the workspace's name is a channel's ID (C…, G…) or a member's (U…), who gets a direct message. The
first message of an incident carries buttons and is kept true: it shows who has the incident and how it stands. What
comes after it is a reply to it. docs/channels.md says what the app needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from triage.model import ENDED, EffectKind, Ending, Phase
from workers import slack
from workers.channel import Delivery, Message

SCHEMES: Final = ("slack+bot",)
_TARGET: Final = re.compile(r"(?P<token>[^@/]+)@(?P<workspace>[^@/?#]*)/(?P<place>[CGDUW][A-Z0-9]{1,30})/?\Z")
_ENDED: Final = frozenset(phase.value for phase in ENDED)
MALFORMED: Final = "write slack+bot://${SLACK_BOT_TOKEN}@workspace/C0123456, with the ID of a channel or a member"


def send(target: str, message: Message) -> Delivery:
    """Post `message`, or change the incident's first one where this is an update."""
    found = _TARGET.match(target.partition("://")[2])
    if found is None:
        return Delivery(Ending.GIVE_UP, MALFORMED)
    token, place = found["token"], found["place"]
    channel, _, first = message.thread.partition(":")
    if message.kind is EffectKind.UPDATE:
        return _judge(slack.call(token, "chat_update", channel=channel, ts=first, **_content(message)), "updated")
    asked: dict[str, Any] = {"channel": channel or place, **_content(message), **slack.QUIET}
    if first:
        asked |= {"thread_ts": first, "reply_broadcast": message.kind is EffectKind.PAGE}
    if message.possible_repeat:
        earlier = slack.earlier(token, channel or place, first, message.id)
        if earlier:
            return Delivery(Ending.DELIVERED, "Slack had it already", receipt=earlier)
    return _judge(slack.call(token, "chat_postMessage", **asked), "Slack took it")


def _content(message: Message) -> dict[str, Any]:
    """Return what a message shows. `text` is what a lock screen and a screen reader get."""
    first_line = message.body.partition("\n")[0] if message.kind is EffectKind.PAGE else ""
    text = f"{message.title}\n{first_line}".strip()
    metadata = slack.metadata(message.id, message.incident)
    return {"text": slack.escaped(text) or "Tocsin", "blocks": _blocks(message), "metadata": metadata}


def _blocks(message: Message) -> list[dict[str, Any]]:
    blocks = [slack.header(message.title), slack.section(message.body)]
    if not message.incident:
        return blocks
    blocks.append(slack.context(_standing(message)))
    reply = bool(message.thread) and message.kind is not EffectKind.UPDATE
    buttons = [] if reply and message.kind is not EffectKind.PAGE else _buttons(message)
    buttons += slack.link("Open", message.url)
    return [*blocks, slack.actions(buttons)] if buttons else blocks


def _standing(message: Message) -> str:
    if message.phase in _ENDED:
        return "It is over."
    if message.phase == Phase.MONITORING:
        return "All clear; it is being watched."
    return f"{message.taken_by} has it." if message.taken_by else "Nobody has it yet."


def _buttons(message: Message) -> list[dict[str, Any]]:
    if message.phase in _ENDED or message.phase == Phase.MONITORING:
        return []
    take = ("Take over", "take-over", "") if message.taken_by else ("Acknowledge", "acknowledge", "primary")
    return [
        slack.button(take[0], take[1], message.incident, take[2]),
        slack.button("Snooze 1 h", "snooze", message.incident),
        slack.button("Escalate", "escalate", message.incident, "danger"),
    ]


def _judge(answer: Mapping[str, Any] | Delivery, taken: str) -> Delivery:
    if isinstance(answer, Delivery):
        return answer
    return Delivery(Ending.DELIVERED, taken, receipt=slack.receipt(answer.get("channel"), answer.get("ts")))
