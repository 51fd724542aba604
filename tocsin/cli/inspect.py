"""Looking into the store: `why`, `audit`, `dead-letters`. They read it directly, so they work while Tocsin is down."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from tocsin.cli.common import FAILED, UNREACHABLE, Stop, plain, plain_lines, with_settings
from tocsin.settings import SERVE, Settings

if TYPE_CHECKING:
    from triage.store.queries import Client

_T = TypeVar("_T")


@contextmanager
def store_url(settings: Settings) -> Iterator[str]:
    """Yield the URL of the store: --redis.url, the embedded one that runs, or one started for the moment."""
    import redis

    from tocsin.valkey import StoreError, borrowed

    try:
        if settings.redis_url:
            yield settings.redis_url
        else:
            with borrowed(settings.storage_path) as url:
                yield url
    except StoreError as error:
        raise Stop(str(error), UNREACHABLE) from None
    except (redis.RedisError, OSError) as error:
        raise Stop(f"The store does not answer: {error}", UNREACHABLE) from None


def _ask(settings: Settings, question: Callable[[Client], Awaitable[_T]]) -> _T:
    """Ask the store one question through an asyncio client."""
    from triage.store import queries
    from triage.store.client import connect_async

    async def ask(url: str) -> _T:
        client = connect_async(url)
        try:
            return await question(client)
        finally:
            await client.aclose()

    with store_url(settings) as url:
        try:
            return asyncio.run(ask(url))
        except (queries.Unknown, queries.Ambiguous) as error:
            raise Stop(str(error)) from None


@click.command()
@click.argument("what")
@with_settings(SERVE)
def why(settings: Settings, what: str) -> None:
    """Say why an event, alert or incident ended as it did.

    WHAT is the id of an entry (as the door answers it, with /2 for its third event), a fingerprint, or an incident.
    """
    from triage.store import why as reasons

    for line in reasons.text(_ask(settings, lambda client: reasons.why(client, what))):
        click.echo(plain(line))


@click.command()
@click.option("--replay", is_flag=True, help="Decide the kept journal again and compare every commit.")
@with_settings(SERVE)
def audit(settings: Settings, replay: bool) -> None:
    """Prove that no accepted event was lost; exits 1 if not."""
    import time

    from triage.store import audit as auditing
    from triage.store import watching
    from triage.store.client import connect

    with store_url(settings) as url:
        client = connect(url)
        try:
            report = auditing.audit(client, replay)
            found = watching.reports_now(client)
        finally:
            client.close()
    for line in report.lines:
        click.echo(line)
    amiss = watching.sentences(found, time.time_ns() // 1_000_000)
    for line in amiss or ([f"self-watch of {', '.join(found)}: every audit passes"] if found else []):
        click.echo(plain(line))
    sys.exit(0 if report.ok else FAILED)


@click.group("dead-letters")
def dead_letters() -> None:
    """List, show and send again what could not be read."""


@dead_letters.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@with_settings(SERVE)
def list_(settings: Settings, limit: int) -> None:
    """List dead letters, newest first."""
    from triage.store import standing

    page = _ask(settings, lambda client: standing.dead_letters(client, limit))
    for view in page.items:
        letter = view.letter
        click.echo(f"{view.id}  {letter.source}  {letter.length} bytes  {plain(f'{letter.field}: {letter.reason}')}")
    if not page.items:
        click.echo("No dead letters.")


@dead_letters.command()
@click.argument("entry")
@with_settings(SERVE)
def show(settings: Settings, entry: str) -> None:
    """Write the raw body of a dead letter to stdout (onto a terminal, only what is harmless there), why to stderr."""
    from tocsin import letters

    letter = _ask(settings, lambda client: letters.find(client, entry))
    click.echo(f"{letter.source}: {plain(f'{letter.field}: {letter.reason}')}", err=True)
    for item in letter.rejected:
        click.echo(plain(f"  {item.where}: {item.field}: {item.reason}"), err=True)
    if letter.truncated:
        click.echo(f"  only the first {len(letter.body)} of {letter.length} bytes were kept", err=True)
    if sys.stdout.isatty():
        click.echo(plain_lines(letter.body.decode("utf-8", "replace")))
    else:
        click.echo(letter.body, nl=False)


@dead_letters.command()
@click.argument("entry")
@with_settings(SERVE)
def resend(settings: Settings, entry: str) -> None:
    """Read a dead letter again, once the source is mended, and put its events into the journal."""
    from tocsin import letters

    with store_url(settings) as url:
        try:
            done = asyncio.run(letters.resend(url, entry))
        except letters.CannotResend as error:
            raise Stop(str(error)) from None
    click.echo(f"accepted {done.accepted}, rejected {done.rejected}, entry {done.entry}")
