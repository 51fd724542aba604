"""What one process of `tocsin work` runs: an RQ worker on one queue, and a sweeper beside it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

import redis
import structlog
from rq.exceptions import StopRequested

from triage.model import Millis
from triage.store import keys, standing
from triage.store.client import connect
from triage.store.retention import Retention
from workers import actor, jobs, reader
from workers.actor import Actor
from workers.calendars import Keeper
from workers.channel import load
from workers.deliver import UNPACED, Deliver
from workers.drain import Drain
from workers.pace import Pace
from workers.prober import Prober
from workers.reader import Reader
from workers.secrets import Lookup
from workers.sweeper import Sweeper

PROBE: Final = "probe"
"""The role of a process that looks at what checks.yaml names, and reads the metrics of incidents."""
SLICE_S: Final = 60.0
"""How long a drain works before it hands over, in seconds."""
PUMP_S: Final = 60.0
"""How long a deliverer takes new effects on before it ends its job, in seconds. RQ's time limit is never met."""
ACT_S: Final = 10.0
"""How long a run of an action that is on its way may still take once the process is to stop, in seconds."""
AGAIN_S: Final = 0.5
"""Pause before a worker that ended is started again, in seconds."""

log = structlog.get_logger("work")

Clock = Callable[[], Millis]


def wall_clock() -> Millis:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def drain_process(
    url: str, kept: Retention | None = None, *, clock: Clock = wall_clock, slice_s: float = SLICE_S
) -> None:
    """Decide the journal of the store at `url` until SIGTERM or SIGINT. Call it in the main thread.

    `kept` says how much history stays in the store; None keeps all.
    """
    stopping = threading.Event()
    name = process_name(jobs.DRAIN)
    jobs.install(jobs.DRAIN, Slices(url, clock, name, slice_s, stopping, kept))
    _work(url, jobs.DRAIN, clock, name, stopping)


def deliver_process(
    url: str,
    lookup: Lookup,
    external_url: str = "",
    link_secret: bytes = b"",
    *,
    clock: Clock = wall_clock,
    pace: Pace = UNPACED,
    shadow: bool = False,
) -> None:
    """Deliver what is due in the store at `url` until SIGTERM or SIGINT. Call it in the main thread.

    `lookup` finds the secrets of contact methods; `external_url` is where people reach Tocsin, for links;
    `link_secret` signs those that acknowledge; `pace` bounds how often a provider is sent to. `shadow`: nobody is told,
    and it is noted who would have been.
    """
    stopping = threading.Event()
    jobs.install(jobs.DELIVER, Pumps(url, clock, lookup, external_url, stopping, link_secret, pace, shadow))
    Keeper(connect(url), clock, lookup, stopping).start()
    acting = threading.Thread(
        target=Actor(connect(url), clock, lookup, process_name(actor.ROLE), shadow=shadow).run,
        args=(stopping,),
        name="actor",
        daemon=True,
    )
    acting.start()
    sign = standing.DELIVER_SHADOW if shadow else standing.DELIVER
    _work(url, jobs.DELIVER, clock, process_name(jobs.DELIVER), stopping, sign)
    acting.join(ACT_S)  # what is on its way then is told as unknown


def probe_process(url: str, lookup: Lookup, *, clock: Clock = wall_clock) -> None:
    """Make the looks of checks.yaml that are due in the store at `url`, and read the metrics of incidents, until
    SIGTERM or SIGINT. Call it in the main thread. `lookup` finds the secrets of addresses and headers.
    """
    stopping = threading.Event()
    name = process_name(PROBE)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    sweeper = Sweeper(connect(url), clock, name, PROBE, stopping)
    sweeper.start()
    reading = Reader(connect(url), clock, lookup, process_name(reader.ROLE))
    threading.Thread(target=reading.run, args=(stopping,), name="reader", daemon=True).start()
    Prober(connect(url), clock, lookup, name).run(stopping)
    sweeper.join(timeout=5)
    log.info("stopped", role=PROBE)


def process_name(role: str) -> str:
    """Return a name for this process that is unique among machines."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}"


class Slices:
    """The job `drain`. Keeps one Drain, with its warm memory, from slice to slice."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        name: str,
        slice_s: float,
        stopping: threading.Event,
        kept: Retention | None = None,
    ) -> None:
        self._url = url
        self._kept = kept
        self._clock = clock
        self._name = name
        self._slice_s = slice_s
        self._stopping = stopping
        self._client: redis.Redis | None = None
        self._drain: Drain | None = None

    def __call__(self) -> None:
        """Decide for one slice. The next wake-up is queued first, so that another process waits for the lease."""
        try:
            if self._client is None or self._drain is None:
                client = self._client = connect(self._url)
                self._drain = Drain(client, self._clock, self._name, lambda: _wake(client), self._kept)
            jobs.enqueue(jobs.DRAIN, self._client)
            self._drain.run(self._slice_s, self._stopping.is_set)
        except BaseException:
            # RQ's time limit arrives as a signal, between any two instructions: what was in hand is not trusted again.
            if self._client is not None:
                self._client.close()
            self._client = self._drain = None
            raise


class Pumps:
    """The job `deliver`. Keeps one Deliver, since messages may still be on their way when a job ends in an error."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        lookup: Lookup,
        external_url: str,
        stopping: threading.Event,
        link_secret: bytes = b"",
        pace: Pace = UNPACED,
        shadow: bool = False,
    ) -> None:
        self._client = connect(url)
        channels, stop = load(), stopping.is_set
        self._deliver = Deliver(
            self._client,
            clock,
            channels,
            lookup,
            external_url,
            stop=stop,
            link_secret=link_secret,
            pace=pace,
            shadow=shadow,
        )

    def __call__(self) -> None:
        """Deliver until nothing is due."""
        try:
            # Before looking, not after: a wake-up that comes while we look must not be lost.
            self._client.delete(keys.WAKE)
            self._deliver.pump(PUMP_S)
        except BaseException:
            self._client.close()
            raise


def _wake(client: redis.Redis) -> None:
    """Wake deliver after a commit. The commit stands whatever comes of it: the sweeper finds a lost wake-up."""
    try:
        jobs.wake_deliver(client)
    except redis.RedisError as error:
        log.warning("could not wake deliver; the sweeper will", error=str(error))


def _work(url: str, role: str, clock: Clock, name: str, stopping: threading.Event, sign: str = "") -> None:
    """Run RQ workers on one queue, one after the other, until `stopping`. `sign` is what it calls itself meanwhile."""
    jobs.quiet_rq()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    sweeper = Sweeper(connect(url), clock, name, sign or role, stopping)
    sweeper.start()
    while not stopping.is_set():
        try:
            jobs.Worker(role, connect(url), stopping).work(logging_level=None)
        except StopRequested:
            break
        except (redis.RedisError, OSError, ValueError) as error:
            log.warning("the worker ended and begins again", role=role, error=str(error))
        stopping.wait(AGAIN_S)
    sweeper.join(timeout=5)
    log.info("stopped", role=role)
