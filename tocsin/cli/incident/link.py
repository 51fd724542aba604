"""`tocsin incident link`: link two incidents."""

from __future__ import annotations

import click

from tocsin.cli.verbs import verb

command = verb("link", "Note on two incidents that they have to do with each other.", click.argument("other"))
