"""Which earlier incidents have action items that matter when something like them comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from triage.lesson import Lesson, Lessons
from triage.memory import THE_LESSONS
from triage.model import DAY, Incident, Millis
from triage.postmortem import Item, ItemState, Postmortem
from triage.scene import Scene

LESSONS_MAX: Final = 500
"""How many incidents with action items are looked through; beyond, the one changed longest ago is left out."""
DONE_WITHIN: Final[Millis] = 90 * DAY
"""How long ago an item may have been done to be offered again when its incident comes back."""
SHARES: Final = ("alert", "rule", "service")
"""What two incidents may share, the most first: the alerts' group, the rule and the service, the service alone."""


def matters(one: Item, now: Millis) -> bool:
    """Tell whether an item is still open, or was done lately."""
    lately = one.state is ItemState.DONE and now - one.changed_at <= DONE_WITHIN
    return one.state is ItemState.OPEN or lately


def note(scene: Scene, key: str, found: Postmortem) -> None:
    """Remember that an incident has action items that matter, or no longer any."""
    known = _known(scene)
    others = tuple(one for one in known if one.incident != key)
    if not any(matters(one, scene.now) for one in found.items):
        if len(others) != len(known):
            scene.draft.put(THE_LESSONS, Lessons(others))
        return
    made = Lesson(key, found.group, found.rule, found.service)
    if known[-1:] != (made,):
        scene.draft.put(THE_LESSONS, Lessons((*others, made)[-LESSONS_MAX:]))


def drop(scene: Scene, key: str) -> None:
    """Forget the action items of an incident: they went elsewhere, or it is forgotten itself."""
    known = _known(scene)
    others = tuple(one for one in known if one.incident != key)
    if len(others) != len(known):
        scene.draft.put(THE_LESSONS, Lessons(others))


def like(scene: Scene, incident: Incident) -> Iterator[tuple[str, Lesson]]:
    """Yield what is shared with earlier incidents that have action items: what shares most first, then the latest."""
    known = [(what, one) for one in _known(scene) if (what := shared(one, incident))]
    for wanted in SHARES:
        yield from (pair for pair in reversed(known) if pair[0] == wanted)


def shared(lesson: Lesson, incident: Incident) -> str:
    """Return what an incident shares with an earlier one: `alert`, `rule`, `service`, or "" for nothing."""
    if lesson.incident == incident.key:
        return ""
    if lesson.group == incident.group:
        return "alert"
    same_service = lesson.service == incident.service
    if lesson.rule and lesson.rule == incident.rule and same_service:
        return "rule"
    return "service" if lesson.service and same_service else ""


def _known(scene: Scene) -> tuple[Lesson, ...]:
    known = cast("Lessons | None", scene.draft.get(THE_LESSONS))
    return known.items if known is not None else ()
