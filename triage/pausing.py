"""Paging pauses while every firing alert of an incident is silenced, and begins anew at step 1 when one no longer is.

Whether it pauses is asked when a page is due, so that a new silence need not look for what it means. `paging` asks.
"""

from __future__ import annotations

from typing import Final, cast

from triage import quiet
from triage.memory import ALERT, CROWD, DETAILS
from triage.model import Alert, Details, Event, Incident, Status
from triage.quiet import Quiet
from triage.scene import Scene
from triage.silence import Crowd

CROWD_MAX: Final = 1_000
"""How many firing alerts of one incident are looked at. With more, not all may be silenced, and paging goes on."""
OWNERS_MAX: Final = 20
"""How many silences, mutes and inhibitions can set one incident going at once; with more, it looks each minute."""


def joined(scene: Scene, incident: Incident, fingerprint: str) -> None:
    """Note an alert that joined, and is told; if paging pauses, it may have to go on."""
    known = cast("Crowd | None", scene.draft.get((CROWD, incident.key))) if incident.alerts > 1 else None
    members = known.members if known is not None else ()
    if fingerprint not in members and len(members) < CROWD_MAX:
        scene.draft.put((CROWD, incident.key), Crowd((*members, fingerprint)))
    if incident.paused:
        scene.draft.timer(f"quiet:{incident.key}", scene.now)


def left(scene: Scene, incident: Incident, fingerprint: str) -> None:
    """Note an alert that no longer fires."""
    alert = scene.draft.alert(fingerprint)
    if alert is not None and alert.quiet:
        unmark(scene, incident, fingerprint)
        return
    known = cast("Crowd | None", scene.draft.get((CROWD, incident.key)))
    if known is not None and fingerprint in known.members:
        rest = tuple(one for one in known.members if one != fingerprint)
        scene.draft.put((CROWD, incident.key), Crowd(rest) if rest else None)


def unmark(scene: Scene, incident: Incident, fingerprint: str) -> None:
    """An alert that joined silenced is so no longer, or no longer fires."""
    alert: Alert = scene.draft.edit((ALERT, fingerprint))
    alert.quiet = ""
    scene.draft.timer(f"hold:{fingerprint}", None)
    incident.quiet = max(0, incident.quiet - 1)


def pause(scene: Scene, incident: Incident) -> bool:
    """Pause if every firing alert is silenced now. Return whether it pauses."""
    found = _all_quiet(scene, incident)
    if found is None:
        return False
    text = "; ".join(one.text for one in found[:3]) or "every firing alert joined silenced"
    if incident.paused != text:
        scene.line(incident, "paused", f"paging pauses: {text}")
    incident.paused = text
    incident.page_at = None
    incident.round, incident.step, incident.paged = 0, -1, False
    for timer in ("page", "notify"):
        scene.draft.timer(f"{timer}:{incident.key}", None)
    timer = f"quiet:{incident.key}"
    again = [quiet.wait_for(scene, one, timer) for one in found[:OWNERS_MAX]]
    if len(again) < len(found):
        again.append(scene.now + quiet.LOOK_AGAIN)
    scene.draft.timer(timer, min(again, default=scene.now + quiet.RECHECK))
    quiet.incident_changed(scene, incident)
    return True


def goes_on(scene: Scene, incident: Incident) -> None:
    """Forget that paging pauses: it begins, or ends."""
    if incident.paused:
        incident.paused = ""
        scene.draft.timer(f"quiet:{incident.key}", None)


def _all_quiet(scene: Scene, incident: Incident) -> list[Quiet] | None:
    """Return what silences the firing alerts, one for each owner; None when one of them is not silenced, or unknown."""
    if incident.firing == 0 or not (incident.quiet or quiet.anything(scene)):
        return None
    known = cast("Crowd | None", scene.draft.get((CROWD, incident.key)))
    members = known.members if known is not None else ()
    if len(members) != incident.firing - incident.quiet:
        return None
    found: dict[str, Quiet] = {}
    for fingerprint in members:
        one = _of_alert(scene, incident, fingerprint)
        if one is None:
            return None
        found.setdefault(one.owner, one)
    return list(found.values())


def _of_alert(scene: Scene, incident: Incident, fingerprint: str) -> Quiet | None:
    alert = scene.draft.alert(fingerprint)
    details = cast("Details | None", scene.draft.get((DETAILS, fingerprint)))
    if alert is None or details is None:
        return None
    event = as_event(fingerprint, details)
    labels = scene.rulebook.labels_of(alert.source, event)
    return quiet.quieting(scene, labels, fingerprint, min(alert.severity, incident.severity))


def as_event(fingerprint: str, details: Details) -> Event:
    """Return the event that would say again what is remembered of a firing alert."""
    return Event(
        status=Status.FIRING,
        fingerprint=fingerprint,
        title=details.title,
        labels=details.labels,
        annotations=details.annotations,
        raw_severity=details.raw_severity,
        url=details.url,
        kind=details.kind,
        anonymous=details.anonymous,
    )
