"""The operators' own wording: `templates/<channel>.<kind>.txt` of the rules in force.

`channel` is the scheme of a contact method (`mailtos`, or `mailto` for both), or `default` for all that have none of
their own; `kind` is what is told: page, notification, operator. The first line is the title, the rest the text.
What a template makes is as harmless as built-in wording: every line of it is cleaned before it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import msgspec
import redis
import structlog

from triage import memory, sandbox
from triage.model import EffectKind, Rules
from triage.rulebook.problems import Problem, RulesError, closest
from triage.store import keys

FOLDER: Final = "templates/"
SUFFIX: Final = ".txt"
DEFAULT: Final = "default"
_UNWORDED: Final = (EffectKind.UPDATE, EffectKind.ROOM, EffectKind.POST, EffectKind.TICKET)
KINDS: Final = tuple(kind.value for kind in EffectKind if kind not in _UNWORDED)
"""Kinds of messages that can be worded. An update is worded as the page that it changes, a room and its posts are
ours, and postmortems.yaml words a ticket.
"""
VALUES: Final = (
    "severity", "title", "service", "since", "why", "alerts", "firing", "labels", "runbook", "incident", "phase",
    "acked_by", "text", "late", "changed", "flapping", "still_open", "reopened",
    "kind", "person", "id", "repeat", "link", "acknowledge", "answer_url", "number", "promised",
)  # fmt: skip
"""What a template can say. docs/channels.md has their meanings; all are texts, "" where there is nothing to say."""
_DECODER: Final = msgspec.msgpack.Decoder(Rules)
log = structlog.get_logger("deliver")


class Templates:
    """The templates of one set of files, by channel and kind."""

    def __init__(self, files: Mapping[str, str] | None = None) -> None:
        self._known: dict[tuple[str, str], sandbox.Template] = {}
        for path, source in (files or {}).items():
            named = name_of(path)
            if named is None:
                continue
            try:
                self._known[named] = sandbox.read(path, source, VALUES)
            except RulesError as error:  # `tocsin check` refuses it; another version may have loaded it
                log.warning("a template cannot be used here; the built-in wording stands in", error=str(error))

    def find(self, scheme: str, kind: str) -> sandbox.Template | None:
        """Return the template for a message of this kind by this scheme, or None for the built-in wording."""
        for channel in (scheme, scheme.removesuffix("s"), DEFAULT):
            found = self._known.get((channel, kind))
            if found is not None:
                return found
        return None


NONE: Final = Templates()
"""No templates: built-in wording for everything."""


def name_of(path: str) -> tuple[str, str] | None:
    """Return the channel and kind that a template's path names, or None for a file that is no message's template."""
    channel, dot, kind = path.removeprefix(FOLDER).removesuffix(SUFFIX).rpartition(".")
    fits = path.startswith(FOLDER) and path.endswith(SUFFIX) and "/" not in channel
    return (channel, kind) if fits and dot and kind in KINDS else None


def check(files: Mapping[str, str]) -> list[Problem]:
    """Return everything that is wrong with the message templates among these files."""
    problems: list[Problem] = []
    for path, source in sorted(files.items()):
        named = name_of(path)
        if named is None:
            problems += _misnamed(path)
            continue
        try:
            sandbox.read(path, source, VALUES)
        except RulesError as error:
            problems += error.problems
        else:
            problems += _advice(path, named[1], source)
    return problems


def _misnamed(path: str) -> list[Problem]:
    """Warn of a file that was meant to word messages, but names no kind of them."""
    _, dot, kind = path.removeprefix(FOLDER).removesuffix(SUFFIX).rpartition(".")
    if not (path.startswith(FOLDER) and path.endswith(SUFFIX) and dot) or "/" in path.removeprefix(FOLDER):
        return []
    hint = closest(kind, KINDS) or f"there are {', '.join(KINDS)}"
    return [Problem(path, 1, 1, f"no message is of the kind “{kind}”: this file is not used", hint, "warning")]


def _advice(path: str, kind: str, source: str) -> list[Problem]:
    if kind != EffectKind.PAGE.value or any(name in source for name in ("acknowledge", "answer_url", "incident")):
        return []
    hint = "begin the text with {{ acknowledge }}"
    return [Problem(path, 1, 1, "a page by this template does not say how to acknowledge", hint, "warning")]


class InForce:
    """The templates of the rules in force, read again when the rules have changed."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._raw: bytes | None = None
        self._templates = NONE

    def look(self) -> Templates:
        """Return the templates as they are now. Raises redis.RedisError."""
        raw = cast("bytes | None", self._client.hget(keys.family(memory.RULES), ""))
        if raw != self._raw:
            self._raw = raw
            self._templates = Templates(_DECODER.decode(raw).files) if raw else NONE
        return self._templates
