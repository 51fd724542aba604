"""Group commit: requests that wait together share one transaction and one fsync.

One committer task owns one connection. While a batch is on its way the next one gathers, so the batches grow with the
load and nothing waits for a timer. Each batch is one `MULTI`: the entries, and the count of the events in them, so
that what the ledger calls accepted was counted independently of what the journal holds, yet never without it.

Nothing is ever written again by a retry of ours. Whoever waited when the connection was lost hears `StoreUnavailable`;
their entries may exist or not, and a sender that repeats itself is deduplicated by fingerprint.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, cast

import redis.exceptions
from redis.asyncio.connection import AbstractConnection

from triage.model import Body, Events, Millis
from triage.store import client, journal, keys

TIMEOUT_S: Final = 4.0
"""How long one batch may take, connecting included. Some senders give up after five seconds."""
MAX_BATCH: Final = 512
"""Most requests of one transaction."""
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
"""A batch is closed once it holds this many bytes, so that a few large bodies do not hold up many small ones."""
MAX_WAITING: Final = 10_000
"""Most requests that may wait; beyond it they are refused at once."""
_MULTI: Final = b"*1\r\n$5\r\nMULTI\r\n"
_EXEC: Final = b"*1\r\n$4\r\nEXEC\r\n"
_COUNTED_BY: Final = keys.ACCEPTED.encode()
_EXPECTED: Final = ((keys.JOURNAL, b"stream"), (keys.ACCEPTED, b"string"))
_CODES: Final = {
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.ReadOnlyError: "READONLY",
}
"""redis-py takes the code off the words of these; people look for it."""


class StoreUnavailable(Exception):
    """The store did not say that it has the entries. `reason` says why; ask again after `retry_after_s` seconds."""

    def __init__(self, reason: str, retry_after_s: int = 5) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class _Waiting:
    """One request: its packed commands, how many entries and events they hold, and where its answer goes."""

    packed: bytes
    entries: int
    events: int
    ids: asyncio.Future[list[str]]


class Appender:
    """Appends to the journal on behalf of everything in this process that answers requests."""

    def __init__(
        self, url: str, *, timeout_s: float = TIMEOUT_S, max_waiting: int = MAX_WAITING, max_batch: int = MAX_BATCH
    ) -> None:
        self._client = client.connect_async(url)
        self._timeout_s = timeout_s
        self._max_waiting = max_waiting
        self._max_batch = max_batch
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._connection: AbstractConnection | None = None
        self._committer: asyncio.Task[None] | None = None
        self._closing = False
        self.batches = 0
        self.entries = 0

    @property
    def waiting(self) -> int:
        """Return how many requests wait for the next batch."""
        return len(self._queue)

    async def start(self) -> None:
        """Start the committer. The store is connected by the first append, so it may come up later than we do."""
        self._closing = False
        self._committer = asyncio.create_task(self._run(), name="appender")

    async def close(self) -> None:
        """Commit what waits, then stop; what is appended from now on is refused."""
        self._closing = True
        self._wake.set()
        if self._committer is not None:
            await self._committer
            self._committer = None
        await self._drop_connection()
        await self._client.aclose()

    async def append(self, body: Body, at: Millis) -> str:
        """Append one entry and return its id once it is on stable storage. Raises StoreUnavailable."""
        return (await self.append_all((body,), at))[0]

    async def append_all(self, bodies: tuple[Body, ...], at: Millis) -> list[str]:
        """Append entries next to each other, all or none, and return their ids. Raises StoreUnavailable.

        The caller may be cancelled: the transaction goes on, and only its answer is dropped.
        """
        if self._closing or self._committer is None:
            raise StoreUnavailable("Tocsin is stopping")
        if len(self._queue) >= self._max_waiting:
            raise StoreUnavailable(f"{self._max_waiting} requests wait for the store already")
        packed = b"".join([_packed_entry(body, at) for body in bodies])
        events = sum(len(body.events) for body in bodies if isinstance(body, Events))
        ids: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(packed, len(bodies), events, ids))
        self._wake.set()
        return await ids

    async def _run(self) -> None:
        while not (self._closing and not self._queue):
            await self._wake.wait()
            self._wake.clear()
            while batch := self._next_batch():
                try:
                    await self._commit(batch)
                except Exception as error:  # noqa: BLE001  whatever it meets, everybody gets an answer and it goes on
                    await self._drop_connection()
                    self._fail(batch, error)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._queue and len(batch) < self._max_batch and size < MAX_BATCH_BYTES:
            waiting = self._queue.popleft()
            if not waiting.ids.done():
                batch.append(waiting)
                size += len(waiting.packed)
        return batch

    def _fail(self, batch: list[_Waiting], error: Exception) -> None:
        """Tell everybody who waits, also those of the next batch: trying again costs them a second deadline."""
        reason = error.reason if isinstance(error, StoreUnavailable) else f"its answer cannot be read: {error!r}"
        batch.extend(self._queue)
        self._queue.clear()
        for waiting in batch:
            if not waiting.ids.done():
                waiting.ids.set_exception(StoreUnavailable(reason))

    async def _commit(self, batch: list[_Waiting]) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._connection is None:
                    self._connection = await self._connect()
                replies = await _exchange(self._connection, batch)
        except TimeoutError as error:
            raise StoreUnavailable(f"the store did not answer within {self._timeout_s:g} s") from error
        except redis.exceptions.RedisError as error:
            raise StoreUnavailable(_reason(error)) from error
        except OSError as error:
            raise StoreUnavailable(f"the store cannot be reached: {error}") from error
        self._answer(batch, replies)

    def _answer(self, batch: list[_Waiting], replies: list[bytes]) -> None:
        self.batches += 1
        for waiting in batch:
            ids = [reply.decode() for reply in replies[: waiting.entries]]
            del replies[: waiting.entries]
            self.entries += waiting.entries
            if not waiting.ids.done():
                waiting.ids.set_result(ids)

    async def _connect(self) -> AbstractConnection:
        """Open the connection and make sure that no command of a transaction can fail on its own.

        A transaction is not rolled back: with a key of the wrong type the count and the entries would part.
        """
        pool: Any = self._client.connection_pool
        made: Any = pool.make_connection()
        try:
            await made.connect()
            for key, expected in _EXPECTED:
                await _check_type(made, key, expected)
        except BaseException:
            await made.disconnect(nowait=True)
            raise
        return cast("AbstractConnection", made)

    async def _drop_connection(self) -> None:
        """Close the connection: a reply that comes late must never be read as the answer to something else."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(redis.exceptions.RedisError, OSError):
                await connection.disconnect(nowait=True)


