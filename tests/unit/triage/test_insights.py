"""Insights are sums and medians of what is kept of incidents that ended."""

from __future__ import annotations

from triage.insights import NIGHTS_SHOWN, Calls, Night, Noise, Times, summed, week_of
from triage.model import HOUR, MINUTE, Severity
from triage.postmortem import Past

START = 1_772_445_600_000


def past(minutes: int, service: str = "shop", taken: int | None = 2, rule: str = "down") -> Past:
    return Past(
        title="Down",
        service=service,
        severity=Severity.P1,
        rule=rule,
        opened_at=START,
        resolved_at=START + minutes * MINUTE,
        taken_at=None if taken is None else START + taken * MINUTE,
        calls={"ana": (2, 1)},
        alerts=3,
        pages=2,
        by_night={"ana": {"2026-03-02": 1}},
    )


def test_times_are_medians_per_severity_service_and_week() -> None:
    found = summed([past(10), past(20, taken=4), past(600, taken=None), past(60, "search")])
    assert found.incidents == 4
    assert found.times == [
        Times("severity", "P1", 4, 2 * MINUTE, None, 40 * MINUTE),
        Times("service", "search", 1, 2 * MINUTE, None, HOUR),
        Times("service", "shop", 3, 3 * MINUTE, None, 20 * MINUTE),
        Times("week", "2026-W10", 4, 2 * MINUTE, None, 40 * MINUTE),
    ]


def test_calls_and_noise_are_sums_the_largest_first() -> None:
    found = summed([past(10), past(10, rule="slow"), past(10, rule="slow")])
    assert found.calls == [Calls("ana", 6, 3, 1)]
    assert found.nights == [Night("2026-03-02", "ana", 3)]
    assert found.noise == [Noise("slow", 2, 6, 4), Noise("down", 1, 3, 2)]


def test_the_worst_nights_are_told_the_latest_first() -> None:
    one = past(10)
    one.by_night = {"ana": {f"2026-03-{day:02d}": 1 for day in range(1, 29)}, "ben": {"2026-03-02": 4, "2026-03-05": 2}}
    many = [past(10) for _ in range(NIGHTS_SHOWN)]
    for number, each in enumerate(many):
        each.by_night = {f"eve{number}": {"2025-01-01": 1}}
    found = summed([one, *many]).nights
    assert len(found) == NIGHTS_SHOWN
    assert [(row.night, row.pages) for row in found if row.person == "ben"] == [("2026-03-05", 2), ("2026-03-02", 4)]
    assert [row.night for row in found] == sorted((row.night for row in found), reverse=True)


def test_nothing_is_nothing() -> None:
    found = summed([])
    assert (found.incidents, found.times, found.calls, found.noise) == (0, [], [], [])


def test_a_week_is_an_iso_week_also_over_new_year() -> None:
    assert week_of(1_767_225_600_000) == "2026-W01"  # Thursday 2026-01-01
    assert week_of(1_767_225_600_000 + 9 * 365 * 24 * HOUR) == "2034-W52"
