"""aiohttp's empty handler: the floor under any receiver built on it. Prints its port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from aiohttp import web

LOOP: Callable[[], asyncio.AbstractEventLoop] | None = None
with contextlib.suppress(ImportError):  # as Tocsin does: faster where it is installed
    import uvloop

    LOOP = uvloop.new_event_loop


async def answer(_request: web.Request) -> web.Response:
    return web.Response(status=202)


async def serve() -> None:
    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    await web.SockSite(runner, listener).start()
    print(listener.getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=LOOP) as loop:
        loop.run(serve())
