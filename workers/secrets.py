"""Secrets in contact methods: `${NAME}` is filled in right before sending, and never leaves again.

Memory, journal and logs hold the contact method as the operator wrote it. What a provider or a library says about a
failure is scrubbed of the values before anybody sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import quote, unquote

from triage.rulebook.secrets import filled

Lookup: TypeAlias = Callable[[str], "str | None"]
"""Given a name, return the secret: from the environment, or from the file that NAME_FILE names; None when not set."""

_PIECES: Final = re.compile(r"[/:@?&=#]+")
_PIECE_MIN: Final = 6
HIDDEN: Final = "***"


class UnsetSecret(Exception):
    """A contact method refers to a secret that is not set. `name` is its name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Expanded(NamedTuple):
    """A contact method ready to use, and the texts that must not be shown."""

    target: str
    hidden: tuple[str, ...]


def expand(target: str, lookup: Lookup) -> Expanded:
    """Fill in every `${NAME}` of a contact method. Raises UnsetSecret; an empty value counts as missing.

    Values are put in as they are: a value with characters that mean something in a URL is stored percent-encoded.
    """
    values: list[str] = []

    def value(name: str) -> str:
        found = lookup(name)
        if not found:
            raise UnsetSecret(name)
        values.append(found)
        return found

    return Expanded(filled(target, value), _variants(values))


def _variants(values: Iterable[str]) -> tuple[str, ...]:
    """Return the values in every form in which they may turn up, the longest first."""
    forms: set[str] = set()
    for value in values:
        pieces = [piece for piece in _PIECES.split(value) if len(piece) >= _PIECE_MIN]
        for text in (value, *pieces):
            forms |= {text, quote(text, safe=""), quote(text), unquote(text)}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def scrub(text: str, hidden: Iterable[str]) -> str:
    """Return `text` with every hidden text replaced."""
    for secret in hidden:
        text = text.replace(secret, HIDDEN)
    return text
