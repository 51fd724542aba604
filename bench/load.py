"""Load: wrk for as much as goes in, an asyncio client for a given rate or a given number."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench import alerts
from bench.systems import CannotMeasure

SCRIPT: Final = Path(__file__).parent / "post.lua"
HEADERS: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk sends: `size` alerts per body in `shape`, `repeats` percent of them from a pool, on `connections`."""

    shape: str
    size: int
    repeats: int = 0
    connections: int = 64
    seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it. Latencies are milliseconds."""

    alerts: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Return accepted alerts per second."""
        return self.alerts / self.seconds


def wrk(url: str, load: Load, seed: str, folder: Path) -> Sent:
    """Run wrk. Raises CannotMeasure unless every request was answered by 2xx."""
    template = folder / f"template-{load.shape}"
    template.write_text("\n".join((*alerts.envelope(load.shape), alerts.template(load.shape))) + "\n")
    numbers = (load.size, load.repeats, alerts.POOL, alerts.SERVICES, alerts.NAMES)
    words = ["wrk", "-t2", f"-c{load.connections}", f"-d{load.seconds:g}s", "--timeout", "10s", "-s", str(SCRIPT)]
    words += [url, "--", str(template), *map(str, numbers), seed]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    try:
        found = json.loads(told.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise CannotMeasure(f"wrk failed: {told.stdout[-500:]} {told.stderr[-500:]}") from None
    if found["failed"] or not found["requests"]:
        raise CannotMeasure(f"{found['failed']} of {found['requests']} requests to {url} were not answered by 2xx")
    return Sent(found["requests"] * load.size, found["micros"] / 1e6, found["p50"] / 1_000, found["p99"] / 1_000)


def wrk_installed() -> bool:
    return shutil.which("wrk") is not None


def post_all(url: str, bodies: Iterable[bytes], connections: int = 16) -> float:
    """Post each body once, so many at a time. Return how long it took, in seconds."""

    async def run() -> float:
        waiting = iter(bodies)
        async with client() as session:

            async def work() -> None:
                for body in waiting:
                    await post(session, url, body)

            started = time.monotonic()
            await asyncio.gather(*(work() for _ in range(connections)))
            return time.monotonic() - started

    return asyncio.run(run())


def client() -> aiohttp.ClientSession:
    """Return a session that keeps connections open and waits long."""
    connector = aiohttp.TCPConnector(limit=0, force_close=False)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30))


async def post(session: aiohttp.ClientSession, url: str, body: bytes) -> dict[str, Any]:
    """Post one body. Returns the answer. Raises CannotMeasure when it is no 2xx."""
    async with session.post(url, data=body, headers=HEADERS) as answer:
        raw = await answer.read()
        if answer.status // 100 != 2:
            raise CannotMeasure(f"{url} answered {answer.status}: {raw[:300]!r}")
    return json.loads(raw) if raw else {}


async def paced(rate: float, seconds: float) -> AsyncIterator[int]:
    """Yield 0, 1, 2 … at that rate for so long, catching up when it was held up (an open loop)."""
    started = time.monotonic()
    for number in range(round(rate * seconds)):
        pause = started + number / rate - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        yield number


async def open_loop(url: str, rate: float, seconds: float, make: Callable[[int], bytes]) -> list[tuple[float, str]]:
    """Post at a rate whatever the answers do. Return when each 202 was in hand (monotonic), and its entry."""
    answered: list[tuple[float, str]] = []
    async with client() as session, asyncio.TaskGroup() as group:

        async def one(body: bytes) -> None:
            told = await post(session, url, body)
            answered.append((time.monotonic(), told["entry"]))

        async for number in paced(rate, seconds):
            group.create_task(one(make(number)))
    return answered
