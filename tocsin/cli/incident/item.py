"""`tocsin incident item`: add an action item to an incident's postmortem, or change one."""

from __future__ import annotations

import click

from tocsin.cli.verbs import verb

command = verb(
    "item",
    "Add an action item to the postmortem of an incident; with --id change that one.",
    click.argument("text", required=False),
    click.option("--id", "id", help="Of the item to change."),
    click.option("--owner", "person", help="Who does it."),
    click.option("--due", help="Like 2026-03-09 or 14d."),
    click.option("--priority", type=click.Choice(["high", "medium", "low"]), help="How much it matters."),
    click.option("--state", type=click.Choice(["open", "done", "dropped"]), help="What became of it."),
    click.option("--again-for", "other", help="The incident that showed that it has to be done again."),
    click.option("--export", is_flag=True, default=None, help="Send it to the tracker, where that did not work."),
    click.option("--follow-up", is_flag=True, default=None, help="It tidies up; it prevents nothing."),
)
