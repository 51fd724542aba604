"""`tocsin settings`."""

from __future__ import annotations

import click

from tocsin import settings as table
from tocsin.cli.common import with_settings
from tocsin.settings import CLIENT, SERVE, WORK, Settings


@click.command()
@click.option("--reference", is_flag=True, help="Print docs/settings.md instead.")
@with_settings(SERVE, WORK, CLIENT)
def settings(loaded: Settings, reference: bool) -> None:
    """List the settings in effect and where each came from."""
    if reference:
        click.echo(table.reference(), nl=False)
        return
    rows = table.shown(loaded)
    flags = max(len(flag) for flag, _, _ in rows)
    values = max(len(value) for _, value, _ in rows)
    for flag, value, origin in rows:
        click.echo(f"{flag:<{flags}}  {value:<{values}}  {origin}".rstrip())
    for sentence in table.unknown_variables():
        click.echo(f"warning: {sentence}", err=True)
