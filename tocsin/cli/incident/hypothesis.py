"""`tocsin incident hypothesis`: what is believed until it is seen."""

from __future__ import annotations

import click

from tocsin.cli.verbs import verb

command = verb(
    "note",
    "Write what is believed until it is seen into the timeline.",
    click.argument("text"),
    name="hypothesis",
    kind="hypothesis",
)
