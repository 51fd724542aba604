"""`tocsin up`: the embedded store, one receiver and the workers as children of one process that keeps them running.

The listening socket belongs to this process and is handed down, so that an address in use is told at once, and
senders wait in the queue, instead of being refused, while a receiver is restarted.
"""

from __future__ import annotations

import contextlib
import errno
import queue
import signal
import socket
import sys
import time
from typing import Any, Final

import structlog

from tocsin import logs, starting, valkey
from tocsin.family import REFUSED, STEADY_S, Child, Family
from tocsin.settings import Address, Settings, child_environment, near_url
from tocsin.welcome import welcome

BIND_PATIENCE_S: Final = 3.0
"""How long to wait for an address that a predecessor is just leaving."""
SERVE: Final = "serve"
WORK: Final = "work"
WATCH: Final = "watch"
DEMO: Final = "demo"


class CannotStart(RuntimeError):
    """`tocsin up` cannot start. The message says why and what to do."""


def listen(address: Address, patience_s: float = BIND_PATIENCE_S) -> socket.socket:
    """Return a listening socket. Raises CannotStart, naming flag and remedy."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    deadline = time.monotonic() + patience_s
    while True:
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address.host, address.port))
            listener.listen(1024)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            raise CannotStart(
                f"Cannot listen on {address} ({error.strerror}). "
                "Give another --web.listen-address (TOCSIN_WEB_LISTEN_ADDRESS); port 0 takes a free one."
            ) from error
        else:
            return listener


def work_children(settings: Settings, environment: dict[str, str]) -> list[Child]:
    """Return the processes of one `tocsin work`: one that decides, some that tell people, one that looks around."""
    roles = ["drain", *["deliver"] * settings.work_deliverers, *["probe"] * settings.work_probers]
    return [Child(WORK, ["tocsin", "work", "--only", role], environment) for role in roles]


def watch_child(environment: dict[str, str]) -> Child:
    """Return the self-watch: a process of its own, since it must outlive whatever it looks at."""
    return Child(WATCH, ["tocsin", "watch"], environment, grace_s=10)


class Signals:
    """SIGTERM, SIGINT, SIGHUP and SIGCHLD as a queue that the main loop waits on."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: Any) -> None:
        self._queue.put(number)

    def wait(self, seconds: float) -> int | None:
        """Return the next signal, or None after that many seconds."""
        try:
            return self._queue.get(timeout=max(seconds, 0.01))
        except queue.Empty:
            return None


def tend(family: Family, signals: Signals, also: Any = None) -> int:
    """Keep the family running until a signal to stop (returns 0) or until one is refused (returns its code).

    `also` is called each time round; it raises to stop everything.
    """
    while True:
        number = signals.wait(family.until_next())
        if number in (signal.SIGTERM, signal.SIGINT):
            return 0
        if number == signal.SIGHUP:
            family.signal(signal.SIGHUP, SERVE)
        if also is not None:
            also()
        refused = family.mend()
        if refused is not None:
            return refused


def run_workers(settings: Settings) -> int:
    """Run `tocsin work`: drain and deliver processes until a signal. Returns the exit code."""
    log = structlog.get_logger("tocsin")
    signals = Signals()
    environment = child_environment(settings)
    family = Family([*work_children(settings, environment), watch_child(environment)], log.warning)
    family.start()
    try:
        return tend(family, signals)
    finally:
        family.stop(WATCH)
        family.stop(WORK)


class Supervisor:
    """One `tocsin up`."""

    def __init__(self, settings: Settings, *, demo: bool = False) -> None:
        self.settings = settings
        self.demo = demo
        self._log = structlog.get_logger("tocsin")
        self._store: valkey.Server | None = None
        self._store_pause = 0.0
        self._store_since = -STEADY_S

    def run(self) -> int:
        """Run until SIGTERM or SIGINT. Returns the exit code. Raises CannotStart, StoreError or InitError."""
        logs.configure(self.settings, "up")
        signals = Signals()
        first = self._prepare()
        listener = listen(self.settings.web_listen_address)
        try:
            url = self.settings.redis_url or self._start_store()
            return self._run_family(signals, listener, url, first)
        finally:
            listener.close()
            if self._store is not None:
                self._store.stop()

    def _prepare(self) -> bool:
        """Write the starting rules and the token where there are none. Returns whether this is the first time."""
        rules = self.settings.rules_path
        first = not rules.is_dir() or not any(rules.iterdir())
        if first:
            starting.write_rules(rules)
        starting.write_token(self.settings.storage_path)
        with contextlib.suppress(starting.InitError):  # its absence must not keep Tocsin from starting
            starting.write_second_path(self.settings.storage_path)
        return first

    def _start_store(self) -> str:
        self._store = valkey.start(self.settings.storage_path)
        return self._store.url

    def _mend_store(self) -> None:
        """Start the store again when it died; after a pause when it had died within the last minute."""
        store = self._store
        if store is None or store.process.poll() is None:
            return
        self._log.error("the store ended and is started again", code=store.process.returncode)
        now = time.monotonic()
        self._store_pause = min(self._store_pause * 2 or 0.5, 30.0) if now - self._store_since < STEADY_S else 0.0
        time.sleep(self._store_pause)
        self._store_since = time.monotonic()
        store.relaunch()
        store.wait_ready()

    def _run_family(self, signals: Signals, listener: socket.socket, url: str, first: bool) -> int:
        port = listener.getsockname()[1]
        address = Address(self.settings.web_listen_address.host, port)
        handed = {"TOCSIN_WEB_LISTEN_FD": str(listener.fileno()), "TOCSIN_WEB_LISTEN_ADDRESS": str(address)}
        environment = child_environment(self.settings, TOCSIN_REDIS_URL=url)
        receiver = Child(
            SERVE,
            ["tocsin", "serve"],
            environment | handed,
            grace_s=self.settings.web_shutdown_timeout / 1000 + 5,
            pass_fds=(listener.fileno(),),
        )
        # An earlier receiver's note would lead people's commands, and the demo, to where nobody listens any more.
        (self.settings.storage_path / starting.URL_FILE).unlink(missing_ok=True)
        audited = {"TOCSIN_WATCH_RECEIVER": near_url(address)}
        children = [receiver, *work_children(self.settings, environment), watch_child(environment | audited)]
        family = Family(children, self._log.warning)
        welcome(self.settings, address, self._store.program if self._store else None, first=first)
        if self.demo:
            family.children.append(Child(DEMO, ["tocsin.demo"], environment | handed, grace_s=1, once=True))
        family.start()
        try:
            code = tend(family, signals, self._mend_store)
            if code == REFUSED:
                self._log.error("a process was refused, as said above; everything stops")
            return code
        finally:
            sys.stdout.flush()
            listener.close()
            for name in (WATCH, DEMO, SERVE, WORK):
                family.stop(name)
