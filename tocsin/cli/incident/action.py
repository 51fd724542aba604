"""`tocsin incident action`: run an action of actions.yaml, or show which there are and what was run."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli.common import USAGE, Stop, with_settings
from tocsin.cli.verbs import CONFIRM, JSON, OUTPUT, ask, explained, plain, show_answer, show_json
from tocsin.settings import CLIENT, Settings


@click.command("action")
@click.argument("incident")
@click.argument("name", required=False)
@click.option("-p", "--parameter", "given", multiple=True, metavar="NAME=VALUE", help="A parameter; again for more.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@CONFIRM
@click.option("-m", "--message", default="", help="Why; it goes into the timeline.")
@OUTPUT
@with_settings(CLIENT)
def command(
    settings: Settings,
    incident: str,
    name: str | None,
    given: tuple[str, ...],
    dry_run: bool,
    confirm: bool,
    message: str,
    output: str,
) -> None:
    """Run an action of actions.yaml; without NAME show the actions there are, and what was run.

    Without --confirm it says what it would do, and asks.
    """
    if name is None:
        from tocsin.remote import Remote

        remote = Remote(settings)
        with explained():
            found = {
                "actions": remote.get("/api/v1/actions").body["items"],
                "runs": remote.get(f"/api/v1/incidents/{incident}/runs").body["items"],
            }
        if output == JSON:
            show_json(found)
        else:
            for line in told(found):
                click.echo(line)
        return
    body = {
        "action": name,
        "parameters": _parameters(given),
        "dry_run": dry_run,
        "confirm": confirm,
        "text": message,
    }
    show_answer(incident, ask(settings, f"/api/v1/incidents/{incident}/action", body), output)


def _parameters(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for one in given:
        name, equal, value = one.partition("=")
        if not equal or not name:
            raise Stop(f"-p {one[:60]} is no parameter: write -p NAME=VALUE", USAGE)
        found[name] = value
    return found


def told(found: dict[str, Any]) -> list[str]:
    """Return actions and runs as lines for a terminal."""
    lines = []
    for one in found["actions"]:
        takes = " ".join(f"-p {parameter['name']}={parameter['default'] or '…'}" for parameter in one["parameters"])
        who = [f"by {', '.join(one['who'])}"] if one["who"] else []
        only = ", ".join([*one["services"], *one["severities"], *who])
        lines.append(f"{one['name']:<20} {plain(one['title'])}{f' [{only}]' if only else ''}  {takes}".rstrip())
    lines = lines or ["actions.yaml has no actions"]
    for run in found["runs"]:
        helped = {True: ", it helped", False: ", it did not help", None: ""}[run["helped"]]
        lines.append(f"{run['asked_at'][:19]}  {run['action']:<20} {run['state']}{helped} ({plain(run['by'])})")
        if run["output"]:
            lines.append(f"    {plain(run['output'])[:300]}")
    return lines
