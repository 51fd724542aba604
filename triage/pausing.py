"""Paging pauses while every firing alert of an incident is silenced, and begins anew at step 1 when one no longer is.

Whether it pauses is asked when a page is due, so that a new silence need not look for what it means. `paging` asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from triage import quiet
from triage.memory import ALERT, CROWD, DETAILS, Key
from triage.model import Alert, Details, Event, Incident, Status
from triage.quiet import Quiet
from triage.scene import Scene
from triage.silence import Crowd

CROWD_MAX: Final = 64
"""How many firing alerts of one incident are looked at whose fingerprints begin alike, so some 1,000 of each incident.
With more, not all may be silenced, and paging goes on.
"""
OWNERS_MAX: Final = 20
"""How many silences, mutes and inhibitions can set one incident going at once; with more, it looks each minute."""


def joined(scene: Scene, incident: Incident, fingerprint: str) -> None:
    """Note an alert that joined, and is told; if paging pauses, it may have to go on.

    The firing alerts are kept in sixteen parts, by the first digit of the fingerprint: an alert that joins a large
    incident would otherwise have all of them written again.
    """
    known = _part(scene, incident, fingerprint)
    members = known.members if known is not None else ()
    if fingerprint not in members and len(members) < CROWD_MAX:
        incident.parts |= 1 << int(fingerprint[0], 16)
        scene.draft.put(part_key(incident, fingerprint[0]), Crowd((*members, fingerprint)))
    if incident.paused:
        scene.draft.timer(f"quiet:{incident.key}", scene.now)


def left(scene: Scene, incident: Incident, fingerprint: str) -> None:
    """Note an alert that no longer fires."""
    alert = scene.draft.alert(fingerprint)
    if alert is not None and alert.quiet:
        unmark(scene, incident, fingerprint)
        return
    known = _part(scene, incident, fingerprint)
    if known is not None and fingerprint in known.members:
        rest = tuple(one for one in known.members if one != fingerprint)
        scene.draft.put(part_key(incident, fingerprint[0]), Crowd(rest) if rest else None)


def merge(scene: Scene, gone: Incident, into: Incident) -> None:
    """Let the firing alerts of one incident be those of another."""
    for digit in range(16):
        theirs, ours = part_key(gone, f"{digit:x}"), part_key(into, f"{digit:x}")
        known = cast("Crowd | None", scene.draft.get(theirs)) if gone.parts & (1 << digit) else None
        if known is None:
            continue
        own = cast("Crowd | None", scene.draft.get(ours)) if into.parts & (1 << digit) else None
        members = dict.fromkeys((*(own.members if own is not None else ()), *known.members))
        scene.draft.put(ours, Crowd(tuple(members)[:CROWD_MAX]))
        scene.draft.put(theirs, None)
        into.parts |= 1 << digit


def part_key(incident: Incident, digit: str) -> Key:
    """Return where the firing alerts of an incident are kept whose fingerprints begin with that hex digit."""
    return (CROWD, f"{incident.key}/{digit}")


def parts_of(incident: Incident) -> Iterator[Key]:
    """Yield the keys of all parts that were ever made; asking for what cannot be there costs a round trip each time."""
    return (part_key(incident, f"{digit:x}") for digit in range(16) if incident.parts & (1 << digit))


def _part(scene: Scene, incident: Incident, fingerprint: str) -> Crowd | None:
    if not incident.parts & (1 << int(fingerprint[0], 16)):
        return None
    return cast("Crowd | None", scene.draft.get(part_key(incident, fingerprint[0])))


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
    parts = [cast("Crowd | None", scene.draft.get(key)) for key in parts_of(incident)]
    members = [one for part in parts if part is not None for one in part.members]
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
