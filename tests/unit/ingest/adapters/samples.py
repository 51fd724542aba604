"""Reading the samples in tests/payloads/<adapter>/ as the requests that their senders make.

`<case>.json` is the exact body of a POST; `<case>.http.json` is an envelope with method, headers, query and body.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ingest.adapter import Read, Request
from ingest.adapters import load
from triage.model import Millis
from triage.rulebook.types import Source

FOLDER = Path(__file__).parents[3] / "payloads"
NOON: Millis = 1_778_587_200_000
"""2026-05-12T12:00:00Z: the day of the samples."""


def cases() -> Iterator[tuple[str, str]]:
    for path in sorted(FOLDER.glob("*/*.json")):
        yield path.parent.name, path.name.removesuffix(".json")


def source(adapter: str, **settings: Any) -> Source:
    return Source(name=adapter, adapter=adapter, **settings)


def request(adapter: str, case: str, at: Millis = NOON, **settings: Any) -> Request:
    raw = (FOLDER / adapter / f"{case}.json").read_bytes()
    if not case.endswith(".http"):
        return Request(source(adapter, **settings), at, body=raw, headers={"content-type": "application/json"})
    envelope = json.loads(raw)
    headers = {name.lower(): value for name, value in envelope["headers"].items()}
    rest = "/".join(envelope["path"].split("/")[3:])
    return Request(
        source(adapter, **settings),
        at,
        method=envelope["method"],
        body=_body(envelope, headers),
        headers=headers,
        query=envelope.get("query", {}),
        rest=rest,
    )


def _body(envelope: Mapping[str, Any], headers: Mapping[str, str]) -> bytes:
    if "body_text" in envelope:
        return str(envelope["body_text"]).encode()
    if "body_json" in envelope:
        return json.dumps(envelope["body_json"]).encode()
    form = envelope.get("form", {})
    kind = headers.get("content-type", "")
    if not kind.startswith("multipart/"):
        return urlencode(form).encode()
    boundary = kind.partition("boundary=")[2]
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in form.items()]
    return ("".join(parts) + f"--{boundary}--\r\n").encode()


def read(adapter: str, case: str, at: Millis = NOON, **settings: Any) -> Read:
    return load(adapter).read(request(adapter, case, at, **settings))
