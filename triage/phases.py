"""Which phase follows which when people say so. Alerts move incidents as well: see `incidents`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from triage import closing, incidents, publishing, responding
from triage.model import ENDED, Answer, Command, Incident, Phase, short
from triage.scene import Scene

DONE: Final = responding.DONE
REFUSED: Final = responding.REFUSED
ASKS: Final = "asks"

_DETECTED, _TRIAGED, _MITIGATING, _MONITORING = Phase.DETECTED, Phase.TRIAGED, Phase.MITIGATING, Phase.MONITORING
_RESOLVED, _POSTMORTEM, _CLOSED = Phase.RESOLVED, Phase.POSTMORTEM, Phase.CLOSED
MOVES: Final[dict[tuple[Phase, Phase], str]] = {
    (_DETECTED, _TRIAGED): "you take it",
    (_DETECTED, _MITIGATING): "you take it",
    (_DETECTED, _MONITORING): "once nothing fires",
    (_DETECTED, _RESOLVED): "asks while something fires",
    (_TRIAGED, _MITIGATING): "nobody had it: you take it",  # both also by running an action
    (_TRIAGED, _MONITORING): "once nothing fires",
    (_TRIAGED, _RESOLVED): "asks while something fires",
    (_MITIGATING, _TRIAGED): "what was tried did not help",
    (_MITIGATING, _MONITORING): "once nothing fires",
    (_MITIGATING, _RESOLVED): "asks while something fires",
    (_MONITORING, _TRIAGED): "it is not over: you take it",
    (_MONITORING, _MITIGATING): "it is not over: you take it",
    (_MONITORING, _RESOLVED): "without waiting for its settle time",
    (_RESOLVED, _TRIAGED): "it is not over: you take it, while it may still open again",
    (_RESOLVED, _POSTMORTEM): "somebody begins to learn from it",
    (_RESOLVED, _CLOSED): "nothing is to be learned from it",
    (_POSTMORTEM, _CLOSED): "what was to be learned is written down",
    (_CLOSED, _POSTMORTEM): "there is more to learn",
}
"""Every move that a person may ask for, from and to, and what comes with it. What is not here is refused."""


def move(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Bring an incident into the phase that somebody asks for."""
    wanted = command.data.get("to", "")
    if wanted not in [phase.value for phase in Phase]:
        return Answer(REFUSED, f"“{wanted[:40]}” is no phase: there are {', '.join(Phase)}")
    to = Phase(wanted)
    if to is incident.phase:
        return Answer(DONE, f"it is {to} already")
    if (incident.phase, to) not in MOVES:
        return Answer(REFUSED, _no_way(incident, to))
    if to not in (Phase.RESOLVED, Phase.CLOSED) and closing.given(command):
        return Answer(REFUSED, "how it ended, and why it happened, is said when it is resolved or closed")
    return _TO[to](scene, incident, command)


def _no_way(incident: Incident, to: Phase) -> str:
    ways = ", ".join(after for before, after in MOVES if before is incident.phase)
    text = f"from {incident.phase} nobody moves incident {short(incident.key)} to {to}; it can go to {ways}"
    if to is Phase.DETECTED:
        text += "; to give it back, unacknowledge it"
    return text


def _moved(scene: Scene, incident: Incident, command: Command, to: Phase) -> Answer:
    was, incident.phase = incident.phase, to
    said = f": {command.text[: responding.TEXT_MAX]}" if command.text else ""
    scene.line(incident, "phase", f"{was} → {to}{said}", by=command.by)
    return Answer(DONE, f"it is {to}")


def _take_if_nobody_has_it(scene: Scene, incident: Incident, command: Command) -> None:
    """Whoever works on it has it, if nobody else does; when it was over, it is so no longer."""
    if incident.phase is Phase.MONITORING or incident.phase in ENDED:
        incidents.reopen(scene, incident, f"{command.by} says that it is not over", 0)
    if not incident.acked_by:
        responding.take(scene, incident, command)


def _triaged(scene: Scene, incident: Incident, command: Command) -> Answer:
    if incident.phase is Phase.MITIGATING:
        answer = _moved(scene, incident, command, Phase.TRIAGED)
        responding.arm_reminder(scene, incident)
        return answer
    if incident.phase is Phase.RESOLVED and not incidents.may_reopen(scene, incident):
        return Answer(REFUSED, "it ended too long ago to open again; declare a new incident and link the two")
    _take_if_nobody_has_it(scene, incident, command)
    return Answer(DONE, f"{incident.acked_by} has it")


