"""A real Prometheus rule: through a real Alertmanager, and straight to Tocsin; and amtool straight to Tocsin."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.real.alertmanager import NAMES, alertmanager, amtool_adds
from tests.real.prometheus import Target, prometheus, target
from tests.real.world import RealTown, real_town
from triage.model import Phase, Severity
from triage.rulebook.types import Source

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
        prometheus(watched, {"static_configs": [{"targets": [between.url.removeprefix("http://")]}]}, tmp_path),
    ):
        await breaks_and_is_mended(town, watched)
        assert {one.path for one in town.wire.seen} == {"/v1/events/alertmanager"}


@pytest.mark.needs("prometheus")
async def test_straight_at_tocsin(redis_url: str, tmp_path: Path) -> None:
    async with real_town(redis_url, tmp_path, [GUARDED]) as town, target() as watched:
        async with prometheus(watched, pointed_at(town, authorization={"credentials": TOKEN}), tmp_path):
            await breaks_and_is_mended(town, watched)
        assert {one.path for one in town.wire.seen} == {"/api/v2/alerts"}


@pytest.mark.needs("prometheus")
@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"basic_auth": {"username": "any", "password": TOKEN}}, "/api/v2/alerts"),
        ({"path_prefix": f"/v1/events/prometheus/{TOKEN}"}, f"/v1/events/prometheus/{TOKEN}/api/v2/alerts"),
    ],
    ids=["basic", "path"],
)
async def test_other_ways_to_show_the_token(
    redis_url: str, tmp_path: Path, settings: dict[str, Any], path: str
) -> None:
    async with real_town(redis_url, tmp_path, [GUARDED]) as town, target() as watched:
        async with prometheus(watched, pointed_at(town, **settings), tmp_path):
            await town.until("somebody is paged", lambda: town.paged == ["ana"])
        assert {one.path for one in town.wire.seen} == {path}


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
