"""How long a verdict takes with few rules and with many: measured and reported, not judged."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.unit.triage.rulebook.making import book, event
from triage.model import Event


def rules(count: int) -> str:
    entries = (
        f"  - name: rule {n}\n    matchers: ['alertname=\"Alert{n}\"', 'env=~\"live|dev\"']\n    severity: P{n % 5}\n"
        for n in range(count)
    )
    return "rules:\n" + "".join(entries)


def each_us(do: Callable[[Event], object], events: list[Event]) -> float:
    started = time.perf_counter()
    for one in events:
        do(one)
    return (time.perf_counter() - started) / len(events) * 1e6


@pytest.mark.parametrize("count", [10, 1_000, 10_000])
def test_the_cost_of_a_verdict(count: int, record_property: Callable[[str, object], None]) -> None:
    rulebook = book(rules(count))
    events = [event("critical", alertname=f"Alert{n % count}", env="live", instance=f"h{n}") for n in range(20_000)]
    first = each_us(lambda one: rulebook.verdict("s", one), events)
    again = each_us(lambda one: rulebook.verdict("s", one), events[:1_000] * 5)
    reading = each_us(lambda one: rulebook.read(one.labels), events)
    report = f"{count} rules: {first:.2f} us unique, {again:.2f} us repeated, {reading:.2f} us without memo"
    record_property("verdict", report)
    print(report)
    assert [rulebook.verdict("s", one).rule for one in events[:3]] == ["rule 0", "rule 1", "rule 2"]
    assert all(len(list(rulebook._index.candidates(one.labels))) == 1 for one in events[:100])
