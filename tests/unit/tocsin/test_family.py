"""Child processes: restarted with longer and longer pauses, and told apart from those that refuse to run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tocsin import family
from tocsin.family import Child, Family


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def __call__(self, line: str, **facts: object) -> None:
        self.lines.append((line, facts))


def child(code: str, **more: object) -> Child:
    """Return a child that runs a line of Python, which `-m` finds as a module named in its words."""
    one = Child("work", ["code", "-q"], dict(os.environ), **more)  # type: ignore[arg-type]
    one.process = subprocess.Popen([sys.executable, "-c", code])
    return one


@pytest.fixture
def log() -> Iterator[Log]:
    yield Log()


def test_the_pause_before_a_restart_doubles_up_to_a_limit(log: Log) -> None:
    one = child("pass")
    assert one.process is not None
    one.process.wait()
    pauses = []
    for _ in range(10):
        one.again_at = None
        one.started = time.monotonic()
        pauses.append(one.plan_restart())
    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert pauses[-1] == family.LONGEST_PAUSE_S


def test_a_child_that_was_steady_begins_with_the_first_pause(log: Log) -> None:
    one = child("pass")
    one.pause_s = 8.0
    one.started = time.monotonic() - family.STEADY_S - 1
    assert one.plan_restart() == family.FIRST_PAUSE_S
    assert one.process is not None
    one.process.wait()


def test_a_death_is_logged_with_its_code_and_planned_once(log: Log) -> None:
    one = child("raise SystemExit(7)")
    one.started = time.monotonic()
    assert one.process is not None
    one.process.wait()
    kin = Family([one], log)
    assert kin.mend() is None
    assert kin.mend() is None
    assert [facts["code"] for _, facts in log.lines] == [7]
    assert 0.0 <= kin.until_next() <= family.FIRST_PAUSE_S


def test_a_refusal_stops_all_instead_of_starting_again(log: Log) -> None:
    one = child(f"raise SystemExit({family.REFUSED})")
    assert one.process is not None
    one.process.wait()
    assert Family([one], log).mend() == family.REFUSED


def test_what_runs_once_is_not_started_again(log: Log) -> None:
    one = child("pass", once=True)
    assert one.process is not None
    one.process.wait()
    assert Family([one], log).mend() is None
    assert log.lines == []


def test_a_child_that_does_not_finish_in_time_is_ended(log: Log) -> None:
    code = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    one = Child("work", [], {}, grace_s=0.2)
    one.process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert one.process.stdout is not None
    one.process.stdout.readline()
    Family([one], log).stop("work")
    assert one.process.poll() == -9
    assert len(log.lines) == 1
    one.process.stdout.close()
