"""Checkpoints: all memory at one cursor, so that history can be decided again from there and what is older can go.

A checkpoint is one hash: `head` (msgpack of cursor, digest, version, time) and numbered chunks (zlib over msgpack
lists of family, field, value), written in one transaction while the lease holder stands still.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec
import redis

from triage.memory import FAMILIES, DictMemory
from triage.model import Millis
from triage.store import keys
from triage.store.commit import Cursor, Fenced
from triage.store.memory import ENCODER, id_of, value_of

CHUNK: Final = 5_000
"""Values per chunk."""
_TIMERS: Final = "timers"


class Head(msgspec.Struct, array_like=True):
    """Where a checkpoint stands: the cursor as text, the version of `decide` that goes on from here, and when."""

    cursor: str
    version: int
    at: Millis


def write(client: redis.Redis, cursor: Cursor, version: int, at: Millis) -> int:
    """Write a checkpoint of all memory at `cursor`. Return its size in bytes.

    The caller holds the lease. Raises Fenced when somebody committed meanwhile; the old checkpoint then stays.
    """
    chunks = [zlib.compress(ENCODER.encode(chunk), 1) for chunk in _chunks(client)]
    with client.pipeline(transaction=True) as pipe:
        cast("Any", pipe).watch(keys.CURSOR)
        if Cursor.parse(cast("bytes | None", pipe.get(keys.CURSOR))) != cursor:
            raise Fenced
        pipe.multi()
        pipe.delete(keys.CHECKPOINT)
        pipe.hset(keys.CHECKPOINT, "head", cast("Any", ENCODER.encode(Head(str(cursor), version, at))))
        for number, chunk in enumerate(chunks):
            pipe.hset(keys.CHECKPOINT, str(number), cast("Any", chunk))
        try:
            pipe.execute()
        except redis.WatchError:
            raise Fenced from None
    return sum(map(len, chunks))


def _chunks(client: redis.Redis) -> Iterator[list[tuple[str, bytes, bytes | int]]]:
    chunk: list[tuple[str, bytes, bytes | int]] = []
    for item in _items(client):
        chunk.append(item)
        if len(chunk) >= CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _items(client: redis.Redis) -> Iterator[tuple[str, bytes, bytes | int]]:
    for family in FAMILIES:
        seen: set[bytes] = set()
        for field, value in client.hscan_iter(keys.family(family), count=1_000):
            if field not in seen:
                seen.add(field)
                yield family, field, value
    for name, due in client.zscan_iter(keys.TIMERS, count=1_000):
        yield _TIMERS, name, int(due)


def head(client: redis.Redis) -> Head | None:
    """Return where the newest checkpoint stands, or None when there never was one."""
    raw = cast("bytes | None", client.hget(keys.CHECKPOINT, "head"))
    return msgspec.msgpack.decode(raw, type=Head) if raw else None


def load(client: redis.Redis) -> tuple[Head | None, DictMemory]:
    """Return the newest checkpoint and its memory; without one, the empty memory at the beginning of time."""
    raw = cast("dict[bytes, bytes]", client.hgetall(keys.CHECKPOINT))
    memory = DictMemory()
    if not raw:
        return None, memory
    for field, chunk in raw.items():
        if field != b"head":
            _restore(memory, msgspec.msgpack.decode(zlib.decompress(chunk)))
    return msgspec.msgpack.decode(raw[b"head"], type=Head), memory


def snapshot(client: redis.Redis) -> DictMemory:
    """Return all memory as the store holds it now. Only of use while nothing commits."""
    memory = DictMemory()
    for chunk in _chunks(client):
        _restore(memory, chunk)
    return memory


def _restore(memory: DictMemory, items: list[Any]) -> None:
    for family, field, value in items:
        if family == _TIMERS:
            memory.timers[field.decode()] = value
        else:
            memory.values[(family, id_of(family, field))] = value_of(family, value)
