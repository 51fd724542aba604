"""The wall clock of a time zone: dates and times as it shows them (`2026-01-05T09:00`), and the instants they mean.

A wall time is counted in whole minutes since 1970-01-01 00:00 as that clock shows it; an instant in milliseconds UTC.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from triage.model import MINUTE, SECOND, Millis
from triage.rulebook.intervals import zone

Minutes: TypeAlias = int
PATTERN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2})?$"
_WHOLE: Final = re.compile(PATTERN)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WALL_EPOCH: Final = _EPOCH.replace(tzinfo=None)
_LAST_YEAR: Final = 2199


def parse_wall(text: str) -> Minutes:
    """Return minutes since 1970-01-01 00:00 on the same clock. Raises ValueError, in words for the operator."""
    remedy = 'write the wall clock of the schedule\'s zone, like "2026-01-05T09:00", without an offset'
    if not _WHOLE.match(text):
        raise ValueError(f'"{text}" is no date and time: {remedy}')
    try:
        moment = datetime.fromisoformat(text)  # the pattern has no offset
    except ValueError:
        raise ValueError(f'"{text}" is on no calendar: {remedy}') from None
    if not _EPOCH.year <= moment.year <= _LAST_YEAR:
        raise ValueError(f'"{text}" is out of range: from 1970 to {_LAST_YEAR}')
    return (moment - _WALL_EPOCH) // timedelta(minutes=1)


def show_wall(minutes: Minutes) -> str:
    """Return the text that `parse_wall` reads as `minutes`."""
    return (_WALL_EPOCH + timedelta(minutes=minutes)).isoformat("T", "minutes")


def wall_of(at: Millis, time_zone: str) -> Minutes:
    """Return what the clock of a zone shows at an instant, in minutes."""
    moment = _EPOCH + timedelta(milliseconds=at)
    return (at + _millis(moment.astimezone(zone(time_zone)).utcoffset())) // MINUTE


def first(wall: Minutes, time_zone: str) -> Millis:
    """Return the first instant at which a zone's clock shows this time, or jumps over it."""
    return _occurrences(wall, time_zone)[0]


def last(wall: Minutes, time_zone: str) -> Millis:
    """Return the last instant at which a zone's clock shows this time, or jumps over it."""
    return _occurrences(wall, time_zone)[1]


@functools.lru_cache(maxsize=65_536)
def _occurrences(wall: Minutes, time_zone: str) -> tuple[Millis, Millis]:
    here = zone(time_zone)
    shown = (_WALL_EPOCH + timedelta(minutes=wall)).replace(tzinfo=here)
    before, after = _millis(shown.utcoffset()), _millis(shown.replace(fold=1).utcoffset())
    low, high = wall * MINUTE - after, wall * MINUTE - before
    if low >= high:
        return high, low
    while high - low > SECOND:  # the clock jumps over this time: zones change at whole seconds
        middle = (low + high) // 2 // SECOND * SECOND
        if middle <= low:
            break
        if _millis((_EPOCH + timedelta(milliseconds=middle)).astimezone(here).utcoffset()) == before:
            low = middle
        else:
            high = middle
    return high, high


def _millis(offset: timedelta | None) -> Millis:
    return (offset or timedelta()) // timedelta(milliseconds=1)
