"""From the 202 to the decision committed, and to the page handed over.

The commit is seen by a reader that blocks on the stream of commits, the page by the file that the `file://` channel
writes and syncs, looked at each millisecond. What is seen before the client has its 202 in hand counts as 0.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any, Final, cast

from bench import alerts, load
from bench.alerts import Alert
from bench.systems import Tocsin
from triage.store import keys
from triage.store.client import connect

URL: Final = "/v1/events/alertmanager"
LOOK_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles in milliseconds, and of how many samples."""

    p50: float
    p99: float
    worst: float
    samples: int


def spread_of(seconds: list[float]) -> Spread:
    """Return the percentiles of durations in seconds."""
    points = quantiles(seconds, n=100, method="inclusive")
    return Spread(points[49] * 1_000, points[98] * 1_000, max(seconds) * 1_000, len(seconds))


def fsync(folder: Path, times: int = 400) -> Spread:
    """Return what appending 4 kB to a file and syncing it takes, each alone."""
    path = folder / "fsync"
    took: list[float] = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for _ in range(times):
            os.write(descriptor, b"x" * 4096)
            started = time.perf_counter()
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - started)
    finally:
        os.close(descriptor)
        path.unlink()
    return spread_of(took)


class Commits(threading.Thread):
    """Notes when each commit became visible, and up to which entry it decided."""

    def __init__(self, tocsin: Tocsin) -> None:
        super().__init__(name="commits", daemon=True)
        self._client = connect(f"unix://{tocsin.client.connection_pool.connection_kwargs['path']}")
        self._after = "$"
        self._ended = threading.Event()
        self.seen: list[tuple[tuple[int, int], float]] = []

    def run(self) -> None:
        while not self._ended.is_set():
            found = cast("Any", self._client.xread({keys.COMMITS: self._after}, block=100))
            now = time.monotonic()
            for entry, _ in found[0][1] if found else ():
                self._after = entry.decode()
                self.seen.append((ordered(self._after), now))

    def end(self) -> None:
        self._ended.set()
        self.join()
        self._client.close()

    def when(self, entry: str) -> float:
        """Return when the entry was decided (monotonic seconds)."""
        return self.seen[bisect_left(self.seen, (ordered(entry), 0.0))][1]


def ordered(entry: str) -> tuple[int, int]:
    """Return a stream id as numbers."""
    ms, _, number = entry.partition("-")
    return int(ms), int(number)


def to_decision(tocsin: Tocsin, rate: float, size: int, seconds: float, seed: str) -> Spread:
    """Return how long after its 202 a body of `size` alerts was decided, at `rate` alerts per second."""
    commits = Commits(tocsin)
    commits.start()
    time.sleep(0.2)

    def make(number: int) -> bytes:
        made = [alerts.spread(f"{seed}{number}x{index}", number * size + index) for index in range(size)]
        return alerts.body(alerts.WEBHOOK, made)

    answered = asyncio.run(load.open_loop(tocsin.url + URL, rate / size, seconds, make))
    tocsin.wait_decided(tocsin.ledger()[0])
    time.sleep(0.2)
    commits.end()
    return spread_of([max(0.0, commits.when(entry) - at) for at, entry in answered])


class Pages(threading.Thread):
    """Notes when each page was on disk, by the service that its title names."""

    def __init__(self, path: Path, name_of: Callable[[str], str]) -> None:
        super().__init__(name="pages", daemon=True)
        self._path = path
        self._name_of = name_of
        self._ended = threading.Event()
        self.seen: dict[str, float] = {}

    def run(self) -> None:
        at = self._path.stat().st_size if self._path.exists() else 0
        while not self._ended.wait(LOOK_S):
            if not self._path.exists() or self._path.stat().st_size == at:
                continue
            now = time.monotonic()
            with self._path.open("rb") as file:
                file.seek(at)
                fresh = file.read()
            whole = fresh[: fresh.rfind(b"\n") + 1]
            at += len(whole)
            for line in whole.splitlines():
                self.seen.setdefault(self._name_of(json.loads(line)["title"]), now)

    def end(self) -> None:
        self._ended.set()
        self.join()


@dataclass(frozen=True, slots=True)
class Paged:
    """How long pages took, and how many alerts that should have paged did not within the time given."""

    took: Spread
    missing: int


def to_page(tocsin: Tocsin, rate: float, seconds: float, seed: str, background: float = 0.0) -> Paged:
    """Return how long after its 202 a P1 alert in an incident of its own was handed over as a page.

    `rate` such alerts per second are sent, beside `background` other alerts per second in bodies of 20.
    """
    pages = Pages(tocsin.pages, lambda title: next((word for word in title.split() if word.startswith(seed)), title))
    pages.start()

    def probe(number: int) -> bytes:
        return alerts.body(alerts.WEBHOOK, [Alert("1", f"{seed}{number}", "Probe", "critical")])

    def other(number: int) -> bytes:
        made = [alerts.spread(f"{seed}b{number}x{index}", number * 20 + index) for index in range(20)]
        return alerts.body(alerts.WEBHOOK, made)

    async def both() -> dict[str, float]:
        sent: dict[str, float] = {}
        async with load.client() as session, asyncio.TaskGroup() as group:

            async def one(number: int) -> None:
                await load.post(session, tocsin.url + URL, probe(number))
                sent[f"{seed}{number}"] = time.monotonic()

            if background:
                group.create_task(load.open_loop(tocsin.url + URL, background / 20, seconds, other))
            async for number in load.paced(rate, seconds):
                group.create_task(one(number))
        return sent

    sent = asyncio.run(both())
    until = time.monotonic() + 10
    while time.monotonic() < until and not sent.keys() <= pages.seen.keys():
        time.sleep(0.05)
    pages.end()
    took = [max(0.0, pages.seen[name] - at) for name, at in sent.items() if name in pages.seen]
    return Paged(spread_of(took), len(sent) - len(took))
