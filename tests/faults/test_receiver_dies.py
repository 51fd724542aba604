"""The receiver dies in the middle of its transaction: all of it is in the store or nothing is, count included."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import pytest
from redis.asyncio.connection import AbstractConnection

from tests.faults.dying import Died, Fate
from tests.faults.world import START
from triage.model import Event, Events, Status, fingerprint_of
from triage.store import keys
from triage.store.appender import Appender
from triage.store.audit import audit
from triage.store.client import connect
from workers.drain import Drain

REQUESTS = 3
HALF = -1
"""In place of a point: with half of the transaction sent."""
POINTS = range(1, 2 * (1 + 1 + REQUESTS + 1 + 1) + 1)
"""Before and after each call: sending it all, then reading MULTI, the entries, their count and EXEC."""
SENT = 2
"""From this point on the store has all of the transaction."""


class DyingConnection:
    """The connection of an appender, past a fate. Dying with half of a transaction sent is possible too."""

    def __init__(self, connection: AbstractConnection, fate: Fate, half: bool) -> None:
        self._connection: Any = connection
        self._fate = fate
        self._half = half

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def send_packed_command(self, command: bytes, check_health: bool = True) -> None:
        if self._half:
            await self._connection.send_packed_command(command[: len(command) // 2], check_health=check_health)
            self._fate.die()
        await self._around("send", self._connection.send_packed_command(command, check_health=check_health))

    async def read_response(self, **options: Any) -> Any:
        return await self._around("read", self._connection.read_response(**options))

    async def _around(self, name: str, call: Coroutine[Any, Any, Any]) -> Any:
        with contextlib.closing(call):
            self._fate.around(f"before {name}", lambda: None)
            result = await call
        self._fate.around(f"after {name}", lambda: None)
        return result


class DyingAppender(Appender):
    """An appender whose process dies while it exchanges a transaction with the store."""

    def __init__(self, url: str, fate: Fate, half: bool) -> None:
        super().__init__(url)
        self.fate = fate
        self._half = half

    async def _connect(self) -> AbstractConnection:
        made: Any = DyingConnection(await super()._connect(), self.fate, self._half)
        return made  # type: ignore[no-any-return]

    async def until_dead(self) -> None:
        """Wait until the committer has died; whoever waits for an answer dies with it."""
        assert self._committer is not None
        with pytest.raises(Died):
            await self._committer
        self._committer = None
        await self._drop_connection()


def events(number: int) -> Events:
    name = f"service-{number}"
    return Events("story", [Event(Status.FIRING, fingerprint_of("story", name), f"{name} down", {"service": name})])


@pytest.mark.parametrize("point", [*POINTS, HALF])
async def test_a_receiver_that_dies_leaves_all_of_a_transaction_or_nothing(quick_store: str, point: int) -> None:
    client = connect(quick_store)
    client.flushall()
    dying = DyingAppender(quick_store, Fate(point), half=point == HALF)
    await dying.start()
    waiting = [asyncio.create_task(dying.append(events(number), START)) for number in range(REQUESTS)]
    await dying.until_dead()
    for one in waiting:
        assert not one.done(), "somebody was answered before the receiver had read the store's answer"
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await dying.close()
    fresh = Appender(quick_store)
    await fresh.start()
    for number in range(REQUESTS):  # nobody was answered, so everybody sends again
        await fresh.append(events(number), START)
    await fresh.close()
    drain = Drain(client, lambda: START)
    while drain.step():
        pass
    report = audit(client, replay=True)
    assert report.ok, report.lines
    assert report.accepted == (2 * REQUESTS if point >= SENT else REQUESTS)
    assert client.hlen(keys.family("incident")) == REQUESTS
    client.close()
