"""Whom the words of a calendar mean: “On Call - Ana Example - Primary”, `ana@example.org`, “Ana (for Ben)”.

Never guessed: where a title names two people, nobody is meant, and the operators are told of the title.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from triage.model import key_of
from triage.rulebook import Rulebook
from triage.rulebook.types import Schedule

TITLE_MAX: Final = 300
"""How much of a title is looked at, in characters."""


def names_of(rulebook: Rulebook, schedule: Schedule) -> dict[str, str]:
    """Return name as a calendar may have it → person: those of `people`, then everybody's key and name.

    A name that two people share means neither.
    """
    names: dict[str, str] = {}
    shared: set[str] = set()
    for key, person in rulebook.people.items():
        for name in {fold(key), fold(person.display)}:
            if names.setdefault(name, key) != key:
                shared.add(name)
    for name in shared:
        del names[name]
    given = schedule.ical.people if schedule.ical is not None else {}
    names.update({fold(name): person for name, person in given.items()})
    names.pop("", None)
    return names


def source_of(schedule: Schedule, names: Mapping[str, str], text: str) -> str:
    """Return what tells one way of reading a calendar from another: where, how, for which names; `text` of a file."""
    ical = schedule.ical
    assert ical is not None  # noqa: S101  asked for schedules that import only
    pairs = [part for name in sorted(names) for part in (name, names[name])]
    return key_of("calendar", schedule.name, schedule.time_zone, ical.url, ical.file, ical.by, text, *pairs)


def fold(name: str) -> str:
    """Return a name as it is compared: without case, and with single spaces."""
    return " ".join(name.casefold().split())[:TITLE_MAX]


class Names:
    """Finds the person whom a title or an attendee means."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        words = sorted(map(re.escape, names), key=len, reverse=True)
        # Whole words only, and no part of an address: "ana" is neither in "diana" nor in "ana@elsewhere.example".
        self._words = re.compile(rf"(?<![\w@.+-])(?:{'|'.join(words)})(?![\w@+-]|\.\w)") if words else None

    def exact(self, texts: Iterable[str]) -> str:
        """Return the person who has one of these names, the first that somebody has, or ""."""
        return next((self._names[fold(text)] for text in texts if fold(text) in self._names), "")

    def within(self, title: str) -> str:
        """Return the one person whom a title names, or ""."""
        whole = self.exact([title])
        if whole or self._words is None:
            return whole
        found = {self._names[match[0]] for match in self._words.finditer(fold(title))}
        return found.pop() if len(found) == 1 else ""
