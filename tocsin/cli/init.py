"""`tocsin init`."""

from __future__ import annotations

from pathlib import Path

import click

from tocsin.cli.common import Stop, with_settings
from tocsin.settings import SERVE, Settings


@click.command()
@click.argument("directory", required=False, type=click.Path(file_okay=False, path_type=Path))
@with_settings(SERVE)
def init(settings: Settings, directory: Path | None) -> None:
    """Write the starting rules and the admin token.

    The rules go to DIRECTORY (default: --rules.path), the token to --storage.path, readable by you only. What exists
    is never overwritten.
    """
    from tocsin.starting import InitError, write_rules, write_token

    target = (directory or settings.rules_path).absolute()
    try:
        rules, token = write_rules(target), write_token(settings.storage_path)
    except InitError as error:
        raise Stop(str(error)) from error
    for path in rules.wrote + token.wrote:
        click.echo(f"wrote  {path}")
    for path in rules.kept + token.kept:
        click.echo(f"kept   {path}")
    click.echo(f"Rules: {target}. Check them with `tocsin check`, try them with `tocsin test`.")
