"""SIGKILL of receiver, workers and store at random under load: nothing that was answered 202 is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults.fleet import Fleet, Senders, killing, reckon
from triage.store import keys
from triage.store.client import connect

KILL_S = 12.0
DELETE_S = 5.0


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Yield running processes; the socket has a short path of its own."""
    with TemporaryDirectory(prefix="tsn-") as sockets:
        fleet = Fleet(tmp_path, Path(sockets))
        try:
            fleet.start()
            yield fleet
        finally:
            fleet.stop()


def test_nothing_is_lost_when_anything_is_killed_under_load(fleet: Fleet) -> None:
    seed = time.time_ns() % 100_000
    print("seed", seed)
    with Senders(fleet) as senders, killing(fleet, fleet.all, seed, mean_s=0.7) as killed:
        time.sleep(KILL_S)
    fleet.come_to_rest()
    print(
        "killed",
        dict(killed),
        "answered",
        len(senders.answered),
        "not answered",
        senders.refused,
        "told",
        len(fleet.messages),
    )
    reckon(fleet, senders)
    assert sum(killed.values()) >= 5
    assert senders.refused > 0, "no sender noticed anything"


def test_nothing_is_lost_when_every_wake_up_is_deleted(fleet: Fleet) -> None:
    """RQ's keys are deleted each second, and workers are killed: all is decided and told, seconds late."""
    seed = time.time_ns() % 100_000
    print("seed", seed)
    stopping = threading.Event()
    deleter = threading.Thread(target=delete_wake_ups, args=(fleet.url, stopping))
    deleter.start()
    with Senders(fleet) as senders, killing(fleet, [fleet.drain, *fleet.deliverers], seed, mean_s=1.5):
        time.sleep(DELETE_S)
    fleet.come_to_rest()
    stopping.set()
    deleter.join()
    reckon(fleet, senders)


def delete_wake_ups(url: str, stopping: threading.Event) -> None:
    with connect(url) as client:
        while not stopping.wait(1.0):
            found = list(client.scan_iter(f"{keys.RQ_PREFIX}:*"))
            if found:
                client.delete(*found)
