"""The promise of the next status update: when people hear of an incident again.

It is a timer of the incident. Ten minutes before it is due whoever communicates is reminded; when it is broken they are
paged, and again after each interval until an update is sent or the incident ends. A raise of the severity moves it
nearer, counted from when it was made; lowering leaves what was promised.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, cast

from triage import paging, telling
from triage.memory import UPDATES
from triage.model import ENDED, HOUR, MINUTE, Incident, Millis, Role, Severity, short
from triage.rulebook import Rulebook
from triage.rulebook.durations import show_duration
from triage.scene import Scene
from triage.status import StatusUpdates

REMIND_BEFORE: Final[Millis] = 10 * MINUTE
GRACE: Final[Millis] = REMIND_BEFORE
"""The least time that a raise leaves for an update: who communicates is reminded at once, and then has this long."""


def interval_of(rulebook: Rulebook, severity: Severity) -> Millis:
    """Return how soon after an update the next one is promised for this severity; 0: not at all."""
    return rulebook.updates.intervals.get(severity, 0)


def begin(scene: Scene, incident: Incident) -> None:
    """Somebody communicates now: the first update is promised, if none is promised yet and the severity has one."""
    interval = interval_of(scene.rulebook, incident.severity)
    if incident.next_update is None and incident.phase not in ENDED and interval:
        make(scene, incident, scene.now + interval)


def make(scene: Scene, incident: Incident, due: Millis | None) -> None:
    """Promise the next update for then, counted from now; None: promise nothing any more."""
    incident.promised_at = None if due is None else scene.now
    _set(scene, incident, due)


def _set(scene: Scene, incident: Incident, due: Millis | None) -> None:
    incident.next_update = due
    scene.draft.timer(f"promise:{incident.key}", None if due is None else max(scene.now, due - REMIND_BEFORE))


def tighten(scene: Scene, incident: Incident, before: Severity) -> None:
    """The severity was raised from `before`: people hear of it as soon as the new one says.

    It never comes later than promised. What would be due already, or before anybody could be reminded, is due after
    GRACE. Where the severity before promised nothing, and somebody has the role, it begins.
    """
    interval = interval_of(scene.rulebook, incident.severity)
    if not interval or incident.phase in ENDED:
        return
    due = incident.next_update
    if due is None:
        if not interval_of(scene.rulebook, before) and Role.COMMUNICATIONS in incident.roles:
            begin(scene, incident)
            scene.line(incident, "promise", f"{incident.severity} promises an update by {_clock(scene.now + interval)}")
        return
    since = scene.now if incident.promised_at is None else incident.promised_at
    sooner = max(since + interval, scene.now + GRACE)
    if sooner < due:
        _set(scene, incident, sooner)
        every = show_duration(interval)
        said = f"{incident.severity} is told of every {every}: the next update is due by {_clock(sooner)}"
        scene.line(incident, "promise", f"{said}, no longer by {_clock(due)}")


def hand_over(scene: Scene, gone: Incident, into: Incident) -> None:
    """Let what was promised of a merged incident hold for the other: the sooner of both promises. What is over promises
    nothing any more.
    """
    due, gone.next_update = gone.next_update, None
    if due is None or {gone.phase, into.phase} & ENDED or (into.next_update is not None and into.next_update <= due):
        return
    into.promised_at = gone.promised_at
    _set(scene, into, due)
    scene.line(into, "promise", f"of {short(gone.key)} the next update is promised by {_clock(due)}: now of this one")


def fire(scene: Scene, incident: Incident) -> None:
    """The timer `promise:<incident>` is due: remind whoever communicates, or page them."""
    due = incident.next_update
    if due is None or incident.phase in ENDED:
        incident.next_update = None
        return
    if scene.now < due:
        _remind(scene, incident, due)
        scene.draft.timer(f"promise:{incident.key}", due)
        return
    late = f", {(scene.now - due) // MINUTE} min ago" if scene.now - due >= MINUTE else ""
    scene.line(incident, "promise-broken", f"an update was promised for now{late}, and there is none")
    why = "an update was promised, and it is overdue: send one, or say when"
    if not any(paging.page_asked(scene, incident, name, why) for name in _communicators(scene, incident)):
        scene.line(incident, "unreachable", f"{why}, and nobody can be paged for it")
    again = interval_of(scene.rulebook, incident.severity) or HOUR
    scene.draft.timer(f"promise:{incident.key}", scene.now + again)


def _remind(scene: Scene, incident: Incident, due: Millis) -> None:
    minutes = max(1, (due - scene.now) // MINUTE)
    title = f"Update due in {minutes} min: {incident.title}"
    text = f"Send it with: tocsin incident update {short(incident.key)}. When it does not come, you are paged."
    for name in _communicators(scene, incident):
        if telling.notify(scene, incident, name, "promise", title, text, "you communicate for this incident"):
            return


def _communicators(scene: Scene, incident: Incident) -> list[str]:
    """Return who is to keep the promise, the first of them that can be told; the last resort where nobody is."""
    items = _said(scene, incident).items
    author = items[-1].by if items else ""
    roles = incident.roles
    named = (roles.get(Role.COMMUNICATIONS), author, roles.get(Role.COMMANDER), incident.acked_by)
    return [name for name in dict.fromkeys((*named, *scene.rulebook.last_resort)) if name]


def _said(scene: Scene, incident: Incident) -> StatusUpdates:
    return cast("StatusUpdates | None", scene.draft.get((UPDATES, incident.key))) or StatusUpdates()


def _clock(at: Millis) -> str:
    return datetime.fromtimestamp(at / 1_000, tz=UTC).strftime("%H:%M UTC")
