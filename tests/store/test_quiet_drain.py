"""Inhibitions on a real store: a cold memory is read in few round trips, however much inhibits however much."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import redis

from tests.store.test_attack_drain import append
from tests.store.test_drain import Bench
from tests.unit.triage.stage import FILES, alert
from triage.memory import Key
from triage.model import MINUTE, RulesLoaded, Status, rules_digest
from triage.store import journal
from triage.store.audit import audit
from triage.store.memory import Cache

INHIBITED = FILES | {
    "quiet.yaml": """
inhibitions:
  node down:
    source_matchers: ['alertname="NodeDown"']
    target_matchers: ['alertname="Down"']
    equal: [instance]
"""
}
NUMBER = 200


@pytest.fixture
def bench(redis_url: str) -> Bench:
    bench = Bench(redis_url)
    journal.append(bench.client, RulesLoaded(rules_digest(INHIBITED), INHIBITED), bench.now)
    bench.settle()
    return bench


def many(name: str, status: Status = Status.FIRING) -> list[Any]:
    return [alert(name, status, instance=str(one), service=f"s{one}") for one in range(NUMBER)]


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many keys each round trip to the store asked for."""
    counted: list[int] = []
    load = Cache.load

    def counting(cache: Cache, client: redis.Redis, wanted: Iterable[Key]) -> None:
        asked = list(wanted)
        counted.append(len(asked))
        load(cache, client, asked)

    monkeypatch.setattr(Cache, "load", counting)
    return counted


def test_a_large_entry_of_inhibited_alerts_is_decided_in_few_round_trips(bench: Bench, loads: list[int]) -> None:
    append(bench, many("NodeDown"))
    bench.settle()
    append(bench, many("Down"))
    loads.clear()
    bench.settle(bench.another())
    assert len(loads) < 40, loads
    assert audit(bench.client).outcomes["inhibited/inhibited"] == NUMBER
    bench.holds()


def test_the_end_of_many_sources_and_what_it_sets_free_is_decided_in_few_round_trips(
    bench: Bench, loads: list[int]
) -> None:
    append(bench, many("NodeDown"))
    append(bench, many("Down"))
    bench.settle()
    append(bench, many("NodeDown", Status.RESOLVED))
    loads.clear()
    bench.settle(bench.another())
    bench.now += MINUTE
    bench.settle(bench.another())
    assert len(loads) < 80, loads
    bench.holds()
