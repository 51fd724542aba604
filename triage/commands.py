"""What people ask for. Each command is answered: done, refused, or asked back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from triage import incidents, responding
from triage.model import ENDED, Answer, Command, Incident, Phase, Verb, short
from triage.scene import Scene

DONE: Final = responding.DONE
REFUSED: Final = responding.REFUSED
ASKS: Final = "asks"
NOTE_MAX: Final = 4_000
"""Longest note, in characters; the rest is cut, and the note says so."""

_WORKING: Final = frozenset({Phase.DETECTED, Phase.TRIAGED, Phase.MITIGATING})
_OPEN: Final = _WORKING | {Phase.MONITORING}
_ANY: Final = frozenset(Phase)
ALLOWED: Final[dict[Verb, frozenset[Phase]]] = {
    Verb.ACKNOWLEDGE: _OPEN,
    Verb.UNACKNOWLEDGE: _WORKING,
    Verb.SNOOZE: _WORKING,
    Verb.ASSIGN: _WORKING,
    Verb.ESCALATE: _WORKING,
    Verb.PAGE: _OPEN,
    Verb.RESOLVE: _ANY,  # once more is no harm, and is answered as done
    Verb.NOTE: _ANY,
    Verb.MISTAP: _ANY,
}
"""In which phases a command is taken. In monitoring nothing fires, so that there is nothing to page by policy for."""


def obey(scene: Scene, command: Command) -> Answer:
    """Do what a person asks, and say what became of it."""
    known = scene.draft.incident(command.incident)
    if known is None:
        return Answer(REFUSED, f"there is no incident {short(command.incident)}")
    if known.phase not in ALLOWED[command.verb]:
        return Answer(REFUSED, _not_now(known, command.verb))
    incident = scene.draft.edit_incident(command.incident)
    if command.verb is not Verb.MISTAP:
        incident.human_at = scene.now
    incident.changed_at = scene.now
    return _DO[command.verb](scene, incident, command)


def _not_now(incident: Incident, verb: Verb) -> str:
    if incident.phase in ENDED:
        return f"incident {short(incident.key)} has ended already ({incident.phase})"
    return (
        f"nothing of incident {short(incident.key)} fires any more ({incident.phase}): {verb} would change nothing; "
        "page a person, write a note, or resolve it"
    )


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


_DO: Final[dict[Verb, Callable[[Scene, Incident, Command], Answer]]] = {
    Verb.ACKNOWLEDGE: responding.acknowledge,
    Verb.UNACKNOWLEDGE: responding.unacknowledge,
    Verb.SNOOZE: responding.snooze,
    Verb.ASSIGN: responding.assign,
    Verb.ESCALATE: responding.escalate,
    Verb.PAGE: responding.page,
    Verb.RESOLVE: _resolve,
    Verb.NOTE: _note,
    Verb.MISTAP: responding.mistap,
}
