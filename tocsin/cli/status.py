"""`tocsin status`: the public status page, shown in a terminal or exported as files that outlive this host."""

from __future__ import annotations

import os
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Final

import click

from tocsin.cli.common import UNREACHABLE, Stop, with_settings
from tocsin.cli.listing import promised
from tocsin.cli.subscriptions import subscribe, subscriptions, unsubscribe
from tocsin.cli.verbs import JSON, OUTPUT, explained, plain, show_json
from tocsin.settings import CLIENT, Settings

FILES: Final = {
    "index.html": "status",
    "status.json": "status.json",
    "status.atom": "status.atom",
    "status.css": "status.css",
}
"""File of the export → what it is on the running Tocsin. The page names the others by these names."""
TIMEOUT_S: Final = 15.0


@click.group(invoke_without_command=True)
@OUTPUT
@with_settings(CLIENT)
@click.pass_context
def status(context: click.Context, settings: Settings, output: str) -> None:
    """Show the public status page, or export it as files; say who is told of status updates."""
    if context.invoked_subcommand is not None:
        return
    from tocsin.remote import Remote

    with explained():
        page = Remote(settings).get("/status.json").body
    if output == JSON:
        show_json(page)
        return
    click.echo(f"{plain(page['title'])}: {page['state']}")
    for one in page["components"]:
        click.echo(f"  {one['state']:<12} {plain(one['name'])}")
    for one in page["incidents"]:
        last = one["updates"][0]
        click.echo(f"{one['status']}, {one['effects']}: {plain(one['title'])}")
        click.echo(f"  {last['at'][:16].replace('T', ' ')}  {plain(last['text'])}")
        if due := promised({"next_update": last["next_at"]}):
            click.echo(f"  next update: {due}")
    if not page["incidents"]:
        click.echo("No incident is public. `tocsin incident update --audience public` makes one so.")


for _command in (subscribe, subscriptions, unsubscribe):
    status.add_command(_command)


@status.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--every", default=0, type=click.IntRange(0, 86_400), help="Again each so many seconds, until stopped.")
@with_settings(CLIENT)
def export(settings: Settings, folder: Path, every: int) -> None:
    """Write the page, its JSON, feed and style into FOLDER.

    Serve the folder from elsewhere, and it can be read while this host is away. Each file is replaced whole, and none
    when Tocsin does not answer.
    """
    from tocsin.remote import Remote

    url = Remote(settings).url
    while True:
        try:
            found = {name: _fetched(f"{url}/{path}") for name, path in FILES.items()}
        except OSError as error:
            if not every:
                raise Stop(f"The status page cannot be had from {url}: {error}", UNREACHABLE) from None
            click.echo(f"not exported: {error}", err=True)
        else:
            changed = [name for name, body in found.items() if _replaced(folder / name, body)]
            click.echo(f"{folder}: {', '.join(changed) or 'nothing'} changed")
        if not every:
            return
        time.sleep(every)


def _fetched(url: str) -> bytes:
    """Return a document. Raises OSError, which urllib's errors are."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310  checked: http(s)
        body: bytes = answer.read()
        return body


def _replaced(path: Path, body: bytes) -> bool:
    """Put a file in the place of another at once, so that nobody reads half of it. Return whether it changed."""
    if path.is_file() and path.read_bytes() == body:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".status-")
    with os.fdopen(handle, "wb") as file:
        file.write(body)
    Path(name).chmod(0o644)
    Path(name).replace(path)
    return True
