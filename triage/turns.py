"""Whose turn it is: which of the due timers one tick fires. Pure, so that replay finds the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, cast

from triage.memory import INCIDENT, DictMemory, Key, Memory
from triage.model import Incident, Millis, Severity

LIMIT: Final = 256
"""How many timers one tick fires; another tick follows while more are due."""
LOOK: Final = 20_000
"""How many due timers are looked at, soonest first, to find the most severe."""
_URGENT: Final = frozenset({"page", "snooze", "remind", "quiet", "notify", "after", "promise"})
"""Timers of an incident that may tell somebody."""
_MAY_OPEN: Final = frozenset({"hold", "beat", "flap"})
"""Timers that may open an incident; nobody knows yet how severe."""
_HOUSEKEEPING: Final = len(Severity)


def pick(names: Sequence[str], memory: Memory) -> list[str]:
    """Return the timers that a tick fires, of those that are due, soonest first.

    Where there are more than it can fire the most severe go first, so that nobody waits for what can wait. `memory`
    must have what `reads` names.
    """
    if len(names) <= LIMIT:
        return list(names)
    return sorted(names, key=lambda name: _rank(name, memory))[:LIMIT]


def reads(names: Sequence[str]) -> Iterator[Key]:
    """Name what `pick` looks at."""
    if len(names) > LIMIT:
        yield from ((INCIDENT, name.partition(":")[2]) for name in names if name.partition(":")[0] in _URGENT)


def _rank(name: str, memory: Memory) -> int:
    kind, _, what = name.partition(":")
    if kind in _URGENT:
        incident = cast("Incident | None", memory.get((INCIDENT, what)))
        return incident.severity if incident is not None else _HOUSEKEEPING
    return Severity.P1 if kind in _MAY_OPEN else _HOUSEKEEPING


def due(memory: DictMemory, now: Millis) -> list[str]:
    """Return the timers that a tick at `now` fires, where all memory is at hand."""
    return pick(memory.due(now, LOOK), memory)


def oldest(memory: DictMemory, now: Millis) -> Millis | None:
    """Return when the first of the timers that are due at `now` was due; None when none is."""
    first = min(memory.timers.values(), default=now + 1)
    return first if first <= now else None
