"""`tocsin incident update`: say how an incident stands, to one audience."""

from __future__ import annotations

import click

from tocsin.cli.verbs import verb

command = verb(
    "update",
    "Send a status update: first it prints how it reads and to how many it goes; again with --confirm it is sent. "
    "What is known and done is said with -m.",
    click.option(
        "--status",
        required=True,
        type=click.Choice(["investigating", "identified", "monitoring", "resolved"]),
        help="How the incident stands.",
    ),
    click.option(
        "--audience",
        default="responders",
        show_default=True,
        type=click.Choice(["responders", "company", "public"]),
        help="Whom it is for.",
    ),
    click.option("--title", help="In place of the incident's title, or of the service's name for the public."),
    click.option("--impact", help="Whom it hurts, in place of what the incident says; the public is told only this."),
    click.option("--components", help="For the public: what it is about, separated by commas; else its service's."),
    click.option(
        "--effects",
        type=click.Choice(["degraded", "partial", "major"]),
        help="For the public: how much they suffer.",
    ),
    click.option("--next", help="When the next update comes, like 45m, or none; else as its severity has it."),
)
