"""A person's own steps: a push at once, a message two minutes later, a call after five, until somebody acknowledges.

Each step is a page of its own, made together with the first one and due later, so that an acknowledgement withdraws
what has not been sent. The method is a part of a page's id: one page per incident, step and person, by each way once.
"""

from __future__ import annotations

from triage import figures
from triage.memory import EFFECT
from triage.model import Effect, EffectKind, Incident
from triage.rulebook.durations import show_duration
from triage.scene import Scene


def planned(scene: Scene, incident: Incident, page: Effect) -> None:
    """Say on the timeline what follows unless somebody acknowledges; it counts as a page once it is sent."""
    text = f"then {page.person} by {_way(page)} in {show_duration(page.after or 0)}, unless somebody acknowledges"
    scene.line(incident, "planned", text, minor=True)


def sent(scene: Scene, incident: Incident, effect: Effect) -> None:
    """A worker reports the first attempt of an effect: a later step counts as a page from now on."""
    if effect.kind is EffectKind.PAGE and effect.after:
        incident.pages += 1
        figures.called(scene, incident, effect.person)
        why = effect.facts.get("why", "").partition(", ")[2]
        scene.line(incident, "page", f"paging {effect.person} by {_way(effect)}, their own next step: {why}")


def hasten(scene: Scene, incident: Incident, failed: Effect) -> bool:
    """A step failed for the first time: the person's next one begins at once. Return whether there is one."""
    waiting = [one for one in _siblings(scene, incident, failed) if one.attempt == 0]
    if not waiting:
        return False
    following = min(waiting, key=lambda one: (one.after or 0, one.method))
    if following.due > scene.now:
        page: Effect = scene.draft.edit((EFFECT, following.id))
        page.due = scene.now
        scene.line(
            incident, "hastened", f"{_way(failed)} failed: {page.person} is paged by {_way(page)} at once", minor=True
        )
    return True


def goes_on(other: Effect, delivered: Effect) -> bool:
    """Tell whether `other` is a step of the same person's own that a delivery does not make needless.

    What failed and is tried again is needless once another way has worked; what is still to come is not.
    """
    return other.after is not None and delivered.after is not None and other.attempt == 0


def _siblings(scene: Scene, incident: Incident, page: Effect) -> list[Effect]:
    """Return the other pages to the same person for the same step that no provider has taken yet."""
    found: list[Effect | None] = [scene.draft.get((EFFECT, one)) for one in incident.pending if one != page.id]
    same = (page.person, page.episode, page.round, page.step)
    return [one for one in found if one is not None and (one.person, one.episode, one.round, one.step) == same]


def _way(page: Effect) -> str:
    return page.target.partition(":")[0]
