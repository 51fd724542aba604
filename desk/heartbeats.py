"""Heartbeats as the API shows them: what the rules expect, beside what was heard."""

from __future__ import annotations

from pydantic import BaseModel

from desk.shapes import Time
from desk.showing import time_of
from triage.model import Millis
from triage.roster import Heartbeat
from triage.rulebook import Rulebook
from triage.rulebook.durations import show_duration
from triage.rulebook.types import Cadence


class HeartbeatShape(BaseModel):
    """A heartbeat. `kind`: `ping` (heartbeats.yaml), `rule` (a watchdog) or `source` (`expect_every`).

    `fingerprint` is that of the alert about it. `due_at` is when it is missed; null while it is missed or failed.
    `warning` tells of beats that come further apart than they should, though in time.
    """

    fingerprint: str
    kind: str
    name: str
    labels: dict[str, str]
    state: str
    expected: str
    beats: int
    beat_at: Time | None
    due_at: Time | None
    changed_at: Time
    started_at: Time | None
    took: str | None
    warning: str


class HeartbeatPage(BaseModel):
    """Heartbeats by kind and name; `next` is the `after` of the next page, null at the end."""

    items: list[HeartbeatShape]
    next: str | None


def page(kept: dict[str, Heartbeat], rulebook: Rulebook, limit: int, after: str | None) -> HeartbeatPage:
    """Return the page that follows the fingerprint `after`; from the beginning when there is none of it."""
    order = sorted(kept, key=lambda key: (kept[key].cadence, sorted(kept[key].labels.items()), key))
    start = order.index(after) + 1 if after in kept else 0
    shown = order[start : start + limit]
    items = [_heartbeat(key, kept[key], rulebook.cadences.get(kept[key].cadence)) for key in shown]
    return HeartbeatPage(items=items, next=shown[-1] if start + limit < len(order) else None)


def _heartbeat(key: str, one: Heartbeat, cadence: Cadence | None) -> HeartbeatShape:
    return HeartbeatShape(
        fingerprint=key,
        kind=one.cadence.partition("/")[0],
        name=one.name,
        labels=one.labels,
        state=one.state.value,
        expected=_expected(cadence),
        beats=one.beats,
        beat_at=_time(one.beat_at),
        due_at=_time(one.due),
        changed_at=time_of(one.changed_at),
        started_at=_time(one.started_at),
        took=show_duration(one.took) if one.took is not None else None,
        warning=_warning(one, cadence),
    )


def _expected(cadence: Cadence | None) -> str:
    """Return what the rules expect, like `every 5m, 2m late at most`."""
    if cadence is None:
        return "no longer in the rules"
    when = f"{cadence.cron} ({cadence.time_zone})" if cadence.cron else f"every {show_duration(cadence.every)}"
    late = f", {show_duration(cadence.grace)} late at most" if cadence.grace else ""
    run = f", runs {show_duration(cadence.max_run)} at most" if cadence.max_run else ""
    return f"{when}{late}{run}"


def _warning(one: Heartbeat, cadence: Cadence | None) -> str:
    if not one.slow or one.slow_at is None or cadence is None:
        return ""
    often = "once" if one.slow == 1 else f"{one.slow} times"
    return f"late {often}, up to {show_duration(one.gap)} apart, last at {time_of(one.slow_at)}"


def _time(at: Millis | None) -> str | None:
    return None if at is None else time_of(at)
