"""What happens when a timer is due. A timer is a name, `<kind>:<id>`; all its state is in what it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from triage import (
    actions,
    deliveries,
    digests,
    drills,
    figures,
    firing,
    flapping,
    heartbeats,
    incidents,
    learning,
    metrics,
    overrides,
    paging,
    pausing,
    promise,
    raises,
    silences,
    storms,
    telling,
)
from triage.memory import ALERT, DETAILS, TALLY
from triage.model import DAY, ENDED, Alert, AlertState, Details, Incident, Millis, Phase
from triage.scene import Scene

KEEP_ON: Final[Millis] = 30 * DAY
"""How long an incident is kept on, again and again, while something of it is still to be done."""


def fire(scene: Scene, name: str) -> None:
    """Fire the timer of that name, which is due; it is gone unless what it does sets it again."""
    scene.draft.timer(name, None)
    kind, _, what = name.partition(":")
    if kind in _OTHER:
        _OTHER[kind](scene, what)
        return
    if kind in _ALERT:
        alert = scene.draft.alert(what)
        if alert is not None:
            _ALERT[kind](scene, what)
        return
    if scene.draft.incident(what) is not None:
        _INCIDENT[kind](scene, scene.draft.edit_incident(what))


def _settle(scene: Scene, incident: Incident) -> None:
    if incident.phase is Phase.MONITORING:
        incidents.resolve(scene, incident, "quiet for its settle time", "")


def _storm(scene: Scene, incident: Incident) -> None:
    if storms.is_over(scene, incident):
        incidents.resolve(scene, incident, "all that it stood for is taken or over", "")


def _forget(scene: Scene, incident: Incident) -> None:
    if incident.phase in ENDED and learning.keeps(scene, incident):
        scene.draft.timer(f"forget:{incident.key}", scene.now + KEEP_ON)
    elif incident.phase in ENDED:
        incidents.forget(scene, incident)


def _alert(scene: Scene, fingerprint: str) -> None:
    """The long timer of an alert: firing, it may be stale; ended, it may be forgotten."""
    alert: Alert = scene.draft.edit((ALERT, fingerprint))
    defaults = scene.rulebook.defaults
    incident = scene.draft.incident(alert.incident) if alert.incident else None
    timer = f"alert:{fingerprint}"
    if alert.state is AlertState.FIRING or alert.state is AlertState.HELD:
        due = alert.seen_at + scene.rulebook.stale_after(alert.source)
        if due > scene.now:
            scene.draft.timer(timer, due)
            return
        if alert.state is AlertState.HELD:
            _drop_alert(scene, fingerprint, alert)  # it never began; should it fire again, that is decided anew
            scene.draft.timer(f"hold:{fingerprint}", None)
            return
        alert.state = AlertState.STALE
        alert.changed_at = scene.now
        scene.draft.timer(timer, scene.now + defaults.forget_alert_after)
        if incident is not None:
            _went_stale(scene, scene.draft.edit_incident(incident.key), alert, fingerprint)
        return
    if alert.state is AlertState.STALE and incident is not None and incident.phase not in ENDED:
        scene.draft.timer(timer, scene.now + defaults.forget_alert_after)
        return
    due = alert.changed_at + defaults.forget_alert_after
    if due > scene.now:
        scene.draft.timer(timer, due)
        return
    if alert.state is AlertState.STALE and incident is not None:
        _uncounted(scene, scene.draft.edit_incident(incident.key), fingerprint)
    _drop_alert(scene, fingerprint, alert)


def _drop_alert(scene: Scene, fingerprint: str, alert: Alert) -> None:
    scene.draft.put((ALERT, fingerprint), None)
    scene.draft.put((DETAILS, fingerprint), None)
    if alert.incident:
        scene.draft.member(alert.incident, fingerprint, False)


def _went_stale(scene: Scene, incident: Incident, alert: Alert, fingerprint: str) -> None:
    incident.stale += 1
    hours = (scene.now - alert.seen_at) / 3_600_000
    title = incidents.title_of(scene, fingerprint)
    scene.line(incident, "stale", f"{title}: no word from {alert.source} for {hours:.1f} h", minor=True)
    if incident.stale >= incident.firing:
        incidents.gone_quiet(scene, incident)


def _uncounted(scene: Scene, incident: Incident, fingerprint: str) -> None:
    incident.firing = max(0, incident.firing - 1)
    incident.stale = max(0, incident.stale - 1)
    flapping.forgotten(incident, scene.draft.alert(fingerprint))
    pausing.left(scene, incident, fingerprint)
    details: Details | None = scene.draft.get((DETAILS, fingerprint))
    if details is not None and details.counted and scene.draft.get((TALLY, incident.key)) is not None:
        raises.uncount(scene, incident, details.counted)


_INCIDENT: Final[dict[str, Callable[[Scene, Incident], None]]] = {
    "page": paging.fire,
    "notify": paging.notify_step,
    "joined": telling.tell_joined,
    "remind": paging.remind,
    "snooze": paging.wake,
    "quiet": paging.resume,
    "after": raises.fire,
    "storm": _storm,
    "promise": promise.fire,
    "settle": incidents.settle,
    "forget": _forget,
    "learn": learning.remind,
    "measure": metrics.fire,
    "verifying": incidents.look,
}
_OTHER: Final[dict[str, Callable[[Scene, str], None]]] = {
    "override": overrides.forget_ended,
    "beat": heartbeats.fire,
    "handed": deliveries.no_word,
    "run": actions.overdue,
    "verify": actions.look,
    "silence": silences.fire,
    "digest": digests.fire,
    "drill": drills.fire,
    "past": figures.fire,
}
_ALERT: Final[dict[str, Callable[[Scene, str], None]]] = {
    "alert": _alert,
    "hold": firing.look_again,
    "flap": firing.settle,
}
