"""What is kept of drills. Read-only.

Raises what the client raises when the store cannot be reached (`queries.DOWN`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from triage import memory
from triage.drill import Drill, Drills, as_incident
from triage.model import Incident
from triage.store import keys

_DRILL: Final = msgspec.msgpack.Decoder(Drill)
_DRILLS: Final = msgspec.msgpack.Decoder(Drills)


async def every(client: Any) -> dict[str, Drill]:
    """Return the drills that are kept by key, newest first; triage bounds how many."""
    book = await _book(client)
    if not book:
        return {}
    raws = await client.hmget(keys.family(memory.DRILL), book)
    return {key: _DRILL.decode(raw) for key, raw in zip(book, raws, strict=True) if raw}


async def incident_of(client: Any, ref: str) -> Incident | None:
    """Return the drill whose key is or begins with `ref`, in the shape of an incident; None when there is none."""
    found = [key for key in await _book(client) if key.startswith(ref)]
    if len(found) != 1:
        return None
    raw = await client.hget(keys.family(memory.DRILL), found[0])
    return as_incident(found[0], _DRILL.decode(raw)) if raw else None


async def _book(client: Any) -> list[str]:
    raw = await client.hget(keys.family(memory.DRILLS), b"")
    return [*reversed(_DRILLS.decode(raw).keys)] if raw else []
