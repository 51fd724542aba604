"""postmortems.yaml: which incidents owe a postmortem, by when, and where it and its action items go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec
from pydantic import Field

from triage.model import DAY, Millis
from triage.rulebook import intervals, secrets
from triage.rulebook.problems import Problem
from triage.rulebook.shapes import Duration, Shape, Text, Texts
from triage.rulebook.yaml import Path

if TYPE_CHECKING:  # which reads files by the shapes below
    from triage.rulebook.reading import Part

TARGETS_MAX: Final = 10
"""How many places a postmortem, and an item, can go to."""
_NAMES: Final = ("P0", "P1", "P2", "P3", "P4")


class PostmortemsFile(Shape):
    """postmortems.yaml: which incidents owe a postmortem, by when, and where it and its action items go."""

    within: dict[str, Duration] = Field(
        default_factory=lambda: {"P0": 7 * DAY, "P1": 7 * DAY},
        description="Severity → how long after its end the postmortem of an incident is due; none for those left out.",
    )
    publish: Texts = Field(default_factory=list, description="Contact methods (URLs) that get a published postmortem.")
    items: Texts = Field(default_factory=list, description="Contact methods (URLs) that get each action item.")
    time_zone: Text = Field("UTC", description="Whose clock stands beside UTC in its timeline, like Europe/Berlin.")


class Learning(msgspec.Struct, frozen=True):
    """What postmortems.yaml says. `within`: severity → milliseconds after the end; targets with `${…}` unexpanded."""

    within: dict[str, Millis]
    publish: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    time_zone: str = "UTC"


BUILT_IN: Final = Learning({"P0": 7 * DAY, "P1": 7 * DAY})


def compile_postmortems(parts: Iterable[Part], problems: list[Problem]) -> Learning:
    """Compile postmortems.yaml; without one P0 and P1 owe a postmortem within a week, which goes nowhere by itself."""
    found = BUILT_IN
    for part in parts:
        shape = part.shape
        if not isinstance(shape, PostmortemsFile):
            continue
        strange = sorted(set(shape.within) - set(_NAMES))
        hint = "there are P0 to P4"
        problems += [_fault(part, ("within", name), f'"{name}" is no severity', hint, True) for name in strange]
        for field in ("publish", "items"):
            _targets(part, field, getattr(shape, field), problems)
        try:
            intervals.zone(shape.time_zone)
        except ValueError as error:
            problems.append(_fault(part, ("time_zone",), str(error)))
        found = Learning(dict(shape.within), tuple(shape.publish), tuple(shape.items), shape.time_zone)
    return found


def _targets(part: Part, field: str, urls: list[str], problems: list[Problem]) -> None:
    if len(urls) > TARGETS_MAX:
        problems.append(_fault(part, (field,), f"there are at most {TARGETS_MAX} of these", "", True))
    for index, url in enumerate(urls):
        fault = secrets.method_fault(url)
        if fault:
            hint = secrets.REMEDY if "literal" in fault else ""
            problems.append(_fault(part, (field, index), fault, hint))


def _fault(part: Part, place: Path, message: str, hint: str = "", key: bool = False) -> Problem:
    return part.document.problem(place, message, hint, key=key)
