"""How often a provider was sent to lately, by all workers together: no provider gets more than its rate.

What is over the rate is not lost and not tried: it stays due, and is claimed once there is room again.
"""

from __future__ import annotations

from typing import Final, cast

import redis

from triage.model import MINUTE, Millis, key_of
from triage.store import keys

TRIES: Final = 3
"""How often a slot is tried for while other workers take slots too; then it is left for the next look."""


def take(client: redis.Redis, place: str, now: Millis, limit: int) -> bool:
    """Take one of the `limit` slots that a place has within any minute. Return whether there was one.

    `place` may hold a secret: only its hash is stored. Raises redis.RedisError.
    """
    key = keys.rate(key_of("place", place))
    for _ in range(TRIES):
        with client.pipeline() as pipe:
            try:
                pipe.watch(key)  # type: ignore[no-untyped-call]
                oldest = cast("bytes | None", pipe.lindex(key, limit - 1))
                if oldest is not None and now - int(oldest) < MINUTE:
                    return False
                pipe.multi()
                pipe.lpush(key, now)
                pipe.ltrim(key, 0, limit - 1)
                pipe.pexpire(key, MINUTE)
                pipe.execute()
            except redis.WatchError:
                continue
            return True
    return False
