"""What was before an incident: changes of its service and of those that it needs, and earlier incidents like it.

Read-only, and every question is bounded. Raises one of `queries.DOWN` when the store cannot be reached.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from triage import changes
from triage.changed import Happened, Record, Recorded
from triage.memory import CHANGED, RECORDED, THE_RECORDED, DictMemory
from triage.model import DAY, ENDED, Incident, Line, Millis
from triage.rulebook import Rulebook
from triage.store import keys, queries

CHANGED_WITHIN: Final[Millis] = DAY
"""How long before an incident a change may be to be shown with it."""
CHANGES_SHOWN: Final = 20
SEEN_SHOWN: Final = 10
LOOKED_AT: Final = 2_000
"""How many earlier incidents are looked at, newest first."""
SERVICES_SHOWN: Final = 200
"""Of how many services changes are listed at once, those that changed last."""
LINES_READ: Final = 50


class Change(msgspec.Struct, frozen=True):
    """A change of a service."""

    service: str
    happened: Happened


class Stands(msgspec.Struct, frozen=True):
    """What runs of a service, and which version of it is last known good; None: not known."""

    running: Happened | None
    good: Happened | None


class Seen(msgspec.Struct, frozen=True):
    """An earlier incident, what it shares with this one (`alert`, `rule` or `service`), and how it ended."""

    incident: Incident
    shares: str
    ended: Line | None


async def changes_of(client: queries.Client, one: Incident, rulebook: Rulebook, now: Millis) -> list[Change]:
    """Return the changes around an incident, from a day before it until it ended: nearest to its beginning first."""
    until = one.resolved_at if one.phase in ENDED and one.resolved_at is not None else now
    services = list(changes.related(rulebook, one.service))
    records = await _records(client, services)
    found = [
        Change(service, happened)
        for service, record in records.items()
        for happened in record.items
        if one.opened_at - CHANGED_WITHIN <= happened.at <= until
    ]
    found.sort(key=lambda change: (abs(one.opened_at - change.happened.at), services.index(change.service)))
    return found[:CHANGES_SHOWN]


async def latest(client: queries.Client, service: str | None = None) -> list[Change]:
    """Return the changes of one service, or of those that changed last, newest first."""
    if service is None:
        raw = await cast("Any", client).hget(keys.family(RECORDED), THE_RECORDED[1])
        recorded = msgspec.msgpack.decode(raw, type=Recorded) if raw is not None else Recorded()
        services = list(recorded.services[-SERVICES_SHOWN:])
    else:
        services = [service]
    records = await _records(client, services)
    found = [Change(name, happened) for name, record in records.items() for happened in record.items]
    return sorted(found, key=lambda change: (-change.happened.at, change.service, change.happened.id))


async def stands(client: queries.Client, service: str, now: Millis) -> Stands:
    """Return what runs of a service and what is last known good."""
    records = await _records(client, [service])
    memory = DictMemory()
    memory.values.update({(CHANGED, name): record for name, record in records.items()})
    return Stands(changes.running(records.get(service)), changes.last_known_good(memory, service, now))


async def _records(client: queries.Client, services: list[str]) -> dict[str, Record]:
    raws = await cast("Any", client).hmget(keys.family(CHANGED), services) if services else []
    return {
        name: msgspec.msgpack.decode(raw, type=Record)
        for name, raw in zip(services, raws, strict=True)
        if raw is not None
    }


async def seen(client: queries.Client, one: Incident) -> list[Seen]:
    """Return earlier incidents that share the alert, the rule or the service: those that share most first, then newest.

    Looks at no more than LOOKED_AT of them.
    """
    known: list[tuple[int, Incident]] = []
    after: str | None = f"{one.opened_at}-{one.key}"
    looked_at = 0
    while after is not None and looked_at < LOOKED_AT:
        page = await queries.incidents(client, queries.IncidentFilter(), queries.CHUNK, after)
        looked_at += len(page.items)
        known += [(rank, other) for other in page.items if (rank := _rank(one, other)) and other.key not in one.merged]
        after = page.next
    known.sort(key=lambda found: (found[0], -found[1].opened_at))
    return [Seen(other, _SHARES[rank], await _ended(client, other)) for rank, other in known[:SEEN_SHOWN]]


_SHARES: Final = {1: "alert", 2: "rule", 3: "service"}


def _rank(one: Incident, other: Incident) -> int:
    """Return how much an earlier incident shares: 1 most, 0 nothing."""
    if other.opened_at > one.opened_at or other.key == one.key:
        return 0
    if other.group == one.group or (other.example and other.example == one.example):
        return 1
    if one.rule and other.rule == one.rule and other.service == one.service:
        return 2
    return 3 if one.service and other.service == one.service else 0


async def _ended(client: queries.Client, one: Incident) -> Line | None:
    """Return the line that says how an incident ended, or None while it goes on."""
    if one.phase not in ENDED:
        return None
    page = await queries.timeline(client, one.key, LINES_READ)
    return next((line for line in page.items if line.what == "resolved"), None)
