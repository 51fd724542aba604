"""Runs of actions in the store: which want a worker, who is at one just now, and how each stands."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec
import redis

from triage.memory import ACTION
from triage.model import Acted, Incident, Millis
from triage.run import Run
from triage.store import journal, keys, queries
from triage.store.commit import Cursor

LOOKED_AT_MAX: Final = 200
"""How many runs one look takes in."""
_FAMILY: Final = keys.family(ACTION)
_RUN: Final = msgspec.msgpack.Decoder(Run)


def waiting(client: redis.Redis) -> list[Run]:
    """Return the runs that want a worker and that nobody is at, those asked for longest first."""
    ids = [one.decode() for one in cast("list[bytes]", client.zrange(keys.ACTS, 0, LOOKED_AT_MAX - 1))]
    if not ids:
        return []
    with client.pipeline(transaction=False) as pipe:
        pipe.hmget(_FAMILY, ids)
        pipe.mget([keys.acting(one) for one in ids])
        raws, holders = pipe.execute()
    found = [_RUN.decode(raw) for raw, holder in zip(raws, holders, strict=True) if raw and holder is None]
    return [one for one in found if one.wants_worker]


def take(client: redis.Redis, run: str, token: str, lease_ms: Millis) -> bool:
    """Say that we are at it, so that others look elsewhere. A courtesy: that it is run once is decided, not this."""
    return bool(client.set(keys.acting(run), token, nx=True, px=lease_ms))


def release(client: redis.Redis, run: str, token: str) -> None:
    """End our own courtesy."""
    if cast("bytes | None", client.get(keys.acting(run))) == token.encode():
        client.delete(keys.acting(run))


def one(client: redis.Redis, run: str) -> Run | None:
    """Return how a run stands."""
    raw = cast("bytes | None", client.hget(_FAMILY, run))
    return _RUN.decode(raw) if raw else None


def report(client: redis.Redis, body: Acted, at: Millis) -> str:
    """Append what a worker says of a run; it bears being appended twice. Raises redis.RedisError."""
    return journal.append(client, body, at)


def decided(client: redis.Redis, entry: str) -> bool:
    """Tell whether an entry was decided."""
    return _order(Cursor.read(client).entry) >= _order(entry)


def _order(entry: str) -> tuple[int, int]:
    stamp, _, number = entry.partition("-")
    return int(stamp or 0), int(number or 0)


async def runs_of(client: queries.Client, incident: Incident) -> list[Run]:
    """Return the runs of an incident, the newest first. Raises one of `queries.DOWN`."""
    if not incident.runs:
        return []
    raws = await cast("Any", client).hmget(_FAMILY, list(reversed(incident.runs)))
    return [_RUN.decode(raw) for raw in raws if raw]
