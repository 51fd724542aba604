"""`Idempotency-Key`: a POST that may be sent again. What was done once is answered again, and not done again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from desk.api import Office, Route
from desk.people import Person
from desk.problems import Problem
from triage.store import repeats

HEADER: Final = "Idempotency-Key"
AGAIN: Final = "Idempotency-Replayed"
KEY_MAX: Final = 255
Do = Callable[[], Awaitable[web.Response]]


async def once(
    office: Office, route: Route, request: web.Request, person: Person | None, raw: bytes, do: Do
) -> web.Response:
    """Do what is asked, or give the answer of the first time. Raises Problem 400, 409 or 422."""
    if HEADER not in request.headers or not route.repeatable or person is None:
        return await do()
    key = request.headers[HEADER]
    if not 0 < len(key) <= KEY_MAX or not key.isascii() or not key.isprintable():
        detail = f"{HEADER} has 1 to {KEY_MAX} printable ASCII characters"
        raise Problem(400, "invalid", "The key cannot be used", detail)
    client = office.desk.client
    name = repeats.name_of(f"{person.via}:{person.name}", key)
    mark = repeats.fingerprint(route.method, request.path_qs, raw)
    known = await repeats.begin(client, name, mark)
    if known is not None:
        return _again(known, mark)
    try:
        answer = await do()
    except BaseException:
        await repeats.forget(client, name)
        raise
    assert isinstance(answer.body, bytes)  # noqa: S101  `do` answers with JSON
    await repeats.finish(client, name, repeats.Answer(mark, answer.status, answer.body, answer.content_type))
    return answer


def _again(known: repeats.Answer, mark: str) -> web.Response:
    if known.fingerprint != mark:
        detail = f"this {HEADER} was used for another request: give each request one of its own"
        raise Problem(422, "key-reused", "The key is taken", detail)
    if not known.status:
        detail = "the first request with this key has not ended yet: ask again in a moment"
        raise Problem(409, "in-progress", "Still at it", detail, headers={"Retry-After": "1"})
    return web.Response(body=known.body, status=known.status, content_type=known.kind, headers={AGAIN: "true"})
