"""Overrides at run time: somebody takes a stretch of a schedule, or an override is withdrawn. Whoever is paged later is
found by them; what was paged already stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

import msgspec

from triage import importing, schedules
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
    named = schedules.schedules_in(scene.rulebook, targets)
    known = {name: of(scene, name) for name in named}
    imported = {name: importing.of(scene, name) for name in named}
    return schedules.whom(scene.rulebook, targets, scene.now, known, imported)


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
    if asked.other:
        return _swap(scene, asked, known)
    same = [one for one in known if (one.person, one.start, one.end) == (asked.person, asked.start, asked.end)]
    if same and known[-1] in same:  # asked for twice, since the first answer was lost
        return Answer(DONE, f"{asked.person} has schedule {asked.schedule} then already (override {known[-1].id})")
    added = Override(asked.person, asked.start, asked.end, key_of("override", scene.entry)[:10], asked.by)
    _keep(scene, asked.schedule, (*known, added))
    return Answer(DONE, f"{asked.person} takes schedule {asked.schedule} (override {added.id})")


def _swap(scene: Scene, asked: OverrideAsked, known: tuple[Override, ...]) -> Answer:
    """Exchange two shifts by two overrides of the same id, if they are still the shifts of these two."""
    first = Override(asked.person, asked.start, asked.end)
    second = Override(asked.other, asked.other_start, asked.other_end)
    fault = _swap_fault(first, second)
    if fault:
        return Answer(REFUSED, fault)
    last = [msgspec.structs.replace(one, id="", by="") for one in known[-2:]]
    if last == [first, second]:  # asked for twice, since the first answer was lost
        return Answer(DONE, f"{asked.person} and {asked.other} have swapped already (override {known[-1].id})")
    turned = msgspec.structs.replace(asked, person=second.person, start=second.start, end=second.end)
    fault = (
        _fault(scene, turned, (*known, first))
        or _not_theirs(scene, asked.schedule, asked.other, first, known)
        or _not_theirs(scene, asked.schedule, asked.person, second, known)
    )
    if fault:
        return Answer(REFUSED, fault)
    id_ = key_of("override", scene.entry)[:10]
    both = (msgspec.structs.replace(one, id=id_, by=asked.by) for one in (first, second))
    _keep(scene, asked.schedule, (*known, *both))
    return Answer(DONE, f"{asked.person} and {asked.other} swap shifts of schedule {asked.schedule} (override {id_})")


def _swap_fault(first: Override, second: Override) -> str:
    if first.person == second.person:
        return "a swap needs two people"
    if first.start < second.end and second.start < first.end:
        return "the two shifts overlap; let each be taken by an override instead"
    return ""


def _not_theirs(scene: Scene, schedule: str, person: str, taken: Override, known: tuple[Override, ...]) -> str:
    """Return why a stretch is not a shift of this person, or ""."""
    book = scene.rulebook
    found = schedules.shifts(
        book.schedules[schedule], taken.start, taken.end, known, book.people, importing.of(scene, schedule)
    )
    if not schedules.gaps([one for one in found if one.person == person], taken.start, taken.end):
        return ""
    others = ", ".join(dict.fromkeys(one.person for one in found if one.person != person)) or "nobody"
    return f"that is no shift of {person} in schedule {schedule}, or not all of it: {others} has it"


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
