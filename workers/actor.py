"""The actor: makes the calls of actions that people run, each at most once, and looks whether they helped.

`started` is in the journal, and decided for this worker and no other, before anything is sent. A worker that dies after
that leaves a run that nobody begins again: its timer makes it `unknown`, and people are paged to look.
"""

from __future__ import annotations

import secrets as random
import threading
import time
from collections.abc import Callable
from typing import Final

import redis
import structlog

from triage.model import SECOND, Acted, ActStep, Millis
from triage.run import Run, RunState
from triage.store import actions
from workers import outbound
from workers.channels import webhook
from workers.outbound import Answer
from workers.secrets import Lookup, UnsetSecret, expand, scrub
from workers.sweeper import Signs
from workers.verifying import clean, look

ROLE: Final = "actor"
"""What it calls itself in its signs of life."""
EVERY_S: Final = 0.5
"""How often it is looked for runs that want a worker, in seconds."""
AT_ONCE: Final = 8
"""How many runs one process makes at once."""
DECIDED_S: Final = 10.0
"""How long to wait until `started` is decided, in seconds. After that the call is not made."""
REPORT_S: Final = 60.0
"""How long it is tried to report how a run ended, in seconds."""
_GATEWAY: Final = frozenset({502, 504})
log = structlog.get_logger("act")


class Actor:
    """Makes the runs of one store. `lookup` finds secrets by name, `clock` returns milliseconds since the epoch.

    `name` is that of this loop, unique among machines. `shadow`: no call is made, and each run says why not.
    """

    def __init__(
        self,
        client: redis.Redis,
        clock: Callable[[], Millis],
        lookup: Lookup,
        name: str = ROLE,
        *,
        shadow: bool = False,
    ) -> None:
        self._client = client
        self._clock = clock
        self._lookup = lookup
        self._shadow = shadow
        self._signs = Signs(client, clock, name, ROLE)
        self._busy: dict[str, threading.Thread] = {}

    def run(self, stopping: threading.Event) -> None:
        """Make what is asked for, until `stopping`. A store that is away is waited for."""
        self._signs.go_round(stopping, EVERY_S, self.begin)
        for thread in list(self._busy.values()):
            thread.join(REPORT_S)

    def begin(self) -> int:
        """Begin, in threads of their own, what wants a worker. Return how many were begun."""
        self._busy = {run: thread for run, thread in self._busy.items() if thread.is_alive()}
        begun = 0
        for run in actions.waiting(self._client):
            if len(self._busy) >= AT_ONCE:
                break
            token = random.token_hex(8)
            if run.id in self._busy or not actions.take(self._client, run.id, token, run.timeout + 60 * SECOND):
                continue
            work = self._act if run.state is RunState.ASKED else self._look
            thread = threading.Thread(target=self._guarded, args=(work, run, token), name=f"act {run.id[:6]}")
            thread.daemon = True
            self._busy[run.id] = thread
            thread.start()
            begun += 1
        return begun

    def settle(self) -> None:
        """Wait until what was begun has ended."""
        for thread in list(self._busy.values()):
            thread.join()

    def _guarded(self, work: Callable[[Run, str], None], run: Run, token: str) -> None:
        try:
            work(run, token)
            actions.release(self._client, run.id, token)
        except redis.RedisError as error:
            log.warning("a run could not be reported; its timer will say so", run=run.id, error=str(error))

    def _act(self, run: Run, token: str) -> None:
        """Make the call, if `started` is decided to be ours."""
        since = time.monotonic()
        entry = actions.report(self._client, Acted(run.id, token, ActStep.STARTED, run.incident), self._clock())
        if not self._decided(entry):
            # When triage comes to `started` it finds this behind it: nothing was sent, and nobody need look.
            text = "not sent: triage did not come to it in time"
            self._report(Acted(run.id, token, ActStep.ENDED, run.incident, text=text))
            return
        known = actions.one(self._client, run.id)
        if known is None or known.token != token or known.state is not RunState.STARTED:
            return
        if time.monotonic() - since > 2 * DECIDED_S:
            self._report(Acted(run.id, token, ActStep.ENDED, run.incident, text="not sent: the worker was held up"))
            return
        if self._shadow:
            text = "not sent: this worker runs with --paging=shadow, which does nothing outside"
            self._report(Acted(run.id, token, ActStep.ENDED, run.incident, text=text))
            return
        ended = self._ended(known, token)
        log.info("action run", run=run.id, action=run.action, ok=ended.ok, unsure=ended.unsure, took_ms=ended.took)
        self._report(ended)

    def _decided(self, entry: str) -> bool:
        """Wait until an entry is decided. Return whether it was, in time."""
        until = time.monotonic() + DECIDED_S
        while not actions.decided(self._client, entry):
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def _ended(self, run: Run, token: str) -> Acted:
        since = time.monotonic()
        ok, unsure, text = make(run, self._lookup)
        took = int((time.monotonic() - since) * 1_000)
        return Acted(run.id, token, ActStep.ENDED, run.incident, ok, unsure, text, took)

    def _look(self, run: Run, token: str) -> None:
        ok, text = helped(run, self._lookup)
        self._report(Acted(run.id, token, ActStep.LOOKED, run.incident, ok, False, text))

    def _report(self, body: Acted) -> None:
        """Report, and keep trying while the store is away: what was done must not become unknown for that."""
        until = time.monotonic() + REPORT_S
        while True:
            try:
                entry = actions.report(self._client, body, self._clock())
            except redis.RedisError:
                if time.monotonic() > until:
                    raise
                time.sleep(EVERY_S)
            else:
                self._decided(entry)  # before that, somebody else would find the run as it was
                return


def make(run: Run, lookup: Lookup) -> tuple[bool, bool, str]:
    """Make the call of a run, once. Return whether it was done, whether nobody can know, and what was said."""
    call = run.call
    hidden: tuple[str, ...] = ()
    try:
        url, hidden = expand(call.url, lookup)
        headers = {"Content-Type": "application/json", "Idempotency-Key": run.id}
        for name, value in call.headers.items():
            headers[name], more = expand(value, lookup)
            hidden += more
        if call.secret:
            secret, more = expand(call.secret, lookup)
            hidden += more
            headers |= webhook.signature([webhook.key_of(secret)], run.id, int(time.time()), call.body)
    except UnsetSecret as unset:
        return False, False, f"not sent: the secret {unset.name} is not set where workers run"
    except webhook.Malformed as fault:
        return False, False, f"not sent: {fault}"
    answer = outbound.call(call.method, url, call.body, headers, run.timeout / 1_000)
    if isinstance(answer, Answer):
        said = clean(answer.body, hidden)
        text = f"HTTP {answer.status}{': ' if said else ''}{said}"
        return 200 <= answer.status < 300, answer.status in _GATEWAY, text
    reason = scrub(answer.reason, hidden)
    if answer.ambiguous:
        return False, True, f"it was sent, but no answer came within {run.timeout / 1_000:g} s"
    return False, False, f"not sent: {reason}"


def helped(run: Run, lookup: Lookup) -> tuple[bool, str]:
    """Look whether a run helped. Return whether it did, and what was seen."""
    return (False, "nothing says how to see it") if run.verify is None else look(run.verify, lookup)
