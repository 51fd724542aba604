"""`tocsin incident severity`: raise or lower the severity."""

from __future__ import annotations

import click

from tocsin.cli.severities import OWN_WORDS, TABLE
from tocsin.cli.verbs import verb

command = verb(
    "severity",
    "Raise or lower the severity; -m says why. TO is P0 to P4. Raised into P1 or P0 it pages, but never you."
    f"\n\n{TABLE}\n\n{OWN_WORDS}",
    click.argument("to"),
)
