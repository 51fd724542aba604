"""What people ask for: acknowledge, resolve, note. Each is answered: done, refused, or asked back."""

from __future__ import annotations

from typing import Final

from triage import incidents, paging
from triage.model import ENDED, Answer, Command, Incident, Phase, Verb, short
from triage.scene import Scene

DONE: Final = "done"
REFUSED: Final = "refused"
ASKS: Final = "asks"
NOTE_MAX: Final = 4_000
"""Longest note, in characters; the rest is cut, and the note says so."""


def obey(scene: Scene, command: Command) -> Answer:
    """Do what a person asks, and say what became of it."""
    if scene.draft.incident(command.incident) is None:
        return Answer(REFUSED, f"there is no incident {short(command.incident)}")
    incident = scene.draft.edit_incident(command.incident)
    incident.human_at = scene.now
    incident.changed_at = scene.now
    if command.verb is Verb.ACKNOWLEDGE:
        return _acknowledge(scene, incident, command)
    if command.verb is Verb.RESOLVE:
        return _resolve(scene, incident, command)
    return _note(scene, incident, command)


def _acknowledge(scene: Scene, incident: Incident, command: Command) -> Answer:
    if incident.phase in ENDED:
        return Answer(REFUSED, f"incident {short(incident.key)} has ended already ({incident.phase})")
    if incident.acked_by == command.by:
        return Answer(DONE, f"{command.by} has it already")
    before = incident.acked_by
    incident.acked_by, incident.acked_at = command.by, scene.now
    incident.last_acker = command.by
    incident.lead = ""
    if incident.phase is Phase.DETECTED:
        incident.phase = Phase.TRIAGED
    incident.page_at = None
    for timer in ("page", "notify"):
        scene.draft.timer(f"{timer}:{incident.key}", None)
    paging.cancel_pending(scene, incident)
    taken = f", taken over from {before}" if before else ""
    said = f": {command.text[:NOTE_MAX]}" if command.text else ""
    scene.line(incident, "acknowledged", f"{command.by} has it (by {command.via}){taken}{said}", by=command.by)
    after = scene.rulebook.defaults.remind_after.get(incident.severity.name)
    if after is not None:
        scene.draft.timer(f"remind:{incident.key}", scene.now + after)
    return Answer(DONE, f"{command.by} has it")


def _resolve(scene: Scene, incident: Incident, command: Command) -> Answer:
    if incident.phase in ENDED:
        return Answer(DONE, f"incident {short(incident.key)} has ended already")
    if incident.firing and not command.confirm:
        alerts = "1 alert still fires" if incident.firing == 1 else f"{incident.firing} alerts still fire"
        return Answer(ASKS, f"{alerts}; resolve all the same? Their repeats will not open it again.")
    still = f" while {incident.firing} still fired" if incident.firing else ""
    said = f": {command.text[:NOTE_MAX]}" if command.text else ""
    incidents.resolve(scene, incident, f"resolved by {command.by}{still}{said}", command.by)
    return Answer(DONE, "resolved")


def _note(scene: Scene, incident: Incident, command: Command) -> Answer:
    text = command.text.strip()
    if not text:
        return Answer(REFUSED, "a note needs text")
    if len(text) > NOTE_MAX:
        text = f"{text[:NOTE_MAX]}… (cut at {NOTE_MAX} characters)"
    scene.line(incident, "note", text, by=command.by)
    return Answer(DONE, "noted")
