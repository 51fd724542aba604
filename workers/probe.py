"""One look at what a check names: by HTTP or TCP, within its time, through the guard of `outbound`.

Nothing is sent but the request. A look never raises for what it meets: whatever goes wrong out there is what it saw.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urljoin, urlsplit

import msgspec
import re2

from triage.model import DAY, Millis
from triage.rulebook.checks import Check, compile_pattern
from triage.rulebook.durations import show_duration
from workers.outbound import Forbidden, connect, why_unreached
from workers.secrets import Lookup, UnsetSecret, expand, scrub

BODY_MAX: Final = 1024 * 1024
"""How much of a body is read, in bytes."""
TEXT_MAX: Final = 500
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_HEADERS: Final = {"User-Agent": "Tocsin", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}


class Seen(msgspec.Struct, frozen=True):
    """What one look saw. `kind` is "" when all is as expected, else a word for why not; `text` is the sentence.

    `expires_at` is the end of the certificate, if there was one. `took` is how long the look took.
    """

    kind: str = ""
    text: str = ""
    took: Millis = 0
    expires_at: Millis | None = None


class _Amiss(Exception):
    """The look is over: something is not as expected."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@functools.cache
def trust() -> ssl.SSLContext:
    """Return how certificates are judged: by the system's authorities, or those that SSL_CERT_FILE names."""
    return ssl.create_default_context()


def look(check: Check, lookup: Lookup, context: ssl.SSLContext | None = None) -> Seen:
    """Look once. `lookup` finds the secrets of the address and the headers."""
    started = time.monotonic()
    glance = _Glance(check, started + check.timeout / 1_000, context or trust())
    kind = text = ""
    hidden: tuple[str, ...] = ()
    try:
        address, hidden = expand(check.http, lookup)
        headers = {}
        for name, value in check.headers.items():
            headers[name], more = expand(value, lookup)
            hidden += more
        glance.make(address, headers)
    except UnsetSecret as unset:
        kind, text = (
            "secret",
            f"the secret {unset.name} is not set: set the variable {unset.name}, or {unset.name}_FILE",
        )
    except _Amiss as amiss:
        kind, text = amiss.kind, str(amiss)
    took = int((time.monotonic() - started) * 1_000)
    if not kind and check.latency and took > check.latency:
        kind, text = "latency", f"it took {show_duration(took)}, more than {show_duration(check.latency)}"
    return Seen(kind, scrub(text, hidden)[:TEXT_MAX], took, glance.expires_at)


class _Glance:
    """One look on its way. `until` is when it must be over, on the monotonic clock."""

    def __init__(self, check: Check, until: float, context: ssl.SSLContext) -> None:
        self._check = check
        self._until = until
        self._context = context
        self._socket: socket.socket | None = None
        self.expires_at: Millis | None = None

    def make(self, address: str, headers: Mapping[str, str]) -> None:
        """Make it. Raises _Amiss."""
        try:
            with self._in_time():
                if address:
                    self._ask(address, headers)
                else:
                    host, _, port = self._check.tcp.rpartition(":")
                    self._connect(host.strip("[]"), int(port), self._check.tls).close()
            self._left()  # what was cut looks like an answer that is short
        except _Amiss:
            raise
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as fault:
            # The last two are what http.client and ssl make of a connection that ends in the middle of a word.
            if time.monotonic() >= self._until or isinstance(fault, TimeoutError):
                raise _Amiss("timeout", f"no answer within {show_duration(self._check.timeout)}") from None
            raise self._broken(fault) from None

    def _broken(self, fault: Exception) -> _Amiss:
        if isinstance(fault, Forbidden):
            return _Amiss("forbidden", str(fault))
        if isinstance(fault, ssl.SSLCertVerificationError):
            return _Amiss("certificate", why_unreached(fault))
        if isinstance(fault, ssl.SSLError):
            return _Amiss("tls", why_unreached(fault))
        if self._socket is not None or not isinstance(fault, OSError):
            return _Amiss("answer", f"the connection broke before the answer was whole ({type(fault).__name__})")
        return _Amiss("unreachable", why_unreached(fault))

    @contextlib.contextmanager
    def _in_time(self) -> Iterator[None]:
        """Cut the connection when time is over, however slowly its other end drips."""
        timer = threading.Timer(max(0.0, self._until - time.monotonic()), self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if self._socket is not None:
                self._socket.close()

    def _cut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # of TLS nothing more is said

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _connect(self, host: str, port: int, encrypted: bool) -> socket.socket:
        plain = self._socket = connect(host, port, self._left())
        if not encrypted:
            return plain
        made = self._socket = self._context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        made.settimeout(self._left())
        made.do_handshake()
        until = (made.getpeercert() or {}).get("notAfter")
        if isinstance(until, str):
            ends = int(ssl.cert_time_to_seconds(until) * 1_000)
            self.expires_at = ends if self.expires_at is None else min(ends, self.expires_at)
        return made

    def _ask(self, address: str, headers: Mapping[str, str]) -> None:
        for hop in range(self._check.redirects + 1):
            status, location, body = self._request(address, headers)
            if status in _MOVED and location and hop < self._check.redirects:
                headers = headers if _same_place(address, location) else {}
                address = location
                continue
            break
        self._judge(status, location, body)

    def _request(self, address: str, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
        """Return the status, where it redirects to ("" for nowhere), and the beginning of the body."""
        parts = urlsplit(address)
        host, encrypted = parts.hostname or "", parts.scheme == "https"
        if not host or parts.scheme not in ("http", "https"):
            raise _Amiss("redirect", "it leads to what is no web address")
        port = parts.port or (443 if encrypted else 80)
        make = http.client.HTTPSConnection if encrypted else http.client.HTTPConnection
        connection = make(host, port)
        self._socket = None
        connection.sock = self._connect(host, port, encrypted)
        try:
            connection.sock.settimeout(self._left())
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(self._check.method, target, headers={**_HEADERS, **headers})
            answer = connection.getresponse()
            location = answer.getheader("Location", "")
            return answer.status, urljoin(address, location) if location else "", answer.read(BODY_MAX)
        finally:
            connection.close()

    def _judge(self, status: int, location: str, body: bytes) -> None:
        check = self._check
        if not any(low <= status <= high for low, high in check.statuses):
            wanted = ", ".join(f"{low}" if low == high else f"{low} to {high}" for low, high in check.statuses)
            leads = ": it redirects, and `redirects` says how often that is followed" if location else ""
            raise _Amiss("status", f"HTTP {status}, expected {wanted}{leads}")
        if not check.body and not check.not_body:
            return
        text = body.decode("utf-8", "replace")
        if check.body and _pattern(check.body).search(text) is None:
            raise _Amiss("body", f"the body does not match {check.body[:200]}")
        if check.not_body and _pattern(check.not_body).search(text) is not None:
            raise _Amiss("body", f"the body matches {check.not_body[:200]}")


@functools.lru_cache(maxsize=2_000)
def _pattern(pattern: str) -> re2.Regexp[str]:
    return compile_pattern(pattern)


def _same_place(one: str, other: str) -> bool:
    """Tell whether what was meant for one address may be told to the other."""
    here, there = urlsplit(one), urlsplit(other)
    return (here.scheme, here.netloc) == (there.scheme, there.netloc)


def days_left(expires_at: Millis, now: Millis) -> int:
    """Return how many whole days a certificate still holds."""
    return (expires_at - now) // DAY
