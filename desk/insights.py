"""Insights over the API: how long things take, who is woken, what is noisy, what is still to be done."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, Field

from desk.api import Call, Route
from desk.asking import Query
from desk.shapes import Time
from desk.showing import time_of
from triage import insights
from triage.model import DAY, Millis
from triage.postmortem import ItemState
from triage.store import learned


class InsightsQuery(Query):
    """Of how long."""

    days: Annotated[int, Field(ge=1, le=800, description="Incidents that ended in the last so many days.")] = 90


class TimesShape(BaseModel):
    """Medians in seconds from the opening of an incident, per `service`, `severity` or `week` (`by`)."""

    by: str
    name: str
    incidents: int
    acknowledge_s: float | None
    mitigate_s: float | None
    resolve_s: float | None


class CallsShape(BaseModel):
    """How often a person was paged, how often of these at night by their clock, and how many nights that disturbed."""

    person: str
    pages: int
    nights: int
    disturbed: int


class NightShape(BaseModel):
    """How often a person was paged in one night, which is named by the day on whose evening it began."""

    night: str
    person: str
    pages: int


class NoiseShape(BaseModel):
    """What a rule brought."""

    rule: str
    incidents: int
    alerts: int
    pages: int


class InsightsShape(BaseModel):
    """Figures about incidents that ended since `since`; `items_open` and `items_overdue` are of now.

    `nights` are the 200 worst ones, the latest first.
    """

    since: Time
    incidents: int
    times: list[TimesShape]
    people: list[CallsShape]
    nights: list[NightShape]
    rules: list[NoiseShape]
    items_open: int
    items_overdue: int


async def get_insights(call: Call) -> BaseModel:
    """Return insights."""
    now = call.office.desk.clock()
    since = max(0, now - call.query.days * DAY)
    found = insights.summed((await learned.past(call.client, since)).values())
    items = [one for each in (await learned.postmortems(call.client)).values() for one in each.items]
    left = [one for one in items if one.state is ItemState.OPEN]
    return InsightsShape(
        since=time_of(since),
        incidents=found.incidents,
        times=[
            TimesShape(
                by=row.by,
                name=row.name,
                incidents=row.incidents,
                acknowledge_s=_seconds(row.acknowledge),
                mitigate_s=_seconds(row.mitigate),
                resolve_s=_seconds(row.resolve),
            )
            for row in found.times
        ],
        people=[
            CallsShape(person=row.person, pages=row.pages, nights=row.nights, disturbed=row.disturbed)
            for row in found.calls
        ],
        nights=[NightShape(night=row.night, person=row.person, pages=row.pages) for row in found.nights],
        rules=[
            NoiseShape(rule=row.rule, incidents=row.incidents, alerts=row.alerts, pages=row.pages)
            for row in found.noise
        ],
        items_open=len(left),
        items_overdue=sum(one.due is not None and one.due < now for one in left),
    )


def _seconds(span: Millis | None) -> float | None:
    return None if span is None else span / 1_000


ROUTES: Final = (Route("GET", "/insights", "Figures about the past", get_insights, InsightsShape, InsightsQuery),)
