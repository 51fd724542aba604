"""A power cut: of the store's files only those bytes survive that were synced. SIGKILL alone proves nothing of that."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults.fleet import Fleet, Senders, lost, reckon, until

LOAD_S = 2.0
UNSYNCED_S = 0.3
"""The power goes when the last sync is so long ago, where syncs are a second apart."""

pytestmark = [
    pytest.mark.needs("gcc", "cc"),
    pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD and /proc are Linux's"),
]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the compiled library that notes what was synced."""
    built = tmp_path_factory.mktemp("shim") / "shim.so"
    compiler = shutil.which("gcc") or shutil.which("cc") or "cc"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(built), str(source), "-ldl"], check=True)
    return built


@contextmanager
def fleet_on(folder: Path, shim: Path, fsync: str, *extra: str) -> Iterator[Fleet]:
    with TemporaryDirectory(prefix="tsn-") as sockets:
        environment = {"LD_PRELOAD": str(shim), "SYNCED_SIZES": str(folder / "synced")}
        fleet = Fleet(
            folder, Path(sockets), fsync=fsync, deliverers=1, store_environment=environment, extra=tuple(extra)
        )
        try:
            yield fleet
        finally:
            fleet.stop()


def cut_the_power(fleet: Fleet) -> int:
    """Kill everything at once and take away what was not synced. Return how many bytes that was."""
    for process in fleet.all:
        process.kill()
    synced: dict[str, int] = {}
    for line in (fleet.folder / "synced").read_text().splitlines():
        size, _, path = line.partition(" ")
        synced[path] = int(size)
    gone = 0
    for file in fleet.data.glob("appendonlydir/*.incr.aof"):
        keep = synced.get(str(file.resolve()), 0)
        gone += file.stat().st_size - keep
        os.truncate(file, keep)
    return gone


def test_nothing_that_was_answered_is_lost_in_a_power_cut(tmp_path: Path, shim: Path) -> None:
    with fleet_on(tmp_path, shim, "always") as fleet:
        fleet.start()
        with Senders(fleet) as senders:
            time.sleep(LOAD_S)
            cut_the_power(fleet)
        before = len(senders.answered)
        fleet.start()
        with Senders(fleet, count=1, first=1_000_000):
            until(lambda: len(senders.answered) > before, "an answer after the power came back")
        fleet.come_to_rest()
        reckon(fleet, senders)


def test_a_sync_each_second_would_lose_what_was_answered(tmp_path: Path, shim: Path) -> None:
    """The test above can fail: with the store's own default, which the preflight refuses, it would."""
    with fleet_on(tmp_path, shim, "everysec", "--accept-data-loss") as fleet:
        fleet.start(fleet.store, fleet.receiver)
        synced = tmp_path / "synced"
        with Senders(fleet) as senders:
            time.sleep(LOAD_S)
            until(lambda: time.time() - synced.stat().st_mtime > UNSYNCED_S, "a moment between two syncs")
            assert cut_the_power(fleet) > 0
        fleet.start(fleet.store)
        assert len(senders.answered) > 50
        assert lost(fleet.client, senders.answered) != []
