"""Making the command of a verb: it asks a running Tocsin over the REST API, and prints what became of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from tocsin.cli.common import FAILED, UNAUTHORISED, UNREACHABLE, Stop, as_json, with_settings
from tocsin.cli.common import plain as plain
from tocsin.cli.common import plain_lines as plain_lines
from tocsin.settings import CLIENT, Settings

TEXT: Final = "text"
JSON: Final = "json"


def output_option(*more: str) -> Callable[[Any], Any]:
    """Return `-o`: text for people, the API's JSON, or one of `more`."""
    help_ = "For people, or the API's JSON." if not more else f"For people, the API's JSON, or {', '.join(more)}."
    kinds = click.Choice([TEXT, JSON, *more])
    return click.option("-o", "--output", type=kinds, default=TEXT, show_default=True, help=help_)


OUTPUT = output_option()
CONFIRM = click.option("--confirm", is_flag=True, help="Yes to the question that it would ask.")


@contextmanager
def explained() -> Iterator[None]:
    """Turn what can go wrong on the way into one sentence and an exit code: 4 unreachable, 5 denied, 1 refused."""
    from tocsin.remote import Denied, Failed, Unreachable

    try:
        yield
    except Unreachable as error:
        raise Stop(plain_lines(str(error)), UNREACHABLE) from None
    except Denied as error:
        raise Stop(plain_lines(str(error)), UNAUTHORISED) from None
    except Failed as error:
        raise Stop(plain_lines(str(error)), FAILED) from None


def ask(settings: Settings, path: str, body: dict[str, Any], why: str = "") -> Any:
    """POST to the API and return its answer; a question that it asks back is put to whoever sits at the terminal.

    With `why` they are asked for a reason too, in that word, unless they gave one.

    Where nobody does, the question ends the command with exit code 1, and `--confirm` is the yes. Ends the command
    also on what `explained` does.
    """
    from tocsin.remote import Question, Remote

    remote = Remote(settings)
    with explained():
        try:
            return remote.post(path, body).body
        except Question as question:
            _put(plain_lines(str(question)))
            if why and at_terminal() and not body.get("text"):
                body = body | {"text": click.prompt(why, err=True)}
        return remote.post(path, body | {"confirm": True}).body


def at_terminal() -> bool:
    """Tell whether somebody sits there who can answer."""
    return sys.stdin.isatty()


def _put(question: str) -> None:
    """Ask, and return if the answer is yes. Ends the command otherwise."""
    if not at_terminal():
        click.echo(question, err=True)
        click.echo("Nothing was done. The same with --confirm means yes.", err=True)
        sys.exit(FAILED)
    if not click.confirm(question, err=True):
        raise Stop("Nothing was done.")


def show_json(found: object) -> None:
    """Print what the API answered."""
    click.echo(as_json(found))


def show_found(settings: Settings, path: str, output: str, told: Callable[[dict[str, Any]], Iterable[str]]) -> None:
    """GET from the API and print it: as the lines that `told` makes of it, or as the API's JSON."""
    from tocsin.remote import Remote

    with explained():
        found = Remote(settings).get(path).body
    if output == JSON:
        show_json(found)
        return
    for line in told(found):
        click.echo(plain(line))


def show_answer(incident: str, answer: Any, output: str) -> None:
    """Print what became of a verb, for people or as the API's JSON."""
    if output == JSON:
        show_json(answer)
    else:
        click.echo(f"{incident}: {plain(str(answer['text']))}")


def verb(
    path: str, help_: str, *given: Callable[[Any], Any], name: str | None = None, why: str = "", **fixed: str
) -> click.Command:
    """Return the command that asks for a verb of one incident. `path` is its word in the API's address.

    `given` are click's arguments and options beside INCIDENT; each fills the field of the body that has its name, and
    `fixed` fills others. `why` is for `ask`.
    """

    def command(settings: Settings, incident: str, message: str, confirm: bool, output: str, **more: Any) -> None:
        body = {"text": message, "confirm": confirm, **fixed}
        body |= {key: value for key, value in more.items() if value is not None}
        show_answer(incident, ask(settings, f"/api/v1/incidents/{incident}/{path}", body, why), output)

    made: Callable[..., Any] = with_settings(CLIENT)(command)
    message = click.option("-m", "--message", default="", help="Why; it goes into the timeline.")
    for decorate in (OUTPUT, CONFIRM, message, *reversed(given), click.argument("incident")):
        made = decorate(made)
    return click.command(name or path, help=help_)(made)
