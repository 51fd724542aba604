"""`tocsin changes`."""

from __future__ import annotations

import click

from tocsin.cli.common import with_settings
from tocsin.cli.incident.before import stands, words
from tocsin.cli.incident.show import both
from tocsin.cli.verbs import JSON, OUTPUT, explained, plain, show_json
from tocsin.settings import CLIENT, Settings


@click.command()
@click.argument("service", required=False)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 200), help="How many, newest first.")
@OUTPUT
@with_settings(CLIENT)
def changes(settings: Settings, service: str | None, limit: int, output: str) -> None:
    """List what changed lately, and what is last known good.

    Of all services, or of one SERVICE: then also what runs of it, and which version is known to be good.
    Deploy jobs tell by POST /v1/changes, GitHub and GitLab by their webhooks: docs/changes.md.
    """
    from tocsin.remote import Remote

    query = {"limit": str(limit)} | ({"service": service} if service else {})
    with explained():
        found = Remote(settings).get("/api/v1/changes", query).body
    if output == JSON:
        show_json(found)
        return
    for one in found["items"]:
        click.echo(plain(f"{both(one['at'])}  {words(one)}"))
    if not found["items"]:
        click.echo("Nothing changed that was told to Tocsin. Deploy jobs tell by POST /v1/changes: docs/changes.md.")
    for line in stands(found["stands"]) if found["stands"] else ():
        click.echo(plain(line))
