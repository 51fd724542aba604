"""The link of a page: made by the worker that sends it, read by the desk, with nothing kept in between.

A link is `<external URL>/a/<token>`. The token says which page of which incident went to whom and until when it holds,
signed with a secret that workers and desk share and that is in no journal. The number that the message shows comes from
the same secret. That a link works once is decided from the journal, where its use stands.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final, NamedTuple

import msgspec

from triage.model import HOUR, Effect, EffectKind, Millis

HOLDS: Final[Millis] = 12 * HOUR
"""How long after its page was made a link works."""
CHOICES: Final = 3
"""How many numbers are shown, of which one was in the message."""
TOKEN_MAX: Final = 1_000
_LOW, _HIGH = 10, 99
_SUM: Final = 16


class Link(NamedTuple):
    """What a token says. `page` is the id of the effect, `incident` the full key, `expires` milliseconds."""

    page: str
    incident: str
    person: str
    expires: Millis


class NoLink(ValueError):
    """A token that we did not sign: cut off, changed, or signed with another secret."""


_PACKED: Final = msgspec.msgpack.Encoder()
_READ: Final = msgspec.msgpack.Decoder(Link)


def token_for(secret: bytes, effect: Effect) -> str:
    """Return the token of a page; "" for what asks for no acknowledgement, and without a secret."""
    if not secret or effect.kind is not EffectKind.PAGE or not effect.incident or not effect.person:
        return ""
    said = _PACKED.encode(Link(effect.id, effect.incident, effect.person, effect.made_at + HOLDS))
    return _as_text(_sum(secret, b"link", said)[:_SUM] + said)


def read(secret: bytes, token: str) -> Link:
    """Return what a token says; whether it still holds is for the caller to compare. Raises NoLink."""
    try:
        given = token[:TOKEN_MAX].encode()
        raw = base64.b64decode(given + b"=" * (-len(given) % 4), b"-_", validate=True)
        known = hmac.compare_digest(raw[:_SUM], _sum(secret, b"link", raw[_SUM:])[:_SUM])
        if not secret or not known or _as_text(raw) != token:
            raise NoLink("nobody here signed this")
        return _READ.decode(raw[_SUM:])
    except (binascii.Error, UnicodeEncodeError, msgspec.DecodeError) as fault:
        raise NoLink("this is no link of ours") from fault


def number_of(secret: bytes, page: str) -> int:
    """Return the number that the message of a page shows: two digits."""
    return _number(_sum(secret, b"number", page.encode()))


def word_of(secret: bytes, page: str) -> str:
    """Return what the button of a message sends to `<link>/tap`: it is in no address, so following links finds none."""
    return _as_text(_sum(secret, b"word", page.encode())[:_SUM])


def choices(secret: bytes, page: str, mistaps: int) -> list[int]:
    """Return the numbers to choose from, in order; after each mistap the others are new."""
    found = {number_of(secret, page)}
    turn = 0
    while len(found) < CHOICES:
        found.add(_number(_sum(secret, b"others", f"{page} {mistaps} {turn}".encode())))
        turn += 1
    return sorted(found)


def _as_text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _number(digest: bytes) -> int:
    return _LOW + int.from_bytes(digest[:8], "big") % (_HIGH - _LOW + 1)


def _sum(secret: bytes, purpose: bytes, said: bytes) -> bytes:
    return hmac.new(secret, purpose + b"\0" + said, hashlib.sha256).digest()
