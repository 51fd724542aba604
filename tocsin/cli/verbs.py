"""Making the command of a verb: it asks a running Tocsin over the REST API, and prints what became of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from tocsin.cli.common import FAILED, UNAUTHORISED, UNREACHABLE, Stop, with_settings
from tocsin.settings import CLIENT, Settings

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the API's JSON.")
OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or the API's JSON.",
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@contextmanager
def explained() -> Iterator[None]:
    """Turn what can go wrong on the way into one sentence and an exit code: 4 unreachable, 5 denied, 1 refused."""
    from tocsin.remote import Denied, Failed, Unreachable

    try:
        yield
    except Unreachable as error:
        raise Stop(str(error), UNREACHABLE) from None
    except Denied as error:
        raise Stop(str(error), UNAUTHORISED) from None
    except Failed as error:
        raise Stop(str(error), FAILED) from None


def plain(text: str) -> str:
    """Return text that senders wrote without the control characters that could drive a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def show_json(found: object) -> None:
    """Print what the API answered."""
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


def verb(path: str, help_: str, *given: Callable[[Any], Any], name: str | None = None, **fixed: str) -> click.Command:
    """Return the command that asks for a verb of one incident. `path` is its word in the API's address.

    `given` are click's arguments and options beside INCIDENT; each fills the field of the body that has its name, and
    `fixed` fills others.
    """

    def command(settings: Settings, incident: str, message: str, confirm: bool, output: str, **more: Any) -> None:
        from tocsin.remote import Remote

        body = {"text": message, "confirm": confirm, **fixed}
        body |= {key: value for key, value in more.items() if value is not None}
        with explained():
            answer = Remote(settings).post(f"/api/v1/incidents/{incident}/{path}", body).body
        if output == "json":
            show_json(answer)
        else:
            click.echo(f"{incident}: {plain(str(answer['text']))}")

    made: Callable[..., Any] = with_settings(CLIENT)(command)
    asked = click.option("--confirm", is_flag=True, help="Yes to the question that was asked before.")
    message = click.option("-m", "--message", default="", help="Why; it goes into the timeline.")
    for decorate in (OUTPUT, asked, message, *reversed(given), click.argument("incident")):
        made = decorate(made)
    return click.command(name or path, help=help_)(made)
