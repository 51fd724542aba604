"""Silences as they are kept, and what one would have silenced. Read-only, and every question is bounded.

Raises one of `queries.DOWN` when the store cannot be reached.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, cast

import msgspec

from triage import pausing, quiet
from triage.memory import ALERT, DETAILS, INCIDENT, SILENCE
from triage.model import Alert, AlertState, Decision, Details, Events, Incident, Millis, Outcome, Severity, Status
from triage.rulebook import Rulebook
from triage.silence import Silence, Words
from triage.store import journal, keys, queries

LISTED_MAX: Final = 5_000
"""How many silences are read; those that ended longest ago are forgotten by themselves."""
ENTRIES_MAX: Final = 5_000
EVENTS_MAX: Final = 50_000
"""How much of the journal a preview looks at, newest first."""
SHOWN_MAX: Final = 1_000
"""How many firing alerts a preview names."""
_FIRES: Final = frozenset({AlertState.FIRING, AlertState.STALE, AlertState.HELD})
_TOLD: Final = frozenset({Outcome.OPENED, Outcome.ATTACHED, Outcome.REOPENED})


class Firing(msgspec.Struct, frozen=True):
    """An alert that fires now and that a silence means."""

    fingerprint: str
    title: str
    severity: Severity
    incident: str


class Preview(msgspec.Struct):
    """What a silence means now, and would have meant in the journal that is kept, back to `since` (None: nothing).

    `alerts` counts different alerts among the `events`, `incidents` those that they began or joined, and `pages` what
    these paged in all. `complete`: everything that is kept was looked at.
    """

    firing: list[Firing]
    since: Millis | None = None
    events: int = 0
    alerts: int = 0
    incidents: int = 0
    pages: int = 0
    complete: bool = True


async def every(client: queries.Client) -> dict[str, Silence]:
    """Return the silences of run time by key, those that ended lately included."""
    found: dict[str, Silence] = {}
    async for field, raw in cast("Any", client).hscan_iter(keys.family(SILENCE), count=500):
        found[field.decode()] = msgspec.msgpack.decode(raw, type=Silence)
        if len(found) >= LISTED_MAX:
            break
    return found


async def one(client: queries.Client, key: str) -> Silence:
    """Return the silence of that key. Raises queries.Unknown."""
    raw = await cast("Any", client).hget(keys.family(SILENCE), key)
    if raw is None:
        raise queries.Unknown(
            f"there is no silence {key[:100]!r}; `tocsin silence list --all` lists those that are kept"
        )
    return msgspec.msgpack.decode(raw, type=Silence)


async def firing(client: queries.Client, words: Words, rulebook: Rulebook) -> tuple[list[Firing], bool]:
    """Return the firing alerts that a silence means, at most SHOWN_MAX, and whether these are all."""
    found: list[Firing] = []
    async for fingerprint, alert, details in _alerts(client):
        if alert.state not in _FIRES or details is None or alert.severity in words.spared:
            continue
        if quiet.means(words, rulebook.labels_of(alert.source, pausing.as_event(fingerprint, details))):
            found.append(Firing(fingerprint, details.title, alert.severity, alert.incident))
            if len(found) >= SHOWN_MAX:
                return found, False
    total = int(await cast("Any", client).hlen(keys.family(ALERT)))
    return found, total <= queries.LOOKED_AT_MAX


async def _alerts(client: queries.Client) -> AsyncIterator[tuple[str, Alert, Details | None]]:
    cursor = looked_at = 0
    while looked_at < queries.LOOKED_AT_MAX:
        cursor, some = await cast("Any", client).hscan(keys.family(ALERT), cursor, count=queries.CHUNK)
        raws = await cast("Any", client).hmget(keys.family(DETAILS), list(some)) if some else []
        looked_at += len(some)
        for (field, raw), more in zip(some.items(), raws, strict=True):
            details = msgspec.msgpack.decode(more, type=Details) if more is not None else None
            yield field.hex(), msgspec.msgpack.decode(raw, type=Alert), details
        if cursor == 0:
            return


async def preview(client: queries.Client, words: Words, rulebook: Rulebook) -> Preview:
    """Return what a silence means now, and would have meant lately."""
    now, complete = await firing(client, words, rulebook)
    found = Preview(firing=now, complete=complete)
    alerts: set[str] = set()
    incidents: set[str] = set()
    top, entries, events = "+", 0, 0
    while entries < ENTRIES_MAX and events < EVENTS_MAX:
        raw = await cast("Any", client).xrevrange(keys.JOURNAL, top, "-", count=100)
        if not raw:
            break
        last = raw[-1][0].decode()
        entries += len(raw)
        found.since = int(last.partition("-")[0])
        decided = await _decisions(client, last, raw[0][0].decode())
        for entry_id, fields in raw:
            body = journal.decode(entry_id, fields).body
            if isinstance(body, Events):
                events += len(body.events)
                _look(found, words, rulebook, body, decided.get(entry_id.decode(), []), alerts, incidents)
        top = f"({last}"
    else:
        found.complete = False
    found.alerts, found.incidents = len(alerts), len(incidents)
    found.pages = await _pages(client, sorted(incidents))
    return found


def _look(
    found: Preview,
    words: Words,
    rulebook: Rulebook,
    body: Events,
    decisions: list[Decision],
    alerts: set[str],
    incidents: set[str],
) -> None:
    """Count the events of one entry that the silence means. Decisions are kept for a while only."""
    for index, event in enumerate(body.events):
        if event.status is not Status.FIRING or not quiet.means(words, rulebook.labels_of(body.source, event)):
            continue
        decision = decisions[index] if index < len(decisions) else None
        if decision is not None and decision.severity in words.spared:
            continue
        found.events += 1
        alerts.add(event.fingerprint)
        if decision is not None and decision.incident and decision.outcome in _TOLD:
            incidents.add(decision.incident)


async def _decisions(client: queries.Client, first: str, last: str) -> dict[str, list[Decision]]:
    raws = await cast("Any", client).xrange(keys.DECISIONS, first, last)
    return {
        entry_id.decode(): msgspec.msgpack.decode(fields[b"d"], type=list[Decision])
        for entry_id, fields in raws
        if b"d" in fields
    }


async def _pages(client: queries.Client, incidents: list[str]) -> int:
    if not incidents:
        return 0
    raws = await cast("Any", client).hmget(keys.family(INCIDENT), incidents[: queries.LOOKED_AT_MAX])
    return sum(msgspec.msgpack.decode(raw, type=Incident).pages for raw in raws if raw is not None)
