"""What triage makes of what arrived: outcomes and reasons, both closed."""

from __future__ import annotations

import enum

import msgspec

from triage.model.basics import Severity


class Outcome(enum.StrEnum):
    """What became of one accepted event: exactly one of these, closed. Log field, metric label and screen word."""

    OPENED = "opened"
    ATTACHED = "attached"
    REOPENED = "reopened"
    DEDUPLICATED = "deduplicated"
    RESOLVED = "resolved"
    SILENCED = "silenced"
    INHIBITED = "inhibited"
    HELD = "held"
    DROPPED = "dropped"
    RECORDED = "recorded"
    DEAD_LETTER = "dead-letter"


class Reason(enum.StrEnum):
    """Why that outcome. Closed, and short enough for a metric label; `Decision.detail` says the particulars."""

    NEW_GROUP = "new-group"
    LINKED = "linked-to-earlier"
    JOINED = "joined-open-incident"
    RAISED = "joined-and-raised"
    FIRES_AGAIN = "fires-again"
    REPEAT = "repeat"
    CHANGED = "repeat-with-changes"
    LATE_FIRING = "late-firing"
    LATE_RESOLVE = "late-resolve"
    EPISODE_ENDED = "episode-ended"
    LAST_ENDED = "last-firing-alert-ended"
    UNKNOWN_ALERT = "resolved-before-firing"
    ALREADY_RESOLVED = "already-resolved"
    DROPPED_BY_RULE = "dropped-by-rule"
    INFORMATIONAL = "informational"
    LOW_REPORT = "low-severity-report"
    OUTSIDE_WINDOW = "outside-window"
    DECIDE_ERROR = "decide-error"
    HEARTBEAT = "heartbeat"
    SILENCED = "silenced"
    MUTED = "muted"
    MAINTENANCE = "maintenance"
    INHIBITED = "inhibited"
    DEPENDS_ON = "depends-on"
    FLAPPING = "flapping"


class Decision(msgspec.Struct, array_like=True, gc=False):
    """What triage made of one event, in the order of the entry's events."""

    outcome: Outcome
    reason: Reason
    severity: Severity
    fingerprint: str
    rule: str = ""
    incident: str = ""
    detail: str = ""


class Answer(msgspec.Struct, array_like=True, gc=False):
    """What became of what somebody asked for: `done`, `refused`, or `asks` (repeat it with `confirm` to mean it);
    `repeated` for one that came with a message in a room which was taken before; `reused` for one under an
    Idempotency-Key that another request has.

    `incident` is the key of the incident that was opened, or is meant by the question. `first` is the entry that was
    answered so, where this one repeats it under its Idempotency-Key.
    """

    ending: str
    text: str
    incident: str = ""
    first: str = ""
