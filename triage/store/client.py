"""Connections to Redis or Valkey that never do anything behind our back.

redis-py retries a command whose reply was lost; one XADD was written three times that way (shared facts: measured). All
our clients are made here, with no retries and a socket timeout longer than any block.
"""

from __future__ import annotations

from typing import Any, Final

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

BLOCK_S: Final = 0.5
"""Longest that a drain blocks on the journal, in seconds."""
SOCKET_TIMEOUT_S: Final = 10.0
"""How long a reply may take before the connection is given up, in seconds. Longer than BLOCK_S by far."""


def _options(timeout_s: float = SOCKET_TIMEOUT_S) -> dict[str, Any]:
    return {
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": timeout_s,
        "socket_connect_timeout": 3.0,
        "protocol": 2,
    }


def connect(url: str, timeout_s: float = SOCKET_TIMEOUT_S) -> redis.Redis:
    """Return a client for a `redis://`, `rediss://` or `unix://` URL. It connects on first use and never retries.

    `timeout_s`: how long a reply may take; only those who never block may shorten it.
    """
    return redis.Redis.from_url(url, **_options(timeout_s))


def connect_async(url: str) -> redis.asyncio.Redis:
    """Return an asyncio client; see `connect`."""
    options = _options()
    options["retry"] = redis.asyncio.retry.Retry(NoBackoff(), 0)
    return redis.asyncio.Redis.from_url(url, **options)
