"""`tocsin incident phase`: bring an incident into another phase."""

from __future__ import annotations

import click

from tocsin.cli.verbs import verb

command = verb(
    "phase",
    "Bring an incident into another phase: triaged, mitigating, monitoring, resolved, postmortem or closed.",
    click.argument("to"),
    click.option("--resolution", help="How it ended; closing asks for it."),
    click.option("--root-cause", help="Why it happened; closing asks for it."),
    click.option("--public", help="The last words on the public status page."),
    why="Why",
)
