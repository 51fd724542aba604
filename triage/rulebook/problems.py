"""What is wrong with the operators' files, said so that they can mend it: where, what, and what was likely meant."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec

Weight: TypeAlias = Literal["error", "warning", "lint"]
ORDER: Final[dict[str, int]] = {"error": 0, "warning": 1, "lint": 2}
WIDEST_EXCERPT: Final = 120
MOST_CANDIDATES: Final = 5_000
_COLOURS: Final[dict[str, str]] = {"error": "31", "warning": "33", "lint": "36"}


class Problem(msgspec.Struct, frozen=True):
    """One fault in one file. `line` and `column` count from 1, in characters; `excerpt` is that line.

    An "error" refuses the change; a "warning" is a rule that will hardly do what was meant; "lint" is advice.
    """

    path: str
    line: int
    column: int
    message: str
    hint: str = ""
    severity: Weight = "error"
    excerpt: str = ""

    def __str__(self) -> str:
        """Return the one-line form, `file:line:column: message`."""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.path}:{self.line}:{self.column}: {self.message}{hint}"


class RulesError(Exception):
    """The files can't be used as rules. `problems` holds everything that was found, not only the first fault."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = in_order(problems)
        errors = [str(problem) for problem in self.problems if problem.severity == "error"]
        super().__init__("\n".join(errors))


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems sorted by file and place, each once."""
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda p: (p.path, p.line, p.column, ORDER[p.severity], p.message))


def errors_of(problems: Iterable[Problem]) -> list[Problem]:
    """Return those problems that refuse the change."""
    return [problem for problem in problems if problem.severity == "error"]


def render(problem: Problem, color: bool = False) -> str:
    """Return the problem for a terminal: `file:line:column: message`, the line, a caret under the place, the hint."""
    head = f"{problem.path}:{problem.line}:{problem.column}:"
    word = "" if problem.severity == "error" else f"{problem.severity}: "
    if color:
        head = f"\x1b[1m{head}\x1b[0m"
        word = f"\x1b[{_COLOURS[problem.severity]}m{problem.severity}:\x1b[0m "
    lines = [f"{head} {word}{_printable(problem.message)}"]
    if problem.excerpt.strip():
        shown, before = _window(problem.excerpt, problem.column - 1)
        caret = f"\x1b[{_COLOURS[problem.severity]}m^\x1b[0m" if color else "^"
        lines += [f"    {shown}", f"    {_blank(before)}{caret}"]
    if problem.hint:
        lines.append(f"    {_printable(problem.hint)}")
    return "\n".join(lines)


def closest(word: str, known: Iterable[str]) -> str:
    """Return `did you mean "x"?` for the known word nearest to `word`, or "" when none is near."""
    folded = word.casefold()
    candidates = sorted(known)[:MOST_CANDIDATES]
    same = [candidate for candidate in candidates if candidate.casefold() == folded]
    near = same or difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else ""


def _printable(text: str) -> str:
    """Return `text` with control characters made visible, since alert and file text must not drive a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _window(line: str, index: int) -> tuple[str, str]:
    """Return the part of a long line around `index`, and what of it stands before `index`."""
    start = max(0, index - WIDEST_EXCERPT // 2) if len(line) > WIDEST_EXCERPT else 0
    part = "".join(c if c.isprintable() else " " for c in line[start : start + WIDEST_EXCERPT])
    mark = "…" if start else ""
    return mark + part, mark + part[: max(0, index - start)]


def _blank(text: str) -> str:
    """Return spaces as wide as `text` is shown, so that the caret stands under its character."""
    return "".join(
        "" if unicodedata.combining(c) else "  " if unicodedata.east_asian_width(c) in "WF" else " " for c in text
    )
