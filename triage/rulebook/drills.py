"""Planned drills: `drills:` of oncall.yaml."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import msgspec

from triage.model import HOUR, MINUTE, Millis
from triage.rulebook import intervals
from triage.rulebook.cron import check_cron
from triage.rulebook.problems import Problem, closest
from triage.rulebook.shapes import OncallFile
from triage.rulebook.yaml import Path

if TYPE_CHECKING:
    from triage.rulebook.reading import Part

WITHIN_MIN: Final[Millis] = MINUTE
WITHIN_MAX: Final[Millis] = 12 * HOUR
"""Links of pages hold no longer."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_KINDS: Final = ("person", "policy", "schedule", "team")


class DrillPlan(msgspec.Struct, frozen=True):
    """A drill that comes again and again. `everybody`: all steps of a policy, not its first alone."""

    name: str
    target: str
    cron: str
    time_zone: str = "UTC"
    within: Millis = 15 * MINUTE
    everybody: bool = False


def compile_drills(parts: list[Part], known: Collection[str], problems: list[Problem]) -> dict[str, DrillPlan]:
    """Compile the planned drills. `known` are the names that a target may have."""
    found: dict[str, DrillPlan] = {}
    for part in parts:
        if not isinstance(part.shape, OncallFile):
            continue
        for name, one in part.shape.drills.items():
            place: Path = ("drills", name)
            for where, message, hint in _faults(name, one.target, one.cron, one.time_zone, one.within, known):
                problems.append(part.document.problem((*place, *where), message, hint, key=not where))
            found[name] = DrillPlan(name, one.target, one.cron, one.time_zone, one.within, one.everybody)
    return found


def _faults(
    name: str, target: str, cron: str, time_zone: str, within: Millis, known: Collection[str]
) -> list[tuple[Path, str, str]]:
    """Return what is wrong: where in the entry, in which words, and a hint."""
    faults: list[tuple[Path, str, str]] = []
    if not _NAME.match(name):
        faults.append(((), f'"{name}" can\'t be the name of a drill', "use letters, digits, dots, _ and -"))
    kind, mark, bare = target.partition(":")
    wanted = bare if mark and kind in _KINDS else target
    if wanted not in known:
        hint = closest(wanted, known) or "name a person, a policy, a schedule or a team"
        faults.append((("target",), f'there is no "{wanted}" to be drilled', hint))
    try:
        check_cron(cron)
    except ValueError as error:
        faults.append((("cron",), str(error), ""))
    try:
        intervals.zone(time_zone)
    except ValueError as error:
        faults.append((("time_zone",), str(error), ""))
    if not WITHIN_MIN <= within <= WITHIN_MAX:
        faults.append((("within",), "a drill waits for 1m to 12h", "for example 15m"))
    return faults
