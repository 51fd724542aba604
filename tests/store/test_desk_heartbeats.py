"""Heartbeats over the REST API and on the command line: how each stands, and pages of them."""

from __future__ import annotations

import asyncio

from click.testing import CliRunner

from tests.store.desk_support import RULES, TOKEN, event, town
from tocsin.cli import main

WATCHDOG = """
rules:
  - name: watchdog
    matchers: ['alertname="Watchdog"']
    heartbeat: {by: [cluster], every: 5m, grace: 2m, expect: [eu1, us1]}
"""
FILES = {**RULES, "severity.yaml": WATCHDOG, "heartbeats.yaml": 'heartbeats: {night: {cron: "0 3 * * *", max_run: 1h}}'}
MINUTE = 60_000


async def test_each_heartbeat_is_listed_with_what_is_expected_and_what_was_heard(redis_url: str) -> None:
    async with town(redis_url) as here:
        assert await here.get("/heartbeats") == {"items": [], "next": None}
        await here.load(FILES)
        await here.send(event(alertname="Watchdog", cluster="eu1"))
        here.clock.now += 6 * MINUTE
        await here.send(event(alertname="Watchdog", cluster="eu1"))
        here.clock.now += MINUTE
        await here.decide()
        night, eu1, us1 = (await here.get("/heartbeats"))["items"]
        assert (night["kind"], night["name"], night["state"], night["beat_at"]) == ("ping", "night", "new", None)
        assert night["expected"] == "0 3 * * * (UTC), 5m late at most, runs 1h at most"
        assert night["due_at"] == "2026-01-01T03:05:00.000Z"
        assert (eu1["labels"], eu1["state"], eu1["beats"]) == ({"cluster": "eu1"}, "up", 2)
        assert eu1["warning"] == "late once, up to 6m apart, last at 2026-01-01T00:06:00.000Z"
        assert (us1["labels"], us1["state"], us1["due_at"]) == ({"cluster": "us1"}, "missed", None)
        missed = await here.get("/alerts?state=firing&label=heartbeat%3Dwatchdog")
        assert [one["fingerprint"] for one in missed["items"]] == [us1["fingerprint"]]


async def test_pages_of_heartbeats_follow_each_other(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.load(FILES)
        first = await here.get("/heartbeats?limit=2")
        rest = await here.get(f"/heartbeats?limit=2&after={first['next']}")
        assert [one["name"] for one in first["items"] + rest["items"]] == ["night", "watchdog", "watchdog"]
        assert rest["next"] is None


async def test_the_command_lists_them(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.load(FILES)
        await here.send(event(alertname="Watchdog", cluster="eu1"))
        asked = ["heartbeats", "--url", here.url, "--admin.token", TOKEN]
        result = await asyncio.to_thread(CliRunner().invoke, main, asked)
        assert result.exit_code == 0, result.output
        assert "up     rule watchdog (cluster=eu1)  every 5m, 2m late at most" in result.output
        assert len(result.output.splitlines()) == 4
