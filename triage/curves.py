"""What the curves of an incident say, in words: how high or low it went, and when it crossed what it fires at."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from triage.measured import Query, Snapshot
from triage.model import Curve, Millis

SHOWN_MAX: Final = 120
"""How much of an expression, or of a set of labels, a sentence shows, in characters."""
TOLD_MAX: Final = 3
"""Of how many curves a postmortem speaks one by one."""
_HOLDS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_UNITS: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class Course(msgspec.Struct, frozen=True):
    """How one curve went: its `extreme` (the lowest value where it fires below, else the highest).

    `crossed_at` is when it first went to where it fires, `last_at` when it last did, `times` how often; `back_at` is
    when it came back after the last time. None where it did not. `before`: it was there already as the reading begins.
    """

    extreme: float
    extreme_at: Millis
    lowest: bool = False
    crossed_at: Millis | None = None
    last_at: Millis | None = None
    back_at: Millis | None = None
    times: int = 0
    before: bool = False


def points(snapshot: Snapshot, curve: Curve) -> Iterator[tuple[Millis, float]]:
    """Yield the values that there are, with their times."""
    for index, value in enumerate(curve.values):
        if value is not None:
            yield snapshot.start + index * snapshot.step, value


def course(query: Query, snapshot: Snapshot, curve: Curve) -> Course | None:
    """Return how a curve went, or None when it has no value."""
    known = list(points(snapshot, curve))
    if not known:
        return None
    lowest = query.sign.startswith("<")
    at, extreme = (min if lowest else max)(known, key=lambda one: one[1])
    entered, back_at = _crossings(query, snapshot, curve)
    return Course(
        extreme,
        at,
        lowest,
        entered[0] if entered else None,
        entered[-1] if entered else None,
        back_at,
        len(entered),
        bool(entered) and entered[0] == snapshot.start,
    )


def _crossings(query: Query, snapshot: Snapshot, curve: Curve) -> tuple[list[Millis], Millis | None]:
    """Return when it went to where it fires, and when it came back after the last time."""
    entered: list[Millis] = []
    back_at = None
    was = False
    for index, value in enumerate(curve.values):
        holds = _fires(query, snapshot.whole, value)
        at = snapshot.start + index * snapshot.step
        if holds is None or holds is was:
            continue
        if holds:
            entered.append(at)
        back_at = None if holds else at
        was = holds
    return entered, back_at


def _fires(query: Query, whole: bool, value: float | None) -> bool | None:
    """Tell whether it fires at a value; None: nobody can say. What was asked whole has values only while it fires."""
    if whole:
        return value is not None
    if query.threshold is None or value is None:
        return None
    return _HOLDS[query.sign](value, query.threshold)


def figure(value: float) -> str:
    """Return a value as people read it: `1.5 k`, `0.032`, `12`."""
    for size, unit in _UNITS:
        if size <= abs(value) < 1e15:
            return f"{value / size:.4g} {unit}"
    return f"{value:.4g}"


def time_of_day(at: Millis) -> str:
    """Return a time of day in UTC, to the minute."""
    return f"{datetime.fromtimestamp(at / 1_000, UTC):%H:%M} UTC"


def labels_of(curve: Curve) -> str:
    """Return the labels of a curve in one line, cut to what a sentence bears."""
    text = ", ".join(f"{name}={value}" for name, value in sorted(curve.labels.items()) if name != "__name__")
    return cut(text or curve.labels.get("__name__", ""))


def cut(text: str) -> str:
    """Return a text on one line, cut to what a sentence bears."""
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 1]}…"


def sentence(query: Query, snapshot: Snapshot, clock: Callable[[Millis], str] = time_of_day) -> str:
    """Return what a reading says, by its first curve, which is the alert's own where that could be told."""
    if snapshot.fault:
        return f"{cut(query.text)} could not be read: {snapshot.fault}"
    went = course(query, snapshot, snapshot.curves[0]) if snapshot.curves else None
    if went is None:
        return f"{cut(query.text)} has no values from {clock(snapshot.start)} to {clock(snapshot.end)}"
    more = len(snapshot.curves) - 1 + snapshot.left_out
    others = f" ({more} more series)" if more else ""
    return f"{cut(query.curve)}: {in_words(query, went, clock)}{others}"


def in_words(query: Query, went: Course, clock: Callable[[Millis], str] = time_of_day) -> str:
    """Return how a curve went, as a phrase."""
    parts = [f"{'lowest' if went.lowest else 'highest'} {figure(went.extreme)} at {clock(went.extreme_at)}"]
    limit = f"{query.sign} {figure(query.threshold)}" if query.threshold is not None else "what it fires at"
    if went.crossed_at is not None and went.last_at is not None:
        first = "already before" if went.before else f"since {clock(went.crossed_at)}"
        if went.times > 1:
            begun = "before" if went.before else f"at {clock(went.crossed_at)}"
            first = f"{went.times} times, first {begun}, last since {clock(went.last_at)}"
        parts.append(f"{limit} {first}")
    elif query.threshold is not None:
        parts.append(f"never {limit}")
    if went.back_at is not None:
        parts.append(f"no longer from {clock(went.back_at)} on")
    return ", ".join(parts)


def listed(query: Query, snapshot: Snapshot, clock: Callable[[Millis], str] = time_of_day) -> list[str]:
    """Return a sentence for each of the first curves of a reading, or the one that says why there is none."""
    if snapshot.fault or len(snapshot.curves) < 2:
        return [sentence(query, snapshot, clock)]
    found = []
    for curve in snapshot.curves[:TOLD_MAX]:
        went = course(query, snapshot, curve)
        if went is not None:
            found.append(f"{cut(query.curve)} of {labels_of(curve)}: {in_words(query, went, clock)}")
    more = len(snapshot.curves) - TOLD_MAX + snapshot.left_out
    return [*found, f"{more} more series"] if more > 0 else found
