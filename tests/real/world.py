"""A town that real senders post to: its clock is the wall clock, and a wire before its door keeps its own record.

The wire stands for the network between a sender and the door: it passes every request on as it came and writes down
what was sent and what was answered. What it saw answered with success is the count that the audit is held against.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import redis
from aiohttp import web

from tests.conftest import running_valkey
from tests.real.programs import Late, until
from tests.stories.town import START, Town, town_at
from triage.model import Millis
from triage.rulebook.types import Source

API: Final = "/api/v2/alerts"
_NOT_PASSED_ON: Final = frozenset({"connection", "content-length", "host", "transfer-encoding"})

SEVERITY: Final = """
rules:
  - name: checkout down
    matchers: ['service="checkout"']
    severity: P0
    group_by: [service]
defaults:
  settle: {P0: 1s}
"""


@dataclass(frozen=True)
class Exchange:
    """One request as it passed, and its answer."""

    method: str
    path: str
    status: int
    body: bytes
    answer: bytes

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that were sent, by webhook or by Alertmanager's API."""
        sent = json.loads(self.body)
        found: list[dict[str, Any]] = sent if isinstance(sent, list) else sent["alerts"]
        return found

    @property
    def accepted(self) -> int:
        """Return how many events the sender may rely on."""
        if self.status == 202:
            return int(json.loads(self.answer)["accepted"])
        return len(self.alerts) if self.status == 200 and self.method == "POST" else 0


@dataclass
class Wire:
    """The way to the door at `base`. `url` is what senders are told."""

    base: str
    url: str = ""
    seen: list[Exchange] = field(default_factory=list)

    def statuses(self) -> list[int]:
        return [one.status for one in self.seen if one.method == "POST"]

    async def carry(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(request.method, self.base + request.raw_path, data=body, headers=headers) as answer,
        ):
            said = await answer.read()
            self.seen.append(Exchange(request.method, request.path, answer.status, body, said))
            passed = {name: value for name, value in answer.headers.items() if name.lower() not in _NOT_PASSED_ON}
            return web.Response(status=answer.status, body=said, headers=passed)


class RealTown(Town):
    """A town in real time: nothing moves its clock, for senders and the store would not follow."""

    wire: Wire

    @property
    def now(self) -> Millis:
        return int(time.time() * 1_000)

    @now.setter
    def now(self, value: Millis) -> None:
        assert value == START, "a real town cannot skip time"  # where every town begins; this one begins today

    async def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Let the workers run until it holds. They bear it when the store is away."""

        async def look() -> bool:
            with contextlib.suppress(redis.RedisError):
                await asyncio.to_thread(self.settle)
            return holds()

        try:
            await until(what, look)
        except Late as late:
            passed = [(one.status, one.path, one.body.decode()[:600]) for one in self.wire.seen]
            raise Late(f"{late}; incidents {self.incidents}; passed {passed[-5:]}") from None

    def audit(self) -> None:
        self.accepted += sum(one.accepted for one in self.wire.seen)
        super().audit()


class MortalStore:
    """A store that can die and come back with what it had. It begins alive."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        # A folder of its own: the path of a socket must be short.
        self._home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tsn-", ignore_cleanup_errors=True)))
        self._stack = stack
        self.rise()

    def rise(self) -> None:
        self._alive = self._stack.enter_context(running_valkey(directory=self._home))
        self.url = self._alive.url

    def die(self) -> None:
        self._alive.process.kill()
        self._alive.process.wait()


@contextlib.contextmanager
def mortal_store() -> Iterator[MortalStore]:
    """A store of one's own."""
    with contextlib.ExitStack() as stack:
        yield MortalStore(stack)


@asynccontextmanager
async def real_town(url: str, folder: Path, configured: Iterable[Source] = ()) -> AsyncIterator[RealTown]:
    """A town with a wire; it ends with the audit."""
    async with town_at(url, folder, SEVERITY, RealTown, configured) as town:
        assert isinstance(town, RealTown)
        town.wire = Wire(town.base)
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{rest:.*}", town.wire.carry)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            town.wire.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield town
        finally:
            await runner.cleanup()
