"""What the door is told by the program: where it listens, its limits, and when it must refuse."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from triage.rulebook.types import Source

REPORT = "report"
"""The adapter of users' reports, and the source of that name: the one that may be open to everybody."""


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """Every limit of the door. Sizes are bytes, times are seconds.

    `body_bytes` holds before and after unpacking. `queue` is how many requests may wait for the store.
    `dead_letter_bytes` is how much of an unreadable body is kept. `keep_alive_s` closes idle connections, `linger_s` is
    how long the rest of a refused body is read, so that its sender sees the answer.
    """

    body_bytes: int = 4 * 1024 * 1024
    nesting: int = 64
    header_timeout_s: float = 10.0
    body_timeout_s: float = 10.0
    connections: int = 1024
    queue: int = 10_000
    dead_letter_bytes: int = 256 * 1024
    keep_alive_s: float = 75.0
    linger_s: float = 2.0


def _never_full() -> str:
    return ""


def _untold(_source: str, _address: str, _forwarded: str, _detail: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """`listen_host` is the host that the server is bound to, `external_url` the URL that people use, or "".

    `full` is asked before each append: it returns why nothing more may be stored (a memory or disk limit), or "".
    `strange` hears of each request without the right token: its source, address, `X-Forwarded-For`, and why.
    """

    listen_host: str = "127.0.0.1"
    external_url: str = ""
    limits: DoorLimits = field(default_factory=DoorLimits)
    full: Callable[[], str] = _never_full
    strange: Callable[[str, str, str, str], None] = _untold

    @property
    def loopback(self) -> bool:
        """Tell whether only this machine can reach the door."""
        return is_loopback(self.listen_host)


class Exposed(ValueError):
    """The server would listen beyond this machine with a door that anybody may use. The message has the remedy."""


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Tell whether a host name or address, without port, means this machine and no other."""
    bare = host.strip("[]").rstrip(".").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def proves_itself(source: Source) -> bool:
    """Tell whether senders of this source show a token or sign what they send."""
    return bool(source.token_sha256 or source.secret)


def check_exposure(listen_host: str, sources: Iterable[Source], *, admin: bool) -> None:
    """Refuse to listen beyond loopback with an open door. `sources` are the configured ones; `admin` tells of a token.

    Sources that nobody configured are not served beyond loopback, and reports may come from anybody: alone they never
    page. Raises `Exposed`.
    """
    if is_loopback(listen_host):
        return
    configured = list(sources)
    open_ones = sorted(source.name for source in configured if not proves_itself(source) and source.adapter != REPORT)
    remedy = (
        "Give each a `token_sha256` in sources.yaml (the SHA-256 of a long random token, in hex; `tocsin init` writes "
        "some), or listen on loopback: --web.listen-address=127.0.0.1:9911."
    )
    if open_ones:
        raise Exposed(
            f"{listen_host} can be reached from other machines, and anybody could post to the sources "
            f"{', '.join(open_ones)}. {remedy}"
        )
    if not any(proves_itself(source) for source in configured):
        raise Exposed(f"{listen_host} can be reached from other machines, and no source has a token. {remedy}")
    if not admin:
        raise Exposed(
            f"{listen_host} can be reached from other machines, and there is no admin token, so that nobody could "
            "acknowledge anything. Run `tocsin init`, which writes one, or listen on loopback."
        )
