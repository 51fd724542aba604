"""`tocsin up`."""

from __future__ import annotations

import sys

import click

from tocsin.cli.common import Stop, with_settings
from tocsin.settings import SERVE, WORK, Settings


@click.command()
@click.option("--demo", is_flag=True, help="Play a recorded outage once everything runs.")
@with_settings(SERVE, WORK)
def up(settings: Settings, demo: bool) -> None:
    """Run everything here: embedded store, receiver, workers."""
    from tocsin.starting import InitError
    from tocsin.supervisor import CannotStart, Supervisor
    from tocsin.valkey import StoreError

    try:
        code = Supervisor(settings, demo=demo).run()
    except (CannotStart, StoreError, InitError) as error:
        raise Stop(str(error)) from error
    sys.exit(code)
