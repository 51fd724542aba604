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
"""Longest body that the desk reads, in bytes."""
BODY_TIMEOUT_S: Final = 10.0
FIELDS_MAX: Final = 20
FORM: Final = web.RequestKey("form", dict[str, str])
"""Where the views put the fields of a form that they have read and found to be ours."""
_Shape = TypeVar("_Shape", bound=BaseModel)


async def limited(request: web.Request) -> bytes:
    """Return the body. Raises Problem 413 when it is longer than BODY_MAX, 408 when it takes too long."""
    raw = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while chunk := await request.content.readany():
                raw += chunk
                if len(raw) > BODY_MAX:
                    raise Problem(413, "too-large", "Body too large", f"a body may have {BODY_MAX} bytes")
    except TimeoutError:
        raise Problem(408, "too-slow", "Body too slow", f"send it within {BODY_TIMEOUT_S:.0f} s") from None
    return bytes(raw)


async def form(request: web.Request) -> dict[str, str]:
    """Return the fields of a plain HTML form, the last of each name. Raises Problem 400, 408, 413 or 415."""
    return dict(await pairs(request))


async def pairs(request: web.Request, fields_max: int = FIELDS_MAX) -> list[tuple[str, str]]:
    """Return the fields of a form in order. Raises Problem 400, 408, 413 or 415."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise Problem(415, "media-type", "Not a form", "this address takes the desk's own forms")
    raw = await limited(request)
    try:
        found = parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=fields_max)
    except ValueError:
        raise Problem(400, "invalid", "The form cannot be used", f"it has more than {fields_max} fields") from None
    return [(clean_text(name), clean_text(value)) for name, value in found]


def shaped(shape: type[_Shape], fields: Mapping[str, str]) -> _Shape:
    """Return the body that a form filled; an empty field is one that was left out. Raises Problem 400 naming fields."""
    try:
        return shape.model_validate({name: value for name, value in fields.items() if name != CSRF_FIELD and value})
    except ValidationError as error:
        raise problems.from_validation(error, "form") from None
