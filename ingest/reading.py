"""From bytes to plain data: JSON, forms, multipart and queries, as monitoring systems really send them.

JSON is read whatever the content type says when the first character is `{` or `[`: several senders post it under
another type or none. A byte order mark is tolerated, bytes that are no UTF-8 become U+FFFD as in Go's decoder, raw
control characters in strings are let through (templates put them there), lone surrogates are replaced and NUL is
removed. NaN, Infinity, duplicate keys and deep nesting are refused. Integers that a double cannot hold stay as text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeAlias
from urllib.parse import parse_qsl

from ingest.adapter import Request, Unreadable
from ingest.limits import MAX_FORM_FIELDS, MAX_NESTING
from triage.model import clean_text

Json: TypeAlias = dict[str, Any] | list[Any] | str | int | float | bool | None
_SPACE: Final = b" \t\r\n"
_MARK: Final = b"\xef\xbb\xbf"
_EXACT_DIGITS: Final = 15
_BOUNDARY: Final = re.compile(r'boundary="?([^";,\r\n]{1,200})', re.IGNORECASE)
_PART_NAME: Final = re.compile(rb'name="([^"\r\n]*)"', re.IGNORECASE)


def looks_like_json(body: bytes) -> bool:
    """Tell whether the first character that counts opens an object or an array."""
    return body.removeprefix(_MARK).lstrip(_SPACE)[:1] in (b"{", b"[")


def parse_json(body: bytes | str, where: str = "body") -> Json:
    """Return the data in a JSON text with every string cleaned. Raises `Unreadable` naming `where` and the position."""
    text = body if isinstance(body, str) else body.removeprefix(_MARK).decode("utf-8", "replace")
    if not text.strip():
        raise Unreadable(where, "it is empty: expected JSON")
    try:
        data = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno} (character {error.pos})"
        raise Unreadable(where, f"not valid JSON at {place}: {error.msg}") from None
    except RecursionError:
        raise Unreadable(where, f"nested too deep: at most {MAX_NESTING} objects or arrays inside each other") from None
    return _clean(data, where, 0)


def _clean(data: Json, path: str, depth: int) -> Json:
    if isinstance(data, str):
        return plain_text(data)
    if isinstance(data, (dict, list)) and depth >= MAX_NESTING:
        raise Unreadable(path[:200], f"nested too deep: at most {MAX_NESTING} objects or arrays inside each other")
    if isinstance(data, dict):
        return {plain_text(name): _clean(value, f"{path}.{name}", depth + 1) for name, value in data.items()}
    if isinstance(data, list):
        return [_clean(value, f"{path}[{index}]", depth + 1) for index, value in enumerate(data)]
    return data


def plain_text(text: str) -> str:
    """Return `text` fit to be stored: no lone surrogates, no NUL."""
    return clean_text(text).replace("\0", "")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise Unreadable(plain_text(twice)[:200] or "body", "the key is there twice in one object: send it once")
    return found


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _EXACT_DIGITS else digits


def _fraction(digits: str) -> float | str:
    value = float(digits)
    return value if abs(value) != float("inf") else digits


def _constant(name: str) -> NoReturn:
    raise Unreadable("body", f"{name} is no JSON number: leave the field out or send null")


_DECODER: Final = json.JSONDecoder(
    strict=False,
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
)


def form(request: Request) -> dict[str, str]:
    """Return the fields of a urlencoded or multipart body; the last of a name wins. Raises `Unreadable`."""
    if request.content_type == "multipart/form-data":
        return _multipart(request)
    text = request.body.removeprefix(_MARK).decode("utf-8", "replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS, errors="replace")
    except ValueError:
        raise Unreadable("body", f"more than {MAX_FORM_FIELDS} form fields") from None
    return {plain_text(name): plain_text(value) for name, value in pairs}


def _multipart(request: Request) -> dict[str, str]:
    """Return the text fields of a multipart body. Only names and values: no sender nests parts or uploads files."""
    found = _BOUNDARY.search(request.headers.get("content-type", ""))
    if found is None:
        raise Unreadable("content-type", "multipart/form-data without a boundary")
    parts = request.body.split(b"--" + found[1].strip().encode("utf-8", "surrogateescape"), MAX_FORM_FIELDS + 2)
    if len(parts) > MAX_FORM_FIELDS + 2:
        raise Unreadable("body", f"more than {MAX_FORM_FIELDS} form fields")
    fields: dict[str, str] = {}
    for part in parts[1:]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = _PART_NAME.search(head)
        if name is not None:
            fields[_decoded(name[1])] = _decoded(value.removesuffix(b"\r\n"))
    if not fields:
        raise Unreadable("body", "no form field between the boundaries that the content type announces")
    return fields


def _decoded(raw: bytes) -> str:
    return plain_text(raw.decode("utf-8", "replace"))


def fields(request: Request) -> dict[str, Any]:
    """Return the sender's fields, whether they came in the query, as a form or as a JSON object.

    Fields of the body win over those of the query. Raises `Unreadable`.
    """
    found: dict[str, Any] = {plain_text(name): plain_text(value) for name, value in request.query.items()}
    if looks_like_json(request.body):
        data = parse_json(request.body)
        if not isinstance(data, dict):
            raise Unreadable("body", "expected one JSON object, not an array")
        found.update(data)
    elif request.body.strip():
        found.update(form(request))
    return found


def mapping(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the object under `name`, or an empty one when it is missing, null or something else."""
    value = data.get(name)
    return value if isinstance(value, dict) else {}
