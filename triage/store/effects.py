"""Claims on due effects: who delivers what just now. The only state outside the journal.

An effect is due when its id is in the sorted set DUE with a score in the past; only a commit puts it there, moves it,
or takes it away. A deliverer claims it, delivers, and reports. Claims are a courtesy with a time limit: whatever dies
between claim and report is delivered again when its lease ends, under the same id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple, cast

import msgspec
import redis
import structlog

from triage import memory
from triage.decide import SKEW_MAX
from triage.model import DAY, Effect, Meta, Millis, Result
from triage.store import journal, keys
from triage.waking import OLD_AFTER

CLAIMS_MAX: Final = 3
"""The claim with this number is not delivered any more, but reported as `worker died`."""
WINDOW: Final = 2_000
"""How many due effects are looked at together. Among these the most severe goes first."""
WINDOWS_MAX: Final = 5
"""How many windows one look takes in while it finds nothing that is wanted: all for a provider that is slow, say."""
REPORTED_MS: Final[Millis] = DAY
"""How long a reported effect stays claimed if its result is not decided. The commit of the result ends it sooner."""
MARKED_MS: Final[Millis] = DAY
"""How long a report whose reply was lost is known to have been appended."""
REPORT_TRIES: Final = 5

_DECODER: Final = msgspec.msgpack.Decoder(Effect)
log = structlog.get_logger("tocsin.effects")

_META: Final = msgspec.msgpack.Decoder(Meta)
_EFFECTS: Final = keys.family(memory.EFFECT)


@dataclass(frozen=True, slots=True)
class Claimed:
    """An effect that is ours until the lease ends, and how often it was claimed since its last result."""

    effect: Effect
    count: int

    @property
    def died(self) -> bool:
        """Whether so many claims ended without a result that it must not be tried again."""
        return self.count >= CLAIMS_MAX


class Taken(NamedTuple):
    """What one look at the due effects gave: our claims, and how many effects were taken back meanwhile."""

    claimed: list[Claimed]
    cancelled: int


class Moment(NamedTuple):
    """The time by which effects are due; `old`: nobody has decided for so long that nothing may be sent before somebody
    does. What was due before `woke_at` is too old to be sent.
    """

    now: Millis
    woke_at: Millis
    old: bool


def now(client: redis.Redis, clock: Millis) -> Millis:
    """Return the time by which effects are due; see `moment`."""
    return moment(client, clock).now


def moment(client: redis.Redis, clock: Millis) -> Moment:
    """Return the time by which effects are due, for a worker whose machine says `clock`.

    It is that clock, unless it is behind the journal (what a commit made due is due) or ahead of the store (what is to
    be tried again later is not tried at once).
    """
    with client.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.hget(keys.family(memory.META), "")
        (seconds, micros), raw = pipe.execute()
    meta = _META.decode(raw) if raw else Meta()
    bound = int(seconds) * 1_000 + int(micros) // 1_000 + SKEW_MAX
    at = max(min(clock, bound), meta.now)
    return Moment(at, meta.woke_at, bool(meta.now) and at - meta.now > OLD_AFTER)


def claim(
    client: redis.Redis,
    now: Millis,
    limit: int,
    lease_ms: Millis,
    token: str,
    wanted: Callable[[Effect], bool] = lambda _: True,
) -> Taken:
    """Claim up to `limit` due effects for `lease_ms`, the most severe first, then the longest due.

    `wanted` is asked once for each effect before it is claimed; False leaves it for later. `token` is unique to the
    claimer. An effect that was acknowledged or resolved away since is left out and counted as cancelled.
    """
    claimed: list[Claimed] = []
    cancelled = 0
    for effects in islice(_open(client, now), WINDOWS_MAX):
        for effect in effects:
            if len(claimed) >= limit:
                break
            if not wanted(effect):
                continue
            taken = _claim_one(client, effect.id, now, lease_ms, token)
            if isinstance(taken, Claimed):
                claimed.append(taken)
            elif taken:
                cancelled += 1
        if claimed:
            break
    return Taken(claimed, cancelled)


def _open(client: redis.Redis, now: Millis) -> Iterator[list[Effect]]:
    """Yield due effects that nobody has claimed, a window at a time, each in the order of delivery."""
    for ids in _due(client, now):
        with client.pipeline(transaction=False) as pipe:
            pipe.hmget(_EFFECTS, ids)
            pipe.mget([keys.claim(one) for one in ids])
            raws, claims = pipe.execute()
        free = [_read(raw) for raw, holder in zip(raws, claims, strict=True) if raw and holder is None]
        readable = [effect for effect in free if effect is not None]
        if readable:
            yield sorted(readable, key=lambda effect: (effect.severity, effect.due, effect.id))


def _read(raw: bytes) -> Effect | None:
    """Return the effect, or None when it cannot be read: one that another version wrote must not hold up the others."""
    try:
        return _DECODER.decode(raw)
    except (ValueError, msgspec.DecodeError) as fault:
        log.warning("an effect cannot be read; was it written by another version?", error=str(fault))
        return None


def _due(client: redis.Redis, now: Millis) -> Iterator[list[str]]:
    """Yield the ids of due effects, longest due first, a window at a time."""
    start = 0
    while found := cast("list[bytes]", client.zrangebyscore(keys.DUE, "-inf", now, start=start, num=WINDOW)):
        yield [one.decode() for one in found]
        start += WINDOW


def _claim_one(client: redis.Redis, effect_id: str, now: Millis, lease_ms: Millis, token: str) -> Claimed | bool:
    """Return our claim; or True when the effect is no longer wanted, False when somebody else was quicker."""
    key = keys.claim(effect_id)
    with client.pipeline() as pipe:
        try:
            pipe.watch(key)  # type: ignore[no-untyped-call]
            if pipe.exists(key):
                return False
            pipe.multi()
            pipe.set(key, token, px=lease_ms)
            pipe.hincrby(keys.CLAIMS, effect_id, 1)
            # Read in the same transaction: a commit before it is seen here, one after it finds our claim.
            pipe.hget(_EFFECTS, effect_id)
            pipe.zscore(keys.DUE, effect_id)
            _, count, raw, due = pipe.execute()
        except redis.WatchError:
            return False
    if raw is None or due is None or due > now:
        release(client, effect_id, token)
        return True
    return Claimed(_DECODER.decode(raw), count)


def report(client: redis.Redis, result: Result, token: str, at: Millis) -> None:
    """Append the result of one attempt to the journal, and keep the effect claimed until that result is decided.

    Both in one transaction: between "appended" and "decided" the effect is still due, and however long the drain is
    away it must not be sent again. A claim that is no longer ours is not touched: somebody else may be at the next
    attempt. Raises redis.RedisError; it may be appended all the same. Call again then: a mark in the same transaction
    says that it was, and nothing is written twice.
    """
    key, mark = keys.claim(result.effect), keys.reported(result.effect, token)
    entry = cast("Any", journal.fields(result, at))
    for _ in range(REPORT_TRIES):
        with client.pipeline() as pipe:
            try:
                pipe.watch(key, mark)  # type: ignore[no-untyped-call]
                holder, marked = cast("list[bytes | None]", pipe.mget([key, mark]))
                pipe.multi()
                if marked is None:
                    pipe.xadd(keys.JOURNAL, entry)
                    pipe.set(mark, 1, px=MARKED_MS)
                    if holder == token.encode():
                        pipe.set(key, "reported", px=REPORTED_MS)
                pipe.execute()
            except redis.WatchError:
                # The lease ended just now; or the connection was lost, which redis-py calls so too, and only the mark
                # says whether the transaction came to be.
                continue
            else:
                return
    raise redis.WatchError(f"the claim on {result.effect} changed at each of {REPORT_TRIES} looks")


def release(client: redis.Redis, effect_id: str, token: str) -> bool:
    """Give back a claim that was not used, as if it had never been; only our own. Return whether it was ours."""
    key = keys.claim(effect_id)
    with client.pipeline() as pipe:
        try:
            pipe.watch(key)  # type: ignore[no-untyped-call]
            if cast("bytes | None", pipe.get(key)) != token.encode():
                return False
            pipe.multi()
            pipe.delete(key)
            pipe.hincrby(keys.CLAIMS, effect_id, -1)
            left = pipe.execute()[1]
        except redis.WatchError:
            return False
    if left <= 0:
        client.hdel(keys.CLAIMS, effect_id)
    return True


def waiting(client: redis.Redis, due_before: Millis) -> bool:
    """Return whether an effect has been due since before that time and nobody has claimed it."""
    return any(
        None in cast("list[bytes | None]", client.mget([keys.claim(one) for one in ids]))
        for ids in _due(client, due_before)
    )
