"""What P0 to P4 mean to these people: the table of procedures/severity.md, shown wherever a severity is chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from triage.model import Severity

PATH: Final = "procedures/severity.md"
TEXT_MAX: Final = 300
"""Longest cell that is shown, in characters."""
_ROW: Final = re.compile(r"^\|\s*\**(P[0-4])\**\s*\|(.*)\|\s*$", re.MULTILINE)


class Meaning(msgspec.Struct, frozen=True):
    """What a severity means, and what it looks like ("" where nobody says)."""

    text: str
    examples: str = ""


BUILT_IN: Final[dict[Severity, Meaning]] = {
    Severity.P0: Meaning("critical: complete outage or data loss"),
    Severity.P1: Meaning("high: major feature broken, revenue impact"),
    Severity.P2: Meaning("medium: degraded, a workaround exists"),
    Severity.P3: Meaning("low: minor or cosmetic"),
    Severity.P4: Meaning("informational, or an enhancement request"),
}
"""What they mean where the operators' page does not say so."""


def told(meanings: Mapping[Severity, Meaning] = BUILT_IN) -> str:
    """Return what each severity means, one a line, for where it is chosen in words."""
    return "\n".join(f"{severity.name} {meaning.text}" for severity, meaning in sorted(meanings.items()))


def read(files: Mapping[str, str]) -> dict[Severity, Meaning]:
    """Return what the operators' page says: the first two columns after the name; else what is built in."""
    found = dict(BUILT_IN)
    for name, row in _ROW.findall(files.get(PATH, "")):
        cells = [cell.strip()[:TEXT_MAX] for cell in row.split("|")]
        if cells[0]:
            found[Severity[name]] = Meaning(cells[0], cells[1] if len(cells) > 1 else "")
    return found
