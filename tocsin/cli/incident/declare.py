"""`tocsin incident declare`: open an incident that no alert has opened."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urljoin

import click

from tocsin.cli.common import with_settings
from tocsin.cli.severities import OWN_WORDS, TABLE
from tocsin.cli.verbs import CONFIRM, JSON, OUTPUT, ask, plain, show_json
from tocsin.settings import CLIENT, Settings

_HELP: Final = f"""Declare an incident that no alert has opened. It pages by the policy of its service, but never you.

{TABLE}

{OWN_WORDS}
"""


@click.command("declare", help=_HELP)
@click.argument("title", required=False, default="")
@click.option("-s", "--severity", required=True, type=click.Choice(["P0", "P1", "P2", "P3", "P4"]), help="How severe.")
@click.option("--service", default="", help="Which service; by it the rules find whom to page.")
@click.option("--impact", default="", help="Whom it hurts, and how.")
@click.option("-m", "--message", "text", default="", help="What is known so far.")
@click.option("--take", is_flag=True, help="You have it: nobody is paged.")
@click.option("--report", default="", metavar="ENTRY", help="From a user's report, by the id that its answer said.")
@CONFIRM
@OUTPUT
@with_settings(CLIENT)
def command(settings: Settings, output: str, **asked: Any) -> None:
    """Declare an incident; its help is made with what each severity means."""
    answer = ask(settings, "/api/v1/incidents", asked)
    if output == JSON:
        show_json(answer)
        return
    click.echo(plain(answer["text"]))
    if answer["incident"]:
        from tocsin.remote import Remote

        # Without --web.external-url Tocsin knows no more than the path.
        click.echo(urljoin(Remote(settings).url, answer["incident"]["url"]))
