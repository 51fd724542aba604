"""The metrics behind an alert, read of a real Prometheus by the link of an alert that it made itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.real.prometheus import prometheus, target
from triage import curves
from triage.measured import Asked, Query, Snapshot
from triage.metrics import CURVES_MAX
from triage.model import SECOND, Around, Measured
from triage.promql import expression_of, split
from workers.outbound import allow
from workers.prometheus import read

pytestmark = pytest.mark.needs("prometheus")


@pytest.fixture(autouse=True)
def _near() -> Iterator[None]:
    allow(["127.0.0.0/8"])
    yield
    allow([])


async def test_the_course_of_an_alert_is_read_by_its_own_link(tmp_path: Path) -> None:
    async with target() as watched, prometheus(watched, tmp_path) as server, aiohttp.ClientSession() as session:
        watched.broken = False

        async def looked(text: str, **labels: str) -> tuple[Query, Measured, Asked]:
            curve, sign, threshold = split(text)
            query = Query("main", server.url, {}, text, curve, sign, threshold, labels, "the alert")
            now = time.time_ns() // 1_000_000
            asked = Asked(Around.ONSET, now - 60 * SECOND, now, SECOND, now)
            return query, await asyncio.to_thread(read, "key", query, asked, lambda _: None), asked

        async def until(value: float) -> tuple[Query, Measured, Asked]:
            for _ in range(200):
                query, found, asked = await looked(text, service="checkout")
                assert found.fault == ""
                if found.curves and found.curves[0].values[-1] == value:
                    return query, found, asked
                await asyncio.sleep(0.05)
            raise AssertionError(f"it never became {value}")

        async with session.get(f"{server.url}/api/v1/rules") as answer:
            (rule,) = [one for one in (await answer.json())["data"]["groups"][0]["rules"] if one["type"] == "alerting"]
        text = expression_of(f"{server.url}/graph?g0.expr={rule['query'].replace(' ', '+')}&g0.tab=1")
        assert split(text) == ("checkout:broken", ">", 0.0)
        await until(0)
        watched.broken = True
        query, found, asked = await until(1)
        assert found.curves[0].labels == {"__name__": "checkout:broken", "service": "checkout"}
        snapshot = Snapshot(asked.around, found.start, asked.end, found.step, asked.at, found.curves)
        assert "highest 1 at" in curves.sentence(query, snapshot)
        assert "> 0 since" in curves.sentence(query, snapshot)
        _, many, _ = await looked("prometheus_http_requests_total >= 0")
        assert len(many.curves) <= CURVES_MAX
        _, wrong, _ = await looked("sum(")
        assert "HTTP 400" in wrong.fault
        assert "parse error" in wrong.fault
        strange = msgspec.structs.replace(query, url=f"http://{watched.address}")
        elsewhere = await asyncio.to_thread(read, "key", strange, asked, lambda _: None)
        assert "HTTP 404" in elsewhere.fault
