"""`tocsin incident before`: what changed just before an incident, and earlier ones like it."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli.common import with_settings
from tocsin.cli.incident.show import both
from tocsin.cli.verbs import OUTPUT, show_found
from tocsin.settings import CLIENT, Settings


@click.command("before")
@click.argument("incident")
@OUTPUT
@with_settings(CLIENT)
def command(settings: Settings, incident: str, output: str) -> None:
    """Show what changed before an incident, nearest first, what is last known good, and incidents like it."""
    show_found(settings, f"/api/v1/incidents/{incident}/before", output, told)


def told(found: dict[str, Any]) -> list[str]:
    """Return what was before as lines for a terminal."""
    lines = ["What changed", *(f"  {_when(one):<18} {words(one)}" for one in found["changes"])]
    if not found["changes"]:
        lines.append("  nothing that was told to Tocsin, within a day before it")
    lines += stands(found["stands"])
    lines += ["", "Seen before"]
    for one in found["seen"]:
        ended = f": {one['ended']}" if one["ended"] else ""
        lasted = f" after {one['minutes']} min" if one["minutes"] is not None else ""
        by = f" by {one['resolved_by']}" if one["resolved_by"] else ""
        lines.append(f"  {one['id']}  {one['severity']}  {one['title']} (same {one['shares']})")
        lines.append(f"          {both(one['opened_at'])}, {one['phase']}{lasted}{by}{ended}")
    lines += [] if found["seen"] else ["  nothing like it"]
    return [*lines, *_to_do(found["items"])]


def _to_do(items: list[dict[str, Any]]) -> list[str]:
    """Return what was to be done since then; what is done may be opened again."""
    lines = ["", "To be done since then"] if items else []
    for one in items:
        due = f", {'overdue since' if one['overdue'] else 'due'} {one['due'][:10]}" if one["due"] else ""
        back = f", came back {one['recurred']}×" if one["recurred"] else ""
        lines.append(f"  {one['incident']}  {one['state']:<7}  {one['text']} ({one['owner'] or 'nobody'}{due}{back})")
        if one["state"] != "open":
            lines.append(f"          do it again: tocsin incident item {one['incident']} --id {one['id']} --state open")
    return lines


def stands(found: dict[str, Any]) -> list[str]:
    """Return what runs of a service and what is known to be good, as lines for a terminal."""
    running, good = found["running"], found["last_known_good"]
    lines = [f"  {running['version']} runs since {both(running['at'])}"] if running else []
    return [*lines, f"  {good['version']} is the last known good, of {both(good['at'])}"] if good else lines


def words(one: dict[str, Any]) -> str:
    """Return a change as a phrase."""
    what = f"{one['kind']} of {one['service']}" if one["service"] else one["kind"]
    version = f" {one['version']}" if one["version"] else ""
    where = f" to {one['environment']}" if one["environment"] else ""
    by = f" ({one['by']})" if one["by"] else ""
    return f"{what}{version}{where}{': ' if one['summary'] else ''}{one['summary']}{by}"


def _when(one: dict[str, Any]) -> str:
    minutes = one["minutes_before"]
    return f"{minutes} min before" if minutes >= 0 else f"{-minutes} min after"
