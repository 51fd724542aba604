"""A real Alertmanager, fed by amtool, posts to the real door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.real.alertmanager import alertmanager, amtool_adds
from tests.real.world import mortal_store, real_town
from triage.model import Phase, Severity

pytestmark = [pytest.mark.needs("prometheus-alertmanager", "alertmanager"), pytest.mark.needs("amtool")]

DOWN = ("alertname=Down", "service=checkout", "instance=web-1")
SLOW = ("alertname=Slow", "service=checkout", "instance=web-2")


async def test_one_page_whatever_it_repeats_then_the_all_clear(redis_url: str, tmp_path: Path) -> None:
    async with real_town(redis_url, tmp_path) as town, alertmanager(town.wire.url, tmp_path) as sender:
        await amtool_adds(sender.url, *DOWN)
        await town.until("somebody is paged", lambda: town.paged == ["ana"])
        assert town.incident.severity == Severity.P0
        assert "Checkout answers 500" in town.messages[0]["title"]
        await town.until("the same again, twice", lambda: len(town.wire.seen) >= 3)
        assert [len(one.alerts) for one in town.wire.seen[:3]] == [1, 1, 1]
        await amtool_adds(sender.url, *DOWN, ends=True)
        await town.until("all clear", lambda: town.told == ["All clear: Checkout answers 500"])
        await town.until("settled", lambda: town.incident.phase is Phase.RESOLVED)
        assert town.paged == ["ana"]


async def test_two_alerts_of_one_group_are_one_incident(redis_url: str, tmp_path: Path) -> None:
    async with real_town(redis_url, tmp_path) as town, alertmanager(town.wire.url, tmp_path) as sender:
        await amtool_adds(sender.url, *DOWN)
        await amtool_adds(sender.url, *SLOW)
        await town.until("both are in", lambda: bool(town.incidents) and town.incident.alerts == 2)
        await amtool_adds(sender.url, *DOWN, ends=True)
        await town.until("one is over", lambda: town.incident.firing == 1)
        assert town.incident.phase is Phase.DETECTED
        await amtool_adds(sender.url, *SLOW, ends=True)
        await town.until("both are over", lambda: town.incident.phase is Phase.RESOLVED)
        assert town.paged == ["ana"]


async def test_nothing_is_lost_while_the_store_is_away(tmp_path: Path) -> None:
    """An end comes only once, and just then the store is away: Alertmanager hears 503 and keeps it for us."""
    with mortal_store() as store:
        async with real_town(store.url, tmp_path) as town, alertmanager(town.wire.url, tmp_path) as sender:
            await amtool_adds(sender.url, *DOWN)
            await town.until("somebody is paged", lambda: town.paged == ["ana"])
            store.die()
            await amtool_adds(sender.url, *SLOW)
            await amtool_adds(sender.url, *DOWN, ends=True)
            await town.until("refused more than once", lambda: town.wire.statuses().count(503) > 1)
            store.rise()
            await town.until(
                "the end and the new one came", lambda: (town.incident.firing, town.incident.alerts) == (1, 2)
            )
            assert set(town.wire.statuses()) == {202, 503}
            assert town.paged == ["ana"]


async def test_one_bad_item_costs_the_others_nothing(redis_url: str, tmp_path: Path) -> None:
    async with real_town(redis_url, tmp_path) as town:
        async with alertmanager(town.wire.url, tmp_path) as sender:
            await amtool_adds(sender.url, *DOWN)
            await amtool_adds(sender.url, *SLOW)
            await town.until("both in one message", lambda: any(len(one.alerts) == 2 for one in town.wire.seen))
        body = json.loads(next(one.body for one in town.wire.seen if len(one.alerts) == 2))
        good, bad = body["alerts"]
        good["labels"]["instance"] = "web-3"
        bad["labels"] = "none"
        answer = await town.post("alertmanager", body)
        assert (answer["accepted"], answer["rejected"]) == (1, 1)
        assert answer["problems"][0]["where"] == "alerts[1]"
        assert answer["problems"][0]["field"] == "labels"
        assert town.incident.alerts == 3
        assert [one["person"] for one in town.messages if "cannot be used" in one["body"]] == ["eve"]
