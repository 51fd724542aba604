"""People's verbs, spoken to a running Tocsin over its REST API: `incidents`, `ack`, `resolve`, `send`."""

from __future__ import annotations

from typing import IO, Any, Final

import click

from tocsin.cli.common import Stop, as_json, with_settings
from tocsin.cli.listing import promised, table
from tocsin.cli.verbs import JSON, OUTPUT, explained, plain, show_json, verb
from tocsin.settings import CLIENT, Settings

_COLUMNS: Final = ("id", "severity", "phase", "firing", "pages", "opened", "acknowledged", "next update", "title")


@click.command()
@click.option("--all", "all_", is_flag=True, help="Resolved ones too.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500), help="How many.")
@OUTPUT
@with_settings(CLIENT)
def incidents(settings: Settings, all_: bool, limit: int, output: str) -> None:
    """List incidents. `tocsin incident show ID` shows one."""
    from tocsin.remote import Remote

    query = {"limit": str(limit)} | ({} if all_ else {"open": "true"})
    with explained():
        found = Remote(settings).get("/api/v1/incidents", query).body
    if output == JSON:
        show_json(found)
        return
    if found.get("shadow"):
        click.echo("Paging is in shadow: nobody is told. `tocsin shadow` lists whom Tocsin would have told.")
    _list(found["items"], all_)


def _list(items: list[dict[str, Any]], all_: bool) -> None:
    if not items:
        click.echo("No incidents." if all_ else "No open incidents. `tocsin incidents --all` shows resolved ones.")
        return
    table(_COLUMNS, map(_row, items))


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    alerts = item["alerts"]
    return (
        item["id"],
        item["severity"],
        item["phase"],
        f"{alerts['firing']}/{alerts['total']}",
        str(item["pages"]),
        item["opened_at"][:19].replace("T", " "),
        plain(item.get("acknowledged_by") or "-"),
        promised(item) or "-",
        plain(item["title"])[:100],
    )


ack = verb("acknowledge", "Acknowledge an incident. INCIDENT is its id, as `tocsin incidents` shows it.", name="ack")
resolve = verb(
    "resolve",
    "Resolve an incident. While alerts still fire, or the public status page shows it, it asks; --confirm means it.",
    click.option("--public", help="The last words on the public status page."),
)
unack = verb(
    "unacknowledge",
    "Give an incident back; it pages again. Nobody has it, and paging begins at step 1.",
    name="unack",
)
snooze = verb(
    "snooze",
    "Take an incident for a time. DURATION is like 30m or 2h; then it pages again, you first.",
    click.argument("duration"),
)
assign = verb(
    "assign",
    "Pass an incident on to a person. They are paged, and nobody has it until they take it.",
    click.argument("person"),
)
escalate = verb("escalate", "Page the next step now. Whoever has the incident no longer does.")
page = verb(
    "page", "Page one more person, beside the escalation and whoever has the incident.", click.argument("person")
)


@click.command()
@click.argument("source")
@click.argument("payload", type=click.File("rb"))
@click.option("--content-type", default="application/json", show_default=True, help="What the sender would say.")
@click.option("--source-token", default="", help="The source's token, where it has one.")
@with_settings(CLIENT)
def send(settings: Settings, source: str, payload: IO[bytes], content_type: str, source_token: str) -> None:
    """Post a payload file to a running Tocsin, as the sender SOURCE would. PAYLOAD may be `-`."""
    from urllib.parse import quote

    from tocsin.remote import Remote

    headers = {"Content-Type": content_type, "Authorization": f"Bearer {source_token}" if source_token else ""}
    with explained():
        answer = Remote(settings).send("POST", f"/v1/events/{quote(source, safe='')}", payload.read(), headers)
    click.echo(as_json(answer.body, None))
    if isinstance(answer.body, dict) and answer.body.get("rejected"):
        raise Stop(f"{answer.body['rejected']} could not be read and are kept: see `tocsin dead-letters`.")
