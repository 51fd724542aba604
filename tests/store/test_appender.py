"""Group commit on a real store: together, once, counted, and never silent about a store that cannot write."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator

import pytest
import redis

from tests.conftest import Valkey, running_valkey
from triage.model import Body, Command, DeadLetter, Event, Events, Status, Verb, fingerprint_of
from triage.store import journal, keys
from triage.store.appender import Appender, StoreUnavailable

AT = 1_700_000_000_000


def batch(name: str, count: int = 1) -> Events:
    return Events("test", [Event(Status.FIRING, fingerprint_of("test", name, str(n)), name, {}) for n in range(count)])


@contextlib.asynccontextmanager
async def started(url: str, **options: float) -> AsyncIterator[Appender]:
    appender = Appender(url, **options)  # type: ignore[arg-type]
    await appender.start()
    try:
        yield appender
    finally:
        await appender.close()


def stored(url: str) -> tuple[dict[str, Body], int]:
    """Return the entries by id, and the count of accepted events."""
    with redis.Redis.from_url(url) as client:
        entries = [journal.decode(entry_id, raw) for entry_id, raw in client.xrange(keys.JOURNAL)]
        return {entry.id: entry.body for entry in entries}, int(client.get(keys.ACCEPTED) or 0)


async def test_requests_that_wait_together_share_a_transaction_and_each_gets_its_own_answer(redis_url: str) -> None:
    async with started(redis_url) as appender:
        bodies = [batch(f"b{n}", 1 + n % 3) for n in range(100)]
        ids = await asyncio.gather(*[appender.append(body, AT + n) for n, body in enumerate(bodies)])
        assert appender.entries == 100
        assert appender.batches < 5
    entries, accepted = stored(redis_url)
    assert [entries[entry_id] for entry_id in ids] == bodies
    assert len(entries) == 100
    assert accepted == sum(len(body.events) for body in bodies)


async def test_entries_of_one_request_stand_next_to_each_other(redis_url: str) -> None:
    letter = DeadLetter("test", "why", "field", b"\0\r\n$5\r\nraw")
    command = Command(Verb.NOTE, "i" * 26, "anna", "api", text="…")
    async with started(redis_url) as appender:
        ids = await appender.append_all((batch("one", 2), letter, command), AT)
    entries, accepted = stored(redis_url)
    assert list(entries.items()) == list(zip(ids, [batch("one", 2), letter, command], strict=True))
    assert accepted == 2, "only events are counted"


async def test_a_caller_who_goes_away_disturbs_nobody(redis_url: str) -> None:
    async with started(redis_url) as appender:
        for n in range(30):
            leaver = asyncio.create_task(appender.append(batch(f"leaver {n}"), AT))
            stayer = asyncio.create_task(appender.append(batch(f"stayer {n}"), AT))
            for _ in range(n % 6):
                await asyncio.sleep(0)
            leaver.cancel()
            entry_id = await stayer
            entries, accepted = stored(redis_url)
            body = entries[entry_id]
            assert isinstance(body, Events)
            assert body.events[0].title == f"stayer {n}"
            assert accepted == len(entries)


async def test_closing_commits_what_waits_and_refuses_what_comes_later(redis_url: str) -> None:
    appender = Appender(redis_url)
    with pytest.raises(StoreUnavailable):
        await appender.append(batch("too early"), AT)
    await appender.start()
    waiting = [asyncio.create_task(appender.append(batch(str(n)), AT)) for n in range(10)]
    await asyncio.sleep(0)
    await appender.close()
    assert len(set(await asyncio.gather(*waiting))) == 10
    with pytest.raises(StoreUnavailable, match="stopping"):
        await appender.append(batch("too late"), AT)
    assert stored(redis_url)[1] == 10


async def test_a_full_queue_refuses_at_once(redis_url: str) -> None:
    async with started(redis_url, max_waiting=2) as appender:
        answers = await asyncio.gather(*[appender.append(batch(str(n)), AT) for n in range(5)], return_exceptions=True)
    assert [isinstance(answer, StoreUnavailable) for answer in answers] == [False, False, True, True, True]
    assert stored(redis_url)[1] == 2


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"maxmemory": "1mb"}, "OOM"), ({"min-replicas-to-write": "1"}, "NOREPLICAS|good replicas")],
)
async def test_a_store_that_refuses_to_write_is_unavailable_and_says_why(settings: dict[str, str], reason: str) -> None:
    with running_valkey() as server, redis.Redis.from_url(server.url) as client:
        async with started(server.url) as appender:
            await appender.append(batch("before"), AT)
            for name, value in settings.items():
                client.config_set(name, value)
            with pytest.raises(StoreUnavailable, match=reason):
                await appender.append(batch("while"), AT)
            for name in settings:
                client.config_set(name, "0")
            await appender.append(batch("after"), AT)
        entries, accepted = stored(server.url)
        assert len(entries) == accepted == 2


async def test_a_replica_is_unavailable(redis_url: str) -> None:
    with running_valkey("--replicaof", "127.0.0.1 1") as server:
        async with started(server.url) as appender:
            with pytest.raises(StoreUnavailable, match="READONLY"):
                await appender.append(batch("x"), AT)


@pytest.mark.parametrize("key", [keys.JOURNAL, keys.ACCEPTED])
async def test_a_key_of_the_wrong_type_writes_neither_entry_nor_count(redis_url: str, key: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.sadd(key, "x")
        async with started(redis_url) as appender:
            with pytest.raises(StoreUnavailable, match="set"):
                await appender.append(batch("x"), AT)
        assert client.keys("*") == [key.encode()]


async def test_a_store_that_hangs_is_unavailable_within_the_deadline_and_then_serves_again() -> None:
    with running_valkey() as server:
        async with started(server.url, timeout_s=0.5, max_batch=5) as appender:
            await appender.append(batch("before"), AT)
            server.process.send_signal(signal.SIGSTOP)
            try:
                begun = time.monotonic()
                waiting = [appender.append(batch(str(n)), AT) for n in range(20)]
                answers = await asyncio.gather(*waiting, return_exceptions=True)
                assert time.monotonic() - begun < 1.2, "those of later batches do not wait for a deadline of their own"
                assert all(isinstance(answer, StoreUnavailable) for answer in answers)
                assert "0.5 s" in str(answers[0])
            finally:
                server.process.send_signal(signal.SIGCONT)
            await appender.append(batch("after"), AT)
        entries, accepted = stored(server.url)
        assert accepted == len(entries)
        assert len(entries) in {2, 7}, "all of a transaction, or nothing of it"


async def test_a_store_that_is_killed_and_comes_back_is_connected_again() -> None:
    with running_valkey() as server:
        async with started(server.url) as appender:
            await appender.append(batch("before"), AT)
            server.process.kill()
            server.process.wait()
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="store"):
                    await appender.append(batch("while"), AT)
            with running_valkey(directory=server.directory):
                await appender.append(batch("after"), AT)
                entries, accepted = stored(server.url)
                assert len(entries) == accepted == 2


class Proxy:
    """Stands between us and the store, and on demand keeps a reply to itself and hangs up."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._server: asyncio.Server | None = None
        self.drop = 0
        self.connections = 0

    async def __aenter__(self) -> Proxy:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        assert self._server is not None
        self._server.close()

    @property
    def url(self) -> str:
        """Return where it listens."""
        assert self._server is not None
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        store_reader, store_writer = await asyncio.open_unix_connection(self._socket)
        try:
            while request := await reader.read(1 << 20):
                store_writer.write(request)
                reply = await store_reader.read(1 << 20)
                if b"EXEC" in request and self.drop:
                    self.drop -= 1
                    return
                writer.write(reply)
        finally:
            store_writer.close()
            writer.close()


async def test_a_lost_reply_fails_all_that_waited_and_nothing_is_written_again(valkey: Valkey, redis_url: str) -> None:
    async with Proxy(redis_url.removeprefix("unix://")) as proxy, started(proxy.url) as appender:
        await appender.append(batch("before"), AT)
        for round_ in range(3):
            proxy.drop = 1
            names = [f"lost {round_}.{n}" for n in range(20)]
            answers = await asyncio.gather(
                *[appender.append(batch(name), AT) for name in names], return_exceptions=True
            )
            assert all(isinstance(answer, StoreUnavailable) for answer in answers)
            await appender.append(batch(f"after {round_}"), AT)
        assert proxy.connections == 4
    entries, accepted = stored(redis_url)
    titles = [body.events[0].title for body in entries.values() if isinstance(body, Events)]
    assert len(titles) == len(set(titles)) == accepted == 64, "each once: the store had done it, and nobody repeated it"
