"""The reader: reads the metrics of incidents of Prometheus, each in a thread of its own, and tells triage what it saw.

It has seats of its own in a process that delivers nothing, so however slow a Prometheus is, no page waits for it.
"""

from __future__ import annotations

import secrets as random
import threading
import time
from collections.abc import Callable
from typing import Final

import redis
import structlog

from triage.measured import Measures
from triage.model import MINUTE, Measured, Millis
from triage.store import actions, readings
from workers import prometheus
from workers.secrets import Lookup

EVERY_S: Final = 0.5
"""How often it is looked for what is to be read, in seconds."""
SEATS: Final = 4
"""How many readings one process makes at once: whoever answers is likely in trouble just now."""
LEASE: Final[Millis] = MINUTE
"""How long others leave a reading to us; it takes two questions at most."""
DECIDED_S: Final = 10.0
"""How long our courtesy is held until triage has come to what was read, in seconds."""
log = structlog.get_logger("read")


class Reader:
    """Makes the readings of one store. `lookup` finds secrets by name, `clock` returns milliseconds since the epoch."""

    def __init__(self, client: redis.Redis, clock: Callable[[], Millis], lookup: Lookup) -> None:
        self._client = client
        self._clock = clock
        self._lookup = lookup
        self._busy: dict[str, threading.Thread] = {}

    def run(self, stopping: threading.Event) -> None:
        """Read what is asked for, until `stopping`. A store that is away is waited for."""
        while not stopping.wait(EVERY_S):
            try:
                self.begin()
            except redis.RedisError as error:
                log.debug("the store is away", error=str(error))

    def begin(self) -> int:
        """Begin, in threads of their own, the readings that find a seat. Return how many were begun."""
        self._busy = {name: thread for name, thread in self._busy.items() if thread.is_alive()}
        begun = 0
        for incident, measures in readings.waiting(self._client):
            if len(self._busy) >= SEATS:
                break
            token = random.token_hex(8)
            if incident in self._busy or not readings.take(self._client, incident, token, LEASE):
                continue
            work = (incident, measures, token)
            thread = threading.Thread(target=self._read, args=work, name=f"read {incident[:6]}", daemon=True)
            self._busy[incident] = thread
            thread.start()
            begun += 1
        return begun

    def settle(self) -> None:
        """Wait until what was begun has ended."""
        for thread in list(self._busy.values()):
            thread.join()

    def _read(self, incident: str, measures: Measures, token: str) -> None:
        if measures.wanted is None:
            return
        since = time.monotonic()
        try:
            body = prometheus.read(incident, measures.query, measures.wanted, self._lookup)
            took = int((time.monotonic() - since) * 1_000)
            log.info("metrics read", incident=incident, series=len(body.curves), fault=body.fault, took_ms=took)
            self._report(body)
            readings.release(self._client, incident, token)
        except redis.RedisError as error:
            log.warning("what was read could not be told; it is read again", incident=incident, error=str(error))

    def _report(self, body: Measured) -> None:
        """Tell triage, and wait until that is decided: before, somebody else would find the reading still wanted."""
        entry = readings.report(self._client, body, self._clock())
        until = time.monotonic() + DECIDED_S
        while not actions.decided(self._client, entry) and time.monotonic() < until:
            time.sleep(0.02)
