"""Lists for the terminal: all pages of a route of the API, and items as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from tocsin.cli.common import plain
from tocsin.cli.verbs import explained
from tocsin.settings import Settings


def every(settings: Settings, path: str, query: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """Return the items of all pages of `/api/v1<path>`. What the API refuses ends the command with its words."""
    from tocsin.remote import Remote

    remote = Remote(settings)
    items: list[dict[str, Any]] = []
    asked = {"limit": "200"} | (query or {})
    after: str | None = ""
    with explained():
        while after is not None:
            found = remote.get(f"/api/v1{path}", asked | ({"after": after} if after else {})).body
            items += found["items"]
            after = found["next"]
    return items


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their columns, each column as wide as its widest cell."""
    lines = [columns, *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def promised(item: dict[str, Any], now: datetime | None = None) -> str:
    """Return when an incident's next status update is promised for, by UTC and this machine's clock; "" if it is not.

    What is overdue says so first.
    """
    if not item.get("next_update"):
        return ""
    moment, now = datetime.fromisoformat(item["next_update"]), now or datetime.now(UTC)
    here = moment.astimezone()
    words = moment.strftime("%H:%M UTC" if moment.date() == now.date() else "%Y-%m-%d %H:%M UTC")
    words += f" ({here.strftime('%H:%M %Z')})" if here.utcoffset() else ""
    return f"OVERDUE since {words}" if moment <= now else words
