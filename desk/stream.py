"""Live views: server-sent events that say "something was decided, look again". One poll of the cursor serves everybody.

A stream carries no data of incidents, only the news that there is some: the browser fetches what it shows. So a slow
reader can't make us remember anything: its queue holds one piece of news, and a second one is the same as the first.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from aiohttp import web

from desk.context import Desk
from desk.problems import Problem
from triage.store import queries

POLL_S: Final = 0.5
"""How often the cursor is read while somebody watches."""
COMMENT_S: Final = 15.0
"""A comment this often keeps proxies from closing a quiet stream."""
STREAM_MAX_S: Final = 600.0
"""A stream ends after this long; the browser opens another one, and shows who it is again."""

_HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}


class Pulse:
    """The one task of this process that reads the cursor, and the streams that wait for it to move."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waiting: set[asyncio.Queue[str]] = set()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def watchers(self) -> int:
        """Return how many streams are open."""
        return len(self._waiting)

    async def stop(self, _app: web.Application | None = None) -> None:
        """End all streams, so that they don't hold up the shutdown."""
        self._stopping = True
        for queue in list(self._waiting):
            _offer(queue, "stop")
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one stream until its reader leaves, its time is over, or we stop."""
        if self._stopping or len(self._waiting) >= self._desk.settings.streams_max:
            detail = "too many live views are open; this one keeps itself fresh by reloading"
            raise Problem(503, "too-many-streams", "Too many live views", detail, headers={"Retry-After": "30"})
        response = web.StreamResponse(headers=_HEADERS)
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=1)
        self._waiting.add(queue)
        try:
            await response.prepare(request)
            await response.write(b"retry: 3000\n\n")
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._beat(), name="desk-pulse")
            await self._forward(queue, response)
        except ConnectionResetError:
            pass  # the reader left
        finally:
            self._waiting.discard(queue)
        return response

    async def _forward(self, queue: asyncio.Queue[str], response: web.StreamResponse) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + STREAM_MAX_S
        while loop.time() < end:
            try:
                news = await asyncio.wait_for(queue.get(), COMMENT_S)
            except TimeoutError:
                await response.write(b": quiet\n\n")
                continue
            if news == "stop":
                return
            await response.write(f"event: {news.partition(' ')[0]}\ndata: {news.partition(' ')[2]}\n\n".encode())

    async def _beat(self) -> None:
        """Read the cursor until nobody watches any more; tell everybody when it has moved."""
        known: str | None = None
        while self._waiting:
            try:
                now = await queries.cursor(self._desk.client)
            except queries.DOWN:
                self._tell("trouble the store does not answer")
                known = ""
            else:
                if known is not None and now != known:
                    self._tell(f"changed {now}")
                known = now
            await asyncio.sleep(POLL_S)

    def _tell(self, news: str) -> None:
        for queue in self._waiting:
            _offer(queue, news)


def _offer(queue: asyncio.Queue[str], news: str) -> None:
    """Put news into a queue of one place, replacing what its reader has not taken yet."""
    with contextlib.suppress(asyncio.QueueEmpty):
        queue.get_nowait()
    queue.put_nowait(news)
