"""Why: the deciding rule per field, and the nearest rules that were missed, on which matcher."""

from __future__ import annotations

from tests.unit.triage.rulebook.making import book, event
from triage.rulebook.explaining import Deciding, Failed, Missed

RULES = """rules:
  - {name: goes on, matchers: ['env="live"'], wait: 1m, continue: true}
  - {name: near, matchers: ['env="live"', 'alertname="Up"'], severity: P0}
  - {name: far, matchers: ['x="1"', 'y="2"'], severity: P0}
  - {name: ends, matchers: ['alertname=~"Do.*"'], severity: P2}
  - {name: too late, matchers: ['env="live"'], severity: P1}
"""


def test_names_the_deciding_rules_with_their_places() -> None:
    found = book(RULES).explain("src", event(env="live", alertname="Down"))
    assert [d for d in found.fields if d.rule] == [
        Deciding("severity", "ends", "severity.yaml", 5),
        Deciding("wait", "goes on", "severity.yaml", 2),
    ]
    assert (found.matched, found.ended_by) == (("goes on", "ends"), "ends")
    assert found.verdict == book(RULES).verdict("src", event(env="live", alertname="Down"))
    assert found.labels == {"alertname": "Down", "env": "live", "kind": "alert", "source": "src"}


def test_names_the_nearest_rules_and_what_kept_them_from_matching() -> None:
    found = book(RULES).explain("src", event(env="live", alertname="Down"))
    assert found.missed == (
        Missed("too late", "severity.yaml", 6, (), "ends"),
        Missed("near", "severity.yaml", 3, (Failed("alertname", 'alertname="Up"', "Down"),)),
    )


def test_a_missing_label_is_shown_as_empty() -> None:
    found = book("rules: [{name: r, matchers: ['a=\"x\"'], severity: P0}]").explain("src", event())
    assert found.missed == (Missed("r", "severity.yaml", 1, (Failed("a", 'a="x"', ""),)),)


def test_says_where_a_severity_comes_from_that_no_rule_named() -> None:
    rulebook = book()
    assert rulebook.explain("s", event("Crit")).fields[0] == Deciding("severity", "", origin='the word "Crit"')
    assert rulebook.explain("s", event("odd")).fields[0] == Deciding("severity", "", origin="default")
    assert rulebook.explain("s", event()).fields[0] == Deciding("severity", "", origin="default")
