"""`tocsin incident finding`: what was seen."""

from __future__ import annotations

import click

from tocsin.cli.verbs import verb

command = verb("note", "Write what was seen into the timeline.", click.argument("text"), name="finding", kind="finding")
