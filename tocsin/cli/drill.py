"""`tocsin drill` and `tocsin shadow`."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import click

from tocsin.cli.common import FAILED, USAGE, Stop, with_settings
from tocsin.cli.listing import table
from tocsin.cli.verbs import JSON, OUTPUT, explained, plain, show_json
from tocsin.settings import CLIENT, Settings

LIST: Final = "list"
LOOK_S: Final = 1.0
"""How often a drill is looked at while it is waited for, in seconds."""
_COLUMNS: Final = ("id", "state", "person", "asked", "delivered", "answered", "target", "remarks")
_SHADOWED: Final = ("at", "kind", "person", "by", "incident", "severity", "title", "why")


@click.command()
@click.argument("target")
@click.option("--all", "everybody", is_flag=True, help="All steps of a policy, not only its first.")
@click.option("--within", default="15m", show_default=True, help="How long the acknowledgement is waited for.")
@click.option("--no-wait", is_flag=True, help="Do not wait for what comes of it.")
@click.option("--schedule", default="", metavar="CRON", help="Print what makes it recur, instead of paging now.")
@OUTPUT
@with_settings(CLIENT)
def drill(
    settings: Settings, target: str, everybody: bool, within: str, no_wait: bool, schedule: str, output: str
) -> None:
    """Page somebody for a test, and measure the answer; list such drills.

    TARGET is a person, a policy (those of its first step for P1), schedule:NAME or team:NAME. The page says that it is
    a drill, goes the way of a real one, and is to be acknowledged like one. Exits 1 when somebody did not. `tocsin
    drill list` shows earlier ones.
    """
    from tocsin.remote import Remote

    if schedule:
        click.echo(_plan(target, schedule, everybody, within))
        return
    remote = Remote(settings)
    if target == LIST:
        with explained():
            items = remote.get("/api/v1/drills", {"limit": "200"}).body["items"]
        _show(items, output)
        return
    with explained():
        asked = remote.post("/api/v1/drills", {"target": target, "everybody": everybody, "within": within}).body
        click.echo(plain(asked["text"]), err=output == JSON)
        items = remote.get("/api/v1/drills", {"entry": asked["entry"], "limit": "200"}).body["items"]
        while not no_wait and any(one["state"] == "calling" for one in items):
            time.sleep(LOOK_S)
            items = remote.get("/api/v1/drills", {"entry": asked["entry"], "limit": "200"}).body["items"]
    _show(items, output)
    missed = [one["person"] for one in items if one["state"] not in ("answered", "calling")]
    if missed:
        raise Stop(f"No answer from {', '.join(missed)}.", FAILED)


@click.command()
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 200), help="How many, newest first.")
@OUTPUT
@with_settings(CLIENT)
def shadow(settings: Settings, limit: int, output: str) -> None:
    """List whom Tocsin would have told, had paging not been in shadow.

    With --paging=shadow everything is decided as ever, and nobody is told: for running beside the pager one is leaving.
    """
    from tocsin.remote import Remote

    with explained():
        found = Remote(settings).get("/api/v1/shadow", {"limit": str(limit)}).body
    if output == JSON:
        show_json(found)
        return
    if not found["items"]:
        click.echo(f"Nobody would have been told. Paging is {'in shadow' if found['shadow'] else 'live'}.")
        return
    rows = [
        (_time(one["at"]), one["kind"], *(plain(str(one[name] or "-")) for name in _SHADOWED[2:]))
        for one in found["items"]
    ]
    table(_SHADOWED, rows)


def _plan(target: str, cron: str, everybody: bool, within: str) -> str:
    """Return the lines for oncall.yaml. Ends the command with exit code 2 when `cron` is none."""
    from triage.rulebook.cron import check_cron

    try:
        check_cron(cron)
    except ValueError as error:
        raise Stop(str(error), USAGE) from None
    entry: dict[str, Any] = {"target": target, "cron": cron, "time_zone": "UTC", "within": within}
    entry |= {"everybody": True} if everybody else {}
    name = target.replace(":", "-")
    return f"# in oncall.yaml\ndrills:\n  {name}: {json.dumps(entry, ensure_ascii=False)}"


def _show(items: list[dict[str, Any]], output: str) -> None:
    if output == JSON:
        show_json(items)
    elif not items:
        click.echo("No drills. `tocsin drill PERSON` pages somebody for a test.")
    else:
        table(_COLUMNS, map(_row, items))


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    other = item["answered_by"] not in ("", item["person"])
    remarks = [f"answered by {item['answered_by']}"] if other else []
    remarks += item["faults"]
    return (
        item["id"],
        item["state"],
        plain(item["person"]),
        _time(item["asked_at"]),
        f"{item['delivered_by']} {_seconds(item['delivered_s'])}".strip() or "-",
        _seconds(item["answered_s"]) or "-",
        plain(item["plan"] or item["target"])[:40],
        plain("; ".join(remarks))[:120],
    )


def _seconds(number: float | None) -> str:
    return "" if number is None else f"{number:.1f} s"


def _time(text: str) -> str:
    return text[:19].replace("T", " ")
