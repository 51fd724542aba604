"""What people ask for. Each command is answered: done, refused, or asked back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from triage import actions, checking, commanding, drills, heard, items, learning, merging, phases, responding, updates
from triage.model import ENDED, Answer, Command, Incident, Phase, Verb, short
from triage.scene import Scene

DONE: Final = responding.DONE
REFUSED: Final = responding.REFUSED
ASKS: Final = phases.ASKS

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
    Verb.PHASE: _ANY,  # `phases.MOVES` says from where to where
    Verb.SEVERITY: _ANY,
    Verb.ROLE: _ANY,
    Verb.IMPACT: _ANY,
    Verb.ETA: _OPEN,
    Verb.LINK: _ANY,
    Verb.MERGE: _ANY,
    Verb.CHECK: _ANY,
    Verb.UPDATE: _ANY,
    Verb.ACTION: _OPEN,
    Verb.MITIGATION: _ANY,
    Verb.POSTMORTEM: _ANY,
    Verb.ITEM: _ANY,
    Verb.MISTAP: _ANY,
    Verb.HEARD: _ANY,
}
"""In which phases a command is taken. In monitoring nothing fires, so that there is nothing to page by policy for."""


def obey(scene: Scene, command: Command) -> Answer:
    """Do what a person asks, and say what became of it."""
    known = scene.draft.incident(command.incident)
    if known is None:
        drilled = drills.answer(scene, command)
        if drilled is not None:
            return drilled
        return Answer(REFUSED, f"there is no incident {short(command.incident)}")
    if heard.before(scene, command):
        return Answer(heard.REPEATED, "")
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


_DO: Final[dict[Verb, Callable[[Scene, Incident, Command], Answer]]] = {
    Verb.ACKNOWLEDGE: responding.acknowledge,
    Verb.UNACKNOWLEDGE: responding.unacknowledge,
    Verb.SNOOZE: responding.snooze,
    Verb.ASSIGN: responding.assign,
    Verb.ESCALATE: responding.escalate,
    Verb.PAGE: responding.page,
    Verb.RESOLVE: phases.resolve,
    Verb.NOTE: commanding.note,
    Verb.PHASE: phases.move,
    Verb.SEVERITY: commanding.severity,
    Verb.ROLE: commanding.role,
    Verb.IMPACT: commanding.impact,
    Verb.ETA: commanding.eta,
    Verb.LINK: commanding.link,
    Verb.MERGE: merging.merge,
    Verb.CHECK: checking.check,
    Verb.UPDATE: updates.update,
    Verb.ACTION: actions.ask,
    Verb.MITIGATION: actions.mitigation,
    Verb.POSTMORTEM: learning.postmortem,
    Verb.ITEM: items.item,
    Verb.MISTAP: responding.mistap,
    Verb.HEARD: heard.noted,
}
