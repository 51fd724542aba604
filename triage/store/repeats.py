"""Requests that name themselves (`Idempotency-Key`): the first is done, its answer is kept a day and given again.

Raises one of `queries.DOWN`.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, cast

import msgspec

from triage.store import keys, queries

KEPT_S: Final = 24 * 3600
"""How long an answer is given again, in seconds."""
PENDING_S: Final = 60
"""How long a request may take before its name is free again: the process that had it is gone."""


class Answer(msgspec.Struct, frozen=True):
    """What is kept of a request: its fingerprint, and status and body of its answer; status 0 while it runs."""

    fingerprint: str
    status: int = 0
    body: bytes = b""
    kind: str = ""


def name_of(who: str, key: str) -> str:
    """Return the name under which somebody's key is kept; the same key of somebody else is another."""
    return keys.REPEATS + hashlib.sha256(f"{who}\0{key}".encode()).hexdigest()


def fingerprint(method: str, path: str, body: bytes) -> str:
    """Return what tells a repeat from another request under the same key."""
    return hashlib.sha256(f"{method}\0{path}\0".encode() + body).hexdigest()


async def begin(client: queries.Client, name: str, mark: str) -> Answer | None:
    """Take the name for this request. None: it is ours to do; else what is kept under it."""
    for _ in range(3):
        if await cast("Any", client).set(name, msgspec.msgpack.encode(Answer(mark)), nx=True, ex=PENDING_S):
            return None
        raw = await cast("Any", client).get(name)
        if raw is not None:
            return msgspec.msgpack.decode(raw, type=Answer)
    return Answer(mark)


async def finish(client: queries.Client, name: str, answer: Answer) -> None:
    """Keep the answer of the request that took the name."""
    await cast("Any", client).set(name, msgspec.msgpack.encode(answer), ex=KEPT_S)


async def forget(client: queries.Client, name: str) -> None:
    """Free the name: the request came to nothing, and may be made again."""
    await cast("Any", client).delete(name)
