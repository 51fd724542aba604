"""A real Prometheus rule: through a real Alertmanager, and straight to Tocsin; and amtool straight to Tocsin."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from tests.real.alertmanager import NAMES, alertmanager, amtool_adds
from tests.real.prometheus import Target, prometheus, target
from tests.real.world import Exchange, RealTown, mortal_store, real_town
from triage.memory import DETAILS
from triage.model import Details, Phase, Severity
from triage.promql import expression_of
from triage.rulebook.types import Source
from triage.store import keys
from triage.store.memory import value_of

TOKEN = "prometheus-token"
GUARDED = Source(name="prometheus", adapter="prometheus", token_sha256=(hashlib.sha256(TOKEN.encode()).hexdigest(),))


async def breaks_and_is_mended(town: RealTown, watched: Target) -> None:
    """Follow one outage from the page to the end of its incident."""
    await town.until("somebody is paged", lambda: town.paged == ["ana"])
    assert town.incident.severity == Severity.P0
    assert "Checkout answers 500" in town.messages[0]["title"]
    before = len(town.wire.seen)
    await town.until("the same again", lambda: len(town.wire.seen) > before + 1)
    watched.broken = False
    await town.until("all clear", lambda: town.told == ["All clear: Checkout answers 500"])
    await town.until("settled", lambda: town.incident.phase is Phase.RESOLVED)
    assert town.paged == ["ana"]
    assert town.incident.alerts == 1
    assert all(status < 300 for status in town.wire.statuses())


def linked(town: RealTown) -> set[str]:
    """What the links of the alerts that came carry."""
    raws = town.client.hvals(keys.family(DETAILS))
    return {expression_of(cast("Details", value_of(DETAILS, cast("bytes", raw))).url) for raw in raws}


def pointed_at(town: RealTown, **settings: Any) -> dict[str, Any]:
    """The entry of `alerting.alertmanagers` that names Tocsin."""
    return {"static_configs": [{"targets": [town.wire.url.removeprefix("http://")]}], **settings}


@pytest.mark.needs("prometheus")
@pytest.mark.needs(*NAMES)
async def test_a_rule_through_alertmanager(redis_url: str, tmp_path: Path) -> None:
    async with (
        real_town(redis_url, tmp_path) as town,
        target() as watched,
        alertmanager(town.wire.url, tmp_path) as between,
        prometheus(watched, tmp_path, {"static_configs": [{"targets": [between.url.removeprefix("http://")]}]}),
    ):
        await breaks_and_is_mended(town, watched)
        assert {one.path for one in town.wire.seen} == {"/v1/events/alertmanager"}
        assert linked(town) == {"checkout:broken > 0"}


@pytest.mark.needs("prometheus")
async def test_straight_at_tocsin(redis_url: str, tmp_path: Path) -> None:
    async with real_town(redis_url, tmp_path, [GUARDED]) as town, target() as watched:
        async with prometheus(watched, tmp_path, pointed_at(town, authorization={"credentials": TOKEN})):
            await breaks_and_is_mended(town, watched)
        assert {one.path for one in town.wire.seen} == {"/api/v2/alerts"}
        assert linked(town) == {"checkout:broken > 0"}


@pytest.mark.needs("prometheus")
async def test_other_ways_to_show_the_token(redis_url: str, tmp_path: Path) -> None:
    ways: list[dict[str, Any]] = [
        {"basic_auth": {"username": "any", "password": TOKEN}},
        {"path_prefix": f"/v1/events/prometheus/{TOKEN}"},
    ]
    paths = {"/api/v2/alerts", f"/v1/events/prometheus/{TOKEN}/api/v2/alerts"}
    async with real_town(redis_url, tmp_path, [GUARDED]) as town, target() as watched:
        async with prometheus(watched, tmp_path, *[pointed_at(town, **way) for way in ways]):
            await town.until("both ways were gone", lambda: {one.path for one in town.wire.seen} == paths)
            await town.until("somebody is paged", lambda: town.paged == ["ana"])
        assert set(town.wire.statuses()) == {200}


@pytest.mark.needs("prometheus")
async def test_an_end_while_the_store_is_away_comes_again(tmp_path: Path) -> None:
    """Prometheus drops what is refused, but says an end for 15 minutes."""
    with mortal_store() as store:
        async with real_town(store.url, tmp_path) as town, target() as watched:
            async with prometheus(watched, tmp_path, pointed_at(town)):
                await town.until("somebody is paged", lambda: town.paged == ["ana"])
                store.die()
                watched.broken = False
                await town.until("an end was refused", lambda: any(map(refused_end, town.wire.seen)))
                store.rise()
                await town.until("settled", lambda: town.incident.phase is Phase.RESOLVED)
            assert town.paged == ["ana"]


def refused_end(one: Exchange) -> bool:
    """Tell whether an alert that had ended was refused."""
    return one.status == 503 and any(
        datetime.fromisoformat(alert["endsAt"]) < datetime.now(UTC) for alert in one.alerts
    )


@pytest.mark.needs("amtool")
async def test_amtool_shows_its_token_and_tells_of_a_refusal(redis_url: str, tmp_path: Path) -> None:
    config = tmp_path / "http.yml"
    async with real_town(redis_url, tmp_path, [GUARDED]) as town:
        with pytest.raises(AssertionError, match="exits 1"):
            await amtool_adds(town.wire.url, "alertname=Down", "service=checkout")
        config.write_text(f"authorization: {{credentials: {TOKEN}}}")
        await amtool_adds(
            town.wire.url, "alertname=Down", "service=checkout", options=(f"--http.config.file={config}",)
        )
        await town.until("somebody is paged", lambda: town.paged == ["ana"])
        assert town.wire.statuses() == [401, 200]


@pytest.mark.needs("amtool")
async def test_amtool_straight_at_tocsin(redis_url: str, tmp_path: Path) -> None:
    """It asks for the version first; with no answer to that it warns, and posts all the same."""
    down = ("alertname=Down", "service=checkout")
    async with real_town(redis_url, tmp_path) as town:
        for _ in range(2):
            await amtool_adds(town.wire.url, *down)
            await amtool_adds(town.wire.url, *down, options=("--no-version-check",))
        await town.until("somebody is paged", lambda: town.paged == ["ana"])
        await asyncio.gather(*[amtool_adds(town.wire.url, *down) for _ in range(3)])
        await amtool_adds(town.wire.url, *down, ends=True)
        await town.until("all clear", lambda: town.told == ["All clear: Checkout answers 500"])
        assert town.paged == ["ana"]
        assert town.incident.alerts == 1
        assert [one.status for one in town.wire.seen if one.method == "POST"] == [200] * 8
