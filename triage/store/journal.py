"""Appending to the journal and reading it: the only way in for anything that can change Tocsin's mind."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec
import redis

from triage.model import (
    Body,
    Command,
    DeadLetter,
    Entry,
    EntryKind,
    Events,
    Millis,
    Result,
    RulesLoaded,
    Tick,
)
from triage.store import keys

_KINDS: Final[dict[type[Any], EntryKind]] = {
    Events: EntryKind.EVENTS,
    Command: EntryKind.COMMAND,
    Result: EntryKind.RESULT,
    Tick: EntryKind.TICK,
    RulesLoaded: EntryKind.RULES,
    DeadLetter: EntryKind.DEAD_LETTER,
}
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODERS: Final = {kind.value.encode(): msgspec.msgpack.Decoder(type_) for type_, kind in _KINDS.items()}


def fields(body: Body, at: Millis) -> dict[bytes, bytes | str | int]:
    """Return the stream fields of an entry: k kind, a at (ms), n how many events, b body (msgpack)."""
    count = len(body.events) if isinstance(body, Events) else 0
    return {b"k": _KINDS[type(body)].value, b"a": at, b"n": count, b"b": _ENCODER.encode(body)}


def append(client: redis.Redis, body: Body, at: Millis) -> str:
    """Append one entry and return its id once it is on stable storage. Events go through `appender` instead.

    Raises redis.RedisError; the entry may exist all the same when the reply was lost, so what is appended here must
    bear being appended twice.
    """
    if isinstance(body, Events):
        raise TypeError("events are appended together with their count: use triage.store.appender")
    return cast("bytes", client.xadd(keys.JOURNAL, cast("Any", fields(body, at)))).decode()


def decode(entry_id: bytes, raw: dict[bytes, bytes]) -> Entry:
    """Return the entry behind one stream record. Raises msgspec.DecodeError or KeyError when it is not ours."""
    body = _DECODERS[raw[b"k"]].decode(raw[b"b"])
    return Entry(id=entry_id.decode(), at=int(raw[b"a"]), body=cast("Body", body))
