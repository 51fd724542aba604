"""What is kept of drills: test pages to one person each, and what came of them."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from triage.model import Incident, Millis, Phase, Severity

TITLE: Final = "DRILL, no incident: acknowledge to show that pages reach you"
TITLE_OVER: Final = "DRILL is over"


class DrillState(enum.StrEnum):
    """How a drill stands. `unreached`: no provider took a page; `shadowed`: paging is in shadow, so nobody was told."""

    CALLING = "calling"
    ANSWERED = "answered"
    UNANSWERED = "unanswered"
    UNREACHED = "unreached"
    SHADOWED = "shadowed"


class Drill(msgspec.Struct, array_like=True, gc=False):
    """One test page to one person. Its key is one of incidents, so that whatever acknowledges those acknowledges it.

    `target` is what was asked for, `plan` the name of the drill in oncall.yaml, or "". The page goes out at `due` and
    is to be acknowledged by `until`. `scheme` is the way by which it was delivered first, `pending` the ids of pages
    that have not arrived yet, `pages` of all, and `faults` what went wrong. `mistaps` counts wrong numbers by
    page, `entry` is the entry of the journal that asked.
    """

    person: str
    target: str
    by: str
    via: str
    asked_at: Millis
    due: Millis
    until: Millis
    entry: str
    plan: str = ""
    state: DrillState = DrillState.CALLING
    scheme: str = ""
    delivered_at: Millis | None = None
    acked_at: Millis | None = None
    acked_by: str = ""
    acked_via: str = ""
    ended_at: Millis | None = None
    pending: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    mistaps: dict[str, int] = {}


class Drills(msgspec.Struct, array_like=True, gc=False):
    """One of a kind: the keys of the drills that are kept, oldest first, and by key whom those that run call."""

    keys: tuple[str, ...] = ()
    calling: dict[str, str] = {}


def as_incident(key: str, drill: Drill) -> Incident:
    """Return a drill in the shape of an incident, for whoever looks one up by its key. It is in no list of them."""
    over = drill.state is not DrillState.CALLING
    return Incident(
        key=key,
        group="",
        title=TITLE,
        service="",
        severity=Severity.P1,
        phase=Phase.RESOLVED if over else Phase.DETECTED,
        policy="",
        runbook="",
        rule="",
        opened_at=drill.asked_at,
        opened_by=drill.entry,
        changed_at=drill.ended_at or drill.asked_at,
        acked_by=drill.acked_by,
        acked_at=drill.acked_at,
        resolved_at=drill.ended_at,
        pages=len(drill.pages),
        told=(drill.person,),
        answered=drill.pages if drill.acked_by else (),
        mistaps=drill.mistaps,
        pending=drill.pending,
    )
