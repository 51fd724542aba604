"""JMESPath as operators use it in sources.yaml, with the functions that mapping foreign JSON needs.

The language: https://jmespath.org/specification.html. Added: `lower(text)`, `upper(text)`, `trim(text)`, all of which
leave null alone; `coalesce(a, b, …)`, the first that is neither null nor empty; `from_epoch(n)`, RFC 3339 from Unix
time in any unit; `regex_group(text, pattern, n)` with RE2, null when it does not match; `lookup(object, key)`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import jmespath
import jmespath.exceptions
import jmespath.functions
import re2

from ingest import times

_TABLE: Final[Any] = {"types": ["object", "null"]}
_KEY: Final[Any] = {"types": ["string", "number", "null"]}
_TEXT: Final[Any] = {"types": ["string", "null"]}


class BadExpression(ValueError):
    """An expression does not compile, or cannot be applied to what was sent."""


class _Functions(jmespath.functions.Functions):  # type: ignore[misc, unused-ignore]
    @jmespath.functions.signature(_TEXT)
    def _func_lower(self, text: str | None) -> str | None:
        return None if text is None else text.lower()

    @jmespath.functions.signature(_TEXT)
    def _func_upper(self, text: str | None) -> str | None:
        return None if text is None else text.upper()

    @jmespath.functions.signature(_TEXT)
    def _func_trim(self, text: str | None) -> str | None:
        return None if text is None else text.strip()

    @jmespath.functions.signature({"types": [], "variadic": True})
    def _func_coalesce(self, *values: Any) -> Any:
        return next((value for value in values if value is not None and value != ""), None)

    @jmespath.functions.signature({"types": ["number", "string", "null"]})
    def _func_from_epoch(self, number: float | str | None) -> str | None:
        moment = times.millis(number)
        return None if moment is None else datetime.fromtimestamp(moment / 1000, UTC).isoformat()

    @jmespath.functions.signature(_TEXT, {"types": ["string"]}, {"types": ["number"]})
    def _func_regex_group(self, text: str | None, pattern: str, group: int) -> str | None:
        found = _compiled_regex(pattern).search(text or "")
        return None if found is None else found.group(int(group))

    @jmespath.functions.signature(_TABLE, _KEY)
    def _func_lookup(self, table: dict[str, Any] | None, key: str | float | None) -> Any:
        return (table or {}).get(str(key))


@lru_cache(maxsize=256)
def _compiled_regex(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options=options)


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> Any:
    return jmespath.compile(expression)


_OPTIONS: Final = jmespath.Options(custom_functions=_Functions())


def evaluate(expression: str, data: object) -> Any:
    """Return what the expression yields on `data`. Raises `BadExpression`."""
    try:
        return _compiled(expression).search(data, options=_OPTIONS)
    except (jmespath.exceptions.JMESPathError, re2.error) as error:
        raise BadExpression(str(error) or type(error).__name__) from None
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, AttributeError) as error:
        # The library's own functions let these out when data is of a type they did not foresee.
        raise BadExpression(f"{type(error).__name__}: {error}") from None
