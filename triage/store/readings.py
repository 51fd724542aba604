"""Metrics of incidents in the store."""

from __future__ import annotations

from typing import cast

from triage.measured import Measures
from triage.model import Incident
from triage.store import errands, queries


async def of(client: queries.Client, incident: Incident) -> Measures | None:
    """Return what was read of an incident, or None. Raises one of `queries.DOWN`."""
    return cast("Measures | None", await errands.of(client, errands.READING, incident))
