"""Signs of life of the work processes. They merely call Redis, so a fake one serves."""

from __future__ import annotations

import threading

import fakeredis
import pytest

from triage.store import keys
from workers.actor import Actor
from workers.reader import Reader
from workers.sweeper import FORGET_MS, sign_of_life


def test_a_process_is_listed_with_its_role_and_its_last_sign() -> None:
    client = fakeredis.FakeRedis()
    sign_of_life(client, lambda: 1_000, "drain@here:1", "drain")
    sign_of_life(client, lambda: 2_000, "drain@here:1", "drain")
    assert client.hgetall(keys.WORKERS) == {b"drain@here:1": b"2000 drain"}


def test_a_process_that_has_been_silent_for_long_is_forgotten() -> None:
    client = fakeredis.FakeRedis()
    sign_of_life(client, lambda: 1_000, "gone@there:1", "deliver")
    sign_of_life(client, lambda: 1_000 + FORGET_MS, "drain@here:1", "drain")
    assert len(client.hgetall(keys.WORKERS)) == 2
    sign_of_life(client, lambda: 1_001 + FORGET_MS, "drain@here:1", "drain")
    assert list(client.hgetall(keys.WORKERS)) == [b"drain@here:1"]


class Broken(Actor):
    """An actor whose rounds fail."""

    def begin(self) -> int:
        raise ValueError("a fault of ours")


def test_a_loop_gives_signs_only_while_it_goes_round(monkeypatch: pytest.MonkeyPatch) -> None:
    for make, roles in ((Actor, [b"1000 actor"]), (Reader, [b"1000 reader"]), (Broken, [])):
        client, rounds = fakeredis.FakeRedis(), iter([False, False, True])
        stopping = threading.Event()
        monkeypatch.setattr(stopping, "wait", lambda _seconds, rounds=rounds: next(rounds, True))
        make(client, lambda: 1_000, lambda _: None, "one").run(stopping)
        assert list(client.hgetall(keys.WORKERS).values()) == roles
