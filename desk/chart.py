"""A reading of metrics as a picture: SVG with a title, a description, axes, and marks for what happened when.

A pure function of what was read. Labels and expressions are hostile text: everything goes through ElementTree, which
escapes it. Colours are classes, for the view's style and for light and dark; nothing is told by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree as ET

import msgspec

from desk.rendering import for_xml
from triage import curves
from triage.measured import Query, Snapshot
from triage.model import DAY, HOUR, MINUTE, Incident, Millis

WIDTH: Final = 720
HEIGHT: Final = 320
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 62, 34
"""Room around the curves, in units of the picture."""
MARKS_MAX: Final = 4
"""How many marks there are, and rows for their words."""
ROWS: Final = 4
"""About how many lines there are from bottom to top."""
COLUMNS: Final = 8
"""At most how many times stand below."""
DASHES: Final = ("", "6 3", "2 3", "8 3 2 3", "1 4", "10 4", "4 4", "12 3 3 3", "3 6", "6 6")
"""How each curve is drawn, so that they can be told apart without colours."""
_SPANS: Final = (MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, DAY)
STYLE: Final = """
.chart { font: 12px system-ui, sans-serif; --ink: #1b1b1a; --soft: #595955; --line: #d6d6d0; --back: #fff;
  --c0: #0b57a4; --c1: #b03a00; --c2: #1c6b34; --c3: #7a3e9d; --c4: #7a5600; }
@media (prefers-color-scheme: dark) { .chart { --ink: #ececea; --soft: #aeaea8; --line: #3a3a3e; --back: #1f1f22;
  --c0: #8fc2ff; --c1: #ffa46b; --c2: #7fd69a; --c3: #d0a5ee; --c4: #f0c75e; } }
.chart .back { fill: var(--back); } .chart text { fill: var(--soft); } .chart .name { fill: var(--ink); }
.chart .rule { stroke: var(--line); } .chart .limit { stroke: var(--c1); stroke-dasharray: 4 4; }
.chart .mark { stroke: var(--ink); } .chart .curve { fill: none; stroke-width: 2; }
.chart .c0 { stroke: var(--c0); } .chart .c1 { stroke: var(--c1); } .chart .c2 { stroke: var(--c2); }
.chart .c3 { stroke: var(--c3); } .chart .c4 { stroke: var(--c4); }
"""
"""The style of a picture that stands alone; the view's own has the same classes in desk.css."""
COLOURS: Final = 5
TINY: Final = 1e-300
"""Lines are no closer together: what differs by less is next to nothing, and beyond what floats divide."""


class Mark(msgspec.Struct, frozen=True):
    """Something that happened: a word, and when."""

    name: str
    at: Millis


def marks_of(incident: Incident) -> list[Mark]:
    """Return what is marked: onset, when somebody took it, when it was being mitigated, and when it was over."""
    over = incident.monitoring_at if incident.monitoring_at is not None else incident.resolved_at
    times = (
        ("onset", incident.opened_at),
        ("acknowledged", incident.taken_at),
        ("mitigating", incident.mitigating_at),
        ("recovered", over),
    )
    return [Mark(name, at) for name, at in times if at is not None]


def draw(query: Query, snapshot: Snapshot, marks: Sequence[Mark], ident: str, alone: bool = False) -> str:
    """Return the picture. `ident` keeps its ids apart from others of a document; `alone`: with a style of its own."""
    return _Picture(query, snapshot, marks, ident, alone).svg()


class _Picture:
    def __init__(self, query: Query, snapshot: Snapshot, marks: Sequence[Mark], ident: str, alone: bool) -> None:
        self._query = query
        self._snapshot = snapshot
        self._marks = [one for one in marks if snapshot.start <= one.at <= snapshot.end]
        self._ident = ident
        values = [value for curve in snapshot.curves for value in curve.values if value is not None]
        self._low, self._high, self._row = scale([*values, *self._limit()])
        attributes = {
            "class": "chart",
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "role": "img",
            "aria-labelledby": f"{ident}-title {ident}-desc",
        }
        if alone:
            attributes |= {"xmlns": "http://www.w3.org/2000/svg", "width": str(WIDTH), "height": str(HEIGHT)}
        self._root = ET.Element("svg", attributes)
        self._alone = alone

    def _limit(self) -> list[float]:
        return [self._query.threshold] if self._query.threshold is not None else []

    def svg(self) -> str:
        self._said()
        self._add("rect", {"class": "back", "width": str(WIDTH), "height": str(HEIGHT)})
        self._rows()
        self._columns()
        for limit in self._limit():
            self._line("limit", LEFT, self._y(limit), WIDTH - RIGHT, self._y(limit))
            self._text(f"{self._query.sign} {curves.figure(limit)}", LEFT + 4, self._y(limit) - 4, "start")
        for index in range(len(self._snapshot.curves) - 1, -1, -1):  # the first one on top
            self._curve(index)
        self._draw_marks()
        return ET.tostring(self._root, encoding="unicode")

    def _said(self) -> None:
        """Say in words what is to be seen, for those who do not see it."""
        clock = curves.time_of_day
        title = self._add("title", {"id": f"{self._ident}-title"})
        title.text = for_xml(f"{curves.cut(self._query.curve)}, {self._snapshot.around} of the incident")
        happened = "; ".join(f"{one.name} at {clock(one.at)}" for one in self._marks)
        told = ". ".join(curves.listed(self._query, self._snapshot))
        span = f"From {clock(self._snapshot.start)} to {clock(self._snapshot.end)}."
        text = self._add("desc", {"id": f"{self._ident}-desc"})
        text.text = for_xml(f"{span} {told}.{f' Marked: {happened}.' if happened else ''}")
        if self._alone:
            self._add("style", {}).text = STYLE

    def _rows(self) -> None:
        count = round((self._high - self._low) / self._row)
        for index in range(count + 1):
            value = self._low + index * self._row
            value = 0.0 if abs(value) < self._row / 1_000 else value
            self._line("rule", LEFT, self._y(value), WIDTH - RIGHT, self._y(value))
            self._text(curves.figure(value), LEFT - 6, self._y(value) + 4, "end")

    def _columns(self) -> None:
        start, end = self._snapshot.start, self._snapshot.end
        span = next((one for one in _SPANS if (end - start) // one < COLUMNS), _SPANS[-1])
        for at in range(-(-start // span) * span, end + 1, span):
            self._line("rule", self._x(at), HEIGHT - BOTTOM, self._x(at), HEIGHT - BOTTOM + 5)
            anchor = "end" if self._x(at) > WIDTH - RIGHT - 20 else "middle"
            self._text(_clock(at, span), self._x(at), HEIGHT - BOTTOM + 18, anchor)
        self._text("UTC", LEFT - 6, HEIGHT - BOTTOM + 18, "end")

    def _curve(self, index: int) -> None:
        path = "".join(self._path(self._snapshot.curves[index].values))
        if path:
            attributes = {"class": f"curve c{index % COLOURS}", "d": path, "stroke-linecap": "round"}
            dash = DASHES[index % len(DASHES)]
            one = self._add("path", attributes | ({"stroke-dasharray": dash} if dash else {}))
            label = curves.labels_of(self._snapshot.curves[index])
            ET.SubElement(one, "title").text = for_xml(label)

    def _path(self, values: Sequence[float | None]) -> Iterator[str]:
        """Yield the pieces of a line that has a gap wherever there is no value; a lone value is a dot."""
        drawing = False
        for index, value in enumerate(values):
            if value is None:
                drawing = False
                continue
            x, y = self._x(self._snapshot.start + index * self._snapshot.step), self._y(value)
            yield f"L{x:.1f} {y:.1f}" if drawing else f"M{x:.1f} {y:.1f}h0"
            drawing = True

    def _draw_marks(self) -> None:
        """Draw what happened; words that would meet stand in rows of their own."""
        taken: list[list[tuple[float, float]]] = [[] for _ in range(MARKS_MAX)]
        for one in sorted(self._marks, key=lambda one: one.at):
            x, width = self._x(one.at), 4 + 7.0 * len(one.name)
            left = x + width > WIDTH - RIGHT
            start, end = (x - width, x) if left else (x, x + width)
            free = (row for row, spans in enumerate(taken) if all(end <= low or high <= start for low, high in spans))
            row = next(free, 0)
            taken[row].append((start, end))
            y = 14 + 12.0 * row
            self._line("mark", x, y - 8, x, HEIGHT - BOTTOM)
            self._text(one.name, x - 4 if left else x + 4, y, "end" if left else "start", "name")

    def _x(self, at: Millis) -> float:
        span = max(1, self._snapshot.end - self._snapshot.start)
        return LEFT + (at - self._snapshot.start) / span * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        share = (value / 2 - self._low / 2) / (self._high / 2 - self._low / 2)  # halves: their difference is finite
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)

    def _add(self, tag: str, attributes: dict[str, str]) -> ET.Element:
        return ET.SubElement(self._root, tag, attributes)

    def _line(self, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
        given = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
        self._add("line", {"class": kind, **{name: f"{value:.1f}" for name, value in given.items()}})

    def _text(self, text: str, x: float, y: float, anchor: str, kind: str = "") -> None:
        attributes = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor} | ({"class": kind} if kind else {})
        self._add("text", attributes).text = for_xml(text)


def scale(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the lowest and the highest line, and how far they are apart: 1, 2 or 5 with noughts. Zero is shown where
    it is near.
    """
    low, high = min(values, default=0.0), max(values, default=1.0)
    low, high = max(low, -1e300), min(high, 1e300)
    if low > 0 and low < high / 2:
        low = 0.0
    if high == low:
        low, high = (0.0, 2 * high) if high > 0 else (2 * low, 0.0) if low < 0 else (0.0, 1.0)
    rough = high / ROWS - low / ROWS
    size = 10.0 ** math.floor(math.log10(rough)) if rough > TINY else 1.0
    row = next((step * size for step in (1, 2, 5) if step * size >= rough), 10 * size)
    bottom, top = math.floor(low / row) * row, math.ceil(high / row) * row
    return (bottom, top, row) if top > bottom else (bottom, bottom + row, row)


def _clock(at: Millis, span: Millis) -> str:
    moment = datetime.fromtimestamp(at / 1_000, UTC)
    return f"{moment:%m-%d}" if span >= DAY else f"{moment:%H:%M}"
