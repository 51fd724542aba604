"""Bodies that people send: short, and sent without dawdling."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, TypeVar
from urllib.parse import parse_qsl

from aiohttp import web
from pydantic import BaseModel, ValidationError

from desk import problems
from desk.people import CSRF_FIELD
from desk.problems import Problem
from triage.model import clean_text

BODY_MAX: Final = 64 * 1024
"""Longest body that the desk reads of anybody, in bytes."""
LONG_MAX: Final = 512 * 1024
"""Longest body of somebody who was let in: a form writes one letter of a postmortem as up to nine bytes."""
BODY_TIMEOUT_S: Final = 10.0
FIELDS_MAX: Final = 20
FORM: Final = web.RequestKey("form", dict[str, str])
"""Where the views put the fields of a form that they have read and found to be ours."""
_Shape = TypeVar("_Shape", bound=BaseModel)


async def limited(request: web.Request, most: int = BODY_MAX) -> bytes:
    """Return the body. Raises Problem 413 when it has more than `most` bytes, 408 when it takes too long."""
    raw = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while chunk := await request.content.readany():
                raw += chunk
                if len(raw) > most:
                    raise Problem(413, "too-large", "Body too large", f"a body may have {most} bytes")
    except TimeoutError:
        raise Problem(408, "too-slow", "Body too slow", f"send it within {BODY_TIMEOUT_S:.0f} s") from None
    return bytes(raw)


async def form(request: web.Request, most: int = BODY_MAX) -> dict[str, str]:
    """Return the fields of a plain HTML form, the last of each name. Raises Problem 400, 408, 413 or 415."""
    return dict(await pairs(request, most=most))


async def pairs(request: web.Request, fields_max: int = FIELDS_MAX, most: int = BODY_MAX) -> list[tuple[str, str]]:
    """Return the fields of a form in order. Raises Problem 400, 408, 413 or 415."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise Problem(415, "media-type", "Not a form", "this address takes the desk's own forms")
    raw = await limited(request, most)
    try:
        found = parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=fields_max)
    except ValueError:
        raise Problem(400, "invalid", "The form cannot be used", f"it has more than {fields_max} fields") from None
    return [(clean_text(name), clean_text(value)) for name, value in found]


def fields(request: web.Request) -> dict[str, str]:
    """Return what the form says that came with this request."""
    return {name: value for name, value in request[FORM].items() if name != CSRF_FIELD}


def shaped(shape: type[_Shape], fields: Mapping[str, str]) -> _Shape:
    """Return the body that a form filled. Raises Problem 400 naming fields.

    An empty field is one that was left out, unless the shape's CLEARED says that it clears what was there.
    """
    cleared: frozenset[str] = getattr(shape, "CLEARED", frozenset())
    given = {name: value for name, value in fields.items() if name != CSRF_FIELD and (value or name in cleared)}
    try:
        return shape.model_validate(given)
    except ValidationError as error:
        raise problems.from_validation(error, "form") from None
