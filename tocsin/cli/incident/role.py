"""`tocsin incident role`: give a role, or hand it over."""

from __future__ import annotations

import click

from tocsin.cli.verbs import verb

command = verb(
    "role",
    "Give a role (commander, communications, scribe) to PERSON. Without PERSON nobody has it.",
    click.argument("role"),
    click.argument("person", required=False),
)
