"""`tocsin incident eta`: say when it should be over."""

from __future__ import annotations

import click

from tocsin.cli.verbs import verb

command = verb(
    "eta",
    "Say when it should be over. ETA is like 30m, or a time in RFC 3339; without it nobody can say any more.",
    click.argument("eta", required=False),
)
