"""The one place where state is written: everything a batch of entries changes, in one fenced transaction.

`WATCH cursor … MULTI/EXEC`. Killed before: nothing happened. Killed after: all of it did. Two at once: one EXEC fails,
and that drain starts over from what the store says. The digest binds each commit to the one before, and is what
`tocsin audit --replay` finds again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import redis

from triage.measured import Measures
from triage.memory import ACTION, EFFECT, INCIDENT, METRICS, VERIFYING, Changes
from triage.model import ENDED, Effect, Incident, Millis
from triage.run import Run
from triage.store import keys
from triage.store.memory import ENCODER, field_of

GENESIS: Final = "0-0"
LINES_KEPT: Final = 10_000
"""How many lines of a timeline are kept, the newest: an alert that flaps for months is one incident without end."""


class Fenced(Exception):
    """Somebody else committed meanwhile: drop the memory and start over from the store's cursor."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything up to `entry` is decided. `token` names the commit that said so, `digest` binds all history so far."""

    entry: str = GENESIS
    token: str = "-"  # noqa: S105  a commit's name, no secret
    digest: str = "-"

    @classmethod
    def read(cls, client: redis.Redis) -> Cursor:
        """Return the store's cursor; the beginning of time when there is none."""
        return cls.parse(cast("bytes | None", client.get(keys.CURSOR)))

    @classmethod
    def parse(cls, raw: bytes | None) -> Cursor:
        return cls(*raw.decode().split(" ")) if raw else cls()

    def __str__(self) -> str:
        return f"{self.entry} {self.token} {self.digest}"


@dataclass(slots=True)
class Encoded:
    """The changes of a batch as bytes, and the digest over them."""

    hashes: dict[str, tuple[list[bytes], list[bytes]]]
    lines: dict[str, list[bytes]]
    decisions: list[tuple[str, bytes, bytes]]
    dead_letters: list[tuple[str, bytes]]
    digest: str


def order_of(entry_id: str) -> tuple[int, ...]:
    """Return what sorts stream ids as the store does."""
    return tuple(map(int, entry_id.split("-")))


def encode(changes: Changes, before: str) -> Encoded:
    """Encode `changes` once, for writing and for the digest that follows `before`."""
    hashes: dict[str, tuple[list[bytes], list[bytes]]] = {}
    for key, value in changes.puts.items():
        fields, values = hashes.setdefault(key[0], ([], []))
        fields.append(field_of(key))
        values.append(b"" if value is None else ENCODER.encode(value))
    lines: dict[str, list[bytes]] = {}
    for incident, line in changes.lines:
        lines.setdefault(incident, []).append(ENCODER.encode(line))
    decisions = [(entry, b"d", ENCODER.encode(made)) for entry, made in changes.decisions.items()]
    decisions += [(entry, b"a", ENCODER.encode(answer)) for entry, answer in changes.answers.items()]
    decisions.sort(key=lambda one: order_of(one[0]))  # a stream takes ids in order only
    dead_letters = [(entry, ENCODER.encode(body)) for entry, body in changes.dead_letters.items()]
    hasher = hashlib.blake2b(before.encode(), digest_size=16)
    hasher.update(ENCODER.encode((hashes, lines, decisions, dead_letters, changes.timers, changes.members)))
    return Encoded(hashes, lines, decisions, dead_letters, hasher.hexdigest())


def commit(
    client: redis.Redis, cursor: Cursor, first: str, last: str, token: str, version: int, changes: Changes
) -> Cursor:
    """Write `changes`, decided from entries `first` to `last`, and return the new cursor.

    Raises Fenced when the store's cursor is not `cursor` any more (nothing was written), and redis.RedisError when the
    outcome is unknown: read the cursor again to learn it.
    """
    encoded = encode(changes, cursor.digest)
    after = Cursor(last, token, encoded.digest)
    with client.pipeline(transaction=True) as pipe:
        cast("Any", pipe).watch(keys.CURSOR)
        if Cursor.parse(cast("bytes | None", pipe.get(keys.CURSOR))) != cursor:
            raise Fenced
        pipe.multi()
        _write_memory(pipe, encoded)
        for incident, lines in encoded.lines.items():
            pipe.rpush(keys.timeline(incident), *lines)
            known = cast("Incident | None", changes.puts.get((INCIDENT, incident)))
            if known is not None and known.lines > LINES_KEPT:
                pipe.ltrim(keys.timeline(incident), -LINES_KEPT, -1)
        _write_indexes(pipe, changes)  # after the lines: an incident that is forgotten takes its timeline along
        for entry, field, body in encoded.decisions:
            cast("Any", pipe).execute_command("XADD", keys.DECISIONS, entry, field, body)
        for entry, body in encoded.dead_letters:
            pipe.xadd(keys.DEAD_LETTERS, {b"b": body}, id=entry)
        pipe.xadd(keys.COMMITS, {b"c": f"{first} {last}", b"g": encoded.digest, b"v": version}, id=last)
        pipe.set(keys.CURSOR, str(after))
        try:
            pipe.execute()
        except redis.WatchError:
            raise Fenced from None
    return after


