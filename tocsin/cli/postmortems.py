"""`tocsin postmortems`: which there are, which are overdue, and what is still to be done."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli.common import with_settings
from tocsin.cli.verbs import JSON, OUTPUT, explained, plain, show_json
from tocsin.settings import CLIENT, Settings


@click.command()
@click.option("--overdue", is_flag=True, help="Only what should have been done by now.")
@OUTPUT
@with_settings(CLIENT)
def postmortems(settings: Settings, overdue: bool, output: str) -> None:
    """List postmortems and open action items; --overdue only those that are late."""
    from tocsin.remote import Remote

    remote, query = Remote(settings), {"limit": "200", **({"overdue": "true"} if overdue else {})}
    with explained():
        found = remote.get("/api/v1/postmortems", query).body["items"]
        items = remote.get("/api/v1/items", query).body["items"]
    if output == JSON:
        show_json({"postmortems": found, "items": items})
        return
    for one in found:
        who = plain(one["owner"] or "nobody")
        click.echo(f"{one['incident']}  {one['severity']}  {one['state']:<9}  {who}{_due(one)}  {plain(one['title'])}")
    for one in items:
        due = f", {'overdue since' if one['overdue'] else 'due'} {one['due'][:10]}" if one["due"] else ""
        who = plain(one["owner"] or "nobody")
        back = f", came back {one['recurred']}×" if one["recurred"] else ""
        click.echo(f"{one['incident']}  item {one['id']}  {one['priority']:<6}  {who}{due}{back}  {plain(one['text'])}")
        if one["ticket"]:
            click.echo(f"        tracker: {one['ticket']} {plain(one['ticket_url'])}".rstrip())
    if not found and not items:
        click.echo("Nothing is overdue." if overdue else "No postmortems and no open action items.")


def _due(one: dict[str, Any]) -> str:
    if one["published_at"]:
        newer = "" if one["published_version"] == one["versions"] else f" (version {one['published_version']})"
        return f", published on {one['published_at'][:10]}{newer}"
    return f", {'overdue since' if one['overdue'] else 'due'} {one['due_at'][:10]}" if one["due_at"] else ""
