"""Stories of things that fall silent, through the real doors, a real store and the real workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from aiohttp import ClientSession, web

from desk.heartbeats import page
from ingest.guard import GuardedRunner
from ingest.heartbeats import HeartbeatDoor
from ingest.settings import DoorSettings
from ingest.sources import SourceBook
from ingest.stats import DoorStats
from tests.stories.town import SEVERITY, Town, oncall
from triage.memory import HEARTBEAT
from triage.model import Phase
from triage.roster import Heartbeat
from triage.rulebook import compile_files
from triage.store import keys
from triage.store.memory import value_of

BEATS = """
heartbeats:
  backup: {cron: "0 3 * * *", time_zone: Europe/Berlin, grace: 30m, max_run: 1h, severity: P1, service: shop}
  queue: {every: 5m, grace: 1m, severity: P2}
"""
WATCHDOG = SEVERITY.replace(
    "rules:\n",
    """rules:
  - name: watchdog
    matchers: ['alertname="Watchdog"']
    heartbeat: {by: [cluster], every: 5m, grace: 2m, expect: [eu1, us1], severity: P1}
""",
)


def files(town: Town, **more: str) -> dict[str, str]:
    return {"severity.yaml": WATCHDOG, "oncall.yaml": oncall(town.pages)} | {
        f"{name}.yaml": text for name, text in more.items()
    }


@asynccontextmanager
async def beating(town: Town, folder: dict[str, str]) -> AsyncIterator[Any]:
    """Load the rules, open the door for beats, and yield what beats there."""
    await town.loads(folder)
    door = HeartbeatDoor(DoorSettings(), town.appender, SourceBook([], lambda _: b""), town.clock, DoorStats())
    door.update(compile_files(folder).cadences)
    app = web.Application()
    door.add_routes(app)
    runner = GuardedRunner(app, DoorSettings().limits)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/heartbeats"
    try:
        async with ClientSession() as session:

            async def beat(path: str, body: str = "") -> None:
                async with session.post(f"{base}/{path}", data=body) as answer:
                    assert answer.status == 202
                town.accepted += 1
                town.settle()

            yield beat
    finally:
        await runner.cleanup()


def standing(town: Town) -> dict[str, str]:
    raw = cast("dict[bytes, bytes]", town.client.hgetall(keys.family(HEARTBEAT)))
    kept = {name.decode(): cast("Heartbeat", value_of(HEARTBEAT, one)) for name, one in raw.items()}
    shown = page(kept, compile_files(files(town, heartbeats=BEATS)), 50, None)
    return {f"{one.name}{''.join(one.labels.values())}": one.state for one in shown.items}


async def test_a_backup_that_hangs_one_night_and_fails_the_next(town: Town) -> None:
    async with beating(town, files(town, heartbeats=BEATS, severity=SEVERITY)) as beat:
        town.wait(minutes=6)
        await beat("queue")
        town.wait(hours=15, minutes=54)  # 03:00 in Berlin
        await beat("backup/start")
        town.wait(minutes=59)
        assert town.paged == []
        town.wait(minutes=1)
        assert town.paged == ["ana"]
        await beat("backup")
        assert standing(town) == {"backup": "up", "queue": "missed"}
        town.wait(hours=23)
        before = len(town.paged)
        await beat("backup/3", "disk full")
        assert town.paged[before:] == ["ana"]
        assert town.incidents[-1].title == "Heartbeat failed: backup (exit code 3)"
        await beat("backup/0")
        assert town.incidents[-1].phase is Phase.MONITORING


async def test_a_watchdog_falls_silent_while_the_other_cluster_beats_on(town: Town) -> None:
    await town.loads(files(town))
    for minute in range(0, 20, 5):
        await town.fires("Watchdog", cluster="eu1")
        if minute < 10:
            await town.fires("Watchdog", cluster="us1")
        town.wait(minutes=5)
    assert [one.title for one in town.incidents] == ["Heartbeat missed: watchdog (cluster=us1)"]
    assert town.paged[0] == "ana"
    await town.acks("ana")
    await town.fires("Watchdog", cluster="us1")
    assert town.incident.phase is Phase.MONITORING


async def test_a_quarter_of_an_hour_of_our_own_downtime_is_nobodys_silence(town: Town) -> None:
    await town.loads(files(town))
    for cluster in ("eu1", "us1"):
        await town.fires("Watchdog", cluster=cluster)
    town.sleep(minutes=15)
    town.settle()
    for cluster in ("eu1", "us1"):
        await town.fires("Watchdog", cluster=cluster)
    town.wait(minutes=6)
    assert town.incidents == []


async def test_a_source_falls_silent_and_speaks_again(town: Town) -> None:
    sources = "sources: {generic: {adapter: generic, expect_every: 10m}}"
    await town.loads(files(town, sources=sources, severity=SEVERITY))
    town.wait(minutes=9)
    await town.ends("Down")
    town.wait(minutes=10)
    assert town.incident.title == "Nothing from generic for 10m"
    assert town.paged == ["ana"]
    await town.ends("Down")
    assert town.incident.phase is Phase.MONITORING


async def test_a_heartbeat_that_leaves_the_rules_takes_its_incident_along(town: Town) -> None:
    await town.loads(files(town))
    town.wait(minutes=7)
    assert len(town.incidents) == 2
    await town.loads(files(town, severity=SEVERITY))
    assert {one.phase for one in town.incidents} == {Phase.RESOLVED}
    assert town.client.hlen(keys.family(HEARTBEAT)) == 0
