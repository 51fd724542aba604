"""What the self-watch asks of a store, and where it leaves what it found for every receiver to show."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, cast

import msgspec
import redis

from triage.memory import RULES
from triage.model import DAY, Millis, Rules
from triage.store import keys, queries
from triage.store.commit import Cursor
from triage.store.preflight import inspect

FORGET_MS: Final[Millis] = DAY
"""A machine whose self-watch said nothing for this long is no longer listed."""


class Signs(NamedTuple):
    """One look at a store. `now` is the store's own clock; ages are in milliseconds, None where nothing waits.

    `undecided_ms`: how long the oldest undecided entry has waited. `timer_at`, `effect_at`: when the soonest was due.
    `seen`: role → when a worker of it last gave a sign of life. `trouble`: what is wrong with the store itself.
    `memory`, `memory_max`: bytes used, and the server's own limit (0: none). `rules`: those in force.
    """

    now: Millis
    undecided_ms: Millis | None
    timer_at: Millis | None
    effect_at: Millis | None
    seen: dict[str, Millis]
    trouble: list[str]
    memory: int
    memory_max: int
    rules: Rules | None = None


class Standing(msgspec.Struct):
    """How one audit stands: `passed`, or since when not and why. `unknown`: it could not be made this time."""

    passed: bool = True
    unknown: bool = False
    text: str = ""
    since: Millis | None = None


class Report(msgspec.Struct):
    """What one machine's self-watch found: `at` its last round, audit → standing, and when the ping last arrived.

    `path`: what keeps the second path from working, "" for nothing. `every`: milliseconds between rounds.
    """

    at: Millis
    every: Millis
    audits: dict[str, Standing]
    ping_at: Millis | None = None
    path: str = ""


def look(client: redis.Redis) -> Signs:
    """Look at the store once. Raises redis.RedisError or OSError when it does not answer."""
    cursor = Cursor.read(client)
    with client.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.xrange(keys.JOURNAL, min=f"({cursor.entry}", count=1)
        pipe.zrange(keys.TIMERS, 0, 0, withscores=True)
        pipe.zrange(keys.DUE, 0, 0, withscores=True)
        pipe.hgetall(keys.WORKERS)
        pipe.info()
        pipe.hget(keys.family(RULES), "")
        (seconds, micros), waiting, timers, due, workers, info, rules = pipe.execute()
    now = int(seconds) * 1_000 + int(micros) // 1_000
    return Signs(
        now=now,
        undecided_ms=max(0, now - int(waiting[0][0].split(b"-")[0])) if waiting else None,
        timer_at=int(timers[0][1]) if timers else None,
        effect_at=int(due[0][1]) if due else None,
        seen=_seen(workers),
        trouble=[*_disk_trouble(info), *map(str, inspect(client))],
        memory=int(info.get("used_memory", 0)),
        memory_max=int(info.get("maxmemory", 0)),
        rules=msgspec.msgpack.decode(rules, type=Rules) if rules else None,
    )


def _seen(workers: dict[bytes, bytes]) -> dict[str, Millis]:
    found: dict[str, Millis] = {}
    for raw in workers.values():
        at, _, role = raw.decode().partition(" ")
        found[role] = max(found.get(role, 0), int(at))
    return found


def _disk_trouble(info: dict[str, Any]) -> list[str]:
    """Return what the server says of its own append-only file."""
    said = {
        "aof_last_write_status": "the store could not write its append-only file: look at its disk and its log",
        "aof_last_bgrewrite_status": "the store could not rewrite its append-only file: look at its disk and its log",
    }
    return [text for name, text in said.items() if info.get(name, "ok") != "ok"]


def publish(client: redis.Redis, machine: str, report: Report) -> None:
    """Leave a machine's report in the store. Raises redis.RedisError or OSError."""
    client.hset(keys.AUDITS, machine, msgspec.json.encode(report))
    known = cast("dict[bytes, bytes]", client.hgetall(keys.AUDITS))
    old = [name for name, raw in known.items() if _read(raw).at < report.at - FORGET_MS]
    if old:
        client.hdel(keys.AUDITS, *old)


def _read(raw: bytes) -> Report:
    return msgspec.json.decode(raw, type=Report)


async def reports(client: queries.Client) -> dict[str, Report]:
    """Return what each machine's self-watch found last. Raises one of `queries.DOWN`."""
    found = await cast("Any", client).hgetall(keys.AUDITS)
    return {name.decode(): _read(raw) for name, raw in sorted(found.items())}


def reports_now(client: redis.Redis) -> dict[str, Report]:
    """Return the same, for those who wait. Raises redis.RedisError."""
    found = cast("dict[bytes, bytes]", client.hgetall(keys.AUDITS))
    return {name.decode(): _read(raw) for name, raw in sorted(found.items())}


def sentences(found: dict[str, Report], now: Millis) -> list[str]:
    """Return what is amiss, for people: audits that do not pass, second paths that do not work, silent machines."""
    lines = []
    for machine, report in found.items():
        silent_ms = now - report.at
        if silent_ms > 4 * report.every + 60_000:
            lines.append(f"the self-watch of {machine} has said nothing for {silent_ms // 1000} s")
            continue
        lines += [f"{name}: {one.text}" for name, one in report.audits.items() if not one.passed]
        if report.path:
            lines.append(f"the second path of {machine} does not work: {report.path}")
    return lines
