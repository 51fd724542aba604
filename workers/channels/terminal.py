"""`terminal://`: print the page where Tocsin runs. The default channel: a first try needs no account."""

from __future__ import annotations

import sys
from typing import Final

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from triage.model import EffectKind, Ending, Severity
from workers.channel import Delivery, Message

WIDTH: Final = 100
COLOURS: Final = {Severity.P0: "bold red", Severity.P1: "red", Severity.P2: "yellow"}


def send(target: str, message: Message) -> Delivery:
    """Print `message` in a frame on standard output."""
    console = Console(file=sys.stdout, width=WIDTH if not sys.stdout.isatty() else None, highlight=False)
    border = COLOURS.get(message.severity, "blue") if message.kind is EffectKind.PAGE else "dim"
    # Text objects, not strings: rich would read [tags] in a string as mark-up.
    head = Text(message.title, style="bold")
    frame = Panel(Text(message.body), title=head, title_align="left", border_style=border)
    try:
        console.print(frame)
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        return Delivery(Ending.GIVE_UP, f"cannot print: standard output is closed ({error})")
    return Delivery(Ending.DELIVERED, "printed on the terminal")
