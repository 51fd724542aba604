"""The sweeper: what a lost wake-up would have done, found by looking, each second, in every work process.

RQ may lose or forget anything: a killed worker's job, a planted deletion of every key. What must happen is in the
journal and in the effects, so a look at those is enough.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, cast

import redis
import structlog

from triage.model import MINUTE, SECOND, Millis
from triage.store import effects, keys
from workers import jobs

EVERY_S: Final = 1.0
SIGN_S: Final = 5.0
"""How often a loop beside the main one gives a sign of life, in seconds."""
FAULT_S: Final = 5.0
"""Pause of such a loop after a fault of ours, in seconds."""
LATE_MS: Final[Millis] = SECOND
"""An effect that was due for this long without a claim has lost its wake-up."""
FORGET_MS: Final[Millis] = 10 * MINUTE
"""A process that gave no sign of life for this long is no longer listed."""

log = structlog.get_logger("sweeper")


def sweep(client: redis.Redis, clock: Callable[[], Millis]) -> list[str]:
    """Look once, and queue the wake-ups that are missing. Return their names."""
    missing = []
    # A drain holds the lease even while nothing happens: no lease, no drain.
    if not client.exists(keys.LEASE) and jobs.enqueue(jobs.DRAIN, client):
        missing.append(jobs.DRAIN)
    if effects.waiting(client, effects.now(client, clock()) - LATE_MS) and jobs.enqueue(jobs.DELIVER, client):
        missing.append(jobs.DELIVER)
    return missing


def sign_of_life(client: redis.Redis, clock: Callable[[], Millis], process: str, role: str) -> None:
    """Note that `process` lives, as `<ms> <role>`, and forget those that have been silent for long."""
    now = clock()
    client.hset(keys.WORKERS, process, f"{now} {role}")
    known = cast("dict[bytes, bytes]", client.hgetall(keys.WORKERS))
    silent = [name for name, value in known.items() if int(value.split(b" ", 1)[0]) < now - FORGET_MS]
    if silent:
        client.hdel(keys.WORKERS, *silent)


class Signs:
    """The signs of life of a loop beside the main one of its process: it says by itself that it still goes round."""

    def __init__(self, client: redis.Redis, clock: Callable[[], Millis], process: str, role: str) -> None:
        self._client = client
        self._clock = clock
        self._process = process
        self._role = role
        self._next = 0.0

    def give(self) -> None:
        """Give one, unless the last was a moment ago. Raises redis.RedisError."""
        if time.monotonic() >= self._next:
            sign_of_life(self._client, self._clock, self._process, self._role)
            self._next = time.monotonic() + SIGN_S

    def go_round(self, stopping: threading.Event, every_s: float, step: Callable[[], object]) -> None:
        """Make that step every so many seconds until `stopping`, with signs of life while it can be made.

        A store that is away is waited for. A fault does not end the loop; the self-watch misses its signs if it lasts.
        """
        while not stopping.wait(every_s):
            try:
                step()
                self.give()
            except redis.RedisError as error:
                log.debug("the store is away", role=self._role, error=str(error))
            except Exception:
                log.exception("it goes on; the self-watch tells if that lasts", role=self._role)
                stopping.wait(FAULT_S)


class Sweeper(threading.Thread):
    """Sweeps in a thread of a work process, with a connection of its own, until `stopping` is set."""

    def __init__(
        self, client: redis.Redis, clock: Callable[[], Millis], process: str, role: str, stopping: threading.Event
    ) -> None:
        super().__init__(name="sweeper", daemon=True)
        self._client = client
        self._clock = clock
        self._process = process
        self._role = role
        self._stopping = stopping

    def run(self) -> None:
        """Sweep each second. A store that is away is waited for; the other clients of the process say so in the log."""
        while not self._stopping.wait(EVERY_S):
            try:
                sign_of_life(self._client, self._clock, self._process, self._role)
                if missing := sweep(self._client, self._clock):
                    log.debug("queued missing wake-ups", jobs=missing)
            except redis.RedisError as error:
                log.debug("the store is away", error=str(error))
