"""`tocsin heartbeats`."""

from __future__ import annotations

from typing import Any, Final

import click

from tocsin.cli.common import with_settings
from tocsin.cli.listing import every, table
from tocsin.cli.verbs import JSON, OUTPUT, plain, show_json
from tocsin.settings import CLIENT, Settings

_COLUMNS: Final = ("state", "name", "expected", "last beat", "missed at", "remarks")


@click.command()
@OUTPUT
@with_settings(CLIENT)
def heartbeats(settings: Settings, output: str) -> None:
    """List what must beat, and when it is missed.

    These are the jobs of heartbeats.yaml, watchdogs (rules with `heartbeat:`), and sources with `expect_every`.
    """
    items = every(settings, "/heartbeats")
    if output == JSON:
        show_json(items)
        return
    if not items:
        click.echo("No heartbeats. heartbeats.yaml, rules with `heartbeat:` and sources with `expect_every` make them.")
        return
    table(_COLUMNS, map(_row, items))


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    values = ", ".join(f"{name}={value}" for name, value in item["labels"].items())
    running = f"running since {_short(item['started_at'])}" if item["started_at"] else ""
    return (
        item["state"],
        plain(f"{item['kind']} {item['name']}{f' ({values})' if values else ''}"),
        plain(item["expected"]),
        _short(item["beat_at"]) or "never",
        _short(item["due_at"]) or "-",
        plain("; ".join(part for part in (running, item["warning"]) if part)),
    )


def _short(time: str | None) -> str:
    return time[:19].replace("T", " ") if time else ""
