"""Time intervals in Alertmanager's words: is one open at an instant, and when does it open next.

Time zones come from the pinned `tzdata` package and not from the machine, so that two machines decide alike and the
journal replays.
"""

from __future__ import annotations

import calendar
import functools
import importlib.resources
import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from triage.model import MINUTE, Millis

HORIZON_DAYS: Final = 5 * 366
"""How far ahead an opening is looked for: far enough for a 29 February."""
WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS: Final = tuple(name.lower() for name in calendar.month_name)[1:]
DAY_MINUTES: Final = 24 * 60
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z|(24):(00)\Z")
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*\Z")

Span = tuple[int, int]


class Piece(msgspec.Struct, frozen=True):
    """One alternative of an interval. Spans are inclusive, except `minutes` of the day, whose end is exclusive."""

    zone: str
    minutes: tuple[Span, ...] = ()
    weekdays: tuple[Span, ...] = ()
    days_of_month: tuple[Span, ...] = ()
    months: tuple[Span, ...] = ()
    years: tuple[Span, ...] = ()


@functools.lru_cache(maxsize=600)
def zone(name: str) -> ZoneInfo:
    """Return a time zone by its name. Raises ValueError when there is none."""
    parts = name.split("/")
    package = ".".join(("tzdata", "zoneinfo", *parts[:-1]))
    if not _ZONE.match(name):
        raise ValueError(f'"{name}" is no time zone: write one like Europe/Berlin or UTC')
    try:
        with importlib.resources.files(package).joinpath(parts[-1]).open("rb") as data:
            return ZoneInfo.from_file(data, key=name)
    except (OSError, ValueError, ModuleNotFoundError):
        raise ValueError(f'"{name}" is no time zone: write one like Europe/Berlin or UTC') from None


def is_open(pieces: tuple[Piece, ...], at: Millis) -> bool:
    """Tell whether the interval is open at an instant."""
    moment = _utc(at)
    return any(_holds(piece, moment) for piece in pieces)


def opens_at(pieces: tuple[Piece, ...], after: Millis) -> Millis | None:
    """Return the first instant from `after` on at which the interval is open; None when there is none in five years."""
    if is_open(pieces, after):
        return after
    found = [opening for piece in pieces if (opening := _opening(piece, after)) is not None]
    return min(found, default=None)


def _utc(at: Millis) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)


def _millis(moment: datetime) -> Millis:
    return (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _holds(piece: Piece, moment: datetime) -> bool:
    local = moment.astimezone(zone(piece.zone))
    minute = local.hour * 60 + local.minute
    return day_holds(piece, local.date()) and (
        not piece.minutes or any(start <= minute < end for start, end in piece.minutes)
    )


def day_holds(piece: Piece, day: date) -> bool:
    """Tell whether a piece holds on a day, whatever the time."""
    return (
        _within(piece.weekdays, day.isoweekday() % 7)
        and _within(piece.months, day.month)
        and _within(piece.years, day.year)
        and (not piece.days_of_month or _month_day_holds(piece.days_of_month, day))
    )


def _within(spans: tuple[Span, ...], value: int) -> bool:
    return not spans or any(first <= value <= last for first, last in spans)


def _month_day_holds(spans: tuple[Span, ...], day: date) -> bool:
    length = calendar.monthrange(day.year, day.month)[1]
    for first, last in spans:
        low = first if first > 0 else length + first + 1
        high = last if last > 0 else length + last + 1
        if max(low, 1) <= day.day <= min(high, length):
            return True
    return False


def _opening(piece: Piece, after: Millis) -> Millis | None:
    """Return when a piece closed at `after` opens: at a start of its times, a midnight, or a change of the clock."""
    here = zone(piece.zone)
    today = _utc(after).astimezone(here).date()
    starts = sorted({start for start, _ in piece.minutes} | {0})
    for ahead in range(HORIZON_DAYS):
        day = today + timedelta(days=ahead)
        if not day_holds(piece, day):
            continue
        for instant in sorted(_edges(day, starts, here)):
            if instant > after and _holds(piece, _utc(instant)):
                return instant
    return None


def _edges(day: date, starts: list[int], here: ZoneInfo) -> set[Millis]:
    """Return the instants of one local day at which something may open."""
    edges = set()
    for minute in starts:
        local = datetime(day.year, day.month, day.day, minute // 60, minute % 60)  # noqa: DTZ001  local on purpose
        edges |= {_millis(local.replace(tzinfo=here, fold=fold)) for fold in (0, 1)}
    begins = _millis(datetime(day.year, day.month, day.day, tzinfo=here))
    change = _change(begins, begins + 26 * 60 * MINUTE, here)
    return edges | ({change} if change is not None else set())


def _change(low: Millis, high: Millis, here: ZoneInfo) -> Millis | None:
    """Return the instant, to the minute, at which the zone's offset changes between two instants."""
    before = _utc(low).astimezone(here).utcoffset()
    if _utc(high).astimezone(here).utcoffset() == before:
        return None
    while high - low > MINUTE:
        middle = (low + high) // 2 // MINUTE * MINUTE
        if middle <= low:
            break
        if _utc(middle).astimezone(here).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


# --------------------------------------------------------------------------------------------------------------------
# Reading. Each function raises ValueError, in words for the operator.


def read_clock(text: str) -> int:
    """Return the minute of the day that `HH:MM` means."""
    match = _CLOCK.match(text)
    if match is None:
        raise ValueError(f'"{text}" is no time of day: write it like "09:00", at most "24:00"')
    hour, minute = (match[1], match[2]) if match[1] else (match[3], match[4])
    return int(hour) * 60 + int(minute)


def read_times(start: str, end: str) -> Span:
    """Return a range of minutes of the day."""
    low, high = read_clock(start), read_clock(end)
    if low >= high:
        raise ValueError(f'"{start}" is not before "{end}": for a night write two ranges, to "24:00" and from "00:00"')
    return low, high


def read_span(text: str, names: tuple[str, ...], lowest: int, highest: int, what: str, first: int = 0) -> Span:
    """Return the inclusive range that `a` or `a:b` means; `names` are words for the numbers from `first` on."""
    parts = text.lower().split(":")
    values = []
    for part in parts:
        if part in names:
            values.append(names.index(part) + first)
        elif re.fullmatch(r"-?[0-9]{1,4}", part) and what != "weekday":
            values.append(int(part))
        else:
            raise ValueError(f'"{part}" is no {what}')
    if len(parts) > 2 or any(
        value < lowest or value > highest or (what == "day of the month" and value == 0) for value in values
    ):
        raise ValueError(f'"{text}" is no {what} or range of them')
    low, high = values[0], values[-1]
    if low > high and (low > 0) == (high > 0):
        raise ValueError(f'"{text}" runs backwards: write two ranges')
    return low, high
