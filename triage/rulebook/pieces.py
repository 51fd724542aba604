"""Compiles hours in Alertmanager's words: time intervals, restrictions of a schedule, somebody's quiet hours."""

from __future__ import annotations

from typing import Protocol

from triage.rulebook import intervals, shapes
from triage.rulebook.intervals import Piece, Span
from triage.rulebook.problems import closest
from triage.rulebook.yaml import Path


class Fault(Protocol):
    """Takes note of what is wrong at a place of the file."""

    def __call__(self, place: Path, message: str, hint: str = "") -> None:
        """Note it."""
        ...


def read_piece(fault: Fault, place: Path, hours: shapes.Hours, time_zone: str) -> Piece:
    """Return the piece that `hours` mean in a time zone."""
    minutes = []
    for index, item in enumerate(hours.times or ()):
        try:
            minutes.append(intervals.read_times(item.start_time, item.end_time))
        except ValueError as error:
            fault((*place, "times", index), str(error))
    return Piece(
        time_zone,
        tuple(minutes),
        weekdays=read_weekdays(fault, (*place, "weekdays"), hours.weekdays),
        days_of_month=_spans(fault, (*place, "days_of_month"), hours.days_of_month, (), -31, 31, "day of the month"),
        months=_spans(fault, (*place, "months"), hours.months, intervals.MONTHS, 1, 12, "month", 1),
        years=_spans(fault, (*place, "years"), hours.years, (), 1970, 9999, "year"),
    )


def read_weekdays(fault: Fault, place: Path, texts: list[str] | None) -> tuple[Span, ...]:
    """Return ranges of weekdays, Sunday being 0."""
    return _spans(fault, place, texts, intervals.WEEKDAYS, 0, 6, "weekday")


def _spans(
    fault: Fault,
    place: Path,
    texts: list[str] | None,
    names: tuple[str, ...],
    low: int,
    high: int,
    what: str,
    first: int = 0,
) -> tuple[Span, ...]:
    spans = []
    for index, text in enumerate(texts or ()):
        try:
            spans.append(intervals.read_span(text, names, low, high, what, first))
        except ValueError as error:
            fault((*place, index), str(error), closest(text, names) if ":" not in text else "")
    return tuple(spans)
