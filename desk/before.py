"""What was before an incident, over the API: what changed, what runs and is known to be good, incidents like it."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, Field

from desk import asking
from desk.api import Call, Route
from desk.postmortems import ItemShape, item_shape
from desk.shapes import Time
from desk.showing import time_of
from triage.changed import Happened
from triage.model import MINUTE, Incident, short
from triage.store import before as kept
from triage.store import learned, queries, standing


class ChangesQuery(asking.Query):
    """Which changes."""

    service: Annotated[str | None, Field(max_length=200, description="Of this service only.")] = None
    limit: asking.Limit = 50


class ChangeShape(BaseModel):
    """A change. `minutes_before` an incident began, negative after; null where there is none to speak of."""

    service: str
    at: Time
    minutes_before: int | None
    kind: str
    version: str
    environment: str
    summary: str
    by: str
    url: str
    source: str
    verified: bool


class StandsShape(BaseModel):
    """What runs of a service and which version is last known good: null where that is not known."""

    running: ChangeShape | None
    last_known_good: ChangeShape | None


class ChangePage(BaseModel):
    """Changes, newest first. `stands` is of the one service that was asked for."""

    items: list[ChangeShape]
    stands: StandsShape | None


class SeenShape(BaseModel):
    """An earlier incident: what it shares with this one (`alert`, `rule` or `service`), and how it ended."""

    id: str
    title: str
    severity: str
    phase: str
    shares: str
    opened_at: Time
    resolved_at: Time | None
    resolved_by: str
    ended: str
    minutes: int | None


class Before(BaseModel):
    """What was before an incident. Changes: nearest first. Earlier incidents: those that share most first.

    `items` are action items of earlier incidents that it brought up, as they stand now.
    """

    changes: list[ChangeShape]
    stands: StandsShape
    seen: list[SeenShape]
    items: list[ItemShape]


async def list_changes(call: Call) -> BaseModel:
    """Return what changed lately."""
    found = await kept.latest(call.client, call.query.service)
    items = [_change(one.service, one.happened) for one in found[: call.query.limit]]
    service = call.query.service
    return ChangePage(items=items, stands=await _stands(call, service) if service is not None else None)


async def get_before(call: Call) -> BaseModel:
    """Return what changed before an incident, and earlier incidents like it."""
    one = await queries.incident(call.client, call.request.match_info["id"])
    rulebook = call.office.rulebooks.of(await standing.rules(call.client))
    now = call.office.desk.clock()
    changed = await kept.changes_of(call.client, one, rulebook, now)
    return Before(
        changes=[_change(change.service, change.happened, one) for change in changed],
        stands=await _stands(call, one.service),
        seen=[_seen(earlier) for earlier in await kept.seen(call.client, one)],
        items=[item_shape(key, item, now) for key, item in await learned.recalled(call.client, one)],
    )


async def _stands(call: Call, service: str) -> StandsShape:
    found = await kept.stands(call.client, service, call.office.desk.clock())
    running = _change(service, found.running) if found.running is not None else None
    good = _change(service, found.good) if found.good is not None else None
    return StandsShape(running=running, last_known_good=good)


def _change(service: str, happened: Happened, one: Incident | None = None) -> ChangeShape:
    return ChangeShape(
        service=service,
        at=time_of(happened.at),
        minutes_before=int((one.opened_at - happened.at) / MINUTE) if one is not None else None,
        kind=happened.kind,
        version=happened.version,
        environment=happened.environment,
        summary=happened.summary,
        by=happened.by,
        url=happened.url,
        source=happened.source,
        verified=happened.verified,
    )


def _seen(earlier: kept.Seen) -> SeenShape:
    one = earlier.incident
    lasted = (one.resolved_at - one.opened_at) // MINUTE if one.resolved_at is not None else None
    return SeenShape(
        id=short(one.key),
        title=one.title,
        severity=one.severity.name,
        phase=one.phase.value,
        shares=earlier.shares,
        opened_at=time_of(one.opened_at),
        resolved_at=time_of(one.resolved_at) if one.resolved_at is not None else None,
        resolved_by=one.resolved_by,
        ended=earlier.ended.text if earlier.ended is not None else "",
        minutes=lasted,
    )


ROUTES: Final = (
    Route("GET", "/changes", "What changed lately", list_changes, ChangePage, ChangesQuery),
    Route("GET", "/incidents/{id}/before", "What was before an incident", get_before, Before),
)
