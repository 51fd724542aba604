"""A fault in one step stops neither the line nor what is worth more than the step: it is told, and the rest goes on.

`decide` guards each event, answer, timer and result. Within them, what only informs people of an incident is guarded by
itself: no fault in it may cost the page.
"""

from __future__ import annotations

from collections.abc import Callable

from triage import telling
from triage.memory import INCIDENT, Draft, Missing
from triage.model import Incident
from triage.scene import Scene


def guarded(scene: Scene, what: str, step: Callable[[Scene], None]) -> str:
    """Run one step on a draft of its own, taken over only if it succeeds. Return "" or what went wrong.

    Raises `Missing`, which is no fault.
    """
    inner = Scene(Draft(scene.draft), scene.rulebook, scene.entry, scene.now, scene.old)
    try:
        step(inner)
    except Missing:
        raise
    except Exception as fault:  # noqa: BLE001  a fault in one step must not stop the line; it is told, and kept
        text = f"{type(fault).__name__}: {fault}"
        telling.tell_operator(
            scene, f"decide-error:{type(fault).__name__}", f"Could not decide {what[:80]}", text[:500]
        )
        return text[:500]
    scene.draft.changes.absorb(inner.draft.changes)
    return ""


def inform(scene: Scene, incident: Incident, what: str, step: Callable[[Scene, Incident], None]) -> None:
    """Run a step that only informs of `incident`, which the caller is changing: without it, if it fails.

    The step changes a copy; what it did is found in `incident` afterwards. Raises `Missing`.
    """
    copies: list[Incident] = []

    def on_a_copy(inner: Scene) -> None:
        copies.append(inner.draft.edit((INCIDENT, incident.key)))
        step(inner, copies[0])

    if not guarded(scene, f"{what} of an incident", on_a_copy):
        for name in incident.__struct_fields__:
            setattr(incident, name, getattr(copies[0], name))
        scene.draft.put((INCIDENT, incident.key), incident)
