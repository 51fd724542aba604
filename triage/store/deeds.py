"""The audit log: who did what, when, from where, by which way; and who was refused. It holds no secret and no body.

What was refused is a log of its own, so that whoever guesses tokens cannot push out what was done. Raises one of
`queries.DOWN`.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from triage.model import Millis
from triage.store import keys, queries

DEEDS_MAX: Final = 100_000
"""About how many deeds are kept."""
REFUSED_MAX: Final = 10_000
"""About how many refusals are kept."""
SHORT: Final = 200
"""Longest text of one field, in characters."""


class Deed(msgspec.Struct, frozen=True):
    """One thing that somebody did, or was refused.

    `who` is a person or a token's name, "" for nobody known; `role` is theirs. `via`: `api`, `desk`, `link`,
    `silencer`, or `ingest` for senders. `address` is where the connection came from, `forwarded` what a proxy (or
    anybody) says of it. `what` is the operation, `target` what it was done to, `status` the HTTP answer, `detail` why
    it was refused.
    """

    who: str
    role: str
    via: str
    address: str
    what: str
    target: str
    status: int
    forwarded: str = ""
    detail: str = ""


class Logged(msgspec.Struct, frozen=True):
    """A deed with its place in the log and its time."""

    id: str
    at: Millis
    deed: Deed


def _key(refused: bool) -> str:
    return keys.DEEDS_REFUSED if refused else keys.DEEDS


async def note(client: queries.Client, deed: Deed, now: Millis, keep_ms: Millis, refused: bool = False) -> None:
    """Write a deed into the log, and let go of what is older than `keep_ms`."""
    key = _key(refused)
    short = {name: value[:SHORT] for name, value in msgspec.structs.asdict(deed).items() if isinstance(value, str)}
    raw = msgspec.msgpack.encode(msgspec.structs.replace(deed, **short))
    async with client.pipeline(transaction=False) as pipe:
        pipe.xadd(key, {"a": str(now), "d": raw}, maxlen=REFUSED_MAX if refused else DEEDS_MAX, approximate=True)
        pipe.xtrim(key, minid=str(max(0, now - keep_ms)), approximate=True)
        await pipe.execute()


async def page(client: queries.Client, limit: int, after: str | None, refused: bool = False) -> queries.Page[Logged]:
    """Return deeds, newest first."""
    top = "+"
    if after is not None:
        queries.entry_order(after)
        top = f"({after}"
    found = await cast("Any", client).xrevrange(_key(refused), top, "-", count=limit)
    items = [
        Logged(entry.decode(), int(fields[b"a"]), msgspec.msgpack.decode(fields[b"d"], type=Deed))
        for entry, fields in found
    ]
    return queries.Page(items, items[-1].id if len(items) == limit else None)
