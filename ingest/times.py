"""Reading the times that senders write, in any of the forms met in the wild, as milliseconds since the epoch.

Understood: RFC 3339 with up to nine fraction digits and any offset, the same with a space, without a colon in the
offset, or without a zone (taken as UTC), `… UTC`, and Unix time in seconds, milliseconds, microseconds or nanoseconds,
told apart by size. The year 1, Go's zero time, and everything up to 1970 mean that nobody said.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from triage.model import Millis

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_LAST: Final = 253_402_300_800_000  # the end of the year 9999
_LONGEST: Final = 64
_UNITS: Final = ((10**11, 1_000.0), (10**14, 1.0), (10**17, 1e-3))


class NotATime(ValueError):
    """What stands where a time should be. The message shows it, shortened."""

    def __init__(self, value: object) -> None:
        super().__init__(f"{str(value)[:_LONGEST]!r} is not a time: use RFC 3339 (2026-05-12T09:31:22Z) or Unix time")


def millis(value: object) -> Millis | None:
    """Return the time in `value` (text or number) as milliseconds since the epoch, or None when nobody said.

    Raises `NotATime` for anything else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) <= _LONGEST:
        found = _of_text(value)
        if found is None:
            raise NotATime(value)
        return found or None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _of_number(value) or None
    raise NotATime(value)


@lru_cache(maxsize=8192)
def _of_text(text: str) -> int | None:
    """Return milliseconds, 0 for none said, or None for nonsense. Cached: most alerts repeat the same few times."""
    stripped = text.strip()
    if stripped.endswith(" UTC"):
        stripped = stripped[:-4] + "Z"
    try:
        if stripped.isdecimal() or "-" not in stripped:
            return _of_number(float(stripped)) if stripped else 0
        moment = datetime.fromisoformat(stripped)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # Differences of aware times never overflow, unlike astimezone at the year 1.
    return (moment - _EPOCH) // _MILLISECOND if moment.year > 1970 else 0


def _of_number(number: float) -> int:
    """Return milliseconds for Unix time in whatever unit its size says, or 0 for zero and less."""
    if number != number or number >= 10**20:
        raise NotATime(number)
    if number <= 0:
        return 0
    factor = next((factor for limit, factor in _UNITS if number < limit), 1e-6)
    found = int(number * factor)
    if found >= _LAST:
        raise NotATime(number)
    return found
