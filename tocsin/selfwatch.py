"""`tocsin watch`: the self-watch. It audits, tells the operator by the second path, and pings while all is well.

It runs beside the receiver and the workers and needs neither: with the store away or the workers dead it goes on. What
it has told is kept in a file, so that a restart does not tell it again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import redis
import structlog

from tocsin import settings as environment
from tocsin.audits import Auditor, Probes
from tocsin.findings import Finding, Findings, News
from tocsin.second_path import SecondPath, every
from tocsin.settings import Settings
from triage.model import Millis, Severity
from triage.store import watching
from triage.store.client import connect
from workers import outbound, slack
from workers.channel import Delivery

STATE: Final = "watch.json"
STORE_PATIENCE_S: Final = 5.0
"""How long the store may take to answer before it counts as away, in seconds."""
ANYWHERE: Final = ("0.0.0.0/0", "::/0")
"""The second path and the ping are the operator's own settings: private networks are theirs to reach."""
log = structlog.get_logger("watch")


class Memory(msgspec.Struct):
    """What is kept over a restart: the findings, when the path was last tested, when the last ping arrived."""

    findings: dict[str, Finding] = {}
    tested_at: Millis | None = None
    ping_at: Millis | None = None


def recall(path: Path) -> Memory:
    """Return what was kept, or nothing where it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory)
    except (OSError, msgspec.DecodeError):
        return Memory()


def keep(path: Path, memory: Memory) -> None:
    """Keep it, whole or not at all. A full disk is a finding already, so that it cannot be kept is no error."""
    draft = path.with_suffix(".part")
    with contextlib.suppress(OSError):
        draft.write_bytes(msgspec.json.encode(memory))
        draft.replace(path)


def ping(url: str) -> str:
    """Tell whoever watches us that we live. Return why it did not arrive, or ""."""
    answer = outbound.post(url, b"", {})
    if isinstance(answer, Delivery):
        return answer.reason
    return "" if 200 <= answer.status < 300 else f"HTTP {answer.status}"


class Watch:
    """One self-watch. Not for use by several threads."""

    def __init__(
        self,
        settings: Settings,
        client: redis.Redis,
        probes: Probes,
        path: SecondPath,
        send_ping: Callable[[str], str] = ping,
    ) -> None:
        self._settings = settings
        self._client = client
        self._probes = probes
        self._path = path
        self._ping = send_ping
        self._auditor = Auditor(settings, client, probes)
        self._file = settings.storage_path / STATE
        self._memory = recall(self._file)
        self._pinged: Millis | None = None
        self.machine = socket.gethostname()
        self.findings = Findings(self._memory.findings)

    def round(self) -> None:
        """Audit once, tell what is news, ping if all is well, and leave the result where others see it."""
        self.findings.hear(self._auditor.readings(), self._probes.clock())
        self._path.look()
        self._tell()
        self._test()
        self._send_ping()
        self._leave()

    def _tell(self) -> None:
        now = self._probes.clock()
        news = self.findings.news(now)
        if not news.trouble and not news.well:
            return
        for name, text in news.trouble.items():
            log.error("audit failed", audit=name, finding=text)
        for name in news.well:
            log.info("audit passes again", audit=name)
        if self._path.file.contact and self._sent(*words(news, self.machine)):
            self.findings.told(news, now)
        elif not self._path.file.contact:
            self.findings.told(news, now)  # the log is all there is, and once an hour is enough there too

    def _sent(self, title: str, body: str, severity: Severity = Severity.P1) -> bool:
        faults = self._path.tell(title, body, severity)
        if faults:
            log.error("the second path failed", faults=faults, all_of_it=bool(self._path.failed))
        return not self._path.failed

    def _test(self) -> None:
        """Say now and then that the second path works."""
        period, now, last = every(self._path.file), self._probes.clock(), self._memory.tested_at
        if period is None or (last is not None and now - last < period):
            return
        state = "every audit passes" if self.findings.passed() else "not every audit passes"
        body = f"This is the regular test of the second path of {self.machine}: {state}."
        if self._sent("Tocsin's second path works", body, Severity.P4):
            self._memory.tested_at = now

    def _send_ping(self) -> None:
        url, now = self._settings.watch_ping_url, self._probes.clock()
        if not url or (self._pinged is not None and now - self._pinged < self._settings.watch_ping_every):
            return
        if not self.findings.passed():
            log.warning("no ping is sent: not every audit passed")
            return
        fault = self._ping(url)
        if fault:
            log.error("the ping did not arrive", fault=fault)
        else:
            self._pinged = self._memory.ping_at = now

    def _leave(self) -> None:
        self._memory.findings = self.findings.memory
        keep(self._file, self._memory)
        report = watching.Report(
            at=self._probes.clock(),
            every=self._settings.watch_every,
            audits=self.findings.standings(),
            ping_at=self._memory.ping_at,
            path=self._path.trouble,
        )
        try:
            watching.publish(self._client, self.machine, report)
        except (redis.RedisError, OSError) as error:
            self._client.close()
            log.debug("the report waits for the store", error=str(error))

    def run(self, stopping: threading.Event) -> None:
        """Go round until `stopping`. A fault of our own is logged, and the next round begins afresh.

        The first round waits like all others: what is just being started is not missing.
        """
        while not stopping.wait(self._settings.watch_every / 1000):
            try:
                self.round()
            except Exception:
                log.exception("a round of the self-watch failed")


def words(news: News, machine: str) -> tuple[str, str]:
    """Return title and body of one message: what is wrong first, then what is well again."""
    bad, well = sorted(news.trouble), sorted(news.well)
    parts = [f"is in trouble: {', '.join(bad)}"] if bad else []
    parts += [f"is well again: {', '.join(well)}"] if well else []
    title = f"Tocsin on {machine} {'; '.join(parts)}"
    lines = [f"{name}: {news.trouble[name]}" for name in bad] + [f"{name}: well again" for name in well]
    if bad:
        lines.append("Pages may be late or missing until this is mended. `tocsin audit` and /-/ready say more.")
    return title, "\n".join(lines)


def second_path(settings: Settings) -> SecondPath:
    """Return the second path of this installation."""
    return SecondPath(settings.watch_config, environment.lookup)


def run(settings: Settings) -> None:
    """Watch until SIGTERM or SIGINT."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    outbound.allow(ANYWHERE)
    slack.use(settings.slack_api_url)
    settings.storage_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    client = connect(settings.redis_url, STORE_PATIENCE_S)
    log.info("watching", pid=os.getpid(), second_path=str(settings.watch_config))
    Watch(settings, client, Probes(), second_path(settings)).run(stopping)
    client.close()


def try_path(settings: Settings) -> list[str]:
    """Send one message by the second path. Return every fault; none means that all methods took it."""
    outbound.allow(ANYWHERE)
    slack.use(settings.slack_api_url)
    path = second_path(settings)
    path.look()
    if path.faults:
        return path.faults
    if not path.file.contact:
        return [f"{settings.watch_config} names no contact method"]
    return path.tell("Tocsin's second path works", f"A test from {socket.gethostname()}, sent by hand.", Severity.P4)
