"""Figures of an incident that outlive it: written when it ends, kept when its timeline and the journal are gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from triage import lessons
from triage.memory import PAST, POSTMORTEM, VERSION
from triage.model import DAY, Incident, Millis
from triage.postmortem import Past, Postmortem
from triage.rulebook.intervals import zone
from triage.scene import Scene

KEPT: Final[Millis] = 800 * DAY
"""How long figures, postmortems and their versions are kept after the incident ended: two years compare."""
PEOPLE_MAX: Final = 50
"""How many people of one incident have figures of their own."""
NIGHTS_MAX: Final = 100
"""How many nights of one incident are told apart."""
NIGHT: Final = (22, 7)
"""A page from the first hour on and before the second, by the clock of whoever got it, is one at night."""


def called(scene: Scene, incident: Incident, name: str) -> None:
    """Count a page to somebody, and whether it was at night where they are."""
    if name not in incident.calls and len(incident.calls) >= PEOPLE_MAX:
        return
    person = scene.rulebook.people.get(name)
    here = person.time_zone if person is not None and person.time_zone else "UTC"
    pages, nights = incident.calls.get(name, (0, 0))
    night = night_of(datetime.fromtimestamp(scene.now / 1_000, zone(here)))
    incident.calls = {**incident.calls, name: (pages + 1, nights + bool(night))}
    known = incident.by_night.get(name, {})
    if night and (night in known or len(known) < NIGHTS_MAX):
        incident.by_night = {**incident.by_night, name: {**known, night: known.get(night, 0) + 1}}


def night_of(moment: datetime) -> str:
    """Return the day on whose evening the night of a moment began, by its own clock, or "" by day."""
    if moment.hour >= NIGHT[0]:
        return moment.date().isoformat()
    return (moment.date() - timedelta(days=1)).isoformat() if moment.hour < NIGHT[1] else ""


def add_nights(into: Incident, gone: Incident) -> None:
    """Let pages by night of an incident that becomes part of another count there."""
    for name, nights in gone.by_night.items():
        known = into.by_night.get(name, {})
        both = {night: known.get(night, 0) + nights.get(night, 0) for night in sorted({*known, *nights})[:NIGHTS_MAX]}
        into.by_night = {**into.by_night, name: both}


def ended(scene: Scene, incident: Incident) -> None:
    """Keep the figures of an incident that ended."""
    past = Past(
        title=incident.title,
        service=incident.service,
        severity=incident.severity,
        rule=incident.rule,
        opened_at=incident.opened_at,
        resolved_at=incident.resolved_at or scene.now,
        taken_at=incident.taken_at,
        mitigating_at=incident.mitigating_at,
        calls=incident.calls,
        alerts=incident.alerts,
        pages=incident.pages,
        root_cause=incident.root_cause,
        by_night=incident.by_night,
    )
    scene.draft.put((PAST, incident.key), past)
    scene.draft.timer(f"past:{incident.key}", scene.now + KEPT)


def goes_on(scene: Scene, key: str) -> None:
    """Drop the figures: it did not end after all, or became part of another one."""
    scene.draft.put((PAST, key), None)
    scene.draft.timer(f"past:{key}", None)


def fire(scene: Scene, key: str) -> None:
    """The timer `past:<incident>` is due: forget what was learned with its figures."""
    found: Postmortem | None = scene.draft.get((POSTMORTEM, key))
    scene.draft.put((PAST, key), None)
    scene.draft.put((POSTMORTEM, key), None)
    lessons.drop(scene, key)
    for number in range(1, (found.versions if found is not None else 0) + 1):
        scene.draft.put((VERSION, f"{key}/{number}"), None)