def _write_memory(pipe: Any, encoded: Encoded) -> None:
    for family, (fields, values) in encoded.hashes.items():
        pairs: list[bytes] = []
        gone: list[bytes] = []
        for field, value in zip(fields, values, strict=True):
            if value:
                pairs += (field, value)
            else:
                gone.append(field)
        if pairs:
            pipe.execute_command("HSET", keys.family(family), *pairs)
        if gone:
            pipe.hdel(keys.family(family), *gone)


def _write_indexes(pipe: Any, changes: Changes) -> None:
    """Write what can be derived from the changes and is kept for those who look things up."""
    timers = {name: due for name, due in changes.timers.items() if due is not None}
    if timers:
        pipe.zadd(keys.TIMERS, timers)
    cancelled = [name for name, due in changes.timers.items() if due is None]
    if cancelled:
        pipe.zrem(keys.TIMERS, *cancelled)
    for incident, into in changes.merged.items():
        pipe.sunionstore(keys.members(into), keys.members(into), keys.members(incident))
        pipe.delete(keys.members(incident))
    for incident, members in changes.members.items():
        joined = [bytes.fromhex(name) for name, joins in members.items() if joins]
        left = [bytes.fromhex(name) for name, joins in members.items() if not joins]
        if joined:
            pipe.execute_command("SADD", keys.members(incident), *joined)
        if left:
            pipe.srem(keys.members(incident), *left)
    changed = _changed(changes)
    _index_incidents(pipe, changed[INCIDENT])
    _index_effects(pipe, changed[EFFECT])
    _index_wanted(pipe, keys.ACTS, changed[ACTION], _run_since)
    _index_wanted(pipe, keys.READINGS, changed[METRICS], _reading_since)
    _index_wanted(pipe, keys.VERIFICATIONS, changed[VERIFYING], lambda verifying: verifying.wanted)


def _changed(changes: Changes) -> dict[str, dict[str, Any]]:
    """Return what changed of the families that have an index: incidents, effects, and what wants a worker."""
    found: dict[str, dict[str, Any]] = {INCIDENT: {}, EFFECT: {}, ACTION: {}, METRICS: {}, VERIFYING: {}}
    for (family, name), value in changes.puts.items():
        if family in found:
            found[family][name] = value
    return found


def _index_incidents(pipe: Any, changed: dict[str, Incident | None]) -> None:
    """Write all of them with a handful of commands: under load a batch touches hundreds of incidents."""
    kept = {key: incident.opened_at for key, incident in changed.items() if incident is not None}
    open_ = {key: incident.opened_at for key, incident in changed.items() if incident and incident.phase not in ENDED}
    forgotten = [key for key, incident in changed.items() if incident is None]
    ended = [key for key in kept if key not in open_]
    if open_:
        pipe.zadd(keys.OPEN, open_)
    if ended:
        pipe.zrem(keys.OPEN, *ended)
    if kept:
        pipe.zadd(keys.ALL, kept)
        pipe.zadd(keys.NAMES, dict.fromkeys(kept, 0))
    if forgotten:
        for index in (keys.OPEN, keys.ALL, keys.NAMES):
            pipe.zrem(index, *forgotten)
        pipe.delete(*map(keys.members, forgotten), *map(keys.timeline, forgotten))


def _run_since(run: Run) -> Millis | None:
    return run.asked_at if run.wants_worker else None


def _reading_since(measures: Measures) -> Millis | None:
    return measures.wanted.at if measures.wanted is not None else None


def _index_wanted(pipe: Any, index: str, changed: dict[str, Any], since: Callable[[Any], Millis | None]) -> None:
    """Index what wants a worker, by `since` when it does."""
    times = {name: since(one) if one is not None else None for name, one in changed.items()}
    wanted = {name: at for name, at in times.items() if at is not None}
    others = [name for name in times if name not in wanted]
    if wanted:
        pipe.zadd(index, wanted)
    if others:
        pipe.zrem(index, *others)


def _index_effects(pipe: Any, changed: dict[str, Effect | None]) -> None:
    """A decided result, or a withdrawal, ends the claim on the effect."""
    if not changed:
        return
    pipe.hdel(keys.CLAIMS, *changed)
    pipe.delete(*map(keys.claim, changed))
    due = {name: effect.due for name, effect in changed.items() if effect is not None}
    withdrawn = [name for name, effect in changed.items() if effect is None]
    if due:
        pipe.zadd(keys.DUE, due)
    if withdrawn:
        pipe.zrem(keys.DUE, *withdrawn)
