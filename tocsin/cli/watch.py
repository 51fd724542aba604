"""`tocsin watch`: the self-watch, and a test of its second path."""

from __future__ import annotations

import click

from tocsin.cli.common import Stop, refuse, with_settings
from tocsin.settings import WATCH, Settings


@click.command()
@click.option("--test", is_flag=True, help="Send one message by the second path, and say what failed.")
@with_settings(WATCH)
def watch(settings: Settings, test: bool) -> None:
    """Audit Tocsin itself, and tell the operator by a second path; ping a dead man's switch while all is well.

    `tocsin up` and `tocsin work` run this themselves. docs/self-watch.md has the audits and the file.
    """
    from tocsin import logs, selfwatch

    logs.configure(settings, "watch")
    if test:
        faults = selfwatch.try_path(settings)
        if faults:
            raise Stop("\n".join(faults))
        click.echo("Sent.")
        return
    if not settings.redis_url:
        refuse("there is no --redis.url: `tocsin up` watches its own store; else give the one that is to be watched.")
    selfwatch.run(settings)
