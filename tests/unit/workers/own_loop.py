"""Serves an aiohttp application from a loop and thread of its own, so that blocking clients can speak to it too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web


@contextmanager
def served(app: web.Application) -> Iterator[tuple[int, asyncio.AbstractEventLoop]]:
    """Serve on a free port. Yields it, and the loop."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    found: list[int] = []

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.append(runner.addresses[0][1])
        ready.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield found[0], loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def on(loop: asyncio.AbstractEventLoop | None, what: Any) -> Any:
    """Run a coroutine on that loop from another thread, and return what it returns."""
    assert loop is not None
    return asyncio.run_coroutine_threadsafe(what, loop).result(10)
