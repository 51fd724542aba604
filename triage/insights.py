"""Insights: figures about incidents that ended, summed up. Pure; the figures are `triage.postmortem.Past`.

Times run from the opening of an incident. A median says more than a mean here: one incident over a weekend would
otherwise hide all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from statistics import median
from typing import Final

import msgspec

from triage.model import Millis
from triage.postmortem import Past

NIGHTS_SHOWN: Final = 200
"""How many nights with pages are told one by one, the worst of them."""


class Times(msgspec.Struct, frozen=True):
    """How long it took, for one service, severity or week. Medians in milliseconds; None where it never happened."""

    by: str
    name: str
    incidents: int
    acknowledge: Millis | None
    mitigate: Millis | None
    resolve: Millis | None


class Calls(msgspec.Struct, frozen=True):
    """How often one person was paged, how often of these at night, and how many nights that disturbed."""

    person: str
    pages: int
    nights: int
    disturbed: int = 0


class Night(msgspec.Struct, frozen=True):
    """How often one person was paged in one night; `night` is the day on whose evening it began."""

    night: str
    person: str
    pages: int


class Noise(msgspec.Struct, frozen=True):
    """What one rule brought: incidents, alerts and pages."""

    rule: str
    incidents: int
    alerts: int
    pages: int


class Insights(msgspec.Struct, frozen=True):
    """All of it, the largest first; weeks in their order; nights, the worst ones, the latest first."""

    incidents: int
    times: list[Times]
    calls: list[Calls]
    noise: list[Noise]
    nights: list[Night] = []


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
    return Insights(len(all_), times, _calls(all_), _noise(all_), _nights(all_))


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
    disturbed: dict[str, set[str]] = {}
    for one in found:
        for person, of in one.by_night.items():
            disturbed.setdefault(person, set()).update(of)
    rows = [Calls(person, pages, nights, len(disturbed.get(person, ()))) for person, (pages, nights) in sums.items()]
    return sorted(rows, key=lambda row: (-row.pages, row.person))


def _nights(found: list[Past]) -> list[Night]:
    """Return the worst nights, NIGHTS_SHOWN at most: how many there are of a person stands in their row."""
    sums: dict[tuple[str, str], int] = {}
    for one in found:
        for person, nights in one.by_night.items():
            for night, pages in nights.items():
                sums[night, person] = sums.get((night, person), 0) + pages
    rows = [Night(night, person, pages) for (night, person), pages in sums.items()]
    worst = sorted(rows, key=lambda row: (-row.pages, row.night, row.person))[:NIGHTS_SHOWN]
    return sorted(sorted(worst, key=lambda row: row.person), key=lambda row: row.night, reverse=True)


def _noise(found: list[Past]) -> list[Noise]:
    sums: dict[str, tuple[int, int, int]] = {}
    for one in found:
        incidents, alerts, pages = sums.get(one.rule, (0, 0, 0))
        sums[one.rule] = (incidents + 1, alerts + one.alerts, pages + one.pages)
    rows = [Noise(rule or "(no rule)", *counts) for rule, counts in sums.items()]
    return sorted(rows, key=lambda row: (-row.pages, -row.incidents, row.rule))
