"""`tocsin incident mitigation`: note a hotfix, a rollback or the like that was done elsewhere."""

from __future__ import annotations

import click

from tocsin.cli.verbs import verb

command = verb(
    "mitigation",
    "Note what was done elsewhere: rollback, hotfix, scale, restart, flag, rate-limit or other.",
    click.argument("what"),
    click.option("--commit", help="The commit that was deployed."),
    click.option("--pr", help="Number or address of the pull request."),
    click.option("--version", help="The version that runs now."),
)
