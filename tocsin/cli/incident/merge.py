"""`tocsin incident merge`: let an incident become part of another."""

from __future__ import annotations

import click

from tocsin.cli.verbs import verb

command = verb(
    "merge",
    "Let INCIDENT become part of OTHER, which goes on. Nobody is paged twice for it.",
    click.argument("other"),
)
