"""`tocsin silence`: put, list, preview and end silences, with matchers as amtool takes them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import click

from tocsin.cli.common import USAGE, Stop, with_settings
from tocsin.cli.listing import every, table
from tocsin.cli.verbs import JSON, OUTPUT, explained, plain, show_json
from tocsin.settings import CLIENT, Settings

_COLUMNS: Final = ("key", "state", "ends", "hits", "by", "what", "comment")
_OPERATORS: Final = "=!~"


@click.group()
def silence() -> None:
    """Silence what need not be told for a time; preview, list and end silences.

    Matchers are Alertmanager's, like service=shop or 'instance=~"db.*"'; a word alone first means alertname=WORD. All
    of them must hold; --or begins another set, of which any will do.
    """


def _asking(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what says which alerts are meant, and until when."""
    options = (
        click.argument("matchers", nargs=-1, required=True),
        click.option("--or", "others", multiple=True, metavar="MATCHERS", help="Another set: 'service=a,env=b'."),
        click.option("-d", "--duration", default="", metavar="DURATION", help="How long, like 2h.  [default: 1h]"),
        click.option("--start", default="", metavar="TIME", help="From when, in RFC 3339; else at once."),
        click.option("--end", default="", metavar="TIME", help="Until when, in RFC 3339, instead of -d."),
        click.option("--after-resolve", default="", metavar="DURATION", help="So long after its alerts resolved."),
        click.option("--except", "spares", multiple=True, metavar="SEVERITY", help="Told all the same, like P0."),
        click.option("-c", "--comment", default="", help="Why."),
        click.option("-a", "--annotation", "annotations", multiple=True, metavar="NAME=VALUE", help="Kept with it."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@silence.command()
@click.option("--key", default="", help="Its name; the same key again changes it.  [default: a new one]")
@_asking
@with_settings(CLIENT)
def add(settings: Settings, key: str, **asked: Any) -> None:
    """Put a silence, or change the one with that --key. Prints its key."""
    from tocsin.remote import Remote

    key = key or secrets.token_hex(4)
    raw = json.dumps(_body(**asked)).encode()
    with explained():
        path = f"/api/v1/silences/{quote(key, safe='')}"
        answer = Remote(settings).send("PUT", path, raw, {"Content-Type": "application/json"})
    click.echo(key)
    click.echo(plain(str(answer.body["text"])), err=True)


@silence.command()
@click.argument("keys", nargs=-1, required=True)
@with_settings(CLIENT)
def expire(settings: Settings, keys: tuple[str, ...]) -> None:
    """End silences now. What they held back is decided again at once."""
    from tocsin.remote import Remote

    remote = Remote(settings)
    for key in keys:
        with explained():
            answer = remote.send("DELETE", f"/api/v1/silences/{quote(key, safe='')}")
        click.echo(plain(str(answer.body["text"])))


@silence.command("list")
@click.option("--all", "all_", is_flag=True, help="Also those that ended within the last five days.")
@OUTPUT
@with_settings(CLIENT)
def list_(settings: Settings, all_: bool, output: str) -> None:
    """List silences, those of quiet.yaml included."""
    items = every(settings, "/silences", {"ended": "true"} if all_ else None)
    if output == JSON:
        show_json(items)
        return
    if not items:
        click.echo("No silences. `tocsin silence add MATCHERS -d 2h -c WHY` puts one.")
        return
    table(_COLUMNS, map(_row, items))


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    follows = f"{item['after_resolve']} after resolve" if item["after_resolve"] else ""
    return (
        plain(item["key"]),
        item["state"],
        _short(item["ended_at"] or item["ends_at"]) or follows or "-",
        str(item["hits"]),
        plain(item["by"]) or "-",
        plain(" or ".join(", ".join(texts) for texts in item["matcher_sets"]))[:80],
        plain(item["comment"])[:60],
    )


@silence.command()
@_asking
@OUTPUT
@with_settings(CLIENT)
def preview(settings: Settings, output: str, **asked: Any) -> None:
    """Show what a silence would silence now, and would have silenced lately. Changes nothing."""
    from tocsin.remote import Remote

    with explained():
        found = Remote(settings).post("/api/v1/silences/preview", _body(**asked)).body
    if output == JSON:
        show_json(found)
        return
    click.echo(f"{found['firing']} alerts fire now that it would silence.")
    for one in found["sample"]:
        click.echo(f"  {one['severity']}  {one['incident'] or '-':<6}  {plain(one['title'])[:100]}")
    if found["firing"] > len(found["sample"]):
        click.echo(f"  and {found['firing'] - len(found['sample'])} more")
    if found["since"]:
        counts = f"{found['events']} events of {found['alerts']} alerts, {found['incidents']} incidents"
        click.echo(f"Since {_short(found['since'])}: {counts}, which paged {found['pages']} times.")
    if not found["complete"]:
        click.echo("There is more than was looked at; the numbers are the least that it would be.")


def _body(
    matchers: tuple[str, ...],
    others: tuple[str, ...],
    duration: str,
    start: str,
    end: str,
    after_resolve: str,
    spares: tuple[str, ...],
    comment: str,
    annotations: tuple[str, ...],
) -> dict[str, Any]:
    """Return the body of the request. Ends the command with exit code 2 for what cannot be meant."""
    if duration and end:
        raise Stop("Give either -d or --end.", USAGE)
    pairs = [text.partition("=") for text in annotations]
    if any(not mark or not name for name, mark, _ in pairs):
        raise Stop("An annotation is written NAME=VALUE.", USAGE)
    sets = [_set(matchers), *(_set((other,)) for other in others)]
    body: dict[str, Any] = {"matcher_sets": sets, "comment": comment, "except": list(spares)}
    body |= {"starts_at": start, "ends_at": end, "after_resolve": after_resolve}
    body["duration"] = duration or ("" if end or after_resolve else "1h")
    body["annotations"] = {name: value for name, _, value in pairs}
    return body


def _set(texts: tuple[str, ...]) -> list[str]:
    """Return matchers; a word alone in the first place is the alertname, as amtool has it."""
    first, *rest = texts
    return [first if any(mark in first for mark in _OPERATORS) else f"alertname={json.dumps(first)}", *rest]


def _short(time: str | None) -> str:
    return time[:16].replace("T", " ") if time else ""
