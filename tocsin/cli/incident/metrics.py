"""`tocsin incident metrics`: what was read of Prometheus around onset and recovery, small, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from tocsin.cli.common import with_settings
from tocsin.cli.verbs import OUTPUT, explained, plain, show_json
from tocsin.settings import CLIENT, Settings

BARS: Final = "▁▂▃▄▅▆▇█"
GAP: Final = " "
WIDTH: Final = 60
"""How many bars a curve has, about the width of a terminal with room for its labels."""
CURVES_MAX: Final = 5


@click.command("metrics")
@click.argument("incident")
@OUTPUT
@with_settings(CLIENT)
def command(settings: Settings, incident: str, output: str) -> None:
    """Show the metrics behind an incident around its onset and its recovery."""
    from tocsin.remote import Remote

    with explained():
        found = Remote(settings).get(f"/api/v1/incidents/{incident}/metrics").body
    if output == "json":
        show_json(found)
        return
    for line in told(found) or ["nothing is known to ask for: neither alert, rule nor service has an expression"]:
        click.echo(line)


def told(found: dict[str, Any]) -> list[str]:
    """Return what was read as lines for a terminal; none where nothing is asked for."""
    if not found["query"]:
        return []
    lines = [f"{plain(found['query'])} (from {plain(found['origin'])})"]
    for one in found["snapshots"]:
        lines.append(f"{one['around']:<9} {one['start'][11:16]} to {one['end'][11:16]} UTC: {plain(one['text'])}")
        for curve in one["curves"][:CURVES_MAX]:
            labels = ", ".join(f"{name}={value}" for name, value in curve["labels"].items() if name != "__name__")
            lines.append(f"{'':<9} {sparkline(curve['values'])}  {plain(labels)[:60]}")
    if found["pending"]:
        lines.append("it is being read")
    return lines


def sparkline(values: Sequence[float | None], width: int = WIDTH) -> str:
    """Return a curve as bars from its lowest to its highest value; each stands for the highest of its stretch."""
    size = max(1, -(-len(values) // width))
    parts = [[one for one in values[at : at + size] if one is not None] for at in range(0, len(values), size)]
    tops = [max(part) if part else None for part in parts]
    known = [top for top in tops if top is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    return "".join(GAP if top is None else BARS[_height(top, low, high)] for top in tops)


def _height(value: float, low: float, high: float) -> int:
    if high == low:
        return 0
    return round((value / 2 - low / 2) / (high / 2 - low / 2) * (len(BARS) - 1))
