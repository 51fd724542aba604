"""Child processes: started, restarted with back-off when they die, stopped in order, never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tocsin.valkey import die_with_parent

REFUSED: Final = 2
"""Exit code of a child whose settings or store are refused: starting it again would not help."""
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
STEADY_S: Final = 60.0
"""A child that lived this long begins again with the first pause."""


@dataclass
class Child:
    """One process to keep alive: `python -m <words>`. `grace_s` is how long it may take to finish after SIGTERM.

    `once`: it is not started again when it has ended.
    """

    name: str
    words: Sequence[str]
    environment: Mapping[str, str]
    grace_s: float = 30.0
    pass_fds: tuple[int, ...] = ()
    once: bool = False
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    again_at: float | None = field(default=None)

    def start(self) -> None:
        """Start the process. It gets SIGTERM from the kernel (Linux) if this process dies."""
        self.again_at = None
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.words],
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            pass_fds=self.pass_fds,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops the family in order
            preexec_fn=die_with_parent,
        )

    def send(self, number: signal.Signals) -> None:
        """Send a signal if the process lives."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def died(self) -> int | None:
        """Return the exit code once, when the process has ended and no restart is planned yet."""
        if self.process is None or self.again_at is not None or self.once:
            return None
        return self.process.poll()

    def plan_restart(self) -> float:
        """Decide when to start again and return the pause in seconds."""
        now = time.monotonic()
        if now - self.started >= STEADY_S:
            self.pause_s = FIRST_PAUSE_S
        pause = self.pause_s
        self.again_at = now + pause
        self.pause_s = min(pause * 2, LONGEST_PAUSE_S)
        return pause


class Family:
    """Children in the order in which they are started; they are stopped in the order of `stop`."""

    def __init__(self, children: Sequence[Child], log: Callable[..., None]) -> None:
        self.children = list(children)
        self._log = log

    def start(self) -> None:
        """Start all of them."""
        for child in self.children:
            child.start()

    def mend(self) -> int | None:
        """Restart what died and is due. Returns an exit code when a child was refused and all should stop."""
        for child in self.children:
            code = child.died()
            if code == REFUSED:
                return REFUSED
            if code is not None:
                pause = child.plan_restart()
                self._log("a process ended and is started again", process=child.name, code=code, pause_s=pause)
            elif child.again_at is not None and time.monotonic() >= child.again_at:
                child.start()
        return None

    def until_next(self, longest_s: float = 1.0) -> float:
        """Return how long to wait before `mend` has something to do, in seconds."""
        due = [child.again_at for child in self.children if child.again_at is not None]
        return max(0.0, min([longest_s, *(at - time.monotonic() for at in due)]))

    def signal(self, number: signal.Signals, name: str) -> None:
        """Send a signal to the children of that name."""
        for child in self.children:
            if child.name == name:
                child.send(number)

    def stop(self, name: str) -> None:
        """Stop the children of that name: SIGTERM, then patience, then SIGKILL, which they are built to survive."""
        mine = [child for child in self.children if child.name == name]
        for child in mine:
            child.send(signal.SIGTERM)
        for child in mine:
            if child.process is None:
                continue
            try:
                child.process.wait(child.grace_s)
            except subprocess.TimeoutExpired:
                self._log("a process did not finish in time and is ended", process=name, grace_s=child.grace_s)
                child.process.kill()
                child.process.wait()
