"""`tocsin incident show`: what an incident is, who has which role, and its timeline in UTC and local time."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from urllib.parse import urljoin

import click

from tocsin.cli.common import with_settings
from tocsin.cli.incident import metrics
from tocsin.cli.listing import promised
from tocsin.cli.verbs import JSON, OUTPUT, explained, plain, show_json
from tocsin.settings import CLIENT, Settings

LINES_MAX: Final = 200


@click.command("show")
@click.argument("incident")
@click.option("--lines", default=50, show_default=True, type=click.IntRange(0, LINES_MAX), help="Of the timeline.")
@OUTPUT
@with_settings(CLIENT)
def command(settings: Settings, incident: str, lines: int, output: str) -> None:
    """Show an incident with its timeline, in UTC and in this machine's time."""
    from tocsin.remote import Remote

    remote = Remote(settings)
    with explained():
        found = remote.get(f"/api/v1/incidents/{incident}").body
        # Without --web.external-url Tocsin knows no more than the path.
        found["url"] = urljoin(remote.url, found["url"])
        if lines:
            query = {"limit": str(lines)}
            found["timeline"] = remote.get(f"/api/v1/incidents/{incident}/timeline", query).body
        found["metrics"] = remote.get(f"/api/v1/incidents/{incident}/metrics").body
    if output == JSON:
        show_json(found)
        return
    for line in told(found):
        click.echo(line)


def told(found: dict[str, Any]) -> list[str]:
    """Return an incident as lines for a terminal."""
    alerts = found["alerts"]
    facts = [
        ("phase", found["phase"]),
        ("opened", both(found["opened_at"])),
        ("impact", found["impact"]),
        ("eta", both(found["eta"]) if found["eta"] else ""),
        ("roles", ", ".join(f"{role} {who}" for role, who in found["roles"].items())),
        ("linked", ", ".join(found["links"])),
        ("part of it", ", ".join(found["merged"])),
        ("goes on as", found["merged_into"] or ""),
        ("who has it", found.get("acknowledged_by") or "nobody"),
        ("responders", ", ".join(found.get("responders", []))),
        ("alerts", f"{alerts['firing']} firing of {alerts['total']}"),
        ("service", found["service"]),
        ("changed", found.get("changed", "")),
        ("reopened", found.get("reopened", "")),
        ("still open", found.get("still_open", "")),
        ("flapping", found.get("flapping", "")),
        ("policy", f"{found['policy']}, {found['pages']} page{'' if found['pages'] == 1 else 's'} so far"),
        ("runbook", found["runbook"]),
        ("before", found.get("earlier") or ""),
        ("verified", found.get("verification", "")),
        ("next update", promised(found)),
        ("resolved", both(found["resolved_at"]) if found.get("resolved_at") else ""),
        ("look", found["url"]),
    ]
    lines = [f"{found['id']}  {found['severity']}  {plain(found['title'])}"]
    lines += [f"  {name:<12} {plain(str(value))}" for name, value in facts if value]
    measured = metrics.told(found["metrics"])
    lines += [f"  {'metrics' if number == 0 else '':<12} {line}" for number, line in enumerate(measured)]
    return [*lines, "", *(_line(line, found["id"]) for line in reversed(found.get("timeline", {"items": []})["items"]))]


def both(at: str) -> str:
    """Return a time of the API in UTC and, where that is another, in this machine's zone."""
    moment = datetime.fromisoformat(at)
    here = moment.astimezone()
    utc = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    return utc if not here.utcoffset() else f"{utc} ({here.strftime('%H:%M:%S %Z')})"


def _line(line: dict[str, Any], incident: str) -> str:
    by = f" ({plain(line['by'])})" if line["by"] else ""
    of = f"[{line['incident']}] " if line["incident"] != incident else ""
    return f"  {both(line['at'])}  {line['what']:<14} {of}{plain(line['text'])}{by}"
