"""Messages that can be changed after they were sent: where an incident's first one is, and whether it is still true.

A channel that can change its messages reports a receipt with the first one. Later messages of the incident by the same
contact method become replies to it, and whenever somebody takes the incident, or its phase, its severity or the promise
of an update changes, an update is made, which changes that first message and disturbs nobody. One update is on its way
at a time: two at once might arrive in the wrong order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from triage import telling
from triage.memory import EFFECT, INCIDENT, Changes
from triage.model import Effect, EffectKind, Ending, Incident, Result, Thread
from triage.retries import again
from triage.scene import Scene

THREADS_MAX: Final = 20
"""How many first messages of one incident are kept true."""


def face_of(incident: Incident) -> str:
    """Return what a first message shows that people rely on; counts of alerts are not among it."""
    face = f"{incident.severity.name} {incident.phase.value} {incident.acked_by}"
    return f"{face} {due}" if (due := telling.promised(incident)) else face


def begun(scene: Scene, incident: Incident | None, result: Result, target: str, facts: dict[str, str]) -> None:
    """A message was delivered: remember it if it is the first by its contact method, and showed these facts."""
    if (
        not result.receipt
        or incident is None
        or telling.thread_of(incident, target)
        or len(incident.threads) >= THREADS_MAX
    ):
        return
    shown = f"{facts.get('severity', '')} {facts.get('phase', '')} {facts.get('acked_by', '')}"
    if due := facts.get("next_update"):
        shown = f"{shown} {due}"
    incident.threads = (*incident.threads, Thread(target, result.receipt, shown))


def begun_late(scene: Scene, incident: Incident, result: Result) -> None:
    """A page that was withdrawn meanwhile had been delivered: which contact method it was, its scheme has to say."""
    person = scene.rulebook.people.get(result.person)
    for target in person.methods if person is not None else ():
        if target.partition(":")[0] == result.scheme:
            begun(scene, incident, result, target, {})
            return


def behind(changes: Changes) -> list[str]:
    """Return the incidents among these changes whose first messages no longer show how they stand."""
    return [key for key, incident in changes.incidents() if _behind(incident)]


def _behind(incident: Incident) -> bool:
    return any(one.shown != face_of(incident) and not one.update for one in incident.threads)


def follow(scene: Scene, incidents: Iterable[str]) -> None:
    """Make the updates that these incidents need."""
    for key in incidents:
        incident = scene.draft.edit((INCIDENT, key))  # itself: a merged one has messages of its own
        incident.threads = tuple(_followed(scene, incident, one) for one in incident.threads)


def _followed(scene: Scene, incident: Incident, thread: Thread) -> Thread:
    face = face_of(incident)
    if thread.shown == face or thread.update:
        return thread
    facts = {telling.THREAD: thread.receipt}
    update = telling.send_out(scene, incident, EffectKind.UPDATE, thread.target, facts, person="")
    return msgspec.structs.replace(thread, shown=face, update=update)


def updated(scene: Scene, incident: Incident | None, effect: Effect, result: Result) -> None:
    """Apply the result of an update: done, again later, or given up, which costs nobody a page."""
    if again(effect, result, scene.now):
        return
    scene.draft.put((EFFECT, effect.id), None)
    if incident is None:
        return
    late = result.ending is Ending.TOO_OLD
    incident.threads = tuple(
        msgspec.structs.replace(one, update="", shown="" if late else one.shown) if one.update == effect.id else one
        for one in incident.threads
    )
    if not result.ending.told and not late:  # what was not sent, since memory was old, is made anew
        scheme = effect.target.partition(":")[0]
        text = f"a message by {scheme} cannot be brought up to date: {result.reason or result.ending.value}"
        scene.line(incident, "given-up", text, minor=True)
        telling.tell_operator(scene, f"update:{scheme}", f"A message by {scheme} shows an old state", text)
