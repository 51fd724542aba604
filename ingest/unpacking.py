"""Reading a request's body within its limits: size before and after unpacking, time, nesting.

aiohttp has no deadline for bodies that trickle in, and answers 500 to a broken gzip. So its own unpacking is off (see
`ingest.guard`), and both are done here.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

from aiohttp import web

from ingest.adapter import Unreadable
from ingest.refusal import Refusal
from ingest.settings import DoorLimits

_GZIP: Final = 16 + zlib.MAX_WBITS
_BRACKETS: Final = b"[]{}"
_OTHERS: Final = bytes(set(range(256)) - set(_BRACKETS))


async def read_body(request: web.Request, limits: DoorLimits) -> bytes:
    """Return the body as it was sent, still packed. Raises `Refusal`: 413, 408, or 400 for broken framing."""
    if request.content_length is not None and request.content_length > limits.body_bytes:
        raise _too_large(limits)
    content = request.content
    try:
        if content.is_eof():
            body = content.read_nowait()
        else:
            async with asyncio.timeout(limits.body_timeout_s):
                body = await _read_all(request, limits)
    except TimeoutError:
        raise Refusal(
            408, "timeout", f"The body did not arrive within {limits.body_timeout_s:g} s.", close=True
        ) from None
    except web.RequestPayloadError as error:
        raise Refusal(400, "framing", f"The body's framing is broken: {error}.", close=True) from None
    if len(body) > limits.body_bytes:
        raise _too_large(limits)
    return body


async def _read_all(request: web.Request, limits: DoorLimits) -> bytes:
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > limits.body_bytes:
            raise _too_large(limits)
    return bytes(body)


def _too_large(limits: DoorLimits) -> Refusal:
    return Refusal(
        413,
        "too-large",
        f"The body is larger than {limits.body_bytes} bytes (--web.max-body): send less at once.",
        close=True,
    )


def unpack(body: bytes, encoding: str, limits: DoorLimits) -> bytes:
    """Return the body unpacked as `Content-Encoding` says.

    Raises `Unreadable` when it is broken or packed in a way that is not known, `Refusal` 413 when it grows too large.
    """
    encoding = encoding.strip().lower()
    if not body or encoding in {"", "identity"}:
        return body
    if encoding in {"gzip", "x-gzip"}:
        bits = _GZIP
    elif encoding == "deflate":
        bits = zlib.MAX_WBITS if body[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS
    else:
        raise Unreadable("content-encoding", f"{encoding[:40]!r} is not known here: send gzip, deflate or none")
    try:
        return _inflate(body, bits, limits)
    except zlib.error as error:
        raise Unreadable("body", f"not valid {encoding}: {error}") from None


def _inflate(body: bytes, bits: int, limits: DoorLimits) -> bytes:
    """Unpack all members of a stream, and never more than the limit and one byte."""
    found = bytearray()
    while body:
        unpacker = zlib.decompressobj(bits)
        found += unpacker.decompress(body, limits.body_bytes + 1 - len(found))
        if len(found) > limits.body_bytes:
            raise _too_large(limits)
        if not unpacker.eof:
            raise Unreadable("body", "the packed body ends too early: send it whole")
        body = unpacker.unused_data
    return bytes(found)


def check_nesting(body: bytes, limit: int) -> None:
    """Refuse a JSON body that nests deeper than `limit`, before anything recurses into it. Raises `Unreadable`.

    Brackets are paired off from the inside, a level each pass; those in strings rarely matter, since what does not
    come out even is looked at again without the strings. A body made to deceive this meets the JSON reader's own limit
    on recursion.
    """
    if body.count(b"{") + body.count(b"[") <= limit or body.lstrip()[:1] not in {b"{", b"["}:
        return
    if _deeper(body.translate(None, _OTHERS), limit) and _deeper(_without_strings(body), limit):
        raise Unreadable("body", f"nested deeper than {limit} objects or arrays inside each other")


def _deeper(brackets: bytes, limit: int) -> bool:
    for _ in range(limit):
        if not brackets:
            return False
        brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
    return bool(brackets)


def _without_strings(body: bytes) -> bytes:
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(plain.split(b'"')[::2]).translate(None, _OTHERS)
