"""The one retry policy: when an effect that could not be delivered is tried again, and when trying ends."""

from __future__ import annotations

import hashlib
from typing import Final

from triage.model import MINUTE, SECOND, Effect, Ending, Millis, Result

BACK_OFF: Final[tuple[Millis, ...]] = (5 * SECOND, 15 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE)
"""Wait after the first, second, … failure; the last one repeats until the deadline."""


def next_attempt(effect: Effect, attempt: int, now: Millis, retry_after: Millis = 0) -> Millis | None:
    """Return when to try again after failure number `attempt` (from 1), or None when the deadline comes first.

    Jitter of up to a fifth is a hash of effect and attempt, so that history replays. `retry_after` is what the
    provider asked for; it is honoured when it is longer.
    """
    wait = BACK_OFF[min(attempt, len(BACK_OFF)) - 1]
    draw = int.from_bytes(hashlib.blake2b(f"{effect.id}:{attempt}".encode(), digest_size=4).digest(), "big")
    wait += wait * (draw % 1_000) // 5_000
    due = now + max(wait, retry_after)
    return due if due < effect.deadline else None


def again(effect: Effect, result: Result, now: Millis) -> bool:
    """Let an effect wait for its next attempt where a result leaves it one. Return whether it does."""
    if result.ending.told or result.ending in (Ending.GIVE_UP, Ending.TOO_OLD):
        return False
    due = next_attempt(effect, effect.attempt, now, result.retry_after)
    if due is not None:
        effect.due = due
    return due is not None
