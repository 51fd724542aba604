"""`tocsin serve` and `tocsin work`: the halves, for as many machines as wanted."""

from __future__ import annotations

import sys

import click

from tocsin.cli.common import refuse, with_settings
from tocsin.settings import SERVE, WORK, Settings

_NO_STORE = (
    "there is no --redis.url. `tocsin up` runs a store of its own; `serve` and `work` need one to meet in: "
    "give them --redis.url (TOCSIN_REDIS_URL)."
)


@click.command()
@with_settings(SERVE)
def serve(settings: Settings) -> None:
    """Run a receiver: the senders' and the people's door."""
    from tocsin import logs

    if not settings.redis_url:
        refuse(_NO_STORE)
    logs.configure(settings, "serve")
    from tocsin.serve import run
    from tocsin.trust import Refused

    try:
        run(settings)
    except Refused as error:
        refuse(str(error))


@click.command()
@click.option("--only", type=click.Choice(["drain", "deliver", "probe"]), hidden=True, help="Run this one process.")
@with_settings(WORK)
def work(settings: Settings, only: str | None) -> None:
    """Run the workers: decide what arrived, tell people."""
    from tocsin import logs

    if not settings.redis_url:
        refuse(_NO_STORE)
    logs.configure(settings, only or "work")
    if only is None:
        from tocsin.supervisor import run_workers

        sys.exit(run_workers(settings))
    from tocsin.trust import Refused
    from tocsin.work import run

    try:
        run(settings, only)
    except Refused as error:
        refuse(str(error))