def _mitigating(scene: Scene, incident: Incident, command: Command) -> Answer:
    _take_if_nobody_has_it(scene, incident, command)
    if incident.mitigating_at is None:
        incident.mitigating_at = scene.now
    return _moved(scene, incident, command, Phase.MITIGATING)


def works(scene: Scene, incident: Incident, command: Command, why: str) -> None:
    """Somebody does something against it: if nobody has begun to yet, it is being mitigated from now on.

    A program that runs an action by a token of its own does not have the incident: that would end its paging.
    """
    if not incident.acked_by and not responding.is_somebody(scene, command.by):
        return
    if (incident.phase, Phase.MITIGATING) in MOVES and incident.phase in (Phase.DETECTED, Phase.TRIAGED):
        _mitigating(scene, incident, msgspec.structs.replace(command, text=why))


def _monitoring(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Stale alerts do not stand in the way: their senders have gone quiet, and a person says that it is over."""
    firing = incident.firing - incident.stale
    if firing > 0:
        alerts = "1 alert still fires" if firing == 1 else f"{firing} alerts still fire"
        return Answer(
            REFUSED, f"{alerts}; it goes to monitoring by itself when nothing does. Wrong alerts? Resolve it."
        )
    said = f": {command.text[: responding.TEXT_MAX]}" if command.text else ""
    incidents.all_clear(scene, incident, f"{command.by} says that it is over{said}", command.by)
    return Answer(DONE, f"it is {incident.phase}")


def resolve(scene: Scene, incident: Incident, command: Command) -> Answer:
    """End it, also while alerts fire if that is meant."""
    if incident.phase in ENDED:
        return Answer(DONE, f"incident {short(incident.key)} has ended already")
    last = command.data.get("public", "")
    questions = []
    if incident.firing:
        alerts = "1 alert still fires" if incident.firing == 1 else f"{incident.firing} alerts still fire"
        questions.append(f"{alerts}; resolve all the same? Their repeats will not open it again.")
    if not last.strip() and publishing.owes_last_update(scene, incident):
        questions.append(f"The status page still shows it: without a last update it will say “{publishing.OVER}”")
    open_ = closing.unverified(scene, incident)
    if open_:
        questions.append(f"{open_[:1].upper()}{open_[1:]}: resolve it before that?")
    if questions and not command.confirm:
        return Answer(ASKS, " ".join(questions))
    closing.write_down(scene, incident, command)
    publishing.resolved(scene, incident, last)
    incident.resolution = incident.resolution or command.text[: responding.TEXT_MAX]
    still = f" while {incident.firing} still fired" if incident.firing else ""
    still += f" ({open_})" if open_ else ""
    said = f": {command.text[: responding.TEXT_MAX]}" if command.text else ""
    incidents.resolve(scene, incident, f"resolved by {command.by}{still}{said}", command.by)
    return Answer(DONE, "resolved")


def _postmortem(scene: Scene, incident: Incident, command: Command) -> Answer:
    return _moved(scene, incident, command, Phase.POSTMORTEM)


def _close(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Close it for good. What closing asks for and is not there is asked about first, and left out with a reason."""
    lacks, said = ", ".join(closing.missing(scene, incident, closing.given(command))), command.text.strip()
    if lacks and not command.confirm:
        return Answer(ASKS, f"{lacks}; close incident {short(incident.key)} all the same, and say why?")
    if lacks and not said:
        return Answer(REFUSED, f"{lacks}: fill it in, or say why incident {short(incident.key)} is closed without")
    closing.write_down(scene, incident, command)
    publishing.last_words(scene, incident, command.data.get("public", ""))
    if lacks:
        why = said[: responding.TEXT_MAX]
        scene.line(incident, "waived", f"closed all the same: {lacks}. Why: {why}", by=command.by)
    return _moved(scene, incident, command, Phase.CLOSED)


_TO: Final[dict[Phase, Callable[[Scene, Incident, Command], Answer]]] = {
    Phase.TRIAGED: _triaged,
    Phase.MITIGATING: _mitigating,
    Phase.MONITORING: _monitoring,
    Phase.RESOLVED: resolve,
    Phase.POSTMORTEM: _postmortem,
    Phase.CLOSED: _close,
}
