"""Alertmanager's matchers: `foo="bar"`, `foo!="bar"`, `foo=~"a|b"`, `foo!~"a.*"`; a missing label is the empty text.

Syntax: https://prometheus.io/docs/alerting/latest/configuration/#matcher. Names may be any UTF-8 in quotes, values may
go without quotes, several stand in one text separated by commas, with or without braces. Regular expressions are
RE2's, anchored at both ends, and `.` does not match a line break.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

import re2

MAX_PATTERN: Final = 1024
"""The longest regular expression, in bytes."""
MAX_MEMORY: Final = 1024 * 1024
"""What RE2 may use for one expression, in bytes."""

OPERATORS: Final = ("=~", "!~", "!=", "=")
_RESERVED: Final = frozenset("{}!=~,\\\"'`")
_META: Final = frozenset("\\.+*?()|[]{}^$")
_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\"}
_CODE: Final = re.compile(r"x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}")


class MatcherError(ValueError):
    """A matcher that can't be read. `offset` counts characters from the start of the text."""

    def __init__(self, offset: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message
        self.hint = hint


class Matcher:
    """One condition on one label. `values` lists all texts that a positive matcher accepts, or is None if unbounded."""

    __slots__ = ("_test", "name", "negative", "operator", "value", "values")

    def __init__(self, name: str, operator: str, value: str) -> None:
        """Compile a matcher. Raises ValueError, in words for the operator, when the pattern is not RE2 or too large."""
        self.name = name
        self.operator = operator
        self.value = value
        self.negative = operator[0] == "!"
        known: tuple[str, ...] | None = (value,)
        test: Callable[[str], bool] = value.__eq__
        if operator[-1] == "~":
            known = _alternatives(value)
            test = _any_of(known) if known is not None else _pattern(value)
        self.values = None if self.negative else known
        self._test = test

    def accepts(self, value: str) -> bool:
        """Tell whether a label with this value meets the condition."""
        return self._test(value) is not self.negative

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a label set meets the condition."""
        return self._test(labels.get(self.name, "")) is not self.negative

    def __str__(self) -> str:
        """Return the canonical text, as Alertmanager prints it."""
        name = self.name if _bare(self.name) else _quote(self.name)
        return f"{name}{self.operator}{_quote(self.value)}"

    def __repr__(self) -> str:
        return f"Matcher({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Matcher) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def _bare(name: str) -> bool:
    return bool(name) and not any(c in _RESERVED or c.isspace() for c in name)


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


# --------------------------------------------------------------------------------------------------------------------
# Regular expressions, and the shapes that need none.


def _any_of(values: tuple[str, ...]) -> Callable[[str], bool]:
    return frozenset(values).__contains__


def _alternatives(pattern: str) -> tuple[str, ...] | None:
    """Return the texts that `a`, `a|b` or `(a|b)` stand for, in order, or None when it is no such list."""
    if pattern.startswith("(") and pattern.endswith(")") and not pattern.startswith("(?"):
        pattern = pattern[1:-1]
    texts = [""]
    at = 0
    while at < len(pattern):
        c = pattern[at]
        if c == "|":
            texts.append("")
        elif c == "\\" and pattern[at + 1 : at + 2] and pattern[at + 1] in _META | frozenset("-/\"'"):
            at += 1
            texts[-1] += pattern[at]
        elif c in _META:
            return None
        else:
            texts[-1] += c
        at += 1
    return tuple(dict.fromkeys(texts))


def _pattern(pattern: str) -> Callable[[str], bool]:
    """Return the test for a pattern that is no list of texts. Raises ValueError."""
    raw = pattern.encode("utf-8", "replace")
    if len(raw) > MAX_PATTERN:
        raise ValueError(f"the regular expression is longer than {MAX_PATTERN} bytes")
    if pattern[-2:] in (".*", ".+"):
        prefix = _alternatives(pattern[:-2]) if "|" not in pattern else None  # `a|a.+` also means the `a` alone
        if prefix is not None:
            return _begins(prefix[0], needs_more=pattern.endswith("+"))
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = MAX_MEMORY
    try:
        expression = re2.compile(raw, options)
    except re2.error as error:
        words = error.args[0] if error.args else "not understood"
        text = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
        raise ValueError(f"the regular expression is not RE2: {text}") from None
    return lambda value: expression.fullmatch(value.encode("utf-8", "replace")) is not None


def _begins(prefix: str, needs_more: bool) -> Callable[[str], bool]:
    least = len(prefix) + needs_more

    def begins(value: str) -> bool:
        return len(value) >= least and value.startswith(prefix) and "\n" not in value[len(prefix) :]

    return begins


# --------------------------------------------------------------------------------------------------------------------
# Reading.


def parse_matchers(text: str) -> list[Matcher]:
    """Read one or more matchers. Raises MatcherError with the offset of what is wrong."""
    reader = _Reader(text)
    braces = reader.take("{")
    matchers: list[Matcher] = []
    while not reader.at_end() and not (braces and reader.peek() == "}"):
        matchers.append(reader.matcher())
        if not reader.take(","):
            break
    if braces and not reader.take("}"):
        raise MatcherError(reader.at, "the opening { is never closed", "end the matchers with }")
    if not reader.at_end():
        raise reader.unexpected("a comma or the end")
    if not matchers and not braces:
        raise MatcherError(0, "the matcher is empty", 'write for example severity="critical"')
    return matchers


class _Reader:
    """Walks through the text of matchers; `at` is the offset of what comes next."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        """Return the next character that is no blank, without taking it; "" at the end."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def at_end(self) -> bool:
        return self.peek() == ""

    def take(self, wanted: str) -> bool:
        """Take `wanted` if it comes next."""
        self.peek()
        if not self.text.startswith(wanted, self.at):
            return False
        self.at += len(wanted)
        return True

    def unexpected(self, wanted: str) -> MatcherError:
        found = self.peek()
        return MatcherError(self.at, f"expected {wanted}, found {found!r}" if found else f"expected {wanted}")

    def matcher(self) -> Matcher:
        name = self.name()
        operator = self.operator(name)
        self.peek()
        start = self.at
        value = self.word(pattern=operator[-1] == "~")
        if value is None:
            raise MatcherError(start, f"{name}{operator} lacks a value", f'write {name}{operator}"…"')
        try:
            return Matcher(name, operator, value)
        except ValueError as error:
            raise MatcherError(start, str(error), "syntax: https://github.com/google/re2/wiki/Syntax") from None

    def name(self) -> str:
        self.peek()
        start = self.at
        name = self.word(pattern=False)
        if name is None:
            raise self.unexpected("a label name")
        if not name:
            raise MatcherError(start, "a label name can't be empty")
        return name

    def operator(self, name: str) -> str:
        if self.take("=="):
            raise MatcherError(self.at - 2, "== is no operator", f'write {name}="…"')
        for operator in OPERATORS:
            if self.take(operator):
                return operator
        error = self.unexpected("one of = != =~ !~")
        error.hint = f'write {name}="…"'
        raise error

    def word(self, pattern: bool) -> str | None:
        """Take a quoted or bare word; None when there is none."""
        first = self.peek()
        if first == '"':
            return self.quoted(pattern)
        if first in ("'", "`"):
            raise MatcherError(self.at, f"expected double quotes, found {first}", 'write "…" around the text')
        start = self.at
        while self.at < len(self.text) and not (self.text[self.at] in _RESERVED or self.text[self.at].isspace()):
            self.at += 1
        return self.text[start : self.at] or None

    def quoted(self, pattern: bool) -> str:
        start = self.at
        self.at += 1
        parts: list[str] = []
        while self.at < len(self.text):
            c = self.text[self.at]
            self.at += 1
            if c == '"':
                return "".join(parts)
            parts.append(self.escape(pattern) if c == "\\" else c)
        raise MatcherError(start, "the opening quote is never closed", 'end the text with "')

    def escape(self, pattern: bool) -> str:
        r"""Take what follows a backslash.

        In a pattern only `\\`, `\"` and `\n` are Alertmanager's; all else is RE2's (`\d`, `\b`), except `\u`, which RE2
        lacks. Elsewhere Go's escapes hold, and an unknown one stays as written, as Alertmanager's first parser had it.
        """
        c = self.text[self.at : self.at + 1]
        code = _CODE.match(self.text, self.at)
        if code and not (pattern and c == "x"):
            point = int(code.group()[1:], 16)
            if point > 0x10FFFF or 0xD800 <= point < 0xE000:
                raise MatcherError(self.at - 1, f"\\{code.group()} is no character")
            self.at = code.end()
            text = chr(point)
            return f"\\{text}" if pattern and text in _META else text
        self.at += 1
        if c in _ESCAPES and (not pattern or c in ('"', "\\", "n")):
            return _ESCAPES[c]
        return f"\\{c}"
