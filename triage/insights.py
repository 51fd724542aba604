"""Insights: figures about incidents that ended, summed up. Pure; the figures are `triage.postmortem.Past`.

Times run from the opening of an incident. A median says more than a mean here: one incident over a weekend would
otherwise hide all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from statistics import median

import msgspec

from triage.model import Millis
from triage.postmortem import Past


class Times(msgspec.Struct, frozen=True):
    """How long it took, for one service, severity or week. Medians in milliseconds; None where it never happened."""

    by: str
    name: str
    incidents: int
    acknowledge: Millis | None
    mitigate: Millis | None
    resolve: Millis | None


class Calls(msgspec.Struct, frozen=True):
    """How often one person was paged, and how often at night."""

    person: str
    pages: int
    nights: int


class Noise(msgspec.Struct, frozen=True):
    """What one rule brought: incidents, alerts and pages."""

    rule: str
    incidents: int
    alerts: int
    pages: int


class Insights(msgspec.Struct, frozen=True):
    """All of it, the largest first; weeks in their order."""

    incidents: int
    times: list[Times]
    calls: list[Calls]
    noise: list[Noise]


def week_of(at: Millis) -> str:
    """Return the ISO week of a time in UTC, like `2026-W10`."""
    year, week, _ = datetime.fromtimestamp(at / 1_000, UTC).isocalendar()
    return f"{year}-W{week:02d}"


_BY: tuple[tuple[str, Callable[[Past], str]], ...] = (
    ("severity", lambda one: one.severity.name),
    ("service", lambda one: one.service or "(none)"),
    ("week", lambda one: week_of(one.opened_at)),
)


def summed(found: Iterable[Past]) -> Insights:
    """Sum up the figures of incidents."""
    all_ = list(found)
    times = [row for by, name_of in _BY for row in _times(by, name_of, all_)]
    return Insights(len(all_), times, _calls(all_), _noise(all_))


def _times(by: str, name_of: Callable[[Past], str], found: list[Past]) -> list[Times]:
    groups: dict[str, list[Past]] = {}
    for one in found:
        groups.setdefault(name_of(one), []).append(one)
    return [
        Times(
            by,
            name,
            len(groups[name]),
            _median(one.taken_at - one.opened_at for one in groups[name] if one.taken_at is not None),
            _median(one.mitigating_at - one.opened_at for one in groups[name] if one.mitigating_at is not None),
            _median(one.resolved_at - one.opened_at for one in groups[name]),
        )
        for name in sorted(groups)
    ]


def _median(spans: Iterable[Millis]) -> Millis | None:
    known = list(spans)
    return int(median(known)) if known else None


def _calls(found: list[Past]) -> list[Calls]:
    sums: dict[str, tuple[int, int]] = {}
    for one in found:
        for person, (pages, nights) in one.calls.items():
            known = sums.get(person, (0, 0))
            sums[person] = (known[0] + pages, known[1] + nights)
    rows = [Calls(person, pages, nights) for person, (pages, nights) in sums.items()]
    return sorted(rows, key=lambda row: (-row.pages, row.person))


def _noise(found: list[Past]) -> list[Noise]:
    sums: dict[str, tuple[int, int, int]] = {}
    for one in found:
        incidents, alerts, pages = sums.get(one.rule, (0, 0, 0))
        sums[one.rule] = (incidents + 1, alerts + one.alerts, pages + one.pages)
    rows = [Noise(rule or "(no rule)", *counts) for rule, counts in sums.items()]
    return sorted(rows, key=lambda row: (-row.pages, -row.incidents, row.rule))
