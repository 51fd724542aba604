"""Cron expressions with a time zone: when does one come next?

The fields are walked on the wall clock of the zone, whose offsets come from the pinned `tzdata` (see `intervals`), so
the answer depends on nothing but the arguments. A time that the clock skips counts as later by what was skipped; one
that comes twice counts the first time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from croniter import CroniterError, croniter

from triage.model import Millis
from triage.rulebook.intervals import zone

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAMES: Final = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat"
_FIELD: Final = re.compile(rf"(?:[0-9*/,-]|{_NAMES})+\Z", re.IGNORECASE)
_STEPS_MAX: Final = 500
"""A clock set back repeats at most some hours of minutes; the walk passes them one by one."""


def check_cron(text: str) -> None:
    """Raise ValueError, in words for the operator, unless `text` is a cron expression that comes again and again."""
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(
            f'"{text}" is no cron expression: five fields, minute hour day month weekday, like "0 3 * * *"'
        )
    for field in fields:
        if not _FIELD.match(field):
            raise ValueError(f'"{field}" is no field of a cron expression: numbers, names, and * / , - between them')
    try:
        next_after(text, "UTC", 0)
    except (CroniterError, ValueError) as error:
        raise ValueError(f'"{text}" is no cron expression: {error}') from None


def next_after(cron: str, time_zone: str, after: Millis) -> Millis:
    """Return the first instant later than `after` at which `cron` comes on the wall clock of `time_zone`.

    Raises ValueError when it never does; `check_cron` has seen to that.
    """
    here = zone(time_zone)
    local = (_EPOCH + timedelta(milliseconds=after)).astimezone(here).replace(tzinfo=None)
    walk: Any = croniter(cron, local)
    for _ in range(_STEPS_MAX):
        wall: datetime = walk.get_next(datetime)
        instant = (wall.replace(tzinfo=here).astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
        if instant > after:
            return instant
    raise ValueError(f'"{cron}" does not come again')
