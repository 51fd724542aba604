"""Deliver: claim what is due, hand it to a channel, report how it ended. Nothing here decides or retries.

The order is the promise: claim, send, append the result. Whoever dies in between leaves a claim that ends with its
lease; the effect is then delivered again under the same id, marked as a possible repeat. A slow provider holds up
nobody else: each place has its own few seats, and a send that takes too long is given up and reported as ambiguous.
"""

from __future__ import annotations

import contextlib
import math
import queue
import secrets as random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import redis
import structlog

from triage.model import SECOND, Effect, EffectKind, Ending, Millis, Result
from triage.store import effects
from triage.store.effects import Claimed
from workers import templates, tickets, wording
from workers.channel import Channel, Delivery, choose, place_of, scheme_of, seat_of
from workers.pace import Pace
from workers.secrets import Lookup, UnsetSecret, expand, scrub

SEATS: Final = 32
"""How many messages are on their way at once. So many that several providers may hang, and the others go on."""
SEATS_PER_PLACE: Final = 3
"""How many of these may wait for the same provider."""
SEAT_S: Final = 60.0
"""How long a send that was given up may keep its seat, in seconds."""
LIMIT_S: Final = 10.0
"""How long one send may take, in seconds."""
LEASE_MS: Final[Millis] = 60 * SECOND
"""How long a claim holds without a result. Longer than any send by far."""
LOOK_S: Final = 0.05
"""How often to look for newly due effects while messages are on their way, in seconds."""
REASON_MAX: Final = 500
RECEIPT_MAX: Final = 200
_TAKEN: Final = (Ending.DELIVERED, Ending.HANDED_OVER)

UNPACED: Final = Pace()

log = structlog.get_logger("deliver")


@dataclass(frozen=True, slots=True)
class Sending:
    """One message on its way: what, in which row (`channel.seat_of`), since when (monotonic seconds), by which claim.

    `ticket` is unique to the attempt: a send that was given up may end after the next one began.
    """

    effect: Effect
    seat: str
    since: float
    token: str

    @property
    def ticket(self) -> str:
        return f"{self.effect.id}:{self.token}"


