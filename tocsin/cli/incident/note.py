"""`tocsin incident note`: write into the timeline."""

from __future__ import annotations

import click

from tocsin.cli.verbs import verb

command = verb("note", "Write into the timeline of an incident.", click.argument("text"))
