"""A town with Tocsin in it: the door, a drain and a deliverer over a real Valkey, on a clock that is moved.

A story says what happens (`town.fires`, `town.wait`, `town.acks`) and looks at what people got (`town.paged`). What
they got is read from the file that the `file://` channel wrote, not from Tocsin's own counts; and every story ends with
the audit: the ledger balances with an independent count of what was answered 202, and history replays.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import aiohttp
import msgspec
from aiohttp import web

from ingest import adapters, server
from ingest.guard import GuardedRunner
from ingest.settings import DoorSettings
from ingest.sources import SourceBook
from triage.model import HOUR, MINUTE, Command, Incident, Line, Millis, RulesLoaded, Verb, rules_digest
from triage.rulebook.types import Source
from triage.store import keys
from triage.store.appender import Appender
from triage.store.audit import audit
from triage.store.client import connect
from triage.store.memory import value_of
from workers import channel
from workers.deliver import Deliver
from workers.drain import Drain

START: Final[Millis] = 1_772_445_600_000  # Monday 2026-03-02, 10:00 UTC

SEVERITY: Final = """
rules:
  - name: checkout down
    matchers: ['service="checkout"', 'alertname="Down"']
    severity: P0
    group_by: [service]
  - name: together
    matchers: ['service=~".+"']
    group_by: [service]
"""


def oncall(pages: Path) -> str:
    """Three people whose contact method is a file each, two steps, two rounds."""
    people = "\n".join(
        f"  {name}: {{name: {name.title()}, contact: ['file://{pages}']}}" for name in ("ana", "ben", "eve")
    )
    return f"""
people:
{people}
policies:
  default:
    rounds: 2
    steps: [{{notify: [ana], wait: 5m}}, {{notify: [ben], wait: 10m}}]
operators: [eve]
last_resort: [eve]
"""


class Town:
    """The running system. Times are milliseconds; `now` is moved by `wait`, and everybody looks at it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.now: Millis = START
        self.url = url
        self.pages = folder / "pages.jsonl"
        self.client = connect(url)
        self.drain = Drain(connect(url), self.clock)
        self.deliver = self._deliverer()
        self.appender = Appender(url)
        self.base = ""
        self.session: aiohttp.ClientSession | None = None
        self.accepted = 0

    def clock(self) -> Millis:
        return self.now

    def _deliverer(self) -> Deliver:
        return Deliver(connect(self.url), self.clock, channel.load(), lambda _name: None)

    # ---------------------------------------------------------------------------------------------- what happens

    async def post(self, source: str, body: Any, **kwargs: Any) -> dict[str, Any]:
        """POST a body as its sender would, count what was answered 202, and let everything come to rest."""
        answer = await self.post_only(source, body, **kwargs)
        self.settle()
        return answer

    async def post_only(self, source: str, body: Any, **kwargs: Any) -> dict[str, Any]:
        assert self.session is not None
        async with self.session.post(f"{self.base}/v1/events/{source}", json=body, **kwargs) as answer:
            assert answer.status == 202, await answer.text()
            told: dict[str, Any] = await answer.json()
            self.accepted += told["accepted"]
            return told

    async def fires(self, name: str, *, settle: bool = True, **labels: str) -> dict[str, Any]:
        return await self._alert("firing", name, labels, settle)

    async def ends(self, name: str, *, settle: bool = True, **labels: str) -> dict[str, Any]:
        return await self._alert("resolved", name, labels, settle)

    async def _alert(self, status: str, name: str, labels: dict[str, str], settle: bool) -> dict[str, Any]:
        known = {"service": "shop", "severity": "critical", **labels}
        body = {"status": status, "title": name, "labels": {"alertname": name, **known}, "severity": known["severity"]}
        body["dedup_key"] = json.dumps([name, sorted(known.items())])
        return await (self.post if settle else self.post_only)("generic", body)

    async def asks(self, verb: Verb, by: str, text: str = "", confirm: bool = False) -> None:
        incident = self.incident
        await self.appender.append(Command(verb, incident.key, by, "story", text, confirm), self.now)
        self.settle()

    async def acks(self, by: str) -> None:
        await self.asks(Verb.ACKNOWLEDGE, by)

    async def loads(self, files: dict[str, str]) -> None:
        await self.appender.append(RulesLoaded(rules_digest(files), files), self.now)
        self.settle()

    def settle(self) -> None:
        """Let the workers run until nothing is left to decide and nothing to deliver."""
        while self.drain.step() or self.deliver.pump():
            pass

    def wait(self, minutes: float = 0, hours: float = 0) -> None:
        """Move the clock, stopping at each moment at which something is due."""
        until = self.now + int(minutes * MINUTE + hours * HOUR)
        while True:
            self.settle()
            firsts = [self.client.zrange(index, 0, 0, withscores=True) for index in (keys.TIMERS, keys.DUE)]
            due = [int(cast("Any", first)[0][1]) for first in firsts if first]
            soonest = min(due, default=until)
            if soonest >= until:
                break
            self.now = max(self.now, soonest)
        self.now = until
        self.settle()

    def sleep(self, minutes: float) -> None:
        """Move the clock while nobody works: a downtime."""
        self.now += int(minutes * MINUTE)

    # -------------------------------------------------------------------------------------------- what can be seen

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What people got, in order, as the channel wrote it."""
        if not self.pages.exists():
            return []
        return [json.loads(line) for line in self.pages.read_text().splitlines()]

    @property
    def paged(self) -> list[str]:
        """Who was paged, in order."""
        return [one["person"] for one in self.messages if one["kind"] == "page"]

    @property
    def told(self) -> list[str]:
        """The titles of everything that was no page, in order."""
        return [one["title"] for one in self.messages if one["kind"] != "page"]

    @property
    def incidents(self) -> list[Incident]:
        raw = self.client.hvals(keys.family("incident"))
        found = [cast("Incident", value_of("incident", cast("bytes", one))) for one in raw]
        return sorted(found, key=lambda one: one.opened_at)

    @property
    def incident(self) -> Incident:
        (only,) = self.incidents
        return only

    def timeline(self, incident: Incident) -> list[Line]:
        raw = self.client.lrange(keys.timeline(incident.key), 0, -1)
        return [msgspec.msgpack.decode(cast("bytes", one), type=Line) for one in raw]

    def audit(self) -> None:
        """The end of every story."""
        report = audit(self.client, replay=True)
        assert report.ok, report.lines
        assert (report.accepted, report.undecided) == (self.accepted, 0), report.lines
        ids = [one["id"] for one in self.messages]
        assert len(ids) == len(set(ids)), "somebody was told the same twice"


@asynccontextmanager
async def town_at(
    url: str,
    folder: Path,
    severity: str = SEVERITY,
    make: type[Town] = Town,
    configured: Iterable[Source] = (),
    resolve_secret: Callable[[str], bytes] = lambda _reference: b"",
) -> AsyncIterator[Town]:
    """A town whose rules are loaded and whose door is open; it ends with the audit.

    `configured` are the sources of sources.yaml, `resolve_secret` finds their secrets, `make` is another kind of town.
    """
    town = make(url, folder)
    sources = SourceBook([adapters.load(name) for name in adapters.names()], resolve_secret)
    sources.update(configured)
    app = server.application(DoorSettings(), town.appender, sources, town.clock)
    runner = GuardedRunner(app, DoorSettings().limits)
    await town.appender.start()
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    town.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession() as session:
            town.session = session
            await town.loads({"severity.yaml": severity, "oncall.yaml": oncall(town.pages)})
            yield town
            town.settle()
            town.audit()
    finally:
        await runner.cleanup()
        await town.appender.close()
