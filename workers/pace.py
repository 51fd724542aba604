"""The rates of providers as the operator sets them: `delivery.rate` for each, `delivery.rates` for those named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import redis

from triage.model import Millis
from triage.store import rates
from workers.channel import scheme_of

LOCAL: Final = frozenset({"file", "terminal"})
"""Schemes that are no provider's: nobody counts what goes there."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many messages a minute a provider gets; `named` by scheme, or by scheme and host. 0: no bound."""

    each: int = 0
    named: Mapping[str, int] = field(default_factory=dict)

    def limit(self, place: str) -> int:
        """Return how many messages a minute may go to a place (`scheme://host`); 0 when there is no bound."""
        scheme = scheme_of(place)
        if scheme in LOCAL:
            return 0
        return self.named.get(place, self.named.get(scheme, self.each))

    def allows(self, client: redis.Redis, place: str, now: Millis, counted: str = "") -> bool:
        """Take a slot of a place for one message. Return whether there was one. Raises redis.RedisError.

        `counted` is what it counts as, where that is not the place itself.
        """
        limit = self.limit(place)
        return not limit or rates.take(client, counted or place, now, limit)
