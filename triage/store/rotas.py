"""What is kept of schedules: the overrides that people asked for at run time. Read-only.

Raises one of `queries.DOWN` when the store cannot be reached.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from triage.memory import OVERRIDES
from triage.model import Override, Overrides
from triage.store import keys, queries


async def overrides(client: queries.Client, schedules: Iterable[str]) -> dict[str, tuple[Override, ...]]:
    """Return the run-time overrides of these schedules, oldest first."""
    names = [*schedules]
    if not names:
        return {}
    raws = await cast("Any", client).hmget(keys.family(OVERRIDES), names)
    return {
        name: msgspec.msgpack.decode(raw, type=Overrides).items if raw else ()
        for name, raw in zip(names, raws, strict=True)
    }
