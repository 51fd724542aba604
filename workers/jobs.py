"""RQ carries wake-ups and nothing else: which jobs exist, how to queue one, and a worker that runs no others.

Whoever can write to Redis can plant a job. RQ would import and run any function that a job names, callbacks and
webhooks included, whatever the serializer; our Job class runs the functions of one list and nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

import redis
import rq.defaults
import structlog
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import UnixSignalDeathPenalty

from triage.store import keys

DRAIN: Final = "drain"
DELIVER: Final = "deliver"
TIMEOUT_S: Final = {DRAIN: 90, DELIVER: 300}
"""When RQ interrupts a job, in seconds; beyond anything that a healthy one takes."""
FAILED_S: Final = 60
"""How long RQ keeps a failed job, in seconds. The log has the reason."""
WAKE_MS: Final = 1_000
"""For how long one wake-up of deliver stands for all others."""

log = structlog.get_logger("jobs")

if rq.defaults.RQ_KEY_PREFIX != keys.RQ_PREFIX:
    raise ImportError("rq was imported before the package `workers`, which sets its key prefix: import workers first")

Work = Callable[[], None]
_work: dict[str, Work] = {}
"""What each kind of job does in this process; `install` fills it."""


def install(name: str, work: Work) -> None:
    """Set what the job `drain` or `deliver` does in this process."""
    if name not in TIMEOUT_S:
        raise ValueError(f"no job is called {name}; there are {', '.join(TIMEOUT_S)}")
    _work[name] = work


def drain_slice() -> None:
    """Job: decide the journal for one slice of time."""
    _work[DRAIN]()


def deliver_due() -> None:
    """Job: deliver what is due."""
    _work[DELIVER]()


FUNCTIONS: Final[dict[str, Callable[[], None]]] = {
    "workers.jobs.drain_slice": drain_slice,
    "workers.jobs.deliver_due": deliver_due,
}
"""The only functions a job may name."""
_NAMES: Final = {DRAIN: "workers.jobs.drain_slice", DELIVER: "workers.jobs.deliver_due"}


class Refused(Exception):
    """A job asks for something that no wake-up of ours asks for: somebody else wrote it."""


class WakeUp(Job):
    """A job that can only be one of FUNCTIONS: no arguments, no callbacks, no webhooks, no repeats."""

    @property
    def func(self) -> Callable[[], None]:
        """Return the function to run. Raises Refused for any other job."""
        asks = {
            "an object": self.instance,
            "arguments": self.args or self.kwargs,
            "a callback": self._success_callback_name or self._failure_callback_name or self._stopped_callback_name,
        }
        for what, present in asks.items():
            if present:
                raise Refused(f"a job with {what} was planted in {keys.RQ_PREFIX}: who else writes to this Redis?")
        if self.func_name not in FUNCTIONS:
            raise Refused(f"a job that is no wake-up was planted in {keys.RQ_PREFIX}: who else writes to this Redis?")
        return FUNCTIONS[self.func_name]

    @property
    def success_callback(self) -> None:
        """Return nothing: RQ would import and run whatever the job names."""
        return

    @property
    def failure_callback(self) -> None:
        """Return nothing; see `success_callback`."""
        return

    @property
    def stopped_callback(self) -> None:
        """Return nothing; see `success_callback`."""
        return

    def restore(self, raw_data: Any) -> None:
        """Read the job as stored, without what would make RQ call out or queue more."""
        super().restore(raw_data)
        self.webhooks = []
        self.repeats_left = None
        self.retries_left = None


class OutOfTime(BaseException):
    """A job took longer than RQ grants it. No Exception: nobody may take it for a fault in what was just in hand."""


class TimeLimit(UnixSignalDeathPenalty):
    """RQ's time limit, told so that it gets through."""

    def handle_death_penalty(self, signum: int, frame: Any) -> None:
        """End the job. Raises OutOfTime between any two instructions."""
        raise OutOfTime(f"the job took longer than {self._timeout} seconds")


class Worker(SimpleWorker):
    """RQ's worker without fork, with our jobs only, that stops cleanly and is not steered through Redis.

    `stopping` is set on SIGTERM or SIGINT; the running job asks it and ends by itself.
    """

    death_penalty_class = TimeLimit

    def __init__(self, name: str, client: redis.Redis, stopping: threading.Event) -> None:
        super().__init__(
            [queue(name, client)],
            connection=client,
            job_class=WakeUp,
            serializer=JSONSerializer,
            worker_ttl=20,
            maintenance_interval=10,
            log_job_description=False,
        )
        self._stopping = stopping
        self._working = False

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run one job. SimpleWorker never says that it is busy, so SIGTERM would cut the job short."""
        self._working = True
        try:
            super().execute_job(job, queue)
        finally:
            self._working = False

    def _shutdown(self) -> None:
        self._stopping.set()
        self._stop_requested = True
        if not self._working:
            raise StopRequested

    def subscribe(self) -> None:
        """Do not listen for commands: whoever can publish could stop the worker."""

    def procline(self, message: str) -> None:
        """Leave the process title alone."""


def queue(name: str, client: redis.Redis) -> Queue:
    """Return the queue of that name, with our job class and JSON."""
    return Queue(name, connection=client, job_class=WakeUp, serializer=JSONSerializer)


def enqueue(name: str, client: redis.Redis) -> bool:
    """Queue a wake-up unless one is waiting already. Return whether one was queued."""
    wake_ups = queue(name, client)
    if wake_ups.count:
        return False
    wake_ups.enqueue_call(
        func=_NAMES[name],
        timeout=TIMEOUT_S[name],
        result_ttl=0,
        failure_ttl=FAILED_S,
        description=name,
    )
    return True


def wake_deliver(client: redis.Redis) -> None:
    """Say that effects are due. Many calls at once make one wake-up; deliver takes the mark away before it looks."""
    if client.set(keys.WAKE, 1, nx=True, px=WAKE_MS):
        enqueue(DELIVER, client)


def quiet_rq() -> None:
    """Keep RQ from installing log handlers of its own and from reporting each job."""
    for name in ("rq.worker", "rq.job"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
