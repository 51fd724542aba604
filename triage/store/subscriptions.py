"""Subscriptions as they are kept. Read-only. Raises one of `queries.DOWN` when the store cannot be reached."""

from __future__ import annotations

from typing import Final, cast

import msgspec

from triage.memory import SUBSCRIPTIONS
from triage.store import keys, queries
from triage.subscription import Subscription, Subscriptions

_DECODER: Final = msgspec.msgpack.Decoder(Subscriptions)


async def every(client: queries.Client) -> tuple[Subscription, ...]:
    """Return all subscriptions, oldest first; triage bounds how many."""
    raw = cast("bytes | None", await client.hget(keys.family(SUBSCRIPTIONS), ""))
    return _DECODER.decode(raw).items if raw is not None else ()
