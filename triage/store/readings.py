"""Metrics of incidents in the store: which are to be read, who reads them just now, and what was read."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec
import redis

from triage.measured import Measures
from triage.memory import METRICS
from triage.model import Incident, Measured, Millis
from triage.store import journal, keys, queries

LOOKED_AT_MAX: Final = 200
"""How many readings one look takes in."""
_FAMILY: Final = keys.family(METRICS)
_MEASURES: Final = msgspec.msgpack.Decoder(Measures)


def waiting(client: redis.Redis) -> list[tuple[str, Measures]]:
    """Return the incidents whose metrics nobody reads yet, with what is asked, those that wait longest first."""
    ids = [one.decode() for one in cast("list[bytes]", client.zrange(keys.READINGS, 0, LOOKED_AT_MAX - 1))]
    if not ids:
        return []
    with client.pipeline(transaction=False) as pipe:
        pipe.hmget(_FAMILY, ids)
        pipe.mget([keys.reading(one) for one in ids])
        raws, holders = pipe.execute()
    found = [(name, raw) for name, raw, holder in zip(ids, raws, holders, strict=True) if raw and holder is None]
    decoded = [(name, _MEASURES.decode(raw)) for name, raw in found]
    return [(name, one) for name, one in decoded if one.wanted is not None]


def take(client: redis.Redis, incident: str, token: str, lease_ms: Millis) -> bool:
    """Say that we read it, so that others look elsewhere. A courtesy: what comes twice is taken once."""
    return bool(client.set(keys.reading(incident), token, nx=True, px=lease_ms))


def release(client: redis.Redis, incident: str, token: str) -> None:
    """End our own courtesy."""
    if cast("bytes | None", client.get(keys.reading(incident))) == token.encode():
        client.delete(keys.reading(incident))


def report(client: redis.Redis, body: Measured, at: Millis) -> str:
    """Append what was read; it bears being appended twice. Raises redis.RedisError."""
    return journal.append(client, body, at)


async def of(client: queries.Client, incident: Incident) -> Measures | None:
    """Return what was read of an incident, or None. Raises one of `queries.DOWN`."""
    raw = await cast("Any", client).hget(_FAMILY, incident.key)
    return _MEASURES.decode(raw) if raw else None
