"""PromQL as far as drawing it needs: the expression behind an alert's link, and where its comparison is cut off.

Nothing here knows the language whole. What is not understood is left as it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

EXPRESSION_MAX: Final = 8_000
"""Longest expression, in characters."""
_CLOSES: Final = {"(": ")", "[": "]", "{": "}"}
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_MARK: Final = re.compile(r"[=!]~|[<>!=]=|[<>=]")
_WORD: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_SETS: Final = frozenset({"and", "or", "unless"})
_COMPARES: Final = frozenset({">", "<", ">=", "<=", "==", "!="})
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9](?:_?[0-9])*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")


def expression_of(link: str) -> str:
    """Return the PromQL that the link of an alert (`generatorURL`) carries, or "".

    Prometheus, Thanos and Mimir write `g0.expr`. A link into Grafana's Explore carries queries as JSON; those of
    another kind of data source are none of ours. Links of Grafana's own alerts and of vmalert carry no expression.
    """
    try:
        given = parse_qs(urlsplit(link).query, max_num_fields=100)
    except ValueError:
        return ""
    found = given.get("g0.expr", [""])[0]
    for name in ("left", "panes"):
        found = found or next(_explored(given.get(name, [""])[0]), "")
    found = found.strip()
    return found if len(found) <= EXPRESSION_MAX and not _CONTROL.search(found) else ""


def _explored(text: str) -> Iterator[str]:
    """Yield the expressions of `left` (one pane) or `panes` (by name) of a link into Explore."""
    try:
        value: Any = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return
    panes = [value] if isinstance(value, dict) and "queries" in value else value.values() if _maps(value) else []
    for pane in panes:
        for query in pane.get("queries", ()) if isinstance(pane, dict) and isinstance(pane["queries"], list) else ():
            if isinstance(query, dict) and isinstance(query.get("expr"), str) and _of_prometheus(query):
                yield query["expr"]


def _maps(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, dict) and "queries" in one for one in value.values())


def _of_prometheus(query: Mapping[str, Any]) -> bool:
    source = query.get("datasource")
    return not isinstance(source, dict) or source.get("type", "prometheus") == "prometheus"


def split(expression: str) -> tuple[str, str, float | None]:
    """Return what is compared, how, and with which number: `rate(x[5m]) > 0.5` is drawn without its last part.

    An expression that is no plain comparison with a number is returned whole, with no sign and no number.
    """
    marks = list(_marks(expression))
    if len(marks) != 1 or marks[0][1] not in _COMPARES:
        return expression, "", None
    at, sign = marks[0]
    number = expression[at + len(sign) :].strip().strip("()").strip()
    if not expression[:at].strip() or not _NUMBER.match(number):
        return expression, "", None
    value = float(number)
    return (expression[:at].strip(), sign, value) if math.isfinite(value) else (expression, "", None)


def _marks(expression: str) -> Iterator[tuple[int, str]]:
    """Yield position and text of what stands outside all brackets and quotes and decides: comparisons, and the words
    `and`, `or` and `unless`. What is not closed, or holds a comment, ends in a mark that is no comparison.
    """
    inside: list[str] = []
    at = 0
    while at < len(expression):
        character = expression[at]
        if character in "\"'`":
            at = _after_quote(expression, at)
        elif character in _CLOSES:
            inside.append(_CLOSES[character])
            at += 1
        elif inside and character == inside[-1]:
            inside.pop()
            at += 1
        elif character == "#":
            break
        elif not inside and (found := _MARK.match(expression, at) or _WORD.match(expression, at)):
            if found[0].lower() in _SETS or not _WORD.match(found[0]):
                yield at, found[0]
            at = found.end()
        else:
            at += 1
    if inside or expression[at : at + 1] == "#":
        yield at, "?"


def _after_quote(expression: str, at: int) -> int:
    """Return the position after a text in quotes, or the end."""
    quote, at = expression[at], at + 1
    while at < len(expression) and expression[at] != quote:
        at += 2 if expression[at] == "\\" and quote != "`" else 1
    return at + 1


def unquoted(expression: str) -> str:
    """Return what stands outside of all quotes: there a text that is filled in could become another expression."""
    found, at = "", 0
    while at < len(expression):
        if expression[at] in "\"'`":
            at = _after_quote(expression, at)
        else:
            found, at = found + expression[at], at + 1
    return found
