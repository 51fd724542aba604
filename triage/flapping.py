"""Alerts that flap: one page says so, their ends are held back, and one message at the end says what was withheld.

A change is that an alert begins to fire, or ends. What flaps counts as firing, whatever its sender says, until it has
not changed for a while: its incident neither settles nor opens again, and pages no more than any other that is open.
Silenced alerts are told of nothing, so their changes are counted and no more.
"""

from __future__ import annotations

from typing import Final

import msgspec

from triage import incidents, paging, telling
from triage.memory import ALERT
from triage.model import (
    ENDED,
    Alert,
    AlertState,
    Decision,
    Event,
    Flap,
    Incident,
    Millis,
    Outcome,
    Phase,
    Reason,
)
from triage.rulebook.durations import show_duration
from triage.scene import Scene

_replace: Final = msgspec.structs.replace


def begins(scene: Scene, source: str, event: Event, known: Alert | None) -> Flap | None:
    """Return what is remembered of an alert's changes once it began to fire again; None where nobody wants to know."""
    rules = scene.rulebook.quiet.flapping
    limits = rules.for_labels(scene.rulebook.labels_of(source, event)) if rules is not None else None
    if limits is None:
        return None
    before = known.flap.times if known is not None and known.flap is not None else ()
    return _changed(Flap(before, limits.changes, limits.within, limits.rest), scene.now)


def _changed(flap: Flap, now: Millis) -> Flap:
    times = (*(at for at in flap.times if now - at < flap.within), now)[-flap.limit :]
    return _replace(flap, times=times)


def began(scene: Scene, fingerprint: str, alert: Alert, title: str) -> None:
    """An alert was placed in its incident, which tells of it as of any other: if it flaps, the incident says so."""
    if alert.flap is not None and _reached(alert.flap):
        _start(scene, scene.draft.edit_incident(alert.incident), alert, alert.flap, title)
        rest(scene, fingerprint, alert)


def _reached(flap: Flap) -> bool:
    return flap.since is None and len(flap.times) >= flap.limit


