"""A door to test: a tiny adapter, an appender in memory, and a real server on a free port of loopback."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, web

from ingest.adapter import DEFAULT_METHODS, Adapter, Read, Request, Unreadable
from ingest.guard import GuardedRunner
from ingest.server import Appends, application
from ingest.settings import DoorSettings
from ingest.sources import SourceBook
from ingest.stats import DoorStats
from triage.model import Body, Event, Millis, Rejected, Status, fingerprint_of
from triage.rulebook.types import Source
from triage.store.appender import StoreUnavailable

NOW = 1_700_000_000_000
TOKEN = "a-token-of-the-tests"
DIGEST = hashlib.sha256(TOKEN.encode()).hexdigest()


def read(request: Request) -> Read:
    """Read `{"alerts": [{"title": "…"}]}`; an item without a title is refused, `{"crash": 1}` is a fault of ours."""
    try:
        data = json.loads(request.body)
    except (ValueError, RecursionError):
        raise Unreadable("body", "not valid JSON") from None
    if not isinstance(data, dict) or not isinstance(data.get("alerts", []), list):
        raise Unreadable("alerts", "expected a list")
    if "crash" in data:
        raise ZeroDivisionError
    found = Read([])
    for index, item in enumerate(data.get("alerts", [])):
        if isinstance(item, dict) and isinstance(item.get("title"), str):
            labels = {"rest": request.rest, "trusted": str(request.trusted), **request.query}
            print_ = fingerprint_of(request.source.name, item["title"])
            found.events.append(Event(Status.FIRING, print_, item["title"], labels))
        else:
            found.rejected.append(Rejected(f"alerts[{index}]", "title", "missing"))
    return found


def adapter(name: str = "plain", **changes: Any) -> Adapter:
    """Return the tiny adapter, with some parts of it changed."""
    parts: dict[str, Any] = {
        "read": read,
        "methods": DEFAULT_METHODS,
        "paths": (),
        "resends_refused": False,
        "authenticate": None,
        "answer": lambda read: None,
    }
    return Adapter(name=name, **{**parts, **changes})


@dataclass
class Shelf:
    """An appender that keeps entries in a list; `fault` makes it refuse."""

    bodies: list[Body] = field(default_factory=list)
    fault: str = ""

    async def append_all(self, bodies: tuple[Body, ...], at: Millis) -> list[str]:
        """Keep entries."""
        if self.fault:
            raise StoreUnavailable(self.fault, 7)
        self.bodies.extend(bodies)
        return [f"{at}-{len(self.bodies) - len(bodies) + index}" for index in range(len(bodies))]


@dataclass
class Opened:
    """A door that is open: its address, a client, and what stands behind it."""

    port: int
    client: ClientSession
    stats: DoorStats
    book: SourceBook

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"


def resolve(secret: str) -> bytes:
    """Resolve `${NAME}` to `NAME`, except for one that is missing."""
    if secret == "${MISSING}":
        raise LookupError(secret)
    return secret.strip("${}").encode()


@contextlib.asynccontextmanager
async def opened(
    appender: Appends,
    *,
    adapters: Iterable[Adapter] | None = None,
    sources: Iterable[Source] = (),
    settings: DoorSettings | None = None,
    clock: Callable[[], Millis] = lambda: NOW,
) -> AsyncIterator[Opened]:
    """Open a door on a free port."""
    settings = settings or DoorSettings()
    stats = DoorStats()
    book = SourceBook([adapter()] if adapters is None else adapters, resolve)
    book.update(sources)
    runner = GuardedRunner(application(settings, appender, book, clock, stats), settings.limits, stats)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with ClientSession() as client:
            yield Opened(runner.addresses[0][1], client, stats, book)
    finally:
        await runner.cleanup()
