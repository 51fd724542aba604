"""Who is asking: a bearer token, or a browser that signed in with one. And whether a browser's form is our own."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from desk.context import Desk, Settings
from desk.problems import Problem
from triage.model import MINUTE, Millis
from triage.model.roles import GRANTS, Scope
from triage.model.roles import SILENCER as ONLY_SILENCE
from triage.silences import SILENCER
from triage.store import sessions

CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
FAILURES_MAX: Final = 10
"""Wrong tokens that one address may offer per minute."""
ADDRESSES_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks. `via` is how they came (`api` or `desk`); `csrf` is what their forms must carry ("" for a token).

    `scopes` are what they may: nothing, unless it is said. `role` is for people to read.
    """

    name: str
    via: str
    csrf: str = ""
    cookie: str = ""
    role: str = ""
    scopes: frozenset[Scope] = frozenset()

    def may(self, scope: Scope) -> bool:
        """Tell whether they have a scope."""
        return scope in self.scopes


def name_of(token: str, tokens: Mapping[str, str]) -> str | None:
    """Return whose token this is, looking at all of them in constant time, or None."""
    offered = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest().encode()
    found = None
    for name, expected in tokens.items():
        if hmac.compare_digest(offered, expected.lower().encode()):
            found = name
    return found


class Attempts:
    """Wrong tokens per address in the last minute. Bounded: the oldest address is forgotten first."""

    def __init__(self) -> None:
        self._failures: dict[str, deque[Millis]] = {}

    def exhausted(self, address: str, now: Millis) -> bool:
        """Tell whether this address must wait."""
        failures = self._failures.get(address)
        while failures and failures[0] <= now - MINUTE:
            failures.popleft()
        return failures is not None and len(failures) >= FAILURES_MAX

    def failed(self, address: str, now: Millis) -> None:
        """Note one wrong token."""
        failures = self._failures.pop(address, None) or deque(maxlen=FAILURES_MAX)
        failures.append(now)
        self._failures[address] = failures
        if len(self._failures) > ADDRESSES_MAX:
            del self._failures[next(iter(self._failures))]


def cookie_name(settings: Settings) -> str:
    """Return the session cookie's name; with https the prefix makes browsers refuse it from anywhere else."""
    return "__Host-tocsin" if settings.secure else "tocsin"


async def by_cookie(desk: Desk, request: web.Request) -> Person | None:
    """Return who signed in with this browser. A token that was withdrawn or changed ends its sessions."""
    cookie = request.cookies.get(cookie_name(desk.settings), "")
    if not cookie:
        return None
    session = await sessions.find(desk.client, cookie, desk.clock())
    if session is None or desk.settings.tokens.get(session.who) != session.token_sha256:
        return None
    role = desk.settings.role_of(session.who)
    return Person(session.who, "desk", session.csrf, cookie, role, GRANTS[role])


def bearer(request: web.Request) -> str:
    """Return the bearer token of a request, or ""."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def by_bearer(desk: Desk, request: web.Request, attempts: Attempts) -> Person | None:
    """Return whose bearer token this request carries; None without one. Raises Problem 401 or 429 for a wrong one."""
    token = bearer(request)
    if not token:
        return None
    name = sign_in(desk, request, attempts, token)
    if name is None:
        raise unauthorized("this token is not known here")
    role = desk.settings.role_of(name)
    return Person(name=name, via="api", role=role, scopes=GRANTS[role])


def by_silencer(desk: Desk, request: web.Request, attempts: Attempts) -> Person | None:
    """Return whose token that may only silence this request carries; None for any other. Raises Problem 429."""
    token = bearer(request)
    if not token:
        return None
    check_attempts(desk, request, attempts)
    known = {name: one.token_sha256 for name, one in desk.settings.silencers.items()}
    name = name_of(token, known)
    return Person(name=name, via=SILENCER, role=SILENCER, scopes=ONLY_SILENCE) if name is not None else None


def sign_in(desk: Desk, request: web.Request, attempts: Attempts, token: str) -> str | None:
    """Return whose token it is, or None. Raises Problem 429 when this address has guessed too often."""
    check_attempts(desk, request, attempts)
    name = name_of(token, desk.settings.tokens)
    if name is None:
        attempts.failed(request.remote or "", desk.clock())
    return name


def check_attempts(desk: Desk, request: web.Request, attempts: Attempts) -> None:
    """Raise Problem 429 when this address has guessed too often."""
    if attempts.exhausted(request.remote or "", desk.clock()):
        detail = f"{FAILURES_MAX} wrong tokens from this address within a minute; wait a minute"
        raise Problem(429, "too-many-attempts", "Too many attempts", detail, headers={"Retry-After": "60"})


def unauthorized(detail: str) -> Problem:
    """Nobody, or somebody unknown, asks."""
    return Problem(401, "unauthorized", "Who are you?", detail, headers={"WWW-Authenticate": 'Bearer realm="tocsin"'})


def may_read_openly(desk: Desk, request: web.Request) -> bool:
    """Tell whether this request may read the API without a token.

    Only where the settings allow it, from this machine, under a name of this machine (a web site could otherwise point
    a name of its own at loopback and read us), and not through a proxy.
    """
    if not desk.settings.open_reads or not _is_loopback(request.remote or ""):
        return False
    if any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via")):
        return False
    host = urlsplit(f"//{request.host}").hostname or ""
    return host == "localhost" or _is_loopback(host)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def refuse_foreign(desk: Desk, request: web.Request) -> None:
    """Raise Problem 403 when a browser says that this request was made by another site.

    `Sec-Fetch-Site` decides where the browser sends it (https and loopback); else `Origin` must be ours. A request with
    neither is no modern browser's, and still needs the session's token.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None and site != "same-origin":
        raise _foreign()
    ours = {request.host.lower(), desk.settings.external_host} - {""}
    if origin is not None and urlsplit(origin).netloc.lower() not in ours:
        raise _foreign()


def _foreign() -> Problem:
    detail = "this form was sent from another site; open the desk itself and try again there"
    return Problem(403, "cross-site", "Sent from another site", detail)


def check_form(desk: Desk, request: web.Request, person: Person, offered: str) -> None:
    """Raise Problem 403 unless a signed-in browser's change comes from our own view and carries its secret."""
    refuse_foreign(desk, request)
    if not secrets.compare_digest(offered.encode("utf-8", "replace"), person.csrf.encode()):
        detail = "the form is too old or not ours; reload the view and try again"
        raise Problem(403, "csrf", "The form cannot be trusted", detail)
