"""From readings to findings: when an audit has failed, when it is well again, what has to be told. No I/O, no clock.

One bad reading is no finding, and one good reading does not end it: a restart that takes a few seconds wakes nobody. A
finding is told once an hour while it lasts, and once when it is over.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from triage.model import HOUR, Millis
from triage.store.watching import Standing

BEGIN: Final = 3
"""How many bad readings in a row make a finding."""
END: Final = 3
"""How many good readings in a row end it."""


class State(enum.StrEnum):
    """What one audit saw. `near`: not bad any more, but too near to it to call it well. `unknown`: it saw nothing."""

    WELL = "well"
    NEAR = "near"
    ILL = "ill"
    UNKNOWN = "unknown"


class Reading(NamedTuple):
    """One audit's look: its name, what it saw, and in words what is wrong."""

    audit: str
    state: State
    text: str = ""


class Finding(msgspec.Struct):
    """One audit's memory. `told_at`: when trouble was last told; `owes`: it was told, and its end was not yet."""

    ill: bool = False
    text: str = ""
    since: Millis | None = None
    against: int = 0
    told_at: Millis | None = None
    owes: bool = False
    last: State = State.WELL


class News(NamedTuple):
    """What has to be told now: audit → words."""

    trouble: dict[str, str]
    well: dict[str, str]


class Findings:
    """What is known of every audit. `memory` is what is kept over a restart."""

    def __init__(self, memory: dict[str, Finding] | None = None) -> None:
        self.memory = memory or {}

    def hear(self, readings: Iterable[Reading], now: Millis) -> None:
        """Take in one round. Audits that are no longer made are forgotten."""
        heard = list(readings)
        self.memory = {one.audit: self._weigh(self.memory.get(one.audit) or Finding(), one, now) for one in heard}

    @staticmethod
    def _weigh(finding: Finding, reading: Reading, now: Millis) -> Finding:
        finding.last = reading.state
        differs = reading.state is (State.WELL if finding.ill else State.ILL)
        finding.against = finding.against + 1 if differs else 0
        if reading.state is State.ILL:
            finding.text = reading.text
            if finding.since is None:
                finding.since = now
        elif not finding.ill:
            finding.since = None
        if finding.against >= (END if finding.ill else BEGIN):
            finding.ill, finding.against = not finding.ill, 0
            if not finding.ill:
                finding.since = None
        return finding

    def passed(self) -> bool:
        """Tell whether every audit was made this time, and saw nothing bad."""
        fine = {State.WELL, State.NEAR}
        return bool(self.memory) and all(not one.ill and one.last in fine for one in self.memory.values())

    def news(self, now: Millis) -> News:
        """Return what has to be told now."""
        trouble, well = {}, {}
        for name, one in self.memory.items():
            if one.ill and (one.told_at is None or now - one.told_at >= HOUR):
                trouble[name] = one.text
            elif not one.ill and one.owes:
                well[name] = one.text
        return News(trouble, well)

    def told(self, news: News, now: Millis) -> None:
        """Note that this news arrived."""
        for name in news.trouble:
            self.memory[name].told_at, self.memory[name].owes = now, True
        for name in news.well:
            self.memory[name].owes = False

    def standings(self) -> dict[str, Standing]:
        """Return how each audit stands, for others to show."""
        return {
            name: Standing(
                passed=not one.ill,
                unknown=one.last is State.UNKNOWN,
                text=one.text if one.ill else "",
                since=one.since if one.ill else None,
            )
            for name, one in self.memory.items()
        }
