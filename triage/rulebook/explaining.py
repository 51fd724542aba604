"""Why the rules said what they said: the deciding rule of each field, and the nearest rules that were missed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from triage.rulebook.matcher import Matcher
from triage.rulebook.rule import Rule
from triage.rulebook.types import FIELDS, Verdict

NEAREST: Final = 5
"""How many missed rules an explanation names."""


class Deciding(msgspec.Struct, frozen=True):
    """Who decided one field. `rule` is "" for what is no rule's: `origin` says then where the value is from."""

    field: str
    rule: str
    path: str = ""
    line: int = 0
    origin: str = ""


class Failed(msgspec.Struct, frozen=True):
    """One matcher that did not hold: `wanted` as it is written, `actual` the label's value ("" when it is missing)."""

    label: str
    wanted: str
    actual: str


class Missed(msgspec.Struct, frozen=True):
    """A rule that did not decide anything: its matchers that failed, or the rule that ended the reading before it."""

    rule: str
    path: str
    line: int
    failed: tuple[Failed, ...] = ()
    ended_by: str = ""


class Explanation(msgspec.Struct, frozen=True):
    """What `tocsin why` shows of the rules. `labels` are those that the rules saw; `matched` all rules that held, in
    reading order; `ended_by` the one that ended the reading, "" when all were read.
    """

    verdict: Verdict
    labels: dict[str, str]
    fields: tuple[Deciding, ...]
    matched: tuple[str, ...]
    ended_by: str
    missed: tuple[Missed, ...]


def explain(
    verdict: Verdict,
    labels: dict[str, str],
    rules: Sequence[Rule],
    found: Mapping[str, Rule],
    ended: Rule | None,
    severity_origin: str,
) -> Explanation:
    """Put together the explanation of a verdict. It looks at every rule, so it is for people, not for the hot path."""
    matched = [rule for rule in _read(rules, ended) if rule.matches(labels)]
    return Explanation(
        verdict=verdict,
        labels=dict(sorted(labels.items())),
        fields=tuple(_deciding(field, found.get(field), severity_origin) for field in FIELDS),
        matched=tuple(rule.name for rule in matched),
        ended_by=ended.name if ended is not None else "",
        missed=tuple(_missed(rules, labels, ended)),
    )


def _read(rules: Sequence[Rule], ended: Rule | None) -> Sequence[Rule]:
    """Return the rules up to the one that ended the reading."""
    return rules if ended is None else rules[: rules.index(ended) + 1]


def _deciding(field: str, rule: Rule | None, severity_origin: str) -> Deciding:
    if rule is None:
        return Deciding(field, "", origin=severity_origin if field == "severity" else "default")
    return Deciding(field, rule.name, rule.path, rule.line)


def _missed(rules: Sequence[Rule], labels: Mapping[str, str], ended: Rule | None) -> Iterator[Missed]:
    """Return the rules that came nearest: fewest failing matchers first, then most that held, then reading order."""
    last = len(rules) if ended is None else rules.index(ended)
    near: list[tuple[int, int, int]] = []
    for position, rule in enumerate(rules):
        failing = sum(not matcher.matches(labels) for matcher in rule.matchers)
        held = len(rule.matchers) - failing
        if (failing and held) or failing == 1 or (not failing and position > last):
            near.append((failing, -held, position))
    for failing, _, position in sorted(near)[:NEAREST]:
        rule = rules[position]
        failed = tuple(_failed(matcher, labels) for matcher in rule.matchers if not matcher.matches(labels))
        yield Missed(rule.name, rule.path, rule.line, failed, "" if failing or ended is None else ended.name)


def _failed(matcher: Matcher, labels: Mapping[str, str]) -> Failed:
    return Failed(matcher.name, str(matcher), labels.get(matcher.name, ""))
