"""One compiled severity rule, and the index that finds the rules worth looking at for a label set."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

import msgspec

from triage.model import Millis, Severity
from triage.rulebook.matcher import Matcher
from triage.rulebook.types import Measure, Raise, Verification

_HOLE: Final = re.compile(r"\{([^{}]*)\}")


class Template(msgspec.Struct, frozen=True):
    """Text with `{label}` holes. `texts` has one more element than `labels`; they alternate."""

    source: str
    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()

    @property
    def fixed(self) -> bool:
        """Tell whether there are no holes."""
        return not self.labels

    def fill(self, labels: Mapping[str, str], link: bool = False) -> str:
        """Return the text for these labels, or "" when one is missing. In a link, values are percent-encoded."""
        parts = [self.texts[0]]
        for name, text in zip(self.labels, self.texts[1:], strict=True):
            value = labels.get(name, "")
            if not value:
                return ""
            parts += (quote(value, safe="") if link else value, text)
        return "".join(parts)


def read_template(source: str) -> Template:
    """Read text with `{label}` holes. Raises ValueError, in words for the operator."""
    pieces = _HOLE.split(source)
    texts, labels = tuple(pieces[0::2]), tuple(pieces[1::2])
    if any("{" in text or "}" in text for text in texts):
        raise ValueError(f'"{source}" has an unpaired brace: a label is written {{name}}')
    if not all(labels):
        raise ValueError(f'"{source}" has an empty {{}}: name the label whose value belongs there')
    return Template(source, texts, labels)


class Rule(msgspec.Struct, frozen=True):
    """One rule as it is applied. `fields` are those of types.FIELDS that it names; the others hold no meaning.

    `line` is where its file names it. `team` is set for the rules of a team folder, whose `name` begins with it.
    """

    name: str
    path: str
    line: int
    matchers: tuple[Matcher, ...]
    fields: tuple[str, ...] = ()
    continues: bool = False
    team: str = ""
    severity: Severity = Severity.P4
    max_severity: Severity = Severity.P0
    policy: Template | None = None
    runbook: Template | None = None
    group_by: tuple[str, ...] = ()
    wait: Millis = 0
    raises: tuple[Raise, ...] = ()
    during: str = ""
    metrics: Measure | None = None
    verify: tuple[Verification, ...] = ()
    room: str = ""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether all matchers hold."""
        for matcher in self.matchers:  # noqa: SIM110  a plain loop takes half the time of all()
            if not matcher.matches(labels):
                return False
        return True


class Index:
    """Finds the rules that may match a label set by one equality matcher of each.

    A rule is filed under every value that its chosen matcher accepts; of several such matchers the one whose values
    are rarest among all rules is chosen. Rules without one are looked at for every event.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.always: list[int] = []
        self.filed: dict[str, dict[str, list[int]]] = {}
        usual = Counter(pair for rule in rules for matcher in rule.matchers for pair in _pairs(matcher))
        for position, rule in enumerate(rules):
            choices = [matcher for matcher in rule.matchers if indexable(matcher)]
            if not choices:
                self.always.append(position)
                continue
            best = min(choices, key=lambda matcher: sum(usual[pair] for pair in _pairs(matcher)))
            values = self.filed.setdefault(best.name, {})
            for value in best.values or ():
                values.setdefault(value, []).append(position)

    def candidates(self, labels: Mapping[str, str]) -> Iterable[int]:
        """Return the positions of all rules that may match, in reading order."""
        found = self.always
        for name, values in self._shorter(labels):
            positions = values.get(labels.get(name, ""))
            if positions:
                found = sorted(found + positions) if found else positions
        return found

    def _shorter(self, labels: Mapping[str, str]) -> Iterable[tuple[str, dict[str, list[int]]]]:
        """Return the filed names that these labels have, walking over whichever side is smaller."""
        filed = self.filed
        if len(filed) <= len(labels):
            return filed.items()
        return [(name, filed[name]) for name in labels if name in filed]


def indexable(matcher: Matcher) -> bool:
    """Tell whether a matcher accepts only a known list of values; the empty one would also stand for "missing"."""
    return matcher.values is not None and "" not in matcher.values


def _pairs(matcher: Matcher) -> list[tuple[str, str]]:
    return [(matcher.name, value) for value in matcher.values or ()] if indexable(matcher) else []
