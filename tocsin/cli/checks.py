"""`tocsin checks`."""

from __future__ import annotations

from typing import Any, Final

import click

from tocsin.cli.common import with_settings
from tocsin.cli.listing import every, table
from tocsin.cli.verbs import JSON, OUTPUT, plain, show_json
from tocsin.settings import CLIENT, Settings

_COLUMNS: Final = ("state", "name", "looked at", "took", "failed", "certificate", "place", "remarks")


@click.command()
@OUTPUT
@with_settings(CLIENT)
def checks(settings: Settings, output: str) -> None:
    """List what Tocsin looks at itself, and what it saw."""
    items = every(settings, "/checks")
    if output == JSON:
        show_json(items)
        return
    if not items:
        click.echo("No checks. checks.yaml says what to look at.")
        return
    table(_COLUMNS, map(_row, items))


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    return (
        item["state"],
        plain(item["name"]),
        _short(item["looked_at"]) or "-",
        f"{item['took_ms']} ms" if item["took_ms"] is not None else "-",
        f"{item['failures']} of {item['looks']}",
        (item["certificate_ends"] or "-")[:10],
        plain(item["place"])[:60],
        plain(item["text"])[:100],
    )


def _short(time: str | None) -> str:
    return time[:19].replace("T", " ") if time else ""
