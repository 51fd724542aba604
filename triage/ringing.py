"""Calls that ring although somebody has the incident by now, or it is over: they are hung up.

A channel that calls reports a receipt with the call it ordered. Until the provider's word of it comes the call may
ring; once nobody waits for it any more an update is sent, which ends it. Whoever answered by a key hears the call out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from triage import paging, telling
from triage.memory import HANDED, Changes
from triage.model import ENDED, Effect, EffectKind, Incident, Phase, Result
from triage.scene import Scene

RINGING_MAX: Final = 20
"""How many calls of one incident are known at once."""


def wanted(incident: Incident, effect: Effect) -> bool:
    """Tell whether anybody still waits for an answer to this page."""
    of_before = effect.episode != incident.episode and effect.incident == incident.key  # merged: episodes differ
    if effect.kind is not EffectKind.PAGE or of_before or incident.phase in ENDED:
        return False
    if effect.id in incident.answered or incident.acked_by == effect.person:  # who has it needs no other way
        return False
    asked = effect.step > paging.LAST_STEP
    return asked or (not incident.acked_by and incident.phase is not Phase.MONITORING)


def begun(incident: Incident, effect: Effect, receipt: str) -> None:
    """A provider took a call, and calls it so."""
    effect.facts = {**effect.facts, telling.THREAD: receipt}
    incident.ringing = (*incident.ringing, effect.id)[-RINGING_MAX:]


def over(incident: Incident, page: str) -> None:
    """The provider's word of a call has come."""
    if page in incident.ringing:
        incident.ringing = tuple(one for one in incident.ringing if one != page)


def behind(changes: Changes) -> list[str]:
    """Return the incidents among these changes whose calls nobody may wait for any more."""
    return [key for key, incident in changes.incidents() if incident.ringing and _may_stop(incident)]


def _may_stop(incident: Incident) -> bool:
    return bool(incident.acked_by) or incident.phase is Phase.MONITORING or incident.phase in ENDED


def hand_over(_scene: Scene, gone: Incident, into: Incident) -> None:
    """The calls of a merged incident ring for the one that goes on."""
    into.ringing, gone.ringing = (*into.ringing, *gone.ringing)[-RINGING_MAX:], ()


def follow(scene: Scene, incidents: Iterable[str]) -> None:
    """Hang up the calls of these incidents that nobody waits for."""
    for key in incidents:
        incident = scene.draft.edit_incident(key)
        left: list[str] = []
        for page in incident.ringing:
            effect: Effect | None = scene.draft.get((HANDED, page))
            if effect is not None and wanted(incident, effect):
                left.append(page)
            elif effect is not None and page not in incident.answered:
                _hang_up(scene, incident, effect.person, effect.target, effect.facts[telling.THREAD])
        incident.ringing = tuple(left)


def too_late(scene: Scene, incident: Incident, result: Result) -> None:
    """A call was ordered for a page that was withdrawn meanwhile: it would ring for nothing."""
    person = scene.rulebook.people.get(result.person)
    for target in person.methods if person is not None else ():
        if target.partition(":")[0] == result.scheme:
            _hang_up(scene, incident, result.person, target, result.receipt)
            return


def _hang_up(scene: Scene, incident: Incident, person: str, target: str, receipt: str) -> None:
    why = f"{incident.acked_by} has it" if incident.acked_by else "it is over"
    scene.line(incident, "hung-up", f"the call to {person} is hung up: {why}", minor=True)
    facts = {telling.THREAD: receipt}
    telling.send_out(scene, incident, EffectKind.UPDATE, target, facts, person=person)
