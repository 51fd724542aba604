"""Status updates: what was said of an incident, to whom, and what they are."""

from __future__ import annotations

import enum

import msgspec

from triage.model import Millis


class Audience(enum.StrEnum):
    """Whom an update is for. Only what is said to the public may appear on the public status page."""

    RESPONDERS = "responders"
    COMPANY = "company"
    PUBLIC = "public"


class Standing(enum.StrEnum):
    """How an incident stands, in the words of status pages."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


class StatusUpdate(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One update, as somebody wrote it for one audience. Nothing in it comes from alerts.

    `title`, `impact` and `eta` are what it says itself; "" and None where it says nothing of it. `next_at` is when the
    next one was promised, None where none was. `id` is unique to the incident.
    """

    id: str
    at: Millis
    by: str
    audience: Audience
    status: Standing
    title: str
    text: str
    impact: str = ""
    eta: Millis | None = None
    next_at: Millis | None = None


class StatusUpdates(msgspec.Struct, array_like=True, gc=False):
    """The updates of one incident, oldest first, the last ones only; `total` is how many there ever were."""

    items: tuple[StatusUpdate, ...] = ()
    total: int = 0
