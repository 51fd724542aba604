"""One log line per event decided. A storm is thousands a second, so they are encoded and written together."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from triage.memory import Changes
from triage.model import Decision, Entry, Event, Events, Outcome, short

QUIET: Final = frozenset({Outcome.DEDUPLICATED, Outcome.HELD, Outcome.DROPPED})
"""Outcomes that change nothing: on a terminal they are shown only at level debug, so that they do not bury a page."""

_ENCODER: Final = msgspec.json.Encoder()
_gate: Final = logging.getLogger("tocsin.decided")
log = structlog.get_logger("tocsin.decided")


class DecidedLine(msgspec.Struct):
    """The line of one decided event, with the words that screens and metrics use too."""

    timestamp: str
    event_id: str
    source: str
    status: str
    alert: str
    title: str
    outcome: str
    reason: str
    severity: str
    rule: str
    incident: str
    detail: str
    level: str = "info"
    event: str = "decided"
    logger: str = "tocsin.decided"


def write_lines(entries: list[Entry], changes: Changes) -> None:
    """Log what a committed batch decided: JSON lines in one write, or structlog's words on a terminal."""
    if not _gate.isEnabledFor(logging.INFO):
        return
    terminal = sys.stderr.isatty()
    now = datetime.now(UTC).isoformat()
    lines: list[DecidedLine] = []
    for entry in entries:
        if isinstance(entry.body, Events):
            decisions = changes.decisions[entry.id]
            for index, (event, decision) in enumerate(zip(entry.body.events, decisions, strict=True)):
                lines.append(_line(now, f"{entry.id}/{index}", entry.body.source, event, decision))
    if not terminal:
        if lines:
            sys.stderr.buffer.write(_ENCODER.encode_lines(lines))
            sys.stderr.buffer.flush()
        return
    for line in lines:
        say = log.debug if line.outcome in QUIET else log.info
        say(
            "decided",
            **{name: value for name, value in msgspec.structs.asdict(line).items() if name in _SHOWN and value},
        )


_SHOWN: Final = frozenset({"source", "title", "outcome", "reason", "severity", "rule", "incident"})


def _line(now: str, event_id: str, source: str, event: Event, decision: Decision) -> DecidedLine:
    return DecidedLine(
        timestamp=now,
        event_id=event_id,
        source=source,
        status=event.status.value,
        alert=decision.fingerprint,
        title=event.title,
        outcome=decision.outcome.value,
        reason=decision.reason.value,
        severity=decision.severity.name,
        rule=decision.rule,
        incident=short(decision.incident),
        detail=decision.detail,
    )
