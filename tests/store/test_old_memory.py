"""Yesterday's backup: a real data directory is copied, and a day later the copy is started in its place."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.unit.triage.stage import FILES, START, alert
from tocsin import valkey
from triage.model import HOUR, MINUTE, Body, Command, Events, Millis, RulesLoaded, Verb, rules_digest
from triage.store import keys
from triage.store.appender import Appender
from triage.store.audit import audit
from triage.store.client import connect
from triage.store.memory import value_of
from workers import channel
from workers.deliver import Deliver
from workers.drain import Drain


class House:
    """A drain and a deliverer over one store, on a clock that is moved; people have a file each."""

    def __init__(self, url: str, pages: Path, now: Millis) -> None:
        self.url = url
        self.now = now
        self.pages = pages
        self.client = connect(url)
        self.drain = Drain(connect(url), lambda: self.now)
        self.deliver = Deliver(connect(url), lambda: self.now, channel.load(), lambda _: None)

    async def appends(self, body: Body) -> None:
        appender = Appender(self.url)
        await appender.start()
        await appender.append(body, self.now)
        await appender.close()

    def settle(self) -> None:
        while self.drain.step() or self.deliver.pump():
            pass

    def told(self) -> list[str]:
        return self.pages.read_text().splitlines() if self.pages.exists() else []

    def close(self) -> None:
        self.client.close()


def rules(pages: Path) -> RulesLoaded:
    oncall = FILES["oncall.yaml"]
    for name in ("terminal://ana", "file:///ana", "terminal://ben", "terminal://eve"):
        oncall = oncall.replace(name, f"file://{pages}")
    files = {**FILES, "oncall.yaml": oncall}
    return RulesLoaded(rules_digest(files), files)


async def test_yesterdays_backup_sends_at_most_one_digest_a_person_and_no_old_page(tmp_path: Path) -> None:
    pages = tmp_path / "pages.jsonl"
    server = valkey.start(tmp_path / "state")
    try:
        house = House(server.url, pages, START)
        await house.appends(rules(pages))
        events = [alert(service=f"s{n}") for n in range(8)] + [alert("Slow", service="slow", severity="error")]
        await house.appends(Events("am", events))
        house.settle()
        keyed = house.client.hvals(keys.family("incident"))
        first = value_of("incident", keyed[0]).key  # type: ignore[arg-type,attr-defined]
        await house.appends(Command(Verb.ACKNOWLEDGE, first, "ben", "test"))
        house.settle()
        # One more page is committed, and nobody delivers it any more.
        await house.appends(Events("am", [alert(service="late", severity="outage")]))
        while house.drain.step():
            pass
        house.close()
    finally:
        server.stop()
    shutil.copytree(tmp_path / "state", tmp_path / "backup")
    before = len(house.told())
    server = valkey.start(tmp_path / "backup")
    try:
        house = House(server.url, pages, START + 24 * HOUR)
        assert house.deliver.pump() == 0, "nothing is sent before somebody decided"
        house.settle()
        for _ in range(30):
            house.now += 2 * MINUTE
            house.settle()
        new = house.told()[before:]
        assert all('"notification"' in line and "Tocsin goes on after" in line for line in new), new
        assert sorted(name for line in new for name in ("ana", "ben", "eve") if f'"{name}"' in line) == [
            *("ana", "ben", "eve"),
        ]
        await house.appends(Events("am", [alert(service="late", severity="outage")]))
        house.settle()
        assert sum('"page"' in line for line in house.told()[before:]) == 1, "a sender says that it still fires"
        assert audit(house.client, replay=True).ok
        house.close()
    finally:
        server.stop()
