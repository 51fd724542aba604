"""Own checks in the store: who makes which look just now, and how each check stands.

Like a claim on an effect, a standing is no memory of triage: it is what the probes of several machines agree by. What
triage is to know of it is appended to the journal, in the transaction that notes it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, cast

import msgspec
import redis

from triage.memory import RULES
from triage.model import Events, Millis, Rules
from triage.store import journal, keys, queries

_ENCODER: Final = msgspec.msgpack.Encoder()
_RULES: Final = msgspec.msgpack.Decoder(Rules)


class Standing(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How a check stands after its look number `slot` (how many intervals since the epoch), made at `at`.

    `kind` says in a word why the last look failed, `text` in a sentence; both are empty when it passed. `failing` and
    `passing` count the last looks in a row, `since` is when the first of them was. `told_at` is when an event last said
    that it fails (None: it does not fail, as far as triage knows). `expires_at` is the end of the certificate,
    `expiry_told_at` when an event last said that it is near. `took` is how long the last look took.
    """

    slot: int
    at: Millis
    kind: str = ""
    text: str = ""
    failing: int = 0
    passing: int = 0
    since: Millis = 0
    told_at: Millis | None = None
    told_kind: str = ""
    expires_at: Millis | None = None
    expiry_told_at: Millis | None = None
    took: Millis = 0
    looks: int = 0
    failures: int = 0
    by: str = ""


_STANDING: Final = msgspec.msgpack.Decoder(Standing)


class Claimed(NamedTuple):
    """A look that is ours to make, and how the check stood after the one before (None: there was none)."""

    before: Standing | None


def claim(client: redis.Redis, name: str, slot: int, token: str, lease_ms: Millis) -> Claimed | bool:
    """Claim look number `slot` of a check. Return True when it was made already, False when somebody is at it.

    `token` is unique to the look.
    """
    with client.pipeline() as pipe:
        pipe.set(keys.look(name), token, nx=True, px=lease_ms)
        pipe.hget(keys.CHECKS, name)
        taken, raw = pipe.execute()
    if not taken:
        return False
    before = _STANDING.decode(raw) if raw else None
    if before is None or before.slot < slot:
        return Claimed(before)
    conclude(client, name, token, before, None, 0)
    return True


def conclude(
    client: redis.Redis, name: str, token: str, after: Standing | None, told: Events | None, at: Millis
) -> bool:
    """Note how a check stands (None: it is no longer known), append what that tells, and end our claim: all or nothing.

    Return False, with nothing written, when the claim is no longer ours: somebody else makes the look. Raises
    redis.RedisError; it may be written all the same, and the next look goes on from whichever it was.
    """
    key = keys.look(name)
    with client.pipeline() as pipe:
        try:
            pipe.watch(key)  # type: ignore[no-untyped-call]
            if cast("bytes | None", pipe.get(key)) != token.encode():
                return False
            pipe.multi()
            if after is None:
                pipe.hdel(keys.CHECKS, name)
            else:
                pipe.hset(keys.CHECKS, name, cast("Any", _ENCODER.encode(after)))
            if told is not None and told.events:
                pipe.xadd(keys.JOURNAL, cast("Any", journal.fields(told, at)))
                pipe.incrby(keys.ACCEPTED, len(told.events))
            pipe.delete(key)
            pipe.execute()
        except redis.WatchError:
            return False
    return True


def names(client: redis.Redis) -> list[str]:
    """Return the checks of which a standing is known, also those that have left the rules."""
    return sorted(name.decode() for name in cast("list[bytes]", client.hkeys(keys.CHECKS)))


def rules(client: redis.Redis) -> Rules | None:
    """Return the rules in force, or None before any were loaded."""
    raw = cast("bytes | None", client.hget(keys.family(RULES), ""))
    return _RULES.decode(raw) if raw else None


async def standings(client: queries.Client) -> dict[str, Standing]:
    """Return how every check stands, by name. Raises one of `queries.DOWN`."""
    found = await cast("Any", client).hgetall(keys.CHECKS)
    return {name.decode(): _STANDING.decode(raw) for name, raw in sorted(found.items())}
