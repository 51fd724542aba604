"""Connections: how many, and how long they may take. Real sockets, small limits."""

from __future__ import annotations

import asyncio
import time

import pytest
import structlog
from aiohttp import ClientSession

from ingest.settings import DoorLimits, DoorSettings
from tests.unit.ingest.doors import Shelf, opened

BODY = b'{"alerts":[{"title":"x"}]}'
HEAD = b"POST /v1/events/plain HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
WHOLE = HEAD % len(BODY) + BODY
QUICK = DoorSettings(limits=DoorLimits(header_timeout_s=0.3, body_timeout_s=0.3, connections=3, linger_s=0.2))


async def answer_to(reader: asyncio.StreamReader) -> bytes:
    """Return what is said until the connection ends; a reset on bytes sent too late may swallow it."""
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("sent", [b"", b"POST /v1/events/plain HTTP/1.1\r\nHost: loc", b"POS"])
async def test_headers_that_do_not_come_end_the_connection(sent: bytes) -> None:
    async with opened(Shelf(), settings=QUICK) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(sent)
        started = time.monotonic()
        assert b" 408 " in await answer_to(reader)
        assert 0.2 < time.monotonic() - started < 2
        writer.close()
        assert door.stats.slow_headers == 1


async def test_headers_that_trickle_in_end_the_connection() -> None:
    async with opened(Shelf(), settings=QUICK) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(b"POST /v1/events/plain HTTP/1.1\r\nHost: localhost\r\n")
        told = asyncio.create_task(answer_to(reader))
        sent = 0
        while not told.done():
            writer.write(b"X-A%d: b\r\n" % sent)
            sent += 1
            await asyncio.sleep(0.05)
        assert door.stats.slow_headers == 1
        assert sent < 20
        writer.close()


async def test_the_headers_of_a_second_request_have_a_deadline_too() -> None:
    async with opened(Shelf(), settings=QUICK) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(WHOLE)
        assert b" 202 " in await reader.read(65536)
        await asyncio.sleep(0.5)  # an idle connection has no deadline but the keep-alive's
        writer.write(b"POST /v1/ev")
        assert b" 408 " in await answer_to(reader)
        writer.close()


async def test_an_idle_connection_serves_again_after_the_deadline_of_headers() -> None:
    shelf = Shelf()
    async with opened(shelf, settings=QUICK) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        for _ in range(2):
            writer.write(WHOLE)
            assert b" 202 " in await reader.read(65536)
            await asyncio.sleep(0.4)
        writer.close()
    assert len(shelf.bodies) == 2


async def test_a_body_that_does_not_come_is_a_408() -> None:
    async with opened(Shelf(), settings=QUICK) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(HEAD % 1000 + b"abc")
        assert b" 408 " in await reader.readline()
        assert b"application/problem+json" in await answer_to(reader)
        writer.close()


async def test_a_body_that_trickles_in_is_a_408() -> None:
    shelf = Shelf()
    async with opened(shelf, settings=QUICK) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(HEAD % 1000)
        told = asyncio.create_task(answer_to(reader))
        sent = 0
        while not told.done():
            writer.write(b" ")
            sent += 1
            await asyncio.sleep(0.05)
        assert door.stats.requests == {("plain", 408): 1}
        assert sent < 30
        writer.close()
    assert shelf.bodies == []


async def test_connections_beyond_the_limit_are_told_to_come_again() -> None:
    async with opened(Shelf(), settings=QUICK) as door:
        kept = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            writer.write(WHOLE)
            assert b" 202 " in await reader.readline()
            kept.append(writer)
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        said = await answer_to(reader)
        assert b" 503 " in said
        assert b"Retry-After" in said
        writer.close()
        assert (door.stats.connections, door.stats.connections_refused) == (3, 1)
        kept.pop().close()
        async with asyncio.timeout(5):
            while door.stats.connections > 2:
                await asyncio.sleep(0.01)
        async with ClientSession() as client, client.post(door.url("/v1/events/plain"), data=BODY) as answer:
            assert answer.status == 202, "a closed connection makes room"
        for writer in kept:
            writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /v1/events/plain/canary HTTP/9.9\r\n\r\n",
        b"POST /v1/events/plain?token=canary HTTP/x\r\n\r\n",
        b"POST /v1/events/plain HTTP/1.1\r\nHost: x\r\nAuthor ization: Bearer canary\r\n\r\n",
        b"\x16\x03\x01canary\r\n\r\n",
        b"POST /v1/events/plain HTTP/1.1\r\nX: " + b"canary" * 10_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_repeated_nowhere(caplog: pytest.LogCaptureFixture, sent: bytes) -> None:
    caplog.set_level(0)
    async with opened(Shelf()) as door:
        with structlog.testing.capture_logs() as lines:
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            writer.write(sent)
            said = await answer_to(reader)
            writer.close()
    assert b" 400 " in said
    assert b"canary" not in said
    assert "canary" not in repr(lines) + caplog.text
    assert len(lines) == 1
