"""What ntfy can do beyond text: a priority, tags, an address to open, and a button that acknowledges.

The button sends a POST to `<link of the page>/tap` when a person taps it. Its body is a word that stands in no address:
whoever follows or fetches every link finds nothing that acknowledges.
"""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import parse_qsl, quote

from triage.model import EffectKind, Severity
from workers.channel import Message

SCHEMES: Final = ("ntfy", "ntfys")
PRIORITIES: Final = {Severity.P0: "max", Severity.P1: "high", Severity.P2: "default", Severity.P3: "low"}
"""Severity of a page → ntfy's priority; `max` and `high` sound through, `low` and `min` make no sound."""
SYMBOLS: Final = {Severity.P0: "rotating_light", Severity.P1: "rotating_light", Severity.P2: "warning"}
_BY_TAGS: Final = ("tags", "xtags")


def dressed(target: str, message: Message) -> str:
    """Return the contact method with what this message wants of ntfy. What the operator wrote there stays."""
    place, _, query = target.partition("?")
    given = {name.lower() for name, _ in parse_qsl(query, keep_blank_values=True)}
    wanted = {"priority": _priority(message), "xtags": _tags(message)}
    if message.url.startswith(("https://", "http://")):
        wanted["click"] = message.url
    if message.answer_url and message.word:
        wanted["actions"] = _button(message)
    if given.intersection(_BY_TAGS):
        del wanted["xtags"]
    # Apprise undoes the quoting twice.
    more = [f"{name}={quote(quote(value, safe=''), safe='')}" for name, value in wanted.items() if name not in given]
    return f"{place}?{'&'.join(filter(None, [query, *more]))}"


def _priority(message: Message) -> str:
    if message.kind is EffectKind.PAGE:
        return PRIORITIES.get(message.severity, "default")
    return "high" if message.kind is EffectKind.OPERATOR else "default"


def _tags(message: Message) -> str:
    if message.kind is EffectKind.OPERATOR:
        return "wrench"
    symbol = (
        SYMBOLS.get(message.severity, "information_source") if message.kind is EffectKind.PAGE else "speech_balloon"
    )
    return f"{symbol},{message.severity.name}"


def _button(message: Message) -> str:
    button = {
        "action": "http",
        "label": "Acknowledge",
        "url": f"{message.answer_url}/tap",
        "method": "POST",
        "body": message.word,
        "clear": True,
    }
    return json.dumps([button])