async def _check_type(connection: AbstractConnection, key: str, expected: bytes) -> None:
    await connection.send_command("TYPE", key)
    found = await connection.read_response()
    if found not in {expected, b"none"}:
        raise StoreUnavailable(f"the key {key} is a {found.decode()}, not a {expected.decode()}")


async def _exchange(connection: AbstractConnection, batch: list[_Waiting]) -> list[bytes]:
    """Send one transaction and return the ids of its entries. Raises RedisError."""
    parts = [_MULTI, *[waiting.packed for waiting in batch]]
    commands = sum(waiting.entries for waiting in batch)
    events = sum(waiting.events for waiting in batch)
    if events:
        parts.append(_packed(b"INCRBY", _COUNTED_BY, b"%d" % events))
    parts.append(_EXEC)
    await connection.send_packed_command(b"".join(parts), check_health=False)
    refusal: redis.exceptions.ResponseError | None = None
    for _ in range(1 + commands + bool(events)):
        try:
            await connection.read_response(disable_decoding=True, timeout=math.inf)
        except redis.exceptions.ResponseError as error:
            refusal = refusal or error
    try:
        replies = cast("list[Any]", await connection.read_response(disable_decoding=True, timeout=math.inf))
    except redis.exceptions.ResponseError as error:
        raise refusal or error from None
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return cast("list[bytes]", replies)


def _packed_entry(body: Body, at: Millis) -> bytes:
    words: list[bytes] = [b"XADD", keys.JOURNAL.encode(), b"*"]
    for name, value in journal.fields(body, at).items():
        words += (name, value if isinstance(value, bytes) else str(value).encode())
    return _packed(*words)


def _packed(*words: bytes) -> bytes:
    """Return one command in the Redis protocol."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        parts += (b"$%d\r\n" % len(word), word, b"\r\n")
    return b"".join(parts)


def _reason(error: redis.exceptions.RedisError) -> str:
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "")
    if isinstance(error, redis.exceptions.ConnectionError) and not code:
        return f"the connection to the store was lost: {error}"
    return f"the store refuses to write: {code + ' ' if code else ''}{error}"
