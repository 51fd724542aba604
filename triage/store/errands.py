"""Errands of incidents that want a worker: metrics to be read, and whether all is well to be looked at.

What is wanted stands in memory; the index says where. That an errand is somebody's is a courtesy with an end: what is
told twice is taken once.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, cast

import msgspec
import redis

from triage.measured import Measures
from triage.memory import METRICS, VERIFYING
from triage.model import Body, Incident, Millis
from triage.store import journal, keys, queries
from triage.verification import Verifying

LOOKED_AT_MAX: Final = 200
"""How many errands of a kind one look takes in."""


class Kind(NamedTuple):
    """A kind of errand: the index of what waits, and the family of memory in which what is wanted stands."""

    waits: str
    family: str
    decoder: Any


READING: Final = Kind(keys.READINGS, METRICS, msgspec.msgpack.Decoder(Measures))
VERIFICATION: Final = Kind(keys.VERIFICATIONS, VERIFYING, msgspec.msgpack.Decoder(Verifying))


def waiting(client: redis.Redis, kind: Kind) -> list[tuple[str, Any]]:
    """Return the incidents whose errand nobody is on, with what stands in memory, those that wait longest first."""
    ids = [one.decode() for one in cast("list[bytes]", client.zrange(kind.waits, 0, LOOKED_AT_MAX - 1))]
    if not ids:
        return []
    with client.pipeline(transaction=False) as pipe:
        pipe.hmget(keys.family(kind.family), ids)
        pipe.mget([keys.errand(kind.family, one) for one in ids])
        raws, holders = pipe.execute()
    found = [(name, raw) for name, raw, holder in zip(ids, raws, holders, strict=True) if raw and holder is None]
    decoded = [(name, kind.decoder.decode(raw)) for name, raw in found]
    return [(name, one) for name, one in decoded if one.wanted is not None]


def take(client: redis.Redis, kind: Kind, incident: str, token: str, lease_ms: Millis) -> bool:
    """Say that we are on it, so that others look elsewhere."""
    return bool(client.set(keys.errand(kind.family, incident), token, nx=True, px=lease_ms))


def release(client: redis.Redis, kind: Kind, incident: str, token: str) -> None:
    """End our own courtesy."""
    key = keys.errand(kind.family, incident)
    if cast("bytes | None", client.get(key)) == token.encode():
        client.delete(key)


def report(client: redis.Redis, body: Body, at: Millis) -> str:
    """Append what was seen; it bears being appended twice. Raises redis.RedisError."""
    return journal.append(client, body, at)


async def verification(client: queries.Client, incident: Incident) -> str:
    """Return how the verification of an incident stands, as a phrase; "" where there is none."""
    found: Verifying | None = await of(client, VERIFICATION, incident)
    return found.standing if found is not None else ""


async def of(client: queries.Client, kind: Kind, incident: Incident) -> Any:
    """Return what stands in memory of an incident, or None. Raises one of `queries.DOWN`."""
    raw = await cast("Any", client).hget(keys.family(kind.family), incident.key)
    return kind.decoder.decode(raw) if raw else None
