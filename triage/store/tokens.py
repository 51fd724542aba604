"""API tokens made at run time: stored hashed, with role, scopes and expiry, and roughly when each was last used.

They decide who may ask, never what Tocsin thinks, so they are no part of the journal. Raises one of `queries.DOWN`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any, Final, NamedTuple, cast

import msgspec

from triage.model import DAY, MINUTE, Millis
from triage.model.roles import GRANTS, SILENCER, Role, Scope
from triage.store import keys, queries

TOKENS_MAX: Final = 1_000
"""How many tokens are kept; more are refused."""
FORGET_MS: Final[Millis] = 30 * DAY
"""How long an expired token stays listed."""
USED_EVERY_MS: Final[Millis] = 10 * MINUTE
"""When a token was last used is noted at most this often."""
NAME: Final = r"[a-z0-9][a-z0-9.-]{0,62}"
_NAME: Final = re.compile(NAME + r"\Z")
_MARK: Final = "toc"
_BYTES: Final = 32


class Token(msgspec.Struct, frozen=True):
    """One token, by its SHA-256 (hex). `scopes` are what it may; `expires_at` None: never."""

    name: str
    sha256: str
    role: Role
    scopes: frozenset[Scope]
    made_at: Millis
    made_by: str
    expires_at: Millis | None = None

    @property
    def silences_only(self) -> bool:
        """Tell whether it may do no more than a token of quiet.yaml."""
        return self.scopes == SILENCER

    def expired(self, now: Millis) -> bool:
        """Tell whether it no longer counts."""
        return self.expires_at is not None and now >= self.expires_at


class Listed(NamedTuple):
    """A token, and about when it was last used."""

    token: Token
    used_at: Millis | None


class Refused(ValueError):
    """This token cannot be made. The message says why."""


def is_ours(text: str) -> bool:
    """Tell whether a text has the form of our tokens, so that the store is worth asking."""
    return text.startswith(f"{_MARK}_")


def make(name: str, role: Role, scopes: frozenset[Scope], now: Millis, by: str, expires_at: Millis | None) -> Any:
    """Return the text of a new token, shown once, and what is stored of it. Raises Refused."""
    if not _NAME.match(name):
        raise Refused("a name has lower-case letters, digits, dots and -, and begins with a letter or digit")
    beyond = scopes - GRANTS[role]
    if beyond:
        raise Refused(f"a {role} may not have the scope {', '.join(sorted(beyond))}")
    if expires_at is not None and expires_at <= now:
        raise Refused("it would have expired already")
    text = f"{_MARK}_{name}_{secrets.token_urlsafe(_BYTES)}"
    return text, Token(name, _sha256(text), role, scopes or GRANTS[role], now, by, expires_at)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


async def add(client: queries.Client, token: Token) -> None:
    """Store a token. Raises Refused when the name is taken or there are too many."""
    known = await every(client)
    old = [one.token.name for one in known if (one.token.expires_at or token.made_at) < token.made_at - FORGET_MS]
    for name in old:
        await remove(client, name)
    if len(known) - len(old) >= TOKENS_MAX:
        raise Refused(f"there are {TOKENS_MAX} tokens already: revoke some")
    if not await cast("Any", client).hsetnx(keys.TOKENS, token.name, msgspec.msgpack.encode(token)):
        raise Refused(f"there is a token called {token.name} already: revoke it first, or choose another name")


async def remove(client: queries.Client, name: str) -> bool:
    """Revoke a token. Return whether there was one."""
    async with client.pipeline(transaction=True) as pipe:
        pipe.hdel(keys.TOKENS, name)
        pipe.hdel(keys.TOKENS_USED, name)
        gone, _ = await pipe.execute()
    return bool(gone)


async def every(client: queries.Client) -> list[Listed]:
    """Return all tokens by name, expired ones included."""
    async with client.pipeline(transaction=False) as pipe:
        pipe.hgetall(keys.TOKENS)
        pipe.hgetall(keys.TOKENS_USED)
        raws, used = await pipe.execute()
    return [Listed(_decoded(raw), int(used[name]) if name in used else None) for name, raw in sorted(raws.items())]


async def find(client: queries.Client, text: str) -> Token | None:
    """Return the token that this text is, expired or not; None for none of ours."""
    parts = text.split("_", 2)
    if len(parts) != 3 or not _NAME.match(parts[1]):
        return None
    raw = await cast("Any", client).hget(keys.TOKENS, parts[1])
    token = _decoded(raw) if raw else None
    if token is None or not hmac.compare_digest(token.sha256.encode(), _sha256(text).encode()):
        return None
    return token


async def note_use(client: queries.Client, name: str, now: Millis) -> None:
    """Note that a token was used."""
    await cast("Any", client).hset(keys.TOKENS_USED, name, str(now))


def _decoded(raw: bytes) -> Token:
    return msgspec.msgpack.decode(raw, type=Token)
