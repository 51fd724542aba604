"""The story of a shop that Tocsin looks at itself, over a real connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stories.town import SEVERITY, Town, oncall
from tests.unit.workers.http_server import Provider, serving
from triage.model import Phase
from triage.store.client import connect
from workers import outbound
from workers.prober import Prober


@pytest.fixture(autouse=True)
def here_allowed() -> Iterator[None]:
    outbound.allow(["127.0.0.0/8"])
    yield
    outbound.allow([])


def looks(town: Town, prober: Prober, minutes: int) -> None:
    """Let minutes pass, in each of which what is due is looked at."""
    for _ in range(minutes):
        town.wait(minutes=1)
        prober.round()
        prober.rest()
    town.settle()


async def test_a_shop_that_answers_500_wakes_ana_and_is_over_when_it_answers_again(town: Town) -> None:
    shop = Provider(200, b"all is well")
    with serving(shop) as port:
        checks = f"""
checks:
  front:
    http: http://127.0.0.1:{port}/
    every: 1m
    confirm: 3
    expect: {{body: well}}
    severity: P1
    labels: {{team: shop}}
"""
        await town.loads({"severity.yaml": SEVERITY, "oncall.yaml": oncall(town.pages), "checks.yaml": checks})
        prober = Prober(connect(town.url), town.clock, lambda _: None)
        looks(town, prober, 5)
        assert town.incidents == []
        shop.status = 500
        looks(town, prober, 2)
        shop.status = 200
        looks(town, prober, 1)
        assert town.paged == []
        shop.body = b"maintenance"
        looks(town, prober, 5)
        assert town.incident.title == "Check front fails: the body does not match well"
        assert town.paged[0] == "ana"
        await town.acks("ana")
        looks(town, prober, 50)
        assert town.paged.count("ben") == 0
        shop.body = b"well again"
        looks(town, prober, 2)
        assert town.incident.phase is Phase.MONITORING
        assert len(shop.got) in range(64, 68)
        town.accepted += 3  # it passes, it fails, it passes again
