"""`tocsin incident updates`: what was said of an incident, and when the next update is promised."""

from __future__ import annotations

import click

from tocsin.cli.common import with_settings
from tocsin.cli.incident.show import both
from tocsin.cli.listing import promised
from tocsin.cli.verbs import JSON, OUTPUT, explained, plain, show_json
from tocsin.settings import CLIENT, Settings


@click.command("updates")
@click.argument("incident")
@OUTPUT
@with_settings(CLIENT)
def command(settings: Settings, incident: str, output: str) -> None:
    """Show the status updates of an incident, newest first."""
    from tocsin.remote import Remote

    remote = Remote(settings)
    with explained():
        found = remote.get(f"/api/v1/incidents/{incident}/updates").body
        due = promised(remote.get(f"/api/v1/incidents/{incident}").body)
    if output == JSON:
        show_json(found)
        return
    if due:
        click.echo(f"next update: {due}")
    for one in found["items"]:
        click.echo(f"{both(one['at'])}  {one['audience']}, {one['status']}: {plain(one['title'])} ({plain(one['by'])})")
        for line in one["text"].splitlines():
            click.echo(f"    {plain(line)}")
    if not found["items"]:
        click.echo("nobody has written one: tocsin incident update")
