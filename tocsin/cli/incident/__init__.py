"""`tocsin incident VERB …`: everything about one incident. A module here is a subcommand of its name, by `command`."""

from __future__ import annotations

import importlib
import pkgutil

import click


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


@click.group(cls=_Verbs)
def incident() -> None:
    """Show, command and learn from one incident.

    INCIDENT is its id, as `tocsin incidents` shows it. Each verb prints what became of it; -o json prints the API's
    answer.
    """
