"""The self-watch on a real store: it finds what is wrong, tells it without that store, and pings while all is well."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import redis

from ingest.stats import DoorStats
from tests.conftest import Valkey, running_valkey
from tests.store.upping import Up, command, until
from tests.unit.workers import http_server, smtp_server
from tests.unit.workers.http_server import Provider
from tests.unit.workers.smtp_server import Mailbox
from tocsin import audits, metrics
from tocsin.audits import Probes
from tocsin.findings import BEGIN, END
from tocsin.second_path import SecondPath
from tocsin.selfwatch import Watch
from tocsin.settings import load
from triage.memory import RULES
from triage.model import HOUR, MINUTE, SECOND, Command, Rules, Verb, rules_digest
from triage.store import client, journal, keys, watching
from workers import outbound
from workers.sweeper import Signs, sign_of_life


class Room:
    """A self-watch whose clock, memory and disk the test moves, with a mailbox, a webhook and somebody to ping."""

    def __init__(self, folder: Path, server: Valkey, smtp: int, http: int) -> None:
        self.server = server
        self.mailbox = Mailbox()
        self.hook = Provider()
        self.store = client.connect(server.url, 0.3)
        self.now = int(self.store.time()[0]) * 1_000
        self.disk = (10, 100)
        self.folder = folder
        (folder / "second-path.yaml").write_text(
            f"contact:\n  - mailto://127.0.0.1:{smtp}?mode=insecure&from=tocsin@a.org&to=ops@b.org\n"
        )
        flags = {"storage_path": str(folder), "watch_ping_url": f"http://127.0.0.1:{http}/v1/heartbeats/tocsin-a"}
        self.settings = load(flags, {})
        self.watch = self.begin()

    def begin(self) -> Watch:
        """Return a self-watch as it is after a restart."""
        probes = Probes(lambda: self.now, lambda: (10, 100), lambda _: self.disk)
        path = SecondPath(self.folder / "second-path.yaml", lambda _: None)
        return Watch(self.settings, self.store, probes, path)

    def rounds(self, count: int = 1, after: int = 15_000) -> None:
        for _ in range(count):
            self.now += after
            self.live()
            self.watch.round()

    def live(self, *roles: str) -> None:
        """Let workers give a sign of life, as long as the store takes it."""
        for role in roles or audits.ROLES:
            try:
                sign_of_life(self.store, lambda: self.now, f"{role}@test:1", role)
            except redis.RedisError:
                self.store.close()

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for _, mail in self.mailbox.got]


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    monkeypatch.setattr(outbound, "_allowed", ())
    outbound.allow(["127.0.0.0/8"])
    mailbox, hook = Mailbox(), Provider()
    with ExitStack() as stack:
        server = stack.enter_context(running_valkey())
        smtp = stack.enter_context(smtp_server.serving(mailbox))
        http = stack.enter_context(http_server.serving(hook))
        one = Room(tmp_path, server, smtp, http)
        one.mailbox, one.hook = mailbox, hook
        yield one
        server.process.send_signal(signal.SIGCONT)
        one.store.close()


def test_a_healthy_installation_pings_and_says_nothing(room: Room) -> None:
    room.rounds(9)
    assert room.subjects == []
    pinged = [(path, body) for path, _, body in room.hook.got]
    assert pinged == [("/v1/heartbeats/tocsin-a", b"")] * 3, "one a minute, in nine rounds of 15 s"


def test_a_paused_store_is_told_by_mail_and_withholds_the_ping_until_it_is_back(room: Room) -> None:
    room.rounds(1)
    assert len(room.hook.got) == 1
    room.server.process.send_signal(signal.SIGSTOP)
    room.rounds(BEGIN, after=MINUTE)
    (subject,) = room.subjects
    assert subject.endswith("is in trouble: store")
    room.rounds(3, after=MINUTE)
    assert len(room.subjects) == 1, "one message an hour"
    assert len(room.hook.got) == 1, "no ping while an audit fails"
    room.rounds(1, after=HOUR)
    assert len(room.subjects) == 2, "and another when an hour is over"
    room.server.process.send_signal(signal.SIGCONT)
    room.rounds(END)
    assert room.subjects[2].endswith("is well again: store")
    assert len(room.hook.got) == 2, "and it pings again at once"


def test_missing_workers_late_timers_and_undelivered_messages_are_found_together(room: Room) -> None:
    room.store.zadd(keys.TIMERS, {"t": room.now})
    room.store.zadd(keys.DUE, {"e": room.now})
    room.now += 5 * MINUTE
    for _ in range(BEGIN):
        room.watch.round()
    (subject,) = room.subjects
    assert subject.endswith("is in trouble: effects, timers, workers")
    text = room.mailbox.got[0][1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "no drain worker gave a sign of life: nothing is decided" in text
    assert "the soonest timer has been due for 300 s" in text
    room.store.delete(keys.TIMERS, keys.DUE)
    room.rounds(END)
    assert room.subjects[1].endswith("is well again: effects, timers, workers")


def test_an_entry_that_nobody_decides_is_found(room: Room) -> None:
    old = int(room.store.time()[0]) * 1_000 - 10 * MINUTE
    fields: Any = journal.fields(Command(verb=Verb.NOTE, incident="", by="ada", via="api"), old)
    room.store.xadd(keys.JOURNAL, fields, id=f"{old}-0")
    room.rounds(BEGIN)
    assert room.subjects[0].endswith("is in trouble: undecided")
    room.store.set(keys.CURSOR, f"{old}-0 token")
    room.rounds(END)
    assert room.subjects[1].endswith("is well again: undecided")


def test_a_store_that_stops_being_safe_and_a_ledger_that_does_not_hold_are_found(room: Room) -> None:
    room.store.config_set("appendfsync", "everysec")
    room.store.incrby(keys.ACCEPTED, 3)
    room.rounds(audits.LEDGER_ROUNDS + BEGIN)
    words = " ".join(room.subjects)
    assert "store" in words
    assert "ledger" in words


def test_the_disk_is_told_once_and_a_restart_does_not_tell_it_again(room: Room) -> None:
    room.disk = (81, 100)
    room.rounds(BEGIN)
    room.watch = room.begin()
    room.rounds(4)
    assert [subject.rpartition(" ")[2] for subject in room.subjects] == ["disk"]
    room.disk = (76, 100)
    room.rounds(END + 2)
    assert len(room.subjects) == 1, "still too near to call it well"
    room.disk = (70, 100)
    room.rounds(END)
    assert room.subjects[1].endswith("is well again: disk")


def test_what_the_second_path_did_not_take_is_told_again_and_shows_meanwhile(room: Room) -> None:
    room.mailbox.answer = "451 not now"
    room.disk = (99, 100)
    room.rounds(BEGIN)
    (report,) = watching.reports_now(room.store).values()
    assert "contact 1" in report.path
    room.mailbox.answer = "250 taken"
    room.mailbox.got.clear()
    room.rounds(2)
    assert len(room.subjects) == 1


def test_the_second_path_is_tested_as_often_as_its_file_says(room: Room) -> None:
    file = room.folder / "second-path.yaml"
    file.write_text(file.read_text() + "test_every: 24h\n")
    room.rounds(3)
    room.watch = room.begin()
    room.rounds(2)
    assert room.subjects == ["Tocsin's second path works"]
    room.rounds(1, after=24 * HOUR)
    assert len(room.subjects) == 2


def test_metrics_and_the_audit_command_show_what_was_found(room: Room) -> None:
    room.disk = (99, 100)
    room.rounds(BEGIN)

    async def scrape() -> str:
        asking = client.connect_async(room.server.url)
        try:
            return (await metrics.scrape(asking, DoorStats())).decode()
        finally:
            await asking.aclose()

    text = asyncio.run(scrape())
    machine = room.watch.machine
    assert f'tocsin_audit_passed{{audit="disk",machine="{machine}"}} 0.0' in text
    assert f'tocsin_audit_passed{{audit="timers",machine="{machine}"}} 1.0' in text
    assert f'tocsin_audit_path_works{{machine="{machine}"}} 1.0' in text
    assert "disk: 99 % of the disk" in command(room.folder, "audit", "--redis.url", room.server.url).stdout


def test_up_watches_itself_and_its_ping_is_a_beat_that_a_tocsin_takes(tmp_path: Path) -> None:
    storage, port = tmp_path / "state", smtp_server.free_port()
    address = f"127.0.0.1:{port}"
    flags = ("--watch.every", "200ms")
    environ = {"TOCSIN_WATCH_PING_URL": f"http://{address}/v1/heartbeats/tocsin"}
    with contextlib.closing(Up(storage, *flags, address=address, **environ)) as up:
        up.ready()
        (storage / "rules" / "heartbeats.yaml").write_text("heartbeats: {tocsin: {every: 5m, service: tocsin}}\n")
        until("it pings", lambda: "tocsin_audit_ping_timestamp_seconds{" in _text(up, "/metrics"))
        (storage / "second-path.yaml").write_text("contact: [nowhere]\n")
        warned = until("the fault is a warning", lambda: up.get("/-/ready")[1]["warnings"])
        assert "second-path.yaml:1:11: this is no contact method" in warned[0]
        tried = command(storage, "watch", "--test")
        assert tried.returncode == 1
        assert "this is no contact method" in tried.stderr
        (storage / "second-path.yaml").write_text(f"contact: ['file://{tmp_path}/told']\n")
        assert command(storage, "watch", "--test").stdout == "Sent.\n"
        assert "second path works" in (tmp_path / "told").read_text()


def _text(up: Up, path: str) -> str:
    with urllib.request.urlopen(up.url + path, timeout=10) as answer:
        found: str = answer.read().decode()
    return found


def test_a_worker_that_only_the_rules_need_is_missed_and_one_that_is_there_is_not(room: Room) -> None:
    room.rounds(1)
    files = {"actions.yaml": "actions: {restart: {title: Restart, request: {url: 'https://x/'}}}"}
    rules = Rules(rules_digest(files), files)
    room.store.hset(keys.family(RULES), "", cast("Any", msgspec.msgpack.encode(rules)))
    room.rounds(BEGIN)
    (subject,) = room.subjects
    assert subject.endswith("is in trouble: workers")
    text = room.mailbox.got[0][1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "no actor worker gave a sign of life: no action is run" in text
    for _ in range(END):
        Signs(room.store, lambda: room.now + 15 * SECOND, "actor@test:1", "actor").give()
        room.rounds(1)
    assert room.subjects[-1].endswith("is well again: workers")
