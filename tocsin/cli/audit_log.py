"""`tocsin audit-log`."""

from __future__ import annotations

import json

import click

from tocsin.cli.common import with_settings
from tocsin.cli.verbs import JSON, OUTPUT, explained, plain
from tocsin.settings import CLIENT, Settings


@click.command("audit-log")
@click.option("--refused", is_flag=True, help="Who was refused, instead of what was done.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 200), help="How many lines.")
@OUTPUT
@with_settings(CLIENT)
def audit_log(settings: Settings, refused: bool, limit: int, output: str) -> None:
    """Show who did what, from where, and who was refused; newest first."""
    from tocsin.remote import Remote

    query = {"limit": str(limit), "refused": str(refused).lower()}
    with explained():
        items = Remote(settings).get("/api/v1/audit-log", query).body["items"]
    for one in items:
        if output == JSON:
            click.echo(json.dumps(one))
            continue
        who = f"{one['who'] or '(unknown)'}{' (' + one['role'] + ')' if one['role'] else ''}"
        where = one["address"] + (f" for {one['forwarded']}" if one["forwarded"] else "")
        why = f": {one['detail']}" if one["detail"] else ""
        when = one["at"][:19].replace("T", " ")
        what = f"{one['what']} {one['target']} → {one['status']}{why}"
        click.echo(plain(f"{when}  {who} by {one['via']} from {where}: {what}"))
    if not items and output != JSON:
        click.echo("Nothing.")
