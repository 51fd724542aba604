"""What the public status page says, made of publications and rules alone: nothing of an incident itself comes in here.

`page_of` is pure. What it returns is the JSON, and what the view and the feed are rendered from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import BaseModel

from desk.shapes import Time
from desk.showing import time_of
from triage.model import DAY, Millis
from triage.public import Effects, Publication, address_of
from triage.rulebook.status import PublicMaintenance, StatusRules
from triage.status import Standing

DAYS: Final = 90
PAST_MAX: Final = 100
"""How many incidents that are over are shown."""
AHEAD: Final[Millis] = 30 * DAY
"""How long before it begins maintenance is announced."""
OPERATIONAL: Final = "operational"
MAINTENANCE: Final = "maintenance"
_ORDER: Final = (OPERATIONAL, MAINTENANCE, Effects.DEGRADED.value, Effects.PARTIAL.value, Effects.MAJOR.value)
"""States, the worst last."""
WORDS: Final[Mapping[str, str]] = {
    OPERATIONAL: "operational",
    MAINTENANCE: "under maintenance",
    Effects.DEGRADED.value: "degraded",
    Effects.PARTIAL.value: "partial outage",
    Effects.MAJOR.value: "major outage",
}
OVERALL: Final[Mapping[str, str]] = {
    OPERATIONAL: "Everything works",
    MAINTENANCE: "Maintenance in progress",
    Effects.DEGRADED.value: "Some things are slow or limited",
    Effects.PARTIAL.value: "Partial outage",
    Effects.MAJOR.value: "Major outage",
}


class ComponentShape(BaseModel):
    """A component and how it is. `days`: the worst of each of the last ninety days (UTC), oldest first."""

    name: str
    about: str
    state: str
    days: list[str]


class UpdateShape(BaseModel):
    """What was published at a time."""

    at: Time
    status: str
    effects: str
    text: str
    impact: str
    next_at: Time | None


class PublicIncident(BaseModel):
    """What is public of an incident, its updates newest first. `id` is its name on this page."""

    id: str
    title: str
    components: list[str]
    status: str
    effects: str
    published_at: Time
    resolved_at: Time | None
    updates: list[UpdateShape]


class MaintenanceShape(BaseModel):
    """Work on a component: `scheduled`, or `in progress`."""

    component: str
    text: str
    state: str
    starts_at: Time
    ends_at: Time


class PageShape(BaseModel):
    """The status page. `state` is the worst of its components; `updated_at` is when something was published last."""

    title: str
    about: str
    link: str
    state: str
    updated_at: Time | None
    components: list[ComponentShape]
    incidents: list[PublicIncident]
    maintenance: list[MaintenanceShape]
    past: list[PublicIncident]


def page_of(rules: StatusRules, published: Mapping[str, Publication], now: Millis) -> PageShape:
    """Return the page as it is at `now`. `published` is by the key of the incident."""
    maintenance = [one for one in rules.maintenance if one.end > now and one.start - now <= AHEAD]
    newest = sorted(published.items(), key=lambda pair: (-pair[1].published_at, pair[0]))
    open_ = [pair for pair in newest if pair[1].status is not Standing.RESOLVED]
    past = [pair for pair in newest if pair[1].status is Standing.RESOLVED and _recent(pair[1], now)]
    components = [
        ComponentShape(
            name=name,
            about=about,
            state=_state(name, [one for _, one in open_], maintenance, now),
            days=_days(name, published.values(), now),
        )
        for name, about in rules.components.items()
    ]
    stated = [one.effects.value for _, one in open_] + [one.state for one in components]
    last = max((one.updates[-1].at for one in published.values()), default=None)
    return PageShape(
        title=rules.title,
        about=rules.about,
        link=rules.link,
        state=_worst(stated),
        updated_at=None if last is None else time_of(last),
        components=components,
        incidents=[_incident(key, one) for key, one in open_],
        maintenance=[_work(one, now) for one in maintenance],
        past=[_incident(key, one) for key, one in past[:PAST_MAX]],
    )


def _recent(one: Publication, now: Millis) -> bool:
    return one.resolved_at is not None and now - one.resolved_at < DAYS * DAY


def _worst(states: Iterable[str]) -> str:
    return max(states, key=_ORDER.index, default=OPERATIONAL)


def _state(name: str, open_: list[Publication], maintenance: list[PublicMaintenance], now: Millis) -> str:
    states = [one.effects.value for one in open_ if name in one.components]
    if any(one.component == name and one.start <= now for one in maintenance):
        states.append(MAINTENANCE)
    return _worst(states)


def _days(name: str, published: Iterable[Publication], now: Millis) -> list[str]:
    """Return the worst state of each day, the last of which is today."""
    first = now // DAY - DAYS + 1
    days = [OPERATIONAL] * DAYS
    for one in published:
        if name not in one.components:
            continue
        ends = [update.at for update in one.updates[1:]] + [now + 1]
        for update, end in zip(one.updates, ends, strict=True):
            if update.status is Standing.RESOLVED:
                continue
            for day in range(max(first, update.at // DAY), min(first + DAYS - 1, (end - 1) // DAY) + 1):
                days[day - first] = _worst((days[day - first], update.effects.value))
    return days


def _incident(key: str, one: Publication) -> PublicIncident:
    updates = [
        UpdateShape(
            at=time_of(update.at),
            status=update.status.value,
            effects=update.effects.value,
            text=update.text,
            impact=update.impact,
            next_at=None if update.next_at is None else time_of(update.next_at),
        )
        for update in reversed(one.updates)
    ]
    return PublicIncident(
        id=address_of(key, one),
        title=one.title,
        components=list(one.components),
        status=one.status.value,
        effects=one.effects.value,
        published_at=time_of(one.published_at),
        resolved_at=None if one.resolved_at is None else time_of(one.resolved_at),
        updates=updates,
    )


def _work(one: PublicMaintenance, now: Millis) -> MaintenanceShape:
    state = "in progress" if one.start <= now else "scheduled"
    return MaintenanceShape(
        component=one.component, text=one.text, state=state, starts_at=time_of(one.start), ends_at=time_of(one.end)
    )
