"""A process that dies, in process: every round trip to the store and every call to the provider is a place to die.

`Fate` counts those calls. At the chosen one it raises `Died`, which nothing handles, either before the call took effect
or after it did and before the caller saw it. From then on this process is dead: whatever else it still tries (clean-up
code, other threads) is refused, as it would not happen after SIGKILL.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import redis
from redis.client import Pipeline

from triage.model import EffectKind, Ending, Millis
from triage.store import keys
from triage.store.client import connect
from workers.channel import Delivery, Message

BEFORE = "before"
AFTER = "after"
T = TypeVar("T")


class Died(BaseException):
    """The process is gone. No handler of the product may catch this for good."""


class Fate:
    """Counts the calls of one process, and strikes at number `point` (from 1; 0: never).

    `strike` is what happens there; by default the process dies.
    """

    def __init__(self, point: int = 0, when: str = BEFORE, strike: Callable[[], None] | None = None) -> None:
        self.trace: list[str] = []
        self.dead = False
        self.struck = False
        self._point = point
        self._when = when
        self._strike = strike or self.die
        self._lock = threading.Lock()

    def __str__(self) -> str:
        what = self.trace[self._point - 1] if 0 < self._point <= len(self.trace) else "nothing"
        return f"call {self._point}, {self._when} {what}"

    def around(self, name: str, call: Callable[[], T]) -> T:
        """Make one call, and strike there if this is the one."""
        with self._lock:
            if self.dead:
                raise Died
            self.trace.append(name)
            mine = len(self.trace) == self._point
        if mine and self._when == BEFORE:
            self._hit()
        try:
            return call()
        finally:
            if mine and self._when == AFTER:
                self._hit()

    def _hit(self) -> None:
        self.struck = True
        self._strike()

    def die(self) -> None:
        self.dead = True
        raise Died


class DyingPipeline(Pipeline):
    """A pipeline whose round trips go past a fate."""

    fate: Fate
    clock: Callable[[], Millis]

    def pipeline_execute_command(self, *args: Any, **options: Any) -> Any:
        return super().pipeline_execute_command(*_on_our_clock(args, self.clock), **options)

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        call: Any = super().immediate_execute_command
        return self.fate.around(_name(args), lambda: call(*args, **options))

    def execute(self, raise_on_error: bool = True) -> Any:
        call = super().execute
        what = " ".join(_name(queued[0]) for queued in self.command_stack)
        return self.fate.around(f"EXEC({what})", lambda: call(raise_on_error))


class DyingRedis(redis.Redis):
    """A client whose round trips go past a fate. The ids of what it appends are of the moved clock, as all time is."""

    fate: Fate
    clock: Callable[[], Millis]

    def execute_command(self, *args: Any, **options: Any) -> Any:
        call: Any = super().execute_command
        timed = _on_our_clock(args, self.clock)
        return self.fate.around(_name(args), lambda: call(*timed, **options))

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> DyingPipeline:
        made = DyingPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        made.fate = self.fate
        made.clock = self.clock
        return made


def dying_client(url: str, fate: Fate, clock: Callable[[], Millis]) -> DyingRedis:
    """Return a client as the product makes it, that goes past `fate`."""
    client = DyingRedis(connection_pool=connect(url).connection_pool)
    client.fate = fate
    client.clock = clock
    return client


def _on_our_clock(args: tuple[Any, ...], clock: Callable[[], Millis]) -> tuple[Any, ...]:
    if args[:2] != ("XADD", keys.JOURNAL):
        return args
    return tuple(f"{clock()}-*" if one == "*" else one for one in args)


def _name(args: tuple[Any, ...]) -> str:
    key = str(args[1]).removeprefix("{tocsin}:") if len(args) > 1 else ""
    return f"{args[0]} {key}".strip()


@dataclass(frozen=True)
class Copy:
    """One copy of a message that the provider took, and the time on the moved clock."""

    id: str
    at: Millis
    kind: EffectKind
    person: str
    title: str
    possible_repeat: bool


class Provider:
    """The outside world: what it took stays taken, whoever dies. `down` says for whom it takes nothing now."""

    def __init__(self, clock: Callable[[], Millis], down: Callable[[str, Millis], bool]) -> None:
        self.taken: list[Copy] = []
        self._clock = clock
        self._down = down

    def take(self, message: Message) -> Delivery:
        now = self._clock()
        if self._down(message.person, now):
            return Delivery(Ending.TRY_AGAIN, "busy")
        self.taken.append(Copy(message.id, now, message.kind, message.person, message.title, message.possible_repeat))
        return Delivery(Ending.DELIVERED, "taken")

    @property
    def copies(self) -> Counter[str]:
        """Return how many copies of each message were taken, by message id."""
        return Counter(one.id for one in self.taken)


class DyingChannel:
    """The way to the provider, past a fate."""

    def __init__(self, provider: Provider, fate: Fate) -> None:
        self._provider = provider
        self._fate = fate

    def send(self, _target: str, message: Message) -> Delivery:
        return self._fate.around(f"PROVIDER {message.person}", lambda: self._provider.take(message))
