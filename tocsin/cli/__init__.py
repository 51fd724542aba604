"""The command line. Each command is a module that is imported when it is called, so that `tocsin --help` is quick."""

from __future__ import annotations

import importlib
from typing import Final

import click

from tocsin import __version__

COMMANDS: Final = {
    "up": ("up", "Run everything here: embedded store, receiver, workers."),
    "serve": ("halves", "Run a receiver: the senders' and the people's door."),
    "work": ("halves", "Run the workers: decide what arrived, tell people."),
    "watch": ("watch", "Audit Tocsin itself, and tell the operator by a second path."),
    "init": ("init", "Write the starting rules and the admin token."),
    "token": ("token", "Make tokens: for people and senders in the rules, and for the API at run time."),
    "audit-log": ("audit_log", "Show who did what, from where, and who was refused."),
    "check": ("rules", "Check the rules and show every problem at once."),
    "test": ("rules", "Play the rules' tests under a moved clock."),
    "parse": ("rules", "Show what an adapter and the rules make of a sample."),
    "send": ("people", "Post a payload file to a running Tocsin."),
    "incidents": ("people", "List incidents."),
    "incident": ("incident", "Show, command and learn from one incident."),
    "ack": ("people", "Acknowledge an incident."),
    "resolve": ("people", "Resolve an incident."),
    "unack": ("people", "Give an incident back; it pages again."),
    "snooze": ("people", "Take an incident for a time."),
    "assign": ("people", "Pass an incident on to a person."),
    "escalate": ("people", "Page the next step now."),
    "page": ("people", "Page one more person."),
    "runbook": ("runbook", "Show what to do about an incident, check off its steps, write a new runbook."),
    "oncall": ("oncall", "Say who is on call, let somebody take over, check the year to come."),
    "silence": ("silence", "Silence what need not be told for a time; preview, list and end silences."),
    "changes": ("changes", "List what changed lately, and what is last known good."),
    "heartbeats": ("heartbeats", "List what must beat, and when it is missed."),
    "drill": ("drill", "Page somebody for a test, and measure the answer; list such drills."),
    "shadow": ("drill", "List whom Tocsin would have told, had paging not been in shadow."),
    "status": ("status", "Show the public status page, or export it as files; say who is told of status updates."),
    "checks": ("checks", "List what Tocsin looks at itself, and what it saw."),
    "postmortems": ("postmortems", "List postmortems and open action items; --overdue only those that are late."),
    "insights": ("insights", "Say how long incidents took, who was paged and at night, and what is noisy."),
    "why": ("inspect", "Say why an event, alert or incident ended as it did."),
    "audit": ("inspect", "Prove that no accepted event was lost; exits 1 if not."),
    "dead-letters": ("inspect", "List, show and send again what could not be read."),
    "settings": ("settings", "List the settings in effect and where each came from."),
}
"""Command → its module in this package, and its line in the overview."""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tocsin.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Take in every alert, decide by your rules what it means, and wake the right person once.

    Try `tocsin up`. Settings are flags, TOCSIN_ variables, or both: `tocsin settings` lists them.
    """
