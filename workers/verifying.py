"""Looks once whether what operators name is well: a query of Prometheus has a result, or an address answers 2xx."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final
from urllib.parse import urlencode

from triage.model import clean_text
from triage.rulebook.types import Verification
from workers import outbound
from workers.outbound import Answer
from workers.secrets import Lookup, UnsetSecret, expand, scrub

LOOK_S: Final = 10.0
"""How long one look may take, in seconds."""
ANSWER_MAX: Final = 64 * 1024
"""How much of what Prometheus answers is read, in bytes."""
SEEN_MAX: Final = 2_000
FIGURE_MAX: Final = 40
"""How much of a sample is shown, in characters."""
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]+")


def look(verify: Verification, lookup: Lookup) -> tuple[bool, str]:
    """Look once. Return whether it is well, and what was seen, without secrets."""
    try:
        address, hidden = expand(verify.url, lookup)
        headers = {"Accept": "application/json"}
        for name, value in verify.headers:
            headers[name], more = expand(value, lookup)
            hidden += more
    except UnsetSecret as unset:
        return False, f"the secret {unset.name} is not set where workers run"
    if verify.query:
        address = f"{address.rstrip('/')}/api/v1/query?{urlencode({'query': verify.query})}"
    answer = outbound.call("GET", address, b"", headers, LOOK_S, ANSWER_MAX)
    if not isinstance(answer, Answer):
        return False, scrub(answer.reason, hidden)[:SEEN_MAX]
    if not verify.query:
        return 200 <= answer.status < 300, f"HTTP {answer.status}"
    if answer.status != 200:
        return False, f"Prometheus answers HTTP {answer.status}: {clean(answer.body, hidden)}"[:SEEN_MAX]
    return judged(answer.body, verify.query)


def judged(body: bytes, query: str) -> tuple[bool, str]:
    """Return whether a PromQL result says yes: a vector with something in it, or a scalar that is not 0."""
    try:
        data: Any = json.loads(body)["data"]
        kind, result = data["resultType"], data["result"]
        if kind == "scalar":
            value = float(result[1])
            return value != 0 and not math.isnan(value), f"{query} is {_figure(result[1])}"
        if kind == "vector":
            first = f", the first {_figure(result[0]['value'][1])}" if result else ""
            return bool(result), f"{query} has {len(result)} results{first}"
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return False, "Prometheus answered what cannot be read (more than 64 KiB?)"
    return False, f"{query} gives a {str(kind)[:20]}: write one that gives a vector or a scalar"


def _figure(value: Any) -> str:
    """Return a sample as it can be kept and shown; it should be a number, and may be anything."""
    return clean_text(_CONTROL.sub(" ", str(value)))[:FIGURE_MAX]


def clean(body: bytes, hidden: tuple[str, ...]) -> str:
    """Return what the other side said as text that can be shown."""
    return scrub(_CONTROL.sub(" ", body.decode("utf-8", "replace")), hidden).strip()[:SEEN_MAX]
