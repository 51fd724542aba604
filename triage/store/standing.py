"""The standing of this Tocsin: its ledger, rules, dead letters, workers and signs of life. Read-only and bounded.

Raises one of `queries.DOWN` when the store cannot be reached.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import msgspec

from triage.memory import ALERT, HEARTBEAT, LEDGER, RULES, SHADOW
from triage.model import DeadLetter, Ledger, Millis, Rules
from triage.roster import Heartbeat
from triage.shadow import Shadowed
from triage.store import journal, keys, queries

UNDECIDED_ENTRIES_MAX: Final = 5_000
"""How many undecided entries are counted one by one before the backlog is derived from the totals instead."""


class LedgerView(msgspec.Struct, frozen=True):
    """The ledger at one moment.

    `counted`: the undecided events were counted in the journal; else they are derived from the totals.
    """

    accepted: int
    undecided: int
    ledger: Ledger
    counted: bool = True


async def shadowed(client: queries.Client) -> list[Shadowed]:
    """Return the messages that nobody got since paging is or was in shadow, newest first; triage bounds how many."""
    found = await cast("Any", client).hvals(keys.family(SHADOW))
    kept = [msgspec.msgpack.decode(raw, type=Shadowed) for raw in found]
    return sorted(kept, key=lambda one: (one.at, one.person, one.title), reverse=True)


class DeadLetterView(msgspec.Struct, frozen=True):
    """One body that could not be read, by the id of its entry."""

    id: str
    letter: DeadLetter


async def ledger(client: queries.Client) -> LedgerView:
    """Return the ledger at one moment: what was accepted, what became of it, and what still waits."""
    async with client.pipeline(transaction=True) as pipe:
        pipe.get(keys.ACCEPTED)
        pipe.get(keys.CURSOR)
        pipe.hget(keys.family(LEDGER), b"")
        pipe.xrevrange(keys.JOURNAL, count=1)
        accepted, mark, raw, newest = await pipe.execute()
    known = msgspec.msgpack.decode(raw, type=Ledger) if raw else Ledger()
    total = int(accepted or 0)
    undecided = await _undecided(client, queries.cursor_id(mark), newest[0][0].decode()) if newest else 0
    if undecided is None:
        return LedgerView(total, total - sum(known.outcomes.values()), known, counted=False)
    return LedgerView(total, undecided, known)


async def _undecided(client: queries.Client, after: str, last: str) -> int | None:
    """Count the events of the entries in (after, last]; None when there are too many entries to count."""
    total = looked_at = 0
    while looked_at < UNDECIDED_ENTRIES_MAX:
        some = await cast("Any", client).xrange(keys.JOURNAL, f"({after}", last, count=100)
        total += sum(journal.count_of(fields) for _, fields in some)
        looked_at += len(some)
        if len(some) < 100:
            return total
        after = some[-1][0].decode()
    return None


async def rules(client: queries.Client) -> Rules | None:
    """Return the rules in force, with the errors of the last refused change; None before any were loaded."""
    raw = await cast("Any", client).hget(keys.family(RULES), b"")
    return msgspec.msgpack.decode(raw, type=Rules) if raw else None


async def heartbeats(client: queries.Client) -> dict[str, Heartbeat]:
    """Return all heartbeats by fingerprint; triage keeps so many for each rule and no more."""
    found = await cast("Any", client).hgetall(keys.family(HEARTBEAT))
    return {name.decode(): msgspec.msgpack.decode(raw, type=Heartbeat) for name, raw in found.items()}


async def dead_letters(
    client: queries.Client, limit: int = 50, after: str | None = None
) -> queries.Page[DeadLetterView]:
    """Return bodies that could not be read, newest first."""
    top = "+"
    if after is not None:
        queries.entry_order(after)
        top = f"({after}"
    found = await cast("Any", client).xrevrange(keys.DEAD_LETTERS, top, "-", count=limit)
    items = [
        DeadLetterView(entry_id.decode(), msgspec.msgpack.decode(fields[b"b"], type=DeadLetter))
        for entry_id, fields in found
    ]
    return queries.Page(items, items[-1].id if len(items) == limit else None)


DELIVER: Final = "deliver"
DELIVER_SHADOW: Final = "deliver-shadow"
"""What a process that delivers calls itself in its signs of life; the second tells nobody."""


class Worker(msgspec.Struct, frozen=True):
    """A `tocsin work` process: its name, its last sign of life, and what it said of itself."""

    name: str
    seen_at: Millis
    role: str


async def workers(client: queries.Client, read: Callable[[bytes], tuple[Millis, str]] | None = None) -> list[Worker]:
    """Return the worker processes by name."""
    found = await cast("Any", client).hgetall(keys.WORKERS)
    parse = read or _sign_of_life
    return [Worker(name.decode(), *parse(raw)) for name, raw in sorted(found.items())]


def _sign_of_life(raw: bytes) -> tuple[Millis, str]:
    """Read `<ms> <role>`."""
    seen, _, role = raw.decode().partition(" ")
    return int(seen), role


class Vitals(msgspec.Struct, frozen=True):
    """What the health views and metrics need besides the ledger. `due_at`: when the soonest timer is or was due."""

    lease_held: bool
    timers: int
    due_at: Millis | None
    effects: int
    remembered: int
    journal: int


async def vitals(client: queries.Client) -> Vitals:
    """Return the signs of life of this store's triage."""
    async with client.pipeline(transaction=False) as pipe:
        pipe.exists(keys.LEASE)
        pipe.zcard(keys.TIMERS)
        pipe.zrange(keys.TIMERS, 0, 0, withscores=True)
        pipe.zcard(keys.DUE)
        pipe.hlen(keys.family(ALERT))
        pipe.xlen(keys.JOURNAL)
        lease, timers, soonest, effects, remembered, length = await pipe.execute()
    due_at = int(soonest[0][1]) if soonest else None
    return Vitals(bool(lease), int(timers), due_at, int(effects), int(remembered), int(length))