def _start(scene: Scene, incident: Incident, alert: Alert, flap: Flap, title: str) -> None:
    took = show_duration(max(1_000, (flap.times[-1] - flap.times[0] + 999) // 1_000 * 1_000))
    alert.flap = _replace(flap, times=(scene.now,), since=scene.now)
    incident.flapping += 1
    incident.flaps = f"{title}: {flap.limit} changes in {took}"
    text = f"{incident.flaps}. Its ends are held back until it has not changed for {show_duration(flap.rest)}"
    scene.line(incident, "flapping", text)


def rest(scene: Scene, fingerprint: str, alert: Alert) -> None:
    """Look after an alert that flaps once it has not changed for a while."""
    if alert.flap is not None and alert.flap.since is not None:
        scene.draft.timer(f"flap:{fingerprint}", alert.flap.times[-1] + alert.flap.rest)


def ends(scene: Scene, event: Event, alert: Alert) -> Decision | None:
    """Note that an alert ended. Return the decision where that is held back, or known already; None: it ends."""
    flap, incident = alert.flap, _incident_of(scene, alert)
    if flap is None:
        return None
    if flap.since is None:
        flap = alert.flap = _changed(flap, scene.now)
        if incident is None or incident.phase in ENDED or incident.phase is Phase.MONITORING:
            return None
        if not _reached(flap) or alert.quiet or alert.state is not AlertState.FIRING:
            return None
        incident = scene.draft.edit_incident(incident.key)
        title = incidents.title_of(scene, event.fingerprint)
        _start(scene, incident, alert, flap, title)
        _say(scene, incident)
    elif flap.down:
        return _held(event, alert, Outcome.DEDUPLICATED, Reason.ALREADY_RESOLVED)
    alert.flap = _withheld(scene, alert.flap, down=True)
    alert.ends_at = scene.now if event.ends_at is None else event.ends_at
    alert.seen_at = scene.now
    rest(scene, event.fingerprint, alert)
    return _held(event, alert, Outcome.HELD, Reason.FLAPPING)


def _say(scene: Scene, incident: Incident) -> None:
    """Say that it flaps where nothing else would: its last firing alert would have ended."""
    if incident.firing > 1:
        return
    if incident.acked_by:
        text = f"{incident.flaps}. You have it; nobody else is paged, and its ends are held back until it settles."
        telling.notify(
            scene, incident, incident.acked_by, "flapping", f"Flapping: {incident.title}", text, "you have it"
        )
    elif paging.pages_people(incident.severity) and not incident.paused and (incident.paged or not incident.page_at):
        paging.cancel_pending(scene, incident)
        paging.begin(scene, incident)


def again(scene: Scene, alert: Alert) -> bool:
    """Note that an alert fires by its sender's word. Return whether that is a change which is held back."""
    if alert.flap is None or not alert.flap.down:
        return False
    alert.flap = _withheld(scene, alert.flap, down=False)
    return True


def _withheld(scene: Scene, flap: Flap | None, down: bool) -> Flap:
    assert flap is not None  # noqa: S101  only what flaps is held back
    return _replace(flap, times=(scene.now,), down=down, withheld=flap.withheld + 1)


class Settled(msgspec.Struct, frozen=True):
    """An alert does not flap any more. `down`: it is over; `anew`: it began to fire after its incident was over."""

    account: str
    down: bool
    anew: bool


def settles(scene: Scene, fingerprint: str) -> Settled | None:
    """The timer `flap:<fingerprint>` is due: without a change for long enough, what the sender said last counts."""
    alert: Alert = scene.draft.edit((ALERT, fingerprint))
    flap = alert.flap
    if flap is None or flap.since is None:
        return None
    if flap.times[-1] + flap.rest > scene.now:
        rest(scene, fingerprint, alert)
        return None
    alert.flap = _replace(flap, times=(), since=None, down=False, withheld=0)
    account = _account(flap, incidents.title_of(scene, fingerprint))
    known = _incident_of(scene, alert)
    if known is None:
        return Settled(account, flap.down, False)
    incident = scene.draft.edit_incident(known.key)
    stops(incident)
    scene.line(incident, "settled", account)
    over = incident.resolved_at if incident.phase in ENDED else incident.monitoring_at
    return Settled(account, flap.down, not flap.down and over is not None and flap.times[-1] >= over)


def tell_settled(scene: Scene, incident: Incident, settled: Settled) -> None:
    """Give an account to whoever was told of an incident that goes on, unless it is silenced."""
    if incident.paused or incident.phase in ENDED or incident.phase is Phase.MONITORING:
        return
    title = f"Settled{'' if settled.down else ', and fires'}: {incident.title}"
    telling.tell(scene, incident, "settled", title, f"{settled.account}.")
    if incident.acked_by and incident.acked_by not in incident.told:
        telling.notify(scene, incident, incident.acked_by, "settled", title, f"{settled.account}.", "you have it")


def stops(incident: Incident) -> None:
    """One of an incident's alerts flaps no more, or is forgotten."""
    incident.flapping = max(0, incident.flapping - 1)
    incident.flaps = incident.flaps if incident.flapping else ""


def forgotten(incident: Incident, alert: Alert | None) -> None:
    """An incident loses an alert without its end: if it flapped, it does so there no more."""
    if alert is not None and alert.flap is not None and alert.flap.since is not None:
        stops(incident)


def hand_over(_scene: Scene, gone: Incident, into: Incident) -> None:
    """Let an incident take over the flapping alerts of one that is merged into it."""
    into.flapping += gone.flapping
    into.flaps = into.flaps or gone.flaps
    gone.flapping, gone.flaps = 0, ""


def _account(flap: Flap, title: str) -> str:
    state = "is over" if flap.down else "still fires"
    lasted = show_duration(max(1_000, (flap.times[-1] - (flap.since or 0)) // 1_000 * 1_000))
    return (
        f"{title} {state}: it flapped for {lasted} and has not changed for {show_duration(flap.rest)} since; "
        f"{flap.withheld} changes were withheld"
    )


def _incident_of(scene: Scene, alert: Alert) -> Incident | None:
    return scene.draft.incident(alert.incident) if alert.incident else None


def _held(event: Event, alert: Alert, outcome: Outcome, reason: Reason) -> Decision:
    return Decision(outcome, reason, alert.severity, event.fingerprint, "", alert.incident, detail_of(alert))


def detail_of(alert: Alert) -> str:
    """Return why a change of an alert is held back, as a sentence; "" where none is."""
    flap = alert.flap
    if flap is None or flap.since is None:
        return ""
    return f"it flaps: its changes are held back until there was none for {show_duration(flap.rest)}"
