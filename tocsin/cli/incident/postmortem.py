"""`tocsin incident postmortem`: print the postmortem of an incident as Markdown, write into it, review, publish."""

from __future__ import annotations

from typing import IO, Any

import click

from tocsin.cli.common import with_settings
from tocsin.cli.verbs import CONFIRM, JSON, OUTPUT, ask, explained, plain_lines, show_answer, show_json
from tocsin.settings import CLIENT, Settings


@click.command("postmortem")
@click.argument("incident")
@click.option("--resolution", help="How it ended.")
@click.option("--root-cause", help="Why it happened.")
@click.option("--why", "whys", multiple=True, help="An answer to “why?”; five of them in order.")
@click.option("--contributing", multiple=True, help="What made it more likely, or worse.")
@click.option("--well", multiple=True, help="What went well.")
@click.option("--badly", multiple=True, help="What went badly.")
@click.option("--owner", help="Who writes it.")
@click.option("--save", "document", type=click.File("r", encoding="utf-8"), help="A file (or -) as its new text.")
@click.option("--version", type=click.IntRange(min=0), help="Print this version; 0 is as the journal tells it.")
@click.option("--review", "do", flag_value="review", help="Say that you have read and reviewed it.")
@click.option("--publish", "do", flag_value="publish", help="Publish its last text.")
@CONFIRM
@OUTPUT
@with_settings(CLIENT)
def command(settings: Settings, incident: str, version: int | None, confirm: bool, output: str, **asked: Any) -> None:
    """Print the postmortem of an incident as Markdown, or write into it.

    Without a text that somebody saved it is made from the journal. --save - reads one from standard input.
    """
    from tocsin.remote import Remote

    remote, path = Remote(settings), f"/api/v1/incidents/{incident}/postmortem"
    body = _body(asked)
    with explained():
        found = None if body else remote.get(path, {} if version is None else {"version": str(version)}).body
    if found is None:
        show_answer(incident, ask(settings, path, {**body, "confirm": confirm}), output)
    elif output == JSON:
        show_json(found)
    else:
        click.echo(plain_lines(found["markdown"]))


def _body(asked: dict[str, Any]) -> dict[str, Any]:
    document: IO[str] | None = asked.pop("document")
    # An empty text clears what was there; an option that was not given is None, or () where it may be given often.
    found = {name: value for name, value in asked.items() if value not in (None, ())}
    for name in ("whys", "contributing", "well", "badly"):
        if name in found:
            found[name] = "\n".join(found[name])
    return found if document is None else {**found, "document": document.read()}
