"""Status updates of an incident, as whoever shows them reads them."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from triage import memory
from triage.status import StatusUpdates
from triage.store import keys
from triage.store.queries import Client

_DECODER: Final = msgspec.msgpack.Decoder(StatusUpdates)


async def of(client: Client, incident: str) -> StatusUpdates:
    """Return the updates of the incident with this full key, oldest first. Raises redis.RedisError."""
    raw = cast("bytes | None", await cast("Any", client.hget(keys.family(memory.UPDATES), incident)))
    return _DECODER.decode(raw) if raw else StatusUpdates()
