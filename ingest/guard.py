"""Guarding connections: how many there may be, and how long one may take over the headers of a request.

aiohttp waits for ever on headers that trickle in. Here each connection has a deadline from when it opens, or from the
first byte of a further request, until the headers are whole.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ingest.settings import DoorLimits
from ingest.stats import DoorStats

_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_log = structlog.get_logger()


class GuardedRunner(web.AppRunner):
    """Runs an application that has the door's routes. Use it wherever one would use `aiohttp.web.AppRunner`.

    Bodies reach handlers packed as they were sent: the door unpacks them itself, within its limits.
    """

    __slots__ = ("_limits", "_stats")

    def __init__(self, app: web.Application, limits: DoorLimits, stats: DoorStats | None = None, **kwargs: Any) -> None:
        options = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": limits.keep_alive_s,
            "lingering_time": limits.linger_s,
        }
        super().__init__(app, **{**options, **kwargs})
        self._limits = limits
        self._stats = stats or DoorStats()

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        guarded = _GuardedServer(plain.request_handler, request_factory=plain.request_factory, **self._kwargs)
        guarded.limits = self._limits
        guarded.stats = self._stats
        return guarded


class _GuardedServer(web.Server):
    limits: DoorLimits
    stats: DoorStats

    def __call__(self) -> RequestHandler:
        return _GuardedConnection(self, loop=self._loop, **self._kwargs)


class _GuardedConnection(RequestHandler):
    """One connection. `_headers_due` is the loop's time by which the headers must be whole, or 0."""

    __slots__ = ("_counted", "_guard", "_headers_due", "_timer")

    def __init__(self, manager: _GuardedServer, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._guard = manager
        self._counted = False
        self._headers_due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the deadline, or turn the connection away when there are too many."""
        if self._guard.stats.connections >= self._guard.limits.connections:
            self._guard.stats.connections_refused += 1
            self._force_close = True
            plain = cast("asyncio.Transport", transport)
            plain.write(_TOO_MANY)
            plain.close()
            return
        super().connection_made(transport)
        self._counted = True
        self._guard.stats.connections += 1
        self._expect_headers()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the deadline."""
        if self._timer is not None:
            self._timer.cancel()
        if self._counted:
            self._counted = False
            self._guard.stats.connections -= 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Let aiohttp parse; when it makes no request of it while waiting for one, the headers are still coming."""
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            self._headers_due = 0.0
        elif not self._headers_due and self._waiter is not None and not self._waiter.done():
            self._expect_headers()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no valid HTTP without repeating it, in the answer or in the log: it may hold a token."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        _log.warning("not valid HTTP", status=status, error=type(exc).__name__)
        response = web.Response(status=status, text="This is not valid HTTP.\n")
        response.force_close()
        return response

    def _expect_headers(self) -> None:
        wait = self._guard.limits.header_timeout_s
        self._headers_due = self._loop.time() + wait
        if self._timer is None:
            self._timer = self._loop.call_later(wait, self._check_headers)

    def _check_headers(self) -> None:
        self._timer = None
        if not self._headers_due or self.transport is None:
            return
        left = self._headers_due - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._check_headers)
            return
        self._guard.stats.slow_headers += 1
        self.transport.write(_TOO_SLOW)
        self.force_close()
