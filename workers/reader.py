"""The reader: reads metrics of incidents and looks whether they are well again, each in a thread of its own.

It has seats of its own in a process that delivers nothing, so however slow what it asks is, no page waits for it.
"""

from __future__ import annotations

import secrets as random
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import redis
import structlog

from triage.measured import Measures
from triage.model import MINUTE, Body, Millis, Verified
from triage.store import actions, errands
from triage.store.errands import Kind
from triage.verification import Verifying
from workers import prometheus
from workers.secrets import Lookup
from workers.sweeper import Signs
from workers.verifying import look

ROLE: Final = "reader"
"""What it calls itself in its signs of life."""
EVERY_S: Final = 0.5
"""How often it is looked for errands, in seconds."""
SEATS: Final = 4
"""How many errands one process is on at once: whoever is asked is likely in trouble just now."""
LEASE: Final[Millis] = 2 * MINUTE
"""How long others leave an errand to us; it takes ten looks at most."""
DECIDED_S: Final = 10.0
"""How long our courtesy is held until triage has come to what was seen, in seconds."""
log = structlog.get_logger("read")


class Reader:
    """Runs the errands of one store. `lookup` finds secrets by name, `clock` returns milliseconds since the epoch.

    `name` is that of this loop, unique among machines.
    """

    def __init__(self, client: redis.Redis, clock: Callable[[], Millis], lookup: Lookup, name: str = ROLE) -> None:
        self._client = client
        self._clock = clock
        self._lookup = lookup
        self._signs = Signs(client, clock, name, ROLE)
        self._busy: dict[tuple[str, str], threading.Thread] = {}

    def run(self, stopping: threading.Event) -> None:
        """Run errands until `stopping`. A store that is away is waited for."""
        self._signs.go_round(stopping, EVERY_S, self.begin)

    def begin(self) -> int:
        """Begin, in threads of their own, the errands that find a seat. Return how many were begun.

        What keeps an incident from ending comes before what is only looked at.
        """
        self._busy = {name: thread for name, thread in self._busy.items() if thread.is_alive()}
        return self._begin(errands.VERIFICATION, self._verify) + self._begin(errands.READING, self._read)

    def _begin(self, kind: Kind, see: Callable[[str, Any], Body]) -> int:
        begun = 0
        for incident, state in errands.waiting(self._client, kind):
            if len(self._busy) >= SEATS:
                break
            token = random.token_hex(8)
            name = (kind.family, incident)
            if name in self._busy or not errands.take(self._client, kind, incident, token, LEASE):
                continue
            work = (kind, see, incident, state, token)
            self._busy[name] = threading.Thread(target=self._go, args=work, name=f"read {incident[:6]}", daemon=True)
            self._busy[name].start()
            begun += 1
        return begun

    def settle(self) -> None:
        """Wait until what was begun has ended."""
        for thread in list(self._busy.values()):
            thread.join()

    def _read(self, incident: str, state: Measures) -> Body:
        assert state.wanted is not None  # noqa: S101  only what is wanted is waiting
        return prometheus.read(incident, state.query, state.wanted, self._lookup)

    def _verify(self, incident: str, state: Verifying) -> Body:
        return Verified(incident, state.wanted or 0, tuple(look(one, self._lookup) for one in state.checks))

    def _go(self, kind: Kind, see: Callable[[str, Any], Body], incident: str, state: Any, token: str) -> None:
        since = time.monotonic()
        try:
            body = see(incident, state)
            took = int((time.monotonic() - since) * 1_000)
            log.info("looked", what=kind.family, incident=incident, took_ms=took)
            self._report(body)
            errands.release(self._client, kind, incident, token)
        except redis.RedisError as error:
            log.warning("what was seen could not be told; it is looked at again", incident=incident, error=str(error))

    def _report(self, body: Body) -> None:
        """Tell triage, and wait until that is decided: before, somebody else would find the errand still wanted."""
        entry = errands.report(self._client, body, self._clock())
        until = time.monotonic() + DECIDED_S
        while not actions.decided(self._client, entry) and time.monotonic() < until:
            time.sleep(0.02)
