"""Reading what was learned: postmortems, their texts, action items, and the figures of incidents that ended.

Read-only and bounded like `queries`; raises the same.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from triage import account, changes
from triage.memory import PAST, POSTMORTEM, VERSION
from triage.model import Incident, Line
from triage.postmortem import Item, Past, Postmortem, Version
from triage.rulebook import Rulebook
from triage.store import before, keys, queries, readings

MOST: Final = 10_000
"""How many postmortems, or figures, one question looks at."""
LINES_MAX: Final = 2_000
"""How many lines of the timeline, the newest, a postmortem is made from."""
_POSTMORTEM: Final = msgspec.msgpack.Decoder(Postmortem)
_PAST: Final = msgspec.msgpack.Decoder(Past)


async def postmortem(client: queries.Client, incident: Incident) -> Postmortem:
    """Return the postmortem of an incident; one that nobody has begun is empty."""
    raw = await cast("Any", client).hget(keys.family(POSTMORTEM), incident.key)
    if raw is None:
        return Postmortem(incident.title, incident.service, incident.severity, incident.opened_at)
    return _POSTMORTEM.decode(raw)


async def version(client: queries.Client, key: str, number: int) -> Version:
    """Return one saved text of a postmortem. Raises queries.Unknown."""
    raw = await cast("Any", client).hget(keys.family(VERSION), f"{key}/{number}")
    if raw is None:
        raise queries.Unknown(f"there is no version {number} of that postmortem; the newest ones are kept")
    return msgspec.msgpack.decode(raw, type=Version)


async def made(client: queries.Client, incident: Incident, found: Postmortem, rulebook: Rulebook) -> str:
    """Return the text of a postmortem as the journal tells it, in Markdown."""
    timelines: dict[str, list[Line]] = {}
    for key in (incident.key, *incident.merged):
        page = await queries.timeline(client, key, LINES_MAX)
        timelines[key] = page.items[::-1]
    lines = account.read_as_one(incident.key, timelines)
    began = incident.opened_at
    known = await before.changes_of(client, incident, rulebook, began)
    told = [
        f"{changes.words_of(one.service, one.happened)}, {account.span(began - one.happened.at)} before"
        for one in known
        if one.happened.at <= began  # what came later is in the timeline
    ]
    measures = await readings.of(client, incident)
    return account.markdown(incident, lines, found, rulebook.learning.time_zone, told, measures)


async def text(client: queries.Client, incident: Incident, found: Postmortem, rulebook: Rulebook) -> str:
    """Return the text of a postmortem: the last version that somebody saved, else the one made from the journal."""
    if found.versions:
        return (await version(client, incident.key, found.versions)).text
    return await made(client, incident, found, rulebook)


async def recalled(client: queries.Client, incident: Incident) -> list[tuple[str, Item]]:
    """Return the action items of earlier incidents that one brought up, as they stand now: whose, and which."""
    ids = list(dict.fromkeys(key for key, _ in incident.recalled))
    raws = await cast("Any", client).hmget(keys.family(POSTMORTEM), ids) if ids else []
    known = {key: _POSTMORTEM.decode(raw) for key, raw in zip(ids, raws, strict=True) if raw is not None}
    items = {(key, one.id): one for key, found in known.items() for one in found.items}
    return [(pair[0], items[pair]) for pair in incident.recalled if pair in items]


async def postmortems(client: queries.Client) -> dict[str, Postmortem]:
    """Return the kept postmortems by key of their incident, the latest incident first."""
    found = await _every(client, POSTMORTEM, _POSTMORTEM)
    return dict(sorted(found.items(), key=lambda pair: (-pair[1].opened_at, pair[0])))


async def past(client: queries.Client, since: int) -> dict[str, Past]:
    """Return the figures of incidents that ended at `since` (ms) or later, by key."""
    found = await _every(client, PAST, _PAST)
    return {key: one for key, one in found.items() if one.resolved_at >= since}


async def _every(client: queries.Client, family: str, decoder: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async for key, raw in client.hscan_iter(keys.family(family), count=1_000):
        found[key.decode()] = decoder.decode(raw)
        if len(found) >= MOST:
            break
    return found
