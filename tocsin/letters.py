"""Dead letters: bodies that could not be read, found again and read once more when the source has been mended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from ingest import adapters
from ingest.adapter import Request, Unreadable
from triage.model import DeadLetter, Events
from triage.rulebook import compile_files
from triage.rulebook.types import Source
from triage.store import keys, queries, standing
from triage.store.appender import Appender
from triage.store.client import connect_async


class CannotResend(RuntimeError):
    """This letter cannot be sent again. The message says why."""


@dataclass(frozen=True, slots=True)
class Resent:
    """What became of a letter that was read again."""

    accepted: int
    rejected: int
    entry: str


async def find(client: queries.Client, entry: str) -> DeadLetter:
    """Return the dead letter with this entry id. Raises queries.Unknown."""
    queries.entry_order(entry)
    found = await cast("Any", client).xrange(keys.DEAD_LETTERS, entry, entry)
    if not found:
        raise queries.Unknown(f"there is no dead letter {entry}; `tocsin dead-letters list` shows those that are kept")
    return msgspec.msgpack.decode(found[0][1][b"b"], type=DeadLetter)


async def resend(url: str, entry: str) -> Resent:
    """Read a dead letter with its source's adapter as the rules in force say, and append its events.

    Sent twice, the events are deduplicated like any repeat. Raises CannotResend.
    """
    client = connect_async(url)
    appender = Appender(url)
    try:
        letter = await find(client, entry)
        events, rejected = _read(letter, await _source(client, letter.source))
        await appender.start()
        done = await appender.append(events, time.time_ns() // 1_000_000)
        return Resent(len(events.events), rejected, done)
    except queries.Unknown as error:
        raise CannotResend(str(error)) from None
    finally:
        await appender.close()
        await client.aclose()


async def _source(client: queries.Client, name: str) -> Source:
    rules = await standing.rules(client)
    known = compile_files(rules.files).sources if rules is not None and rules.files else {}
    return known.get(name) or Source(name=name, adapter=name)


def _read(letter: DeadLetter, source: Source) -> tuple[Events, int]:
    if letter.truncated:
        raise CannotResend(
            f"Only the first {len(letter.body)} of {letter.length} bytes were kept. A larger --web.max-dead-letter "
            "keeps more of the next ones."
        )
    request = Request(
        source=source,
        at=time.time_ns() // 1_000_000,
        body=letter.body,
        headers={"content-type": letter.content_type},
    )
    try:
        found = adapters.load(source.adapter).read(request)
    except LookupError as error:
        raise CannotResend(str(error.args[0])) from None
    except Unreadable as error:
        raise CannotResend(f"It still cannot be read: {error.field}: {error.reason}") from None
    if not found.events:
        raise CannotResend("Every item of it is still refused; `tocsin dead-letters show` has the reasons.")
    return Events(letter.source, found.events), len(found.rejected)
