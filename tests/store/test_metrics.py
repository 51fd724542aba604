"""Metrics of an incident from the alert's link to the picture: the real desk, store and worker, a fake Prometheus."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

import msgspec
from click.testing import CliRunner

from tests.store.desk_support import DOWN, RULES, TOKEN, Town, town
from tests.unit.workers.http_server import Provider, serving
from tocsin.cli import main
from triage.metrics import AFTER_RECOVERY
from triage.model import MINUTE, Status
from triage.store import keys
from triage.store.audit import audit
from triage.store.client import connect
from workers.outbound import allow
from workers.reader import Reader

HOSTILE = "</svg><script>alert(1)</script>"
LINKED = msgspec.structs.replace(DOWN, url="http://prom-0:9090/graph?g0.expr=rate(errors%5B5m%5D)+%3E+0.5&g0.tab=1")


@dataclass
class Lab:
    """A town with a Prometheus to ask."""

    here: Town
    server: Provider
    reader: Reader

    async def read(self) -> None:
        """Let the worker read what is asked for, and triage hear of it."""
        async with self.here.draining():
            while await asyncio.to_thread(self.reader.begin):
                await asyncio.to_thread(self.reader.settle)

    async def get(self) -> tuple[str, Any]:
        (incident,) = (await self.here.get("/incidents"))["items"]
        return incident["id"], await self.here.get(f"/incidents/{incident['id']}/metrics")

    def answers(self, *values: float) -> None:
        """Let the next answers be these values, one a minute, the last of them now."""
        start = self.here.clock.now / 1_000 - 60 * (len(values) - 1)
        samples = [[start + 60 * index, str(value)] for index, value in enumerate(values)]
        series = [{"metric": {"service": "checkout", "pod": HOSTILE}, "values": samples}]
        self.server.body = json.dumps({"data": {"resultType": "matrix", "result": series}}).encode()


@asynccontextmanager
async def lab(redis_url: str) -> AsyncIterator[Lab]:
    allow(["127.0.0.0/8"])
    server = Provider(status=200)
    client = connect(redis_url)
    try:
        with serving(server) as port:
            async with town(redis_url) as here:
                await here.load(
                    {**RULES, "metrics.yaml": f'prometheus: {{main: {{url: "http://127.0.0.1:{port}"}}}}\n'}
                )
                yield Lab(here, server, Reader(client, here.clock, lambda _: None))
                report = audit(client, replay=True)
                assert report.ok, report.lines
    finally:
        client.close()
        allow([])


async def test_what_was_read_is_shown_everywhere_and_hostile_text_stays_text(redis_url: str) -> None:
    async with lab(redis_url) as one:
        one.answers(0.1, 0.2, 0.9, 1.4)
        await one.here.send(LINKED)
        _, before = await one.get()
        assert (before["pending"], before["snapshots"]) == (True, [])
        await one.read()
        name, found = await one.get()
        assert (found["query"], found["curve"], found["threshold"]) == (
            "rate(errors[5m]) > 0.5",
            "rate(errors[5m])",
            0.5,
        )
        (onset,) = found["snapshots"]
        assert (onset["around"], onset["fault"], onset["curves"][0]["labels"]["pod"]) == ("onset", "", HOSTILE)
        assert "highest 1.4" in onset["text"]
        assert parse_qs(one.server.got[0][2].decode())["query"] == ["rate(errors[5m])"]
        async with one.here.session.get(
            one.here.url + onset["svg"], headers={"Authorization": f"Bearer {TOKEN}"}
        ) as answer:
            svg = await answer.text()
            assert (answer.status, answer.content_type) == (200, "image/svg+xml")
            assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert ET.fromstring(svg).tag.endswith("svg")
        assert "<script" not in svg
        await one.here.sign_in()
        _, view = await one.here.view(f"/incidents/{name}")
        assert '<svg class="chart"' in view
        assert "<script>alert" not in view
        postmortem = await one.here.get(f"/incidents/{name}/postmortem")
        assert "## What was measured" in postmortem["markdown"]
        assert "highest 1.4 at" in postmortem["markdown"]
        _, view = await one.here.view(f"/incidents/{name}/postmortem")
        assert '<svg class="chart"' in view
        given = ["--url", one.here.url, "--admin.token", TOKEN]
        for verb in ("show", "metrics"):
            shown = await asyncio.to_thread(CliRunner().invoke, main, ["incident", verb, name, *given])
            assert "█" in shown.output, shown.output


async def test_recovery_is_read_ten_minutes_after_it(redis_url: str) -> None:
    async with lab(redis_url) as one:
        one.answers(0.9, 1.4)
        await one.here.send(LINKED)
        await one.read()
        one.here.clock.now += 5 * MINUTE
        await one.here.send(msgspec.structs.replace(DOWN, status=Status.RESOLVED))
        one.here.clock.now += AFTER_RECOVERY
        await one.here.decide()
        one.answers(1.4, 1.2, 0.1)
        await one.read()
        _, found = await one.get()
        assert [each["around"] for each in found["snapshots"]] == ["onset", "recovery"]
        assert "no longer from" in found["snapshots"][1]["text"]
        status, _ = await one.here.ask("GET", "/incidents/zzzzzz/metrics")
        assert status == 404


async def test_a_prometheus_that_fails_costs_a_line_and_two_workers_read_once(redis_url: str) -> None:
    async with lab(redis_url) as one:
        one.server.status, one.server.body = 503, b'{"error": "out of memory"}'
        await one.here.send(LINKED)
        other = Reader(connect(redis_url), one.here.clock, lambda _: None)
        begun = [await asyncio.to_thread(each.begin) for each in (one.reader, other)]
        async with one.here.draining():
            await asyncio.to_thread(one.reader.settle)
        assert (begun, len(one.server.got)) == ([1, 0], 1)
        name, found = await one.get()
        assert "HTTP 503: out of memory" in found["snapshots"][0]["fault"]
        lines = (await one.here.get(f"/incidents/{name}/timeline"))["items"]
        assert [each for each in lines if each["what"] == "metrics" and "out of memory" in each["text"]]
        assert one.reader._client.zcard(keys.READINGS) == 0
        status, _ = await one.here.ask("GET", f"/incidents/{name}/metrics/onset.svg")
        assert status == 404
