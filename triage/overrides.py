"""Overrides at run time: somebody takes a stretch of a schedule, or an override is withdrawn. Whoever is paged later is
found by them; what was paged already stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from triage import schedules
from triage.memory import OVERRIDES
from triage.model import DAY, Answer, Millis, Override, OverrideAsked, Overrides, key_of
from triage.rulebook.problems import closest
from triage.scene import Scene
from triage.schedules import Whom

DONE: Final = "done"
REFUSED: Final = "refused"
LENGTH_MAX: Final[Millis] = 366 * DAY
"""Longest override."""
AHEAD_MAX: Final[Millis] = 2 * 366 * DAY
"""How far ahead an override may begin."""
COUNT_MAX: Final = 200
"""How many overrides one schedule may have; those that ended are forgotten."""


def of(scene: Scene, schedule: str) -> tuple[Override, ...]:
    """Return the run-time overrides of a schedule, oldest first."""
    known = cast("Overrides | None", scene.draft.get((OVERRIDES, schedule)))
    return known.items if known is not None else ()


def whom(scene: Scene, targets: Iterable[str]) -> Whom:
    """Return the people whom targets of an escalation step mean now."""
    targets = tuple(targets)
    known = {name: of(scene, name) for name in schedules.schedules_in(scene.rulebook, targets)}
    return schedules.whom(scene.rulebook, targets, scene.now, known)


def obey(scene: Scene, asked: OverrideAsked) -> Answer:
    """Add an override, or withdraw one, and say what became of it."""
    known = of(scene, asked.schedule)
    if asked.withdraw:
        rest = tuple(one for one in known if one.id != asked.withdraw)
        if len(rest) == len(known):
            return Answer(REFUSED, f"schedule {asked.schedule} has no override {asked.withdraw}; it may have ended")
        _keep(scene, asked.schedule, rest)
        return Answer(DONE, f"the override {asked.withdraw} is withdrawn")
    fault = _fault(scene, asked, known)
    if fault:
        return Answer(REFUSED, fault)
    same = [one for one in known if (one.person, one.start, one.end) == (asked.person, asked.start, asked.end)]
    if same and known[-1] in same:  # asked for twice, since the first answer was lost
        return Answer(DONE, f"{asked.person} has schedule {asked.schedule} then already (override {known[-1].id})")
    added = Override(asked.person, asked.start, asked.end, key_of("override", scene.entry)[:10], asked.by)
    _keep(scene, asked.schedule, (*known, added))
    return Answer(DONE, f"{asked.person} takes schedule {asked.schedule} (override {added.id})")


def _fault(scene: Scene, asked: OverrideAsked, known: tuple[Override, ...]) -> str:
    """Return why an override cannot be, or ""."""
    book = scene.rulebook
    if asked.schedule not in book.schedules:
        return f"there is no schedule “{asked.schedule}”; {_near(asked.schedule, list(book.schedules))}"
    if asked.person not in book.people:
        return f"there is no person “{asked.person}”; {_near(asked.person, list(book.people))}"
    if asked.end <= asked.start:
        return "the override ends before it starts"
    if asked.end <= scene.now:
        return "the override is over already; check its dates and time zone"
    if asked.end - asked.start > LENGTH_MAX or asked.start - scene.now > AHEAD_MAX:
        return "an override is at most a year long and begins within two years; change oncall.yaml instead"
    if len(known) >= COUNT_MAX:
        return f"schedule {asked.schedule} has {COUNT_MAX} overrides; withdraw some, or write them into oncall.yaml"
    return ""


def _near(name: str, known: list[str]) -> str:
    return closest(name, known) or f"oncall.yaml has {', '.join(sorted(known)[:10]) or 'none'}"


def forget_ended(scene: Scene, schedule: str) -> None:
    """The timer `override:<schedule>` is due: forget the overrides that have ended."""
    known = of(scene, schedule)
    if known:
        _keep(scene, schedule, known)


def _keep(scene: Scene, schedule: str, items: tuple[Override, ...]) -> None:
    """Remember those that have not ended, and set the timer for the next end."""
    left = tuple(one for one in items if one.end > scene.now)
    scene.draft.put((OVERRIDES, schedule), Overrides(left) if left else None)
    scene.draft.timer(f"override:{schedule}", min((one.end for one in left), default=None))
