"""HTTP requests to addresses that operators write: one try, no redirects, and never to what is nobody's business.

The guard is where the socket is made, on the address that is really connected to: whatever a name resolves to, however
an address is spelt, and even if the answer of the name server changes between two looks. No proxy is asked.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from triage.model import Ending, Millis
from workers.channel import Delivery

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TIMEOUT_S: Final = 4.0
"""How long connecting, and each wait for an answer, may take, in seconds."""
ANSWER_MAX: Final = 4_096
"""How much of an answer is read, in bytes."""
RETRY_AFTER_MAX: Final[Millis] = 15 * 60 * 1_000
BUSY: Final = frozenset({408, 425, 429})

_NEVER: Final = tuple(
    ipaddress.ip_network(text)
    for text in ("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "::/128", "fe80::/10", "ff00::/8")
)
"""Link-local (the metadata services of clouds live there), multicast, broadcast, nobody: not even if allowed."""
_METADATA: Final = (ipaddress.ip_network("fd00:ec2::254/128"), ipaddress.ip_network("100.100.100.200/32"))
_CARRIERS: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
"""Networks whose last 32 bits are an IPv4 address (NAT64)."""

_UNUSABLE: Final = Delivery(
    Ending.GIVE_UP, "the address cannot be used: it needs a host, and no blanks or control characters"
)
_allowed: tuple[Network, ...] = ()


class Forbidden(OSError):
    """An address that is not to be reached. The message names it, and says what allows it."""


def allow(networks: Iterable[str]) -> None:
    """Let this process reach these networks although they are private. Raises ValueError for what is no network."""
    global _allowed
    _allowed = tuple(ipaddress.ip_network(text) for text in networks)


def allowed() -> list[str]:
    """Return what `allow` was given, for a process that does this one's errand."""
    return [str(network) for network in _allowed]


def check(text: str) -> None:
    """Raise Forbidden unless a socket may be connected to this address."""
    written = ipaddress.ip_address(text.partition("%")[0])
    for address in (written, *_inside(written)):
        if any(address in network for network in (*_NEVER, *_METADATA)):
            raise Forbidden(f"{written} is never reached from here")
        if not address.is_global and not any(address in network for network in _allowed):
            raise Forbidden(f"{written} is a private address: --outbound.allow (TOCSIN_OUTBOUND_ALLOW) can allow it")


def _inside(address: Address) -> list[Address]:
    """Return the IPv4 address that an IPv6 address stands for, by any way of writing one into the other."""
    if not isinstance(address, ipaddress.IPv6Address):
        return []
    if any(address in network for network in _CARRIERS):
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if int(address) >> 32 == 0 and int(address) > 1:
        found.append(ipaddress.IPv4Address(int(address)))
    return [one for one in found if one is not None]


def connect(host: str, port: int, timeout_s: float) -> socket.socket:
    """Return a connection to the first address of `host` that takes one. Raises Forbidden or another OSError."""
    fault: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        check(str(address[0]))
        one = socket.socket(family, kind, protocol)
        one.settimeout(timeout_s)
        try:
            one.connect(address)
        except OSError as error:
            one.close()
            fault = error
        else:
            return one
    raise fault


class _Plain(http.client.HTTPConnection):
    def connect(self) -> None:
        """Connect through the guard."""
        self.sock = connect(self.host, self.port, self.timeout or TIMEOUT_S)


class _Encrypted(http.client.HTTPSConnection):
    def connect(self) -> None:
        """Connect through the guard, then speak TLS with the host that was asked for."""
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined]
        plain = connect(self.host, self.port, self.timeout or TIMEOUT_S)
        try:
            self.sock = context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


class Answer(msgspec.Struct, frozen=True):
    """What came back: status, the beginning of the body, and the pause that was asked for (ms)."""

    status: int
    body: bytes
    retry_after: Millis = 0


class Page(msgspec.Struct, frozen=True):
    """What a GET brought: the answer, whole, and what to ask with next time."""

    answer: Answer
    etag: str
    modified: str

    @property
    def status(self) -> int:
        """Return the status of the answer."""
        return self.answer.status


def get(url: str, headers: Mapping[str, str], limit: int) -> Page | Delivery:
    """GET once. Return up to `limit` bytes of what is there, or why there is nothing; more than that is refused.

    Each wait has a limit, the whole has none: for a server that drips this runs where it can be ended.
    """
    connection: http.client.HTTPConnection | None = None
    try:
        connection, target = _prepare(url)
        connection.request("GET", target, None, {"User-Agent": "Tocsin", **headers})
        answer = connection.getresponse()
        body = answer.read(limit + 1)
        if len(body) > limit:
            return Delivery(Ending.GIVE_UP, f"it is larger than {limit} bytes")
        pause = retry_after(answer.getheader("Retry-After", ""), time.time())
        return Page(
            Answer(answer.status, body, pause), answer.getheader("ETag", ""), answer.getheader("Last-Modified", "")
        )
    except http.client.InvalidURL:
        return _UNUSABLE
    except (OSError, http.client.HTTPException) as fault:  # before ValueError, which a bad certificate is as well
        return _broken(fault, sent=False)
    except ValueError:
        return _UNUSABLE
    finally:
        if connection is not None:
            connection.close()


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer | Delivery:
    """POST once. Return the answer, or how the attempt ended without one. `url` is http:// or https://."""
    return call("POST", url, body, headers)


