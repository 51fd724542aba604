"""Own checks on a real store: one look per interval whoever makes it, and what is told is told once."""

from __future__ import annotations

import asyncio
import threading

from click.testing import CliRunner

from ingest.stats import DoorStats
from tests.store.desk_support import RULES, TOKEN, Clock, Town, town
from tocsin import metrics
from tocsin.cli import main
from triage.model import Events
from triage.rulebook.checks import Check
from triage.store import checks, journal
from triage.store.client import connect
from workers.probe import Seen
from workers.prober import Prober
from workers.secrets import Lookup

CHECKS = "checks: {shop: {tcp: 'shop:1', every: 1m, service: shop}, db: {tcp: 'db:1', every: 1m}}"
MINUTE = 60_000
BAD = Seen("status", "HTTP 500, expected 200", 7)


class Sight:
    """What is seen of each check, and how often somebody looked."""

    def __init__(self) -> None:
        self.of: dict[str, Seen] = {}
        self.looks: list[str] = []
        self.gate: threading.Event | None = None

    def __call__(self, check: Check, lookup: Lookup) -> Seen:
        self.looks.append(check.name)
        if self.gate is not None:
            self.gate.wait(10)
        return self.of.get(check.name, Seen())


def prober(redis_url: str, clock: Clock, sight: Sight) -> Prober:
    return Prober(connect(redis_url), clock, lambda _: None, "here", sight)


def told(redis_url: str) -> list[str]:
    entries = journal.read(connect(redis_url), "0", 1_000)
    found = [entry.body for entry in entries if isinstance(entry.body, Events)]
    return [f"{event.labels['check']} {event.status.value}" for body in found for event in body.events]


async def after(here: Town, *probers: Prober, minutes: int = 1) -> None:
    """Let so many minutes pass, in each of which everybody looks at what is due."""
    for _ in range(minutes):
        here.clock.now += MINUTE
        for one in probers:
            await asyncio.to_thread(one.round)
            await asyncio.to_thread(one.rest)
    await here.decide()


async def test_several_machines_make_one_look_per_interval(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.load({**RULES, "checks.yaml": CHECKS})
        sight = Sight()
        some = [prober(redis_url, here.clock, sight) for _ in range(3)]
        for one in some:
            await asyncio.to_thread(one.round)
            await asyncio.to_thread(one.rest)
        assert sorted(sight.looks) == ["db", "shop"]
        sight.of["shop"] = BAD
        await after(here, *some, minutes=4)
        assert len(sight.looks) in (8, 10)  # a jitter decides whether the first of these minutes holds a look
        assert told(redis_url).count("shop firing") == 1
        assert (await here.get("/ledger"))["undecided"] == 0


async def test_a_machine_that_dies_at_a_look_is_made_up_for_and_one_that_comes_back_late_says_nothing(
    redis_url: str,
) -> None:
    async with town(redis_url) as here:
        await here.load({**RULES, "checks.yaml": "checks: {shop: {tcp: 'shop:1', every: 1m, confirm: 1}}"})
        slow = Sight()
        slow.gate, slow.of["shop"] = threading.Event(), BAD
        dying = prober(redis_url, here.clock, slow)
        assert await asyncio.to_thread(dying.round) == 1
        sight = Sight()
        other = prober(redis_url, here.clock, sight)
        assert await asyncio.to_thread(other.round) == 0
        connect(redis_url).delete("{tocsin}:look:shop")  # as its lease would end
        assert await asyncio.to_thread(other.round) == 1
        await asyncio.to_thread(other.rest)
        slow.gate.set()
        await asyncio.to_thread(dying.rest)
        assert told(redis_url) == ["shop resolved"]


async def test_a_check_that_leaves_the_rules_takes_its_alert_along(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.load({**RULES, "checks.yaml": CHECKS})
        sight = Sight()
        sight.of["shop"] = BAD
        one = prober(redis_url, here.clock, sight)
        await after(here, one, minutes=4)
        assert [incident["title"] for incident in (await here.get("/incidents?open=true"))["items"]] == [
            "Check shop fails: HTTP 500, expected 200"
        ]
        await here.load({**RULES, "checks.yaml": "checks: {db: {tcp: 'db:1'}}"})
        await after(here, one)
        assert checks.names(connect(redis_url)) == ["db"]
        assert told(redis_url)[-1] == "shop resolved"
        await here.load(RULES)
        await after(here, one)
        assert checks.names(connect(redis_url)) == []


async def test_how_each_stands_over_the_api_the_command_and_the_metrics(redis_url: str) -> None:
    async with town(redis_url) as here:
        assert await here.get("/checks") == {"items": [], "next": None}
        await here.load({**RULES, "checks.yaml": CHECKS})
        assert [one["state"] for one in (await here.get("/checks"))["items"]] == ["new", "new"]
        sight = Sight()
        sight.of |= {"shop": BAD, "db": Seen(expires_at=here.clock.now + 90 * 86_400_000)}
        one = prober(redis_url, here.clock, sight)
        await after(here, one)
        db, shop = (await here.get("/checks"))["items"]
        assert (db["state"], db["place"], db["certificate_ends"]) == (
            "passes",
            "tcp://db:1",
            "2026-04-01T00:00:00.000Z",
        )
        assert (shop["state"], shop["amiss"], shop["text"]) == ("failing", "status", "HTTP 500, expected 200")
        await after(here, one, minutes=2)
        first = await here.get("/checks?limit=1")
        (shop,) = (await here.get(f"/checks?after={first['next']}"))["items"]
        assert (shop["state"], shop["took_ms"], shop["looks"] == shop["failures"]) == ("fails", 7, True)
        asked = ["checks", "--url", here.url, "--admin.token", TOKEN]
        result = await asyncio.to_thread(CliRunner().invoke, main, asked)
        assert result.exit_code == 0, result.output
        assert [line.split()[:2] for line in result.output.splitlines()] == [
            ["state", "name"],
            ["passes", "db"],
            ["fails", "shop"],
        ]
        text = (await metrics.scrape(here.client, DoorStats())).decode()
        assert 'tocsin_check_success{check="shop"} 0.0' in text
        assert 'tocsin_check_certificate_end_seconds{check="db"} 1.7750016e+09' in text
