"""`tocsin status subscribe|subscriptions|unsubscribe`: who is told of status updates, beside updates.yaml."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import click

from tocsin.cli.common import with_settings
from tocsin.cli.listing import every, table
from tocsin.cli.severities import TABLE
from tocsin.cli.verbs import JSON, OUTPUT, explained, plain, show_json
from tocsin.settings import CLIENT, Settings

_COLUMNS: Final = ("id", "who", "audience", "services", "severities", "contact", "made by")


def _several(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> list[str]:
    """Read what may be given several times, and with commas."""
    return [one.strip() for text in given for one in text.split(",") if one.strip()]


_HELP: Final = f"""Be told of status updates, by your own contact methods of oncall.yaml.

An admin subscribes others: people of oncall.yaml by --name, stakeholders by --name and --contact.

{TABLE}
"""


@click.command(help=_HELP)
@click.option("--service", "services", multiple=True, callback=_several, help="Of this one only; several: a,b.")
@click.option("--severity", "severities", multiple=True, callback=_several, help="Of these only, like P0,P1.")
@click.option("--audience", type=click.Choice(["company", "public"]), default="company", show_default=True)
@click.option("--name", default="", help="Somebody else; needs an admin's token.")
@click.option(
    "--contact", "contacts", multiple=True, help="How they are told: mailto:ADDRESS, or place:NAME of updates.yaml."
)
@OUTPUT
@with_settings(CLIENT)
def subscribe(
    settings: Settings,
    services: list[str],
    severities: list[str],
    audience: str,
    name: str,
    contacts: tuple[str, ...],
    output: str,
) -> None:
    """Subscribe; its help is made with what each severity means."""
    from tocsin.remote import Remote

    body: dict[str, Any] = {"services": services, "severities": [one.upper() for one in severities]}
    body |= {"audience": audience, "name": name, "contact": [*contacts]}
    with explained():
        done = Remote(settings).post("/api/v1/subscriptions", body).body
    _say(done, output)


@click.command()
@click.argument("subscription")
@OUTPUT
@with_settings(CLIENT)
def unsubscribe(settings: Settings, subscription: str, output: str) -> None:
    """End a subscription. SUBSCRIPTION is its id, as `tocsin status subscriptions` shows it."""
    from tocsin.remote import Remote

    with explained():
        done = Remote(settings).send("DELETE", f"/api/v1/subscriptions/{quote(subscription, safe='')}").body
    _say(done, output)


@click.command()
@OUTPUT
@with_settings(CLIENT)
def subscriptions(settings: Settings, output: str) -> None:
    """List who has subscribed to status updates."""
    items = every(settings, "/subscriptions")
    if output == JSON:
        show_json(items)
    elif not items:
        click.echo("Nobody has subscribed. `tocsin status subscribe` does so; updates.yaml may name others.")
    else:
        table(_COLUMNS, map(_row, items))


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    who = f"{one['name']} (you)" if one["mine"] else one["name"]
    scope = (", ".join(one["services"]) or "all", ", ".join(one["severities"]) or "all")
    contact = ", ".join(one["contact"]) or "-"
    return one["id"], plain(who), one["audience"], plain(scope[0]), scope[1], plain(contact), plain(one["by"])


def _say(done: Any, output: str) -> None:
    if output == JSON:
        show_json(done)
    else:
        click.echo(plain(str(done["text"])))
