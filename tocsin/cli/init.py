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

    The rules go to DIRECTORY (default: --rules.path), the tokens (one for people's commands, one for senders) to
    --storage.path, readable by you only, beside second-path.yaml for the self-watch. What exists is never overwritten.
    """
    import hashlib

    from tocsin.starting import SOURCE_TOKEN_FILE, InitError, read_token, write_rules, write_second_path, write_token

    target = (directory or settings.rules_path).absolute()
    storage = settings.storage_path
    try:
        done = [write_rules(target), write_token(storage), write_token(storage, SOURCE_TOKEN_FILE)]
        done.append(write_second_path(storage))
    except InitError as error:
        raise Stop(str(error)) from error
    for path in [path for one in done for path in one.wrote]:
        click.echo(f"wrote  {path}")
    for path in [path for one in done for path in one.kept]:
        click.echo(f"kept   {path}")
    digest = hashlib.sha256(read_token(storage, SOURCE_TOKEN_FILE).encode()).hexdigest()
    click.echo(f"\nRules: {target}. Check them with `tocsin check`, try them with `tocsin test`.")
    click.echo(f"Senders on other machines show the token in {storage / SOURCE_TOKEN_FILE}; in sources.yaml it is:")
    click.echo(f"  alertmanager: {{adapter: alertmanager, token_sha256: [{digest}]}}")
