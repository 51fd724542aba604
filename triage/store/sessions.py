"""Signed-in browsers. The cookie's value is never stored, only its hash: who reads the store cannot become somebody.

A session ends after `IDLE_S` without use, and after `ABSOLUTE_MS` whatever happens. Raises one of `queries.DOWN`.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Final, cast

import msgspec

from triage.model import DAY, HOUR, Millis
from triage.store import keys, queries

IDLE_S: Final = 12 * 3600
REFRESH_MS: Final = 11 * HOUR
"""The idle time is extended only when less than this is left of it: not every view should cost a write."""
ABSOLUTE_MS: Final = 7 * DAY


class Session(msgspec.Struct, array_like=True, frozen=True):
    """Who signed in, with which token (its stored hash), when, and the secret that this session's forms must carry."""

    who: str
    token_sha256: str
    csrf: str
    made_at: Millis


def _key(cookie: str) -> str:
    return keys.SESSIONS + hashlib.blake2b(cookie.encode("utf-8", "replace"), digest_size=32).hexdigest()


async def begin(client: queries.Client, who: str, token_sha256: str, now: Millis) -> tuple[str, Session]:
    """Store a new session; return the cookie's value (256 random bits) and the session."""
    cookie = secrets.token_urlsafe(32)
    session = Session(who=who, token_sha256=token_sha256, csrf=secrets.token_urlsafe(32), made_at=now)
    await cast("Any", client).set(_key(cookie), msgspec.msgpack.encode(session), ex=IDLE_S)
    return cookie, session


async def find(client: queries.Client, cookie: str, now: Millis) -> Session | None:
    """Return the session behind a cookie's value, or None when there is none or it has ended."""
    key = _key(cookie)
    async with client.pipeline(transaction=False) as pipe:
        pipe.get(key)
        pipe.pttl(key)
        raw, left = await pipe.execute()
    if raw is None:
        return None
    session = msgspec.msgpack.decode(raw, type=Session)
    if now - session.made_at > ABSOLUTE_MS:
        await end(client, cookie)
        return None
    if left < REFRESH_MS:
        await cast("Any", client).expire(key, IDLE_S)
    return session


async def end(client: queries.Client, cookie: str) -> None:
    """Forget a session."""
    await cast("Any", client).delete(_key(cookie))