def call(
    method: str, url: str, body: bytes, headers: Mapping[str, str], limit_s: float = 0, answer_max: int = ANSWER_MAX
) -> Answer | Delivery:
    """Ask once, by any method. With `limit_s` all of it takes no longer, however slowly the other side drips."""
    sent = False
    connection: http.client.HTTPConnection | None = None
    limit: threading.Timer | None = None
    try:
        connection, target = _prepare(url, limit_s or TIMEOUT_S)
        until = time.monotonic() + limit_s
        connection.connect()
        if limit_s:
            limit = threading.Timer(max(0.0, until - time.monotonic()), _cut, (connection.sock,))
            limit.daemon = True
            limit.start()
        sent = True
        connection.request(method, target, body, {"User-Agent": "Tocsin", **headers})
        answer = connection.getresponse()
        pause = retry_after(answer.getheader("Retry-After", ""), time.time())
        found = Answer(answer.status, answer.read(answer_max), pause)
        # What was cut looks like an answer that is short.
        return found if not limit_s or time.monotonic() < until else _broken(TimeoutError(), sent)
    except http.client.InvalidURL:
        return _UNUSABLE
    except (OSError, http.client.HTTPException) as fault:  # before ValueError, which a bad certificate is as well
        return _broken(fault, sent)
    except ValueError:
        return _UNUSABLE
    finally:
        if limit is not None:
            limit.cancel()
        if connection is not None:
            connection.close()


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # of TLS nothing more is said


def _prepare(url: str, timeout_s: float = TIMEOUT_S) -> tuple[http.client.HTTPConnection, str]:
    """Return an unconnected connection and what to ask it for. Raises ValueError."""
    parts = urlsplit(url)
    host, encrypted = parts.hostname or "", parts.scheme == "https"
    if not host:
        raise ValueError("no host")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if encrypted:
        return _Encrypted(host, parts.port or 443, timeout=timeout_s, context=ssl.create_default_context()), target
    return _Plain(host, parts.port or 80, timeout=timeout_s), target


def judge(answer: Answer | Delivery, taken: str) -> Delivery:
    """Return what an attempt comes to; `taken` says in words that it was delivered."""
    if isinstance(answer, Delivery):
        return answer
    if 200 <= answer.status < 300:
        return Delivery(Ending.DELIVERED, taken)
    reason = f"HTTP {answer.status}"
    if answer.status >= 500 or answer.status in BUSY:
        ambiguous = answer.status in {502, 504}  # a gateway's, which may hide that it was taken
        return Delivery(Ending.TRY_AGAIN, reason, ambiguous, answer.retry_after)
    if 300 <= answer.status < 400:
        reason += ": it redirects, which is not followed; write the address it leads to"
    return Delivery(Ending.GIVE_UP, reason)


def retry_after(header: str, now: float) -> Millis:
    """Return the pause that a Retry-After header asks for (seconds or an HTTP date, RFC 9110 10.2.3); 0 for none."""
    if header.strip().isdigit():
        wish = int(header.strip()[:9]) * 1_000
    else:
        try:
            date = parsedate_to_datetime(header)
        except ValueError:
            return 0
        date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        wish = int((date - datetime.fromtimestamp(now, tz=UTC)).total_seconds() * 1_000)
    return max(0, min(wish, RETRY_AFTER_MAX))


def _broken(fault: Any, sent: bool) -> Delivery:
    """Tell failures before the message left (safe to repeat) from those after."""
    if isinstance(fault, Forbidden):
        return Delivery(Ending.GIVE_UP, str(fault))
    if sent:
        return Delivery(Ending.TRY_AGAIN, "it may have been taken, but no answer came", ambiguous=True)
    return Delivery(Ending.TRY_AGAIN, why_unreached(fault))


def why_unreached(fault: Any) -> str:
    """Return why no connection came to be, as a phrase for people."""
    if isinstance(fault, Forbidden):
        return str(fault)
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"the certificate was not accepted: {fault.verify_message}"
    if isinstance(fault, ssl.SSLError):
        return "TLS failed; is it the right port?"
    if isinstance(fault, socket.gaierror):
        return "the host name does not resolve"
    if isinstance(fault, TimeoutError):
        return "the connection was not taken in time"
    if isinstance(fault, ConnectionRefusedError):
        return "the connection was refused"
    return f"it cannot be reached: {getattr(fault, 'strerror', '') or type(fault).__name__}"
