"""Appending to the journal and reading it: the only way in for anything that can change Tocsin's mind."""

from __future__ import annotations

import re
from typing import Any, Final, cast

import msgspec
import redis

from triage.model import (
    Acted,
    Body,
    CalendarRead,
    ChangesTold,
    Command,
    DeadLetter,
    Declared,
    DrillAsked,
    Entry,
    EntryKind,
    Events,
    Measured,
    Millis,
    OverrideAsked,
    Result,
    RulesLoaded,
    SilenceAsked,
    SubscriptionAsked,
    Tick,
    Verified,
    fingerprint_of,
)
from triage.store import keys

_KINDS: Final[dict[type[Any], EntryKind]] = {
    Events: EntryKind.EVENTS,
    Command: EntryKind.COMMAND,
    Result: EntryKind.RESULT,
    Tick: EntryKind.TICK,
    RulesLoaded: EntryKind.RULES,
    DeadLetter: EntryKind.DEAD_LETTER,
    OverrideAsked: EntryKind.OVERRIDE,
    SilenceAsked: EntryKind.SILENCE,
    ChangesTold: EntryKind.CHANGES,
    CalendarRead: EntryKind.CALENDAR,
    Declared: EntryKind.DECLARED,
    Acted: EntryKind.ACTED,
    DrillAsked: EntryKind.DRILL,
    SubscriptionAsked: EntryKind.SUBSCRIPTION,
    Measured: EntryKind.MEASURED,
    Verified: EntryKind.VERIFIED,
}
UNREADABLE_MAX: Final = 262_144
"""How much of an unreadable entry goes to the dead letters, in bytes."""
_DIGITS_MAX: Final = 18
_ENCODER: Final = msgspec.msgpack.Encoder()
_is_fingerprint: Final = re.compile(r"[0-9a-f]{32}", re.ASCII).fullmatch
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
    """Return the entry behind one stream record. One that this version cannot read becomes a dead letter."""
    try:
        body = _DECODERS[raw[b"k"]].decode(raw[b"b"])
        if isinstance(body, Events):
            _identify(body)
    except (KeyError, ValueError, RecursionError, msgspec.DecodeError) as fault:
        body = DeadLetter(
            source="journal",
            reason=f"written by another version? {type(fault).__name__}: {fault}",
            field=raw.get(b"k", b"k").decode(errors="replace"),
            body=raw.get(b"b", b"")[:UNREADABLE_MAX],
            length=len(raw.get(b"b", b"")),
            events=count_of(raw),
        )
    return Entry(id=entry_id.decode(), at=_number(raw.get(b"a")), body=cast("Body", body))


def count_of(raw: dict[bytes, bytes]) -> int:
    """Return how many events a stream record says that it holds; 0 when it does not say so in a number."""
    return _number(raw.get(b"n"))


def _number(text: bytes | None) -> int:
    return int(text) if text is not None and text.isdigit() and len(text) <= _DIGITS_MAX else 0


def _identify(body: Events) -> None:
    """Give an event with an identity that is no fingerprint the fingerprint of that identity.

    Adapters are many, and one that makes up its own would otherwise stop the line here, where memory is kept by it.
    """
    for event in body.events:
        if not _is_fingerprint(event.fingerprint):
            event.fingerprint = fingerprint_of(body.source, event.fingerprint)


def read(client: redis.Redis, after: str, count: int, block_ms: int | None = None) -> list[Entry]:
    """Return up to `count` entries after the id `after`, oldest first; wait for one up to `block_ms` (None: not)."""
    answer = client.xread({keys.JOURNAL: after}, count=count, block=block_ms)
    if not answer:
        return []
    return [decode(entry_id, raw) for entry_id, raw in cast("Any", answer)[0][1]]
