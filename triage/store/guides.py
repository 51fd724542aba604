"""What a guide needs of the store: the labels that fill its holes, and the steps that are checked off. Read-only.

Raises one of `queries.DOWN` when the store cannot be reached.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from triage.checked import Checklist
from triage.memory import CHECKLIST, DETAILS
from triage.model import Details, Incident, short
from triage.store import keys, queries
from triage.store.memory import field_of


async def labels(client: queries.Client, one: Incident) -> dict[str, str]:
    """Return what fills the holes of a guide: the labels of the alert that gave the incident its title, and what the
    incident itself is called.
    """
    found: dict[str, str] = {}
    if one.example:
        raw = await cast("Any", client).hget(keys.family(DETAILS), field_of((DETAILS, one.example)))
        found = msgspec.msgpack.decode(raw, type=Details).labels if raw else {}
    own = {"incident": short(one.key), "title": one.title, "severity": one.severity.name}
    own |= {"service": one.service} if one.service else {}
    return {**found, **own}


async def checklist(client: queries.Client, incident: str) -> Checklist:
    """Return the steps that are checked off in an incident, by its full key."""
    raw = await cast("Any", client).hget(keys.family(CHECKLIST), incident)
    return msgspec.msgpack.decode(raw, type=Checklist) if raw else Checklist()
