"""What a guide needs of the store: the labels that fill its holes, and the steps that are checked off. Read-only.

Raises one of `queries.DOWN` when the store cannot be reached.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from triage.checked import Checklist
from triage.memory import CHECKLIST, DETAILS
from triage.model import Details, Incident
from triage.rulebook import guides
from triage.store import keys, queries
from triage.store.memory import field_of


async def labels(client: queries.Client, one: Incident) -> dict[str, str]:
    """Return what fills the holes of an incident's guide; see `guides.values_of`."""
    raw = None
    if one.example:
        raw = await cast("Any", client).hget(keys.family(DETAILS), field_of((DETAILS, one.example)))
    return guides.values_of(one, msgspec.msgpack.decode(raw, type=Details) if raw else None)


async def checklist(client: queries.Client, incident: str) -> Checklist:
    """Return the steps that are checked off in an incident, by its full key."""
    raw = await cast("Any", client).hget(keys.family(CHECKLIST), incident)
    return msgspec.msgpack.decode(raw, type=Checklist) if raw else Checklist()
