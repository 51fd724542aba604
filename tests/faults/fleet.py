"""Real processes that can be killed: a store, receivers and workers; senders that keep their own record; the reckoning.

A process is started again at once when it was killed. What the senders were answered is written to a file of their
own, synced line by line, and compared at the end with what the store has.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis

from tests.conftest import find_server
from triage.model import Events, Result
from triage.store import journal, keys
from triage.store.audit import audit
from triage.store.client import connect

STORE_FLAGS = ("--port", "0", "--appendonly", "yes", "--aof-use-rdb-preamble", "no", "--save", "")
PATIENCE_S = 60.0
"""How long anything may take before the test fails. Nothing takes so long; the machine may be busy."""
PER_SERVICE = 15
"""How many requests are about one service, which is one incident and one page."""
OLD_CLAIM_MS = 57_000
"""A claim that has at most this much of its minute left is older than any send here takes: its owner is dead."""


def until(condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until `condition` holds; a store that is away counts as no."""
    ends = time.monotonic() + patience_s
    while True:
        with contextlib.suppress(redis.RedisError, OSError):
            if condition():
                return
        assert time.monotonic() < ends, f"{what} did not happen within {patience_s:g} s"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """One process under test. Its output goes to a file; `kill` is SIGKILL."""

    def __init__(self, name: str, command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
        self.name = name
        self.output = folder / f"{name}.log"
        self.starts = 0
        self.command = command
        self._environment = {**os.environ, **(environment or {})}
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.starts += 1
        with self.output.open("ab") as output:
            self._popen = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self._environment
            )

    @property
    def pid(self) -> int:
        assert self._popen is not None
        return self._popen.pid

    @property
    def runs(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()


class Fleet:
    """A store in `folder`, one receiver, one process that decides and some that tell people."""

    def __init__(
        self,
        folder: Path,
        socket_folder: Path,
        *,
        fsync: str = "always",
        deliverers: int = 2,
        store_environment: dict[str, str] | None = None,
        extra: tuple[str, ...] = (),
        most_bytes: int = 0,
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.pages = folder / "pages.jsonl"
        self.port = free_port()
        self.url = f"unix://{socket_folder / 's'}"
        store = [find_server(), *STORE_FLAGS, "--appendfsync", fsync, "--dir", str(self.data)]
        store += ["--unixsocket", str(socket_folder / "s")]
        self._with_room = store
        limited = f"trap '' XFSZ; ulimit -f {most_bytes // 512}; exec \"$@\""
        # A file that may not grow is what a full disk looks like from within; units of 512 bytes are POSIX.
        self.store = Process(
            "store", ["sh", "-c", limited, "sh", *store] if most_bytes else store, folder, store_environment
        )
        self.receiver = self._tocsin("receiver", "serve", "--web.listen-address", f"127.0.0.1:{self.port}", *extra)
        self.drain = self._tocsin("drain", "work", "--only", "drain", *extra)
        self.deliverers = [
            self._tocsin(f"deliver{one}", "work", "--only", "deliver", *extra) for one in range(deliverers)
        ]
        self._others: list[Process] = []
        self.client = connect(self.url)
        self._write_rules()

    def _tocsin(self, name: str, *arguments: str) -> Process:
        common = ["--redis.url", self.url, "--storage.path", str(self.folder), "--log.format", "json"]
        return Process(name, [sys.executable, "-m", "tocsin", *arguments, *common], self.folder)

    def another_drain(self, name: str) -> Process:
        """Return one more process that decides; `stop` ends it with the others."""
        drain = self._tocsin(name, "work", "--only", "drain")
        self._others.append(drain)
        return drain

    def make_room(self) -> None:
        """Let the store's files grow again, from its next start on."""
        self.store.command = self._with_room

    def _write_rules(self) -> None:
        rules = self.folder / "rules"
        rules.mkdir()
        (rules / "severity.yaml").write_text(
            "rules:\n  - {name: all, matchers: ['service=~\".+\"'], severity: P1, group_by: [service]}\n"
        )
        (rules / "quiet.yaml").write_text("storm: {pages: 1000, at_once: 1000}\n")  # each incident pages by itself here
        (rules / "oncall.yaml").write_text(
            f"people:\n  ana: {{name: Ana, contact: ['file://{self.pages}']}}\n"
            "policies:\n  default: {steps: [{notify: [ana], wait: 1h}]}\noperators: [ana]\nlast_resort: [ana]\n"
        )

    @property
    def all(self) -> list[Process]:
        return [self.store, self.receiver, self.drain, *self.deliverers, *self._others]

    def start(self, *processes: Process) -> None:
        """Start these (all, when none are named), and wait until the store and the door answer."""
        for process in processes or self.all:
            process.start()
            if process is self.store:
                until(self.client.ping, "an answer of the store")
        until(self.rules_are_loaded, "loading the rules")

    def rules_are_loaded(self) -> bool:
        return not self.receiver.runs or bool(self.client.xlen(keys.JOURNAL))

    def stop(self) -> None:
        self.client.close()
        for process in reversed(self.all):
            process.kill()

    def kill_and_restart(self, process: Process) -> None:
        """SIGKILL, and at once a new one. The lease of a dead drain runs out as if its ten seconds had passed."""
        process.kill()
        process.start()
        if process is self.drain:
            with contextlib.suppress(redis.RedisError, OSError):
                self.client.delete(keys.LEASE)

    @property
    def cursor(self) -> bytes | None:
        found: Any = self.client.get(keys.CURSOR)
        return found if found is None else bytes(found)

    def has_decided_since(self, cursor: bytes | None) -> bool:
        return self.cursor != cursor

    def let_claims_run_out(self) -> None:
        """Do to the claims of the dead what their minute would do."""
        for key in self.client.scan_iter(keys.claim("*")):
            left: Any = self.client.pttl(key)
            if 0 <= left <= OLD_CLAIM_MS:
                self.client.delete(key)

    def come_to_rest(self) -> None:
        """Wait until everything is decided, everybody was told and every result is decided."""

        def rests() -> bool:
            self.let_claims_run_out()
            newest: Any = self.client.xrevrange(keys.JOURNAL, count=1)
            cursor: Any = self.client.get(keys.CURSOR)
            decided = cursor is not None and cursor.split(b" ")[0] == newest[0][0]
            now = time.time_ns() // 1_000_000
            return bool(decided and not self.client.zcount(keys.DUE, "-inf", now)) and not self.client.zcount(
                keys.TIMERS, "-inf", now
            )

        until(rests, "coming to rest")

    @property
    def messages(self) -> list[dict[str, Any]]:
        if not self.pages.exists():
            return []
        found = []
        for line in self.pages.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # a line that SIGKILL cut short was not delivered
                found.append(json.loads(line))
        return found


class Senders(contextlib.AbstractContextManager["Senders"]):
    """Threads that post alerts until stopped, and write down each 202 before they go on.

    Each request has a number; what gets no 202 is sent again until it does, as monitoring systems do.
    """

    def __init__(self, fleet: Fleet, count: int = 3, pause_s: float = 0.004, first: int = 0) -> None:
        self.record = fleet.folder / "answered.jsonl"
        self.refused = 0
        self._fleet = fleet
        self._pause_s = pause_s
        self._numbers = itertools.count(first)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._send_all) for _ in range(count)]

    def __enter__(self) -> Senders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _send_all(self) -> None:
        connection = self._connect()
        while not self._stopping.is_set():
            with self._lock:
                number = next(self._numbers)
            body = json.dumps(self._body(number))
            while not self._stopping.is_set():
                entry = self._post(connection, body)
                if entry:
                    self._write_down(number, entry)
                    break
                connection.close()
                time.sleep(0.03)
            time.sleep(self._pause_s)
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._fleet.port, timeout=10)

    def _body(self, number: int) -> dict[str, Any]:
        """Return a new alert in most cases, else one that is known; every so many open a new incident."""
        service = f"service-{number // PER_SERVICE}"
        host = f"host-{number % 7}"
        labels = {"alertname": "Down", "service": service, "host": host, "request": str(number)}
        return {"status": "firing", "title": f"{service} down", "dedup_key": f"{service}/{host}", "labels": labels}

    def _post(self, connection: http.client.HTTPConnection, body: str) -> str:
        """Return the entry's id, or "" when it was not accepted for certain."""
        try:
            connection.request("POST", "/v1/events/generic", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            told = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            told, answer = {}, None
        if answer is not None and answer.status == 202:
            return str(told["entry"])
        with self._lock:
            self.refused += 1
        return ""

    def _write_down(self, number: int, entry: str) -> None:
        line = json.dumps([number, entry]).encode() + b"\n"
        with self._lock:
            descriptor = os.open(self.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(descriptor, line)
            os.fsync(descriptor)
            os.close(descriptor)

    @property
    def answered(self) -> list[tuple[int, str]]:
        """Return request number and entry id of everything that was answered 202."""
        if not self.record.exists():
            return []
        return [tuple(json.loads(line)) for line in self.record.read_text().splitlines()]


def requests_in_journal(client: redis.Redis) -> dict[str, list[int]]:
    """Return the request numbers of each entry that holds events."""
    found: dict[str, list[int]] = {}
    entries: Any = client.xrange(keys.JOURNAL)
    for entry in (journal.decode(key, fields) for key, fields in entries):
        if isinstance(entry.body, Events):
            found[entry.id] = [int(event.labels["request"]) for event in entry.body.events]
    return found


def lost(client: redis.Redis, answered: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return what was answered 202 and is not in the journal under the id that was told."""
    kept = requests_in_journal(client)
    return [(number, entry) for number, entry in answered if number not in kept.get(entry, [])]


def reckon(fleet: Fleet, senders: Senders) -> None:
    """Check every promise, after the fleet came to rest."""
    client = fleet.client
    answered = senders.answered
    assert answered, "no request was answered 202"
    assert len({entry for _, entry in answered}) == len(answered), "two requests were told the same entry"
    assert lost(client, answered) == []
    report = audit(client, replay=True)
    assert report.ok, report.lines
    kept = requests_in_journal(client)
    assert (report.accepted, report.undecided) == (sum(map(len, kept.values())), 0), report.lines
    decisions: Any = client.xrange(keys.DECISIONS)
    decided = Counter(entry.decode() for entry, fields in decisions if b"d" in fields)
    assert decided == Counter(kept.keys()), "an entry was not decided exactly once"
    _reckon_pages(fleet)


def _reckon_pages(fleet: Fleet) -> None:
    """Everybody was paged for each incident, under one id; second copies say that they may be."""
    raw: Any = fleet.client.xrange(keys.JOURNAL)
    results = [body for body in (journal.decode(*one).body for one in raw) if isinstance(body, Result)]
    told = fleet.messages
    pages = {one["id"] for one in told if one["kind"] == "page"}
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for result in results:
        if result.effect in pages:
            ids[result.incident, result.person].add(result.effect)
    assert all(len(found) == 1 for found in ids.values()), "somebody was paged twice under different ids"
    incidents: Any = fleet.client.hkeys(keys.family("incident"))
    assert {incident for incident, _ in ids} == {one.decode() for one in incidents}, "an incident paged nobody"
    assert pages == {one for found in ids.values() for one in found}, "somebody was paged, and nothing says so"
    copies = Counter(one["id"] for one in told)
    marked = Counter(one["id"] for one in told if one["possible_repeat"])
    assert all(marked[name] >= count - 1 for name, count in copies.items()), "a second copy does not say so"


@contextlib.contextmanager
def killing(fleet: Fleet, victims: list[Process], seed: int, mean_s: float) -> Iterator[Counter[str]]:
    """While this lasts, kill one of `victims` now and then, and start it again."""
    chance = random.Random(seed)
    killed: Counter[str] = Counter()
    stopping = threading.Event()

    def kill() -> None:
        while not stopping.wait(min(chance.expovariate(1 / mean_s), 3 * mean_s)):
            victim = chance.choice(victims)
            fleet.kill_and_restart(victim)
            killed[victim.name] += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        stopping.set()
        killer.join(PATIENCE_S)


def freeze(process: Process) -> None:
    process.signal(signal.SIGSTOP)


def thaw(process: Process) -> None:
    process.signal(signal.SIGCONT)
