"""What the tests of the hands share: a store of their own, effects as a commit would write them, a channel to watch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
import pytest
import redis

from triage.model import Effect, EffectKind, Ending, Millis, Result, Severity
from triage.store import journal, keys
from triage.store.client import connect
from workers.channel import Delivery, Message

EFFECTS = keys.family("effect")
NOW = 1_700_000_000_000


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """Yield a client on an empty store."""
    client = connect(redis_url)
    yield client
    client.close()


def wait_for(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Wait until `condition` holds; fail when it takes too long."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def effect(name: str, *, target: str = "watch://a", severity: Severity = Severity.P1, due: Millis = NOW) -> Effect:
    """Return a page that is due."""
    return Effect(
        id=name,
        kind=EffectKind.PAGE,
        incident="incident-key",
        person="ada",
        target=target,
        title="checkout down",
        facts={"incident": "abc234", "severity": severity.name},
        made_at=NOW,
        due=due,
        deadline=NOW + 3_600_000,
        severity=severity,
    )


def commit(client: redis.Redis, *effects: Effect) -> None:
    """Make effects due, as the drain's commit does."""
    for one in effects:
        client.hset(EFFECTS, one.id, msgspec.msgpack.encode(one))
        client.zadd(keys.DUE, {one.id: one.due})


def decide(client: redis.Redis, *, again_after: Millis = 0) -> list[Result]:
    """Decide all appended results as the drain does (attempts, due times, claims), and return them in order."""
    found = results(client)
    client.delete(keys.JOURNAL)
    for result in found:
        client.delete(keys.claim(result.effect))
        client.hdel(keys.CLAIMS, result.effect)
        raw = client.hget(EFFECTS, result.effect)
        known = msgspec.msgpack.decode(raw, type=Effect) if isinstance(raw, bytes) else None
        if known is None or known.attempt != result.attempt:
            continue
        if result.ending in {Ending.DELIVERED, Ending.GIVE_UP}:
            withdraw(client, known.id)
            continue
        known.attempt += 1
        known.ambiguous = known.ambiguous or result.ambiguous
        known.due += again_after
        commit(client, known)
    return found


def withdraw(client: redis.Redis, name: str) -> None:
    """Take an effect back, as the commit of an acknowledgement does."""
    client.hdel(EFFECTS, name)
    client.zrem(keys.DUE, name)


def results(client: redis.Redis) -> list[Result]:
    """Return the results in the journal, oldest first."""
    entries = cast("Any", client.xrange(keys.JOURNAL))
    bodies = [journal.decode(key, fields).body for key, fields in entries]
    return [body for body in bodies if isinstance(body, Result)]


class Watched:
    """A channel that notes what it was given; what it answers can be set, and it can be held up."""

    def __init__(self, answer: Delivery | BaseException | None = None) -> None:
        self.answer = answer or Delivery(Ending.DELIVERED, "taken")
        self.messages: list[Message] = []
        self.targets: list[str] = []
        self.open = threading.Event()
        self.open.set()
        self.inside = 0
        self.most_inside = 0
        self._lock = threading.Lock()

    def send(self, target: str, message: Message) -> Delivery:
        with self._lock:
            self.messages.append(message)
            self.targets.append(target)
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        self.open.wait(30)
        with self._lock:
            self.inside -= 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.messages]
