"""`tocsin incident impact`: say whom it hurts."""

from __future__ import annotations

import click

from tocsin.cli.verbs import verb

command = verb("impact", "Say whom it hurts, and how.", click.argument("text"))
