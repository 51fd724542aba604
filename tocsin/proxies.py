"""Who really asks, where a reverse proxy stands before us: what `X-Forwarded-For` says, as far as it can be believed.

Each proxy adds the address that it was asked from at the right, and anybody may send what stands to the left of that.
So it is read from the right: the first address that is no proxy of ours is who asks. What our proxies did not write is
never looked at.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

HEADER: Final = "X-Forwarded-For"
HOPS_MAX: Final = 20
"""How many proxies one behind the other are believed."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks_of(text: str) -> tuple[Network, ...]:
    """Return the networks of `--web.trusted-proxies`. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def client_of(peer: str, forwarded: Iterable[str], trusted: Sequence[Network]) -> str:
    """Return the address of who asks: `peer` unless it is one of our proxies, else whom the last of these was asked by.

    `forwarded` are the values of all `X-Forwarded-For` headers, in order. One that is no address ends the reading: the
    proxy that wrote it is then as far as we see.
    """
    seen = _address(peer)
    if seen is None:
        return peer
    hops = [hop for value in forwarded for hop in value.split(",")]
    for hop in reversed(hops[-HOPS_MAX:]):
        if not _is_trusted(seen, trusted):
            break
        before = _address(hop)
        if before is None:
            break
        seen = before
    return str(seen)


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def _address(text: str) -> Address | None:
    """Return an address, with or without a port, or None for what is none. IPv4 written as IPv6 is IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return found if mapped is None else mapped


def seen_through(trusted: Sequence[Network]) -> Middleware:
    """Return the middleware after which `request.remote` is who really asks."""

    @web.middleware
    async def look(request: web.Request, handler: Handler) -> web.StreamResponse:
        client = client_of(request.remote or "", request.headers.getall(HEADER, ()), trusted)
        return await handler(request if client == request.remote else request.clone(remote=client))

    return look
