"""Compiles how a person can be told: contact methods, and the person's own steps per urgency."""

from __future__ import annotations

from typing import Any, Final

from triage.model import DAY, Millis
from triage.rulebook import secrets, shapes
from triage.rulebook.durations import show_duration
from triage.rulebook.problems import Problem, closest
from triage.rulebook.reading import Part
from triage.rulebook.types import Notice
from triage.rulebook.yaml import Path

METHODS_MAX: Final = 20
"""How many contact methods a person may have, and how many steps per urgency."""
AFTER_MAX: Final[Millis] = DAY

Contacts = tuple[tuple[str, ...], tuple[Notice, ...], tuple[int, ...]]


def read(part: Part, place: Path, shape: shapes.PersonShape, problems: list[Problem]) -> Contacts:
    """Return a person's methods (URLs), how pages come, and the methods of what wakes nobody; note every fault."""
    return _Contacts(part, place, shape, problems).read()


class _Contacts:
    def __init__(self, part: Part, place: Path, shape: shapes.PersonShape, problems: list[Problem]) -> None:
        self.part = part
        self.place = place
        self.shape = shape
        self.problems = problems
        self.names = list(shape.methods)

    def fault(self, where: Path, message: str, hint: str = "", **more: Any) -> None:
        self.problems.append(self.part.document.problem((*self.place, *where), message, hint, **more))

    def read(self) -> Contacts:
        shape = self.shape
        if shape.contact and shape.methods:
            hint = "give each method a name under methods:, in the order of preference"
            self.fault(("contact",), "a person has either contact or methods", hint, key=True)
        named: list[tuple[Path, str]] = [(("contact", index), url) for index, url in enumerate(shape.contact)]
        named += [(("methods", name), url) for name, url in shape.methods.items()]
        for where, url in named:
            self._method(where, url)
        for where, count in (
            (("methods",) if shape.methods else ("contact",), len(named)),
            (("notify", "high"), len(shape.notify.high)),
            (("notify", "low"), len(shape.notify.low)),
        ):
            if count > METHODS_MAX:
                self.fault(where, f"there are at most {METHODS_MAX} of these", key=True)
        return tuple(url for _, url in named), self._high(), self._low()

    def _method(self, where: Path, url: str) -> None:
        fault = secrets.method_fault(url)
        if fault:
            self.fault(where, fault, secrets.REMEDY if "literal" in fault else "")
        elif not url.startswith("file://") and secrets.suspicious(url):
            self.fault(where, "a part of this URL looks like a token", secrets.REMEDY, severity="warning")

    def _high(self) -> tuple[Notice, ...]:
        found: list[Notice] = []
        for index, step in enumerate(self.shape.notify.high):
            where: Path = ("notify", "high", index)
            if step.after > AFTER_MAX:
                self.fault((*where, "after"), f"a step comes at most {show_duration(AFTER_MAX)} after the page began")
            method = self._named(where, step.by)
            if method is not None and any(one.method == method for one in found):
                # The id of a page is made of its method: a second one by the same would be the same page.
                message = f'"{step.by}" is a step already: each method pages once'
                self.fault((*where, "by"), message, "rounds: of the policy pages again")
            elif method is not None:
                found.append(Notice(method, step.after))
        if found and all(one.after for one in found):
            first = min(one.after for one in found)
            message = f"nothing is sent in the first {show_duration(first)}"
            self.fault(("notify", "high"), message, "leave after: out of the first step", severity="warning", key=True)
        return tuple(sorted(found, key=lambda one: one.after))

    def _low(self) -> tuple[int, ...]:
        steps = self.shape.notify.low
        found = [self._named(("notify", "low", index), step.by) for index, step in enumerate(steps)]
        return tuple(dict.fromkeys(one for one in found if one is not None))

    def _named(self, where: Path, name: str) -> int | None:
        if name in self.names:
            return self.names.index(name)
        known = (
            f"there are {', '.join(self.names)}" if self.names else 'give them names, like methods: {push: "ntfys://…"}'
        )
        self.fault((*where, "by"), f'there is no contact method "{name}"', closest(name, self.names) or known)
        return None
