"""Reads a range of a Prometheus, through its HTTP API (`query_range`), once, and takes from the answer what is kept.

What answers may be anything: slow, huge, or no Prometheus at all. A reading never raises for it, it says what it met.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from triage.measured import Asked, Query
from triage.metrics import CURVES_MAX
from triage.model import Curve, Measured, clean_text
from workers import outbound
from workers.outbound import Answer
from workers.secrets import Lookup, UnsetSecret, expand, scrub

READ_S: Final = 10.0
"""How long one question may take, in seconds."""
ANSWER_MAX: Final = 4 * 1024 * 1024
"""How much of an answer is read, in bytes; a larger one is not read at all."""
LABELS_MAX: Final = 30
LABEL_MAX: Final = 200
"""Longest name and longest value of a label that is kept, in characters."""
FAULT_MAX: Final = 300
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Unread(Exception):
    """There is nothing to keep. The message says why, for people."""


class TooLarge(Unread):
    """The answer is larger than what is read."""


def read(incident: str, query: Query, asked: Asked, lookup: Lookup) -> Measured:
    """Read once what is asked. Where the whole curve is too much, only what fires of it is read."""
    hidden: tuple[str, ...] = ()
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        address, hidden = expand(query.url, lookup)
        for name, value in query.headers.items():
            headers[name], more = expand(value, lookup)
            hidden += more
        address = f"{address.rstrip('/')}/api/v1/query_range"
        whole = False
        try:
            found = _series(_ask(address, headers, query.curve, asked))
        except TooLarge:
            if query.curve == query.text:
                raise
            whole, found = True, _series(_ask(address, headers, query.text, asked))
    except UnsetSecret as unset:
        return _failed(incident, asked, f"the secret {unset.name} is not set where workers run")
    except Unread as fault:
        return _failed(incident, asked, scrub(str(fault), hidden))
    kept = _kept(found, query, asked)
    return Measured(
        incident,
        asked.around,
        asked.at,
        asked.start,
        asked.step,
        tuple(kept[:CURVES_MAX]),
        max(0, len(kept) - CURVES_MAX),
        whole,
    )


def _failed(incident: str, asked: Asked, why: str) -> Measured:
    return Measured(incident, asked.around, asked.at, fault=_plain(why)[:FAULT_MAX])


def _ask(address: str, headers: Mapping[str, str], query: str, asked: Asked) -> list[Any]:
    """Ask once. Return the list of series as it came. Raises Unread."""
    given = {
        "query": query,
        "start": f"{asked.start / 1_000:.3f}",
        "end": f"{asked.end / 1_000:.3f}",
        "step": f"{asked.step / 1_000:.3f}",
        "timeout": f"{READ_S:g}s",
    }
    answer = outbound.call("POST", address, urlencode(given).encode(), headers, READ_S, ANSWER_MAX + 1)
    if not isinstance(answer, Answer):
        raise Unread(f"no answer came within {READ_S:g} s" if answer.ambiguous else answer.reason)
    if len(answer.body) > ANSWER_MAX:
        raise TooLarge(f"the answer is larger than {ANSWER_MAX // 1024 // 1024} MiB: name a query that adds series up")
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    if answer.status != 200:
        said = body.get("error") if isinstance(body, dict) else None
        raise Unread(f"Prometheus answers HTTP {answer.status}{f': {said}' if isinstance(said, str) else ''}")
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("result"), list):
        raise Unread("what answers there is no Prometheus: its answer has no list of series")
    if data.get("resultType") != "matrix":
        raise Unread(f"it answers with a {str(data.get('resultType'))[:20]}, which has no course")
    found: list[Any] = data["result"]
    return found


def _series(result: list[Any]) -> list[tuple[dict[str, str], list[Any]]]:
    """Return labels and samples of each series. Raises Unread."""
    found = []
    for one in result:
        labels = one.get("metric") if isinstance(one, dict) else None
        samples = one.get("values") if isinstance(one, dict) else None
        if not isinstance(labels, dict) or not isinstance(samples, list):
            raise Unread("Prometheus answers what cannot be read: a series without labels or values")
        found.append(({str(name): str(value) for name, value in labels.items()}, samples))
    return found


def _kept(found: list[tuple[dict[str, str], list[Any]]], query: Query, asked: Asked) -> list[Curve]:
    """Return the curves, the alert's own first, then those with the most extreme values."""
    low = query.sign.startswith("<")

    def order(one: tuple[bool, dict[str, str], tuple[float | None, ...]]) -> tuple[bool, float, list[tuple[str, str]]]:
        own, labels, values = one
        known = [value for value in values if value is not None]
        extreme = (min(known) if low else -max(known)) if known else math.inf
        return not own, extreme, sorted(labels.items())

    known = [(_own(labels, query.labels), labels, _grid(samples, asked)) for labels, samples in found]
    return [Curve(dict(_labels(labels)), values) for _, labels, values in sorted(known, key=order)]


def _own(labels: Mapping[str, str], alert: Mapping[str, str]) -> bool:
    """Tell whether a series may be the one that an alert is about: it has no label that the alert has otherwise."""
    return all(alert.get(name) == value for name, value in labels.items() if name != "__name__")


def _labels(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in sorted(labels.items())[:LABELS_MAX]:
        yield _plain(name)[:LABEL_MAX], _plain(value)[:LABEL_MAX]


def _plain(text: str) -> str:
    return _CONTROL.sub(" ", clean_text(text)).strip()


def _grid(samples: list[Any], asked: Asked) -> tuple[float | None, ...]:
    """Return a value for each step; what is no number that can be drawn, or belongs to no step, is left out."""
    values: list[float | None] = [None] * ((asked.end - asked.start) // asked.step + 1)
    for sample in samples:
        try:
            at, value = float(sample[0]) * 1_000, float(str(sample[1])[:40])
            place = round((at - asked.start) / asked.step)
        except (TypeError, ValueError, IndexError, KeyError, OverflowError):
            continue
        if 0 <= place < len(values) and math.isfinite(value):
            values[place] = value
    return tuple(values)
