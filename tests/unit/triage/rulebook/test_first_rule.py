"""For each field the first matching rule that names it decides: the indexed way agrees with a plain reading."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triage.rulebook.making import book, event, labelled
from triage.rulebook.matcher import Matcher
from triage.rulebook.rule import Rule

NAMES = ["a", "b", "service", "severity", "team"]
PATTERNS = ["x", "y", "", "x|y", "(x|z)", "x.*", ".*", ".+", "[xy]z?", "x|"]
FIELDS = ["severity: P0", "severity: P2", "max_severity: P3", "group_by: [a]", "group_by: [b, a]", "wait: 1m",
          "wait: 5m", "policy: default", "policy: '{team}'", "runbook: 'https://x/{a}'", "outcome: drop"]  # fmt: skip

MATCHERS = st.builds(
    lambda name, operator, value: f'{name}{operator}"{value}"',
    st.sampled_from(NAMES),
    st.sampled_from(["=", "!=", "=~", "!~"]),
    st.sampled_from(PATTERNS),
)
RULES = st.lists(
    st.tuples(
        st.lists(MATCHERS, max_size=3),
        st.lists(st.sampled_from(FIELDS), max_size=4, unique_by=lambda field: field.split(":")[0]),
        st.booleans(),
    ),
    max_size=12,
)
LABELS = st.dictionaries(st.sampled_from([*NAMES, "other"]), st.sampled_from(["x", "y", "z", "xz", ""]), max_size=5)


def text_of(rules: list[tuple[list[str], list[str], bool]]) -> str:
    lines = ["rules:" if rules else ""]
    for number, (matchers, fields, goes_on) in enumerate(rules):
        lines.append(f"  - name: rule {number}")
        lines.append("    matchers: [" + ", ".join(f"'{matcher}'" for matcher in matchers) + "]")
        lines.append(f"    continue: {str(goes_on).lower()}")
        lines += [f"    {field}" for field in fields]
    return "\n".join(lines) + "\n"


def plainly(rules: list[Rule], labels: Mapping[str, str]) -> dict[str, str]:
    """Read the rules as the documentation says it: every one in turn, field by field."""
    deciding: dict[str, str] = {}
    for rule in rules:
        if all(Matcher(m.name, m.operator, m.value).accepts(labels.get(m.name, "")) for m in rule.matchers):
            for field in rule.fields:
                if field not in deciding:
                    deciding[field] = rule.name
            if not rule.continues:
                break
    return deciding


@settings(max_examples=300)
@given(RULES, st.lists(LABELS, min_size=1, max_size=6))
def test_the_index_and_the_memo_agree_with_a_plain_reading(
    rules: list[tuple[list[str], list[str], bool]], label_sets: list[dict[str, str]]
) -> None:
    rulebook = book(text_of(rules), services="services: {x: {team: y, tier: 1}}")
    fresh = book(text_of(rules), services="services: {x: {team: y, tier: 1}}")
    for labels in label_sets:
        one = labelled(labels)
        verdict = rulebook.verdict("src", one)
        assert verdict.rules == dict(sorted(plainly(rulebook.rules, rulebook.labels_of("src", one)).items()))
        assert rulebook.verdict("src", one) == verdict
        assert rulebook.explain("src", one).verdict == verdict
    for labels in reversed(label_sets):
        assert fresh.verdict("src", labelled(labels)) == rulebook.verdict("src", labelled(labels))


def test_a_rule_that_matches_ends_the_reading_unless_it_goes_on() -> None:
    rules = """
rules:
  - {name: one, matchers: ['a="x"'], wait: 1m, continue: true}
  - {name: two, matchers: ['a="x"'], severity: P2, wait: 2m}
  - {name: three, matchers: ['a="x"', 'b="x"'], severity: P0, group_by: [a]}
"""
    verdict = book(rules).verdict("src", event(a="x", b="x"))
    assert verdict.rules == {"severity": "two", "wait": "one"}
    assert (verdict.severity.name, verdict.rule, verdict.wait) == ("P2", "two", 60_000)


def test_the_order_of_labels_does_not_matter() -> None:
    rulebook = book(text_of([(['a="x"'], ["severity: P0"], False)]))
    forwards = rulebook.verdict("src", event(a="x", b="y", service="z"))
    assert rulebook.verdict("src", event(service="z", b="y", a="x")) == forwards
