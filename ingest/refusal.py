"""Refusing a request: one exception that knows its status, and the problem document (RFC 9457) that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from aiohttp import web

PROBLEM_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 5
_TITLES: Final = {
    400: "The body cannot be used",
    401: "Not authenticated",
    403: "Refused",
    404: "Not found",
    405: "Method not allowed",
    408: "The body took too long",
    413: "The body is too large",
    503: "Not stored; send it again",
}
_CHALLENGE: Final = 'Bearer realm="tocsin", Basic realm="tocsin"'


class Fault(msgspec.Struct):
    """One field of a request that is at fault, and what to do about it."""

    field: str
    reason: str


class _Problem(msgspec.Struct, omit_defaults=True):
    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] = []


class Refusal(Exception):
    """A request is not served. `kind` is the short stable name of the problem; `detail` never holds a token.

    `close` ends the connection after the answer, for requests whose body was not read.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.close = close


def unauthenticated(detail: str) -> Refusal:
    """Return the refusal of a sender who did not prove who it is, with the ways in which it can."""
    return Refusal(401, "unauthenticated", detail, headers={"WWW-Authenticate": _CHALLENGE}, close=True)


def unavailable(reason: str, retry_after_s: int = RETRY_AFTER_S) -> Refusal:
    """Return the refusal of a request that cannot be stored now: 503, never 429, which Alertmanager does not repeat."""
    return Refusal(503, "unavailable", f"Not stored: {reason}.", headers={"Retry-After": str(retry_after_s)})


def problem(refusal: Refusal) -> web.Response:
    """Return the answer to a refused request."""
    document = _Problem(
        type=f"urn:tocsin:problem:{refusal.kind}",
        title=_TITLES[refusal.status],
        status=refusal.status,
        detail=refusal.detail,
        errors=refusal.errors,
    )
    response = web.Response(
        body=msgspec.json.encode(document),
        status=refusal.status,
        headers=refusal.headers,
        content_type=PROBLEM_TYPE,
    )
    if refusal.close:
        response.force_close()
    return response
