"""What is kept of schedules: overrides that people asked for at run time, and the calendars they import. Read-only.

What takes an asynchronous client raises one of `queries.DOWN` when the store cannot be reached, what takes a blocking
one redis.RedisError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import redis

from triage import importing, schedules
from triage.imported import Imported
from triage.memory import CALENDAR, OVERRIDES, RULES
from triage.model import Millis, Override, Overrides, Rules
from triage.rulebook import Rulebook
from triage.rulebook.types import Person, Schedule
from triage.schedules import Shift
from triage.store import keys, queries


@dataclass(frozen=True, slots=True)
class Rota:
    """A schedule as it stands: with its run-time overrides and what its calendar holds."""

    schedule: Schedule
    people: Mapping[str, Person]
    overrides: tuple[Override, ...] = ()
    calendar: Imported | None = None

    def shifts(self, start: Millis, end: Millis) -> list[Shift]:
        """Return who is on call from `start` to `end`; see `schedules.shifts`."""
        imported = importing.shifts_of(self.calendar)
        return schedules.shifts(self.schedule, start, end, self.overrides, self.people, imported)


async def load(client: queries.Client, rulebook: Rulebook, names: Iterable[str]) -> dict[str, Rota]:
    """Return these schedules as they stand, by name."""
    wanted = [*names]
    if not wanted:
        return {}
    async with client.pipeline(transaction=True) as pipe:
        pipe.hmget(keys.family(OVERRIDES), wanted)
        pipe.hmget(keys.family(CALENDAR), wanted)
        overrides, calendars = await pipe.execute()
    return {
        name: Rota(
            rulebook.schedules[name],
            rulebook.people,
            msgspec.msgpack.decode(asked, type=Overrides).items if asked else (),
            msgspec.msgpack.decode(held, type=Imported) if held and rulebook.schedules[name].ical else None,
        )
        for name, asked, held in zip(wanted, overrides, calendars, strict=True)
    }


async def calendars(client: queries.Client) -> dict[str, Imported]:
    """Return what is remembered of all imported calendars, by schedule."""
    found = await cast("Any", client).hgetall(keys.family(CALENDAR))
    return {name.decode(): msgspec.msgpack.decode(raw, type=Imported) for name, raw in sorted(found.items())}


def calendar(client: redis.Redis, schedule: str) -> Imported | None:
    """Return what is remembered of the calendar of one schedule."""
    raw = cast("bytes | None", client.hget(keys.family(CALENDAR), schedule))
    return msgspec.msgpack.decode(raw, type=Imported) if raw else None


def rules(client: redis.Redis, known: str) -> tuple[str, Rules | None]:
    """Return the digest of the rules in force and, unless it is the `known` one, the rules."""
    raw = cast("bytes | None", client.hget(keys.family(RULES), ""))
    if raw is None:
        return "", None
    found = msgspec.msgpack.decode(raw, type=Rules)
    return found.digest, None if found.digest == known else found