class Deliver:
    """Delivers due effects of one store. Not for use by several threads.

    `clock` returns milliseconds since the epoch. `lookup` finds secrets by name. `stop` is asked between sends; once
    it says True nothing new is claimed, and what is on its way is waited for. `shadow`: nobody is told, and each
    message is reported as shadowed.
    """

    def __init__(
        self,
        client: redis.Redis,
        clock: Callable[[], Millis],
        channels: Mapping[str, Channel],
        lookup: Lookup,
        external_url: str = "",
        *,
        stop: Callable[[], bool] = lambda: False,
        limit_s: float = LIMIT_S,
        lease_ms: Millis = LEASE_MS,
        link_secret: bytes = b"",
        pace: Pace = UNPACED,
        shadow: bool = False,
    ) -> None:
        self._shadow = shadow
        self._link_secret = link_secret
        self._pace = pace
        self.cancelled = 0
        self._client = client
        self._in_force = templates.InForce(client)
        self._templates = templates.NONE
        self._clock = clock
        self._channels = channels
        self._lookup = lookup
        self._external_url = external_url
        self._stop = stop
        self._limit_s = limit_s
        self._lease_ms = lease_ms
        self._on_their_way: dict[str, Sending] = {}
        # Sends that took too long. Should the provider take one after all, that is reported, and no copy is sent.
        self._given_up: dict[str, Sending] = {}
        self._taken_late: set[str] = set()
        self._unreported: list[tuple[Result, str]] = []
        self._ended: queue.SimpleQueue[tuple[str, Delivery | BaseException | None]] = queue.SimpleQueue()
        # By ticket, taken away by the sending thread itself: one that was given up still sits before its provider.
        self._seated: dict[str, Sending] = {}

    def pump(self, for_s: float = math.inf) -> int:
        """Deliver until nothing is due and nothing is on its way. Return how many results were reported.

        After `for_s` seconds nothing new is begun; what is on its way is still waited for.

        Raises redis.RedisError when the store is away; claims then end with their leases.
        """
        reported = self._report_again() + self._hear()
        until = time.monotonic() + for_s
        while True:
            if time.monotonic() < until and not self._stop():
                reported += self._begin()
            if not self._on_their_way:
                return reported
            reported += self._finish()

    def _begin(self) -> int:
        """Claim what there is room for and send it on its way. Return how many were reported at once."""
        free = SEATS - len(self._on_their_way)
        if free <= 0:
            return 0
        token = random.token_hex(8)
        taken_seats = self._taken_seats()
        now, woke_at, old = effects.moment(self._client, self._clock())
        if old:
            return 0  # a backup, perhaps: what is past is decided first
        over_rate: set[str] = set()

        def wanted(effect: Effect) -> bool:
            seat = seat_of(effect)
            if effect.id in self._taken_late or taken_seats[seat] >= SEATS_PER_PLACE or seat in over_rate:
                return False
            if effect.due >= woke_at and not self._pace.allows(self._client, place_of(effect.target), now, seat):
                over_rate.add(seat)
                return False
            taken_seats[seat] += 1
            return True

        since = time.monotonic()
        taken = effects.claim(self._client, now, free, self._lease_ms, token, wanted)
        self.cancelled += taken.cancelled
        if taken.claimed:
            with contextlib.suppress(redis.RedisError):  # a page is not held up for its wording
                self._templates = self._in_force.look()
        reported = 0
        for claimed in taken.claimed:
            if claimed.effect.due < woke_at:
                reason = "it was due before nobody decided for hours; one digest tells what stands open"
                reported += self._report(claimed.effect, Delivery(Ending.TOO_OLD, reason), token, 0)
            elif claimed.died or (claimed.count > 1 and claimed.effect.kind is EffectKind.TICKET):
                reported += self._bury(claimed, token)
            else:
                self._start(claimed, token, since)
        return reported

    def _taken_seats(self) -> Counter[str]:
        """Return how many seats are taken by row. A provider that never lets go of one gets it back in time."""
        oldest = time.monotonic() - SEAT_S
        for sending in [one for one in list(self._seated.values()) if one.since < oldest]:
            self._seated.pop(sending.ticket, None)
        return Counter(sending.seat for sending in list(self._seated.values()))

    def _bury(self, claimed: Claimed, token: str) -> int:
        """Report, instead of sending it, what workers died of. A ticket is sent once: one is enough."""
        died = claimed.count - 1
        reason = f"{died} {'worker' if died == 1 else 'workers'} died while delivering this"
        return self._report(claimed.effect, Delivery(Ending.WORKER_DIED, reason, ambiguous=True), token, 0)

    def _start(self, claimed: Claimed, token: str, since: float) -> None:
        """Send one effect on its way."""
        effect = claimed.effect
        sending = Sending(effect, seat_of(effect), since, token)
        self._on_their_way[sending.ticket] = sending
        self._seated[sending.ticket] = sending
        # Daemons: a provider that never answers must not keep the process from ending.
        arguments = (sending, claimed.count > 1)
        threading.Thread(target=self._send, args=arguments, name=f"send {effect.id[:6]}", daemon=True).start()

    def _send(self, sending: Sending, repeat: bool) -> None:
        """In a thread of its own: try once, and put down how it ended."""
        try:
            ended: Delivery | BaseException | None = None
            # A process that was stopped for long may have lost its claim: nothing is sent on an old one.
            if time.monotonic() - sending.since < self._lease_ms / 2_000:
                ended = self._attempt(sending.effect, repeat)
        except BaseException as error:  # noqa: BLE001  handed to the pump, which decides
            ended = error
        self._seated.pop(sending.ticket, None)
        self._ended.put((sending.ticket, ended))

    def _attempt(self, effect: Effect, repeat: bool) -> Delivery:
        if self._shadow:
            return Delivery(Ending.SHADOWED, "paging is in shadow: nobody was told")
        if effect.kind is EffectKind.TICKET:
            return self._ticket(effect)
        try:
            target, hidden = expand(effect.target, self._lookup)
        except UnsetSecret as unset:
            reason = f"the secret {unset.name} is not set: set the variable {unset.name}, or {unset.name}_FILE"
            return Delivery(Ending.GIVE_UP, reason)
        message, remark = wording.worded(effect, self._external_url, repeat, self._link_secret, self._templates)
        try:
            ended = choose(self._channels, target).send(target, message)
        except Exception as error:  # noqa: BLE001  a channel's bug must not cost the page: say so and try again
            words = f"{scheme_of(effect.target) or 'channel'} failed: {type(error).__name__}: {error}"
            ended = Delivery(Ending.TRY_AGAIN, words, ambiguous=True)
        return msgspec.structs.replace(ended, reason=scrub(ended.reason, hidden)[:REASON_MAX], remark=remark)

    def _ticket(self, effect: Effect) -> Delivery:
        try:
            return tickets.send(effect, wording.link_of(effect, self._external_url), self._lookup)
        except Exception as error:  # noqa: BLE001  it must not end the process, which has pages in hand
            return Delivery(Ending.TRY_AGAIN, f"the call failed: {type(error).__name__}", ambiguous=True)

    def _finish(self) -> int:
        """Wait a moment for sends to end, report those, and those that took too long. Return how many."""
        reported = 0
        with contextlib.suppress(queue.Empty):
            reported += self._close(*self._ended.get(timeout=LOOK_S))
        reported += self._hear()
        latest = time.monotonic() - self._limit_s
        for late in [one for one in self._on_their_way.values() if one.since < latest]:
            reason = f"no answer within {self._limit_s:g} s"
            reported += self._close(late.ticket, Delivery(Ending.TRY_AGAIN, reason, ambiguous=True))
            self._given_up[late.ticket] = late
        return reported

    def _hear(self) -> int:
        """Report the sends that have ended by now. Return how many."""
        reported = 0
        while not self._ended.empty():
            reported += self._close(*self._ended.get_nowait())
        return reported

    def _close(self, ticket: str, ended: Delivery | BaseException | None) -> int:
        sending = self._on_their_way.pop(ticket, None)
        late = self._given_up.pop(ticket, None)
        if isinstance(ended, BaseException):
            raise ended
        if late is not None and ended is not None and ended.ending in _TAKEN:
            sending = replace(late, token=f"{late.token}-late")
            self._taken_late.add(late.effect.id)
        if sending is None or ended is None:
            return 0  # given up before, and that result stands; or never sent, and the claim ends with its lease
        took = int((time.monotonic() - sending.since) * 1_000)
        return self._report(sending.effect, ended, sending.token, took)

    def _report(self, effect: Effect, ended: Delivery, token: str, took: Millis) -> int:
        result = Result(
            effect=effect.id,
            attempt=effect.attempt,
            ending=ended.ending,
            reason=ended.reason,
            ambiguous=ended.ambiguous,
            retry_after=ended.retry_after,
            took=took,
            incident=effect.incident,
            person=effect.person,
            scheme=scheme_of(effect.target),
            remark=ended.remark[:REASON_MAX],
            receipt=ended.receipt[:RECEIPT_MAX],
        )
        try:
            effects.report(self._client, result, token, self._clock())
        except redis.RedisError:
            # It may be appended all the same; a second report of the same attempt changes nothing.
            self._unreported.append((result, token))
            raise
        log.info(
            ended.ending.value if ended.ending in _TAKEN else "not delivered",
            effect=effect.id,
            incident=effect.incident,
            person=effect.person,
            by=result.scheme,
            ending=ended.ending.value,
            reason=ended.reason,
            took_ms=took,
        )
        return 1

    def _report_again(self) -> int:
        """Report what the store did not take last time. Return how many."""
        reported = 0
        while self._unreported:
            result, token = self._unreported[0]
            effects.report(self._client, result, token, self._clock())
            del self._unreported[0]
            reported += 1
        return reported
