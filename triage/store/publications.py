"""What is public, from the store. Read-only.

Raises one of `queries.DOWN` when the store cannot be reached.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from triage.memory import PUBLICATION
from triage.public import Publication
from triage.store import keys

_DECODER: Final = msgspec.msgpack.Decoder(Publication)


async def every(client: Any) -> dict[str, Publication]:
    """Return what is public by the key of the incident; triage bounds how many there are."""
    found = await client.hgetall(keys.family(PUBLICATION))
    return {key.decode(): _DECODER.decode(raw) for key, raw in sorted(found.items())}


async def one(client: Any, incident: str) -> Publication | None:
    """Return what is public of an incident, or None."""
    raw = await client.hget(keys.family(PUBLICATION), incident)
    return _DECODER.decode(raw) if raw else None
