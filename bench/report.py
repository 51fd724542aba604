"""Targets beside what was measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what, the target (None: none was set), what was measured, and how that reads."""

    what: str
    measured: float
    shown: str
    target: float | None = None
    at_least: bool = True
    note: str = ""

    @property
    def met(self) -> bool:
        """Tell whether the target is met; what has none always is."""
        if self.target is None:
            return True
        return self.measured >= self.target if self.at_least else self.measured <= self.target

    @property
    def wanted(self) -> str:
        """Return the target as text."""
        if self.target is None:
            return "-"
        return f"{'≥' if self.at_least else '≤'} {self.target:g}"


def markdown(rows: list[Row]) -> str:
    """Return the rows as a Markdown table with aligned columns."""
    cells = [("what", "target", "measured", "", "")]
    for row in rows:
        verdict = "" if row.target is None else "met" if row.met else "MISSED"
        cells.append((row.what, row.wanted, row.shown, verdict, row.note))
    widths = [max(len(row[column]) for row in cells) for column in range(5)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
