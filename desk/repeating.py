"""`Idempotency-Key`: a POST that may be sent again. The key goes into the journal, and triage decides what repeats it.

So it holds whatever became of the answer: a repeat after a `503` whose request is in the journal all the same finds
that it was done. See `triage.repeats`.
"""

from __future__ import annotations

import secrets
from typing import Final

from aiohttp import web

from desk.api import Route
from desk.people import Person
from desk.problems import Problem
from triage import repeats

HEADER: Final = "Idempotency-Key"
AGAIN: Final = "Idempotency-Replayed"
KEY_MAX: Final = 255
REQUEST_MAX: Final = 100


def identity(route: Route, request: web.Request, person: Person | None, raw: bytes) -> str:
    """Return the id under which a request goes into the journal. Raises Problem 400 for a key that cannot be one."""
    given = request.headers.get("X-Request-Id", "")[:REQUEST_MAX]
    plain = given if given and not repeats.is_named(given) else secrets.token_hex(8)
    if HEADER not in request.headers or not route.repeatable or person is None:
        return plain
    key = request.headers[HEADER]
    if not 0 < len(key) <= KEY_MAX or not key.isascii() or not key.isprintable():
        detail = f"{HEADER} has 1 to {KEY_MAX} printable ASCII characters"
        raise Problem(400, "invalid", "The key cannot be used", detail)
    asked = f"{route.method}\0{request.path_qs}\0".encode() + raw
    return repeats.identity(f"{person.via}:{person.name}", key, asked)
