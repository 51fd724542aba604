"""Advice on correct files: rules never reached, names that lead nowhere, people who can't be told."""

from __future__ import annotations

import pytest

from tests.unit.triage.rulebook.making import ONCALL, problems_of, said
from triage.rulebook.guides import SECTIONS
from triage.rulebook.lint import MANY_RULES


def advice(severity: str = "", **files: str) -> list[str]:
    folder = {"oncall.yaml": ONCALL, "severity.yaml": severity, **{f"{n}.yaml": text for n, text in files.items()}}
    return said(folder)


def rules(*entries: str) -> str:
    return "rules:\n" + "\n".join(f"  - {{name: r{number}, {entry}}}" for number, entry in enumerate(entries))


@pytest.mark.parametrize(
    ("earlier", "later", "reached"),
    [
        ("matchers: []", "matchers: ['a=\"x\"']", False),
        ("matchers: ['a=\"x\"']", "matchers: ['a=\"x\"']", False),
        ("matchers: ['a=\"x\"']", "matchers: ['b=\"y\"', 'a=\"x\"']", False),
        ("matchers: ['a=~\"x|y\"']", "matchers: ['a=\"x\"']", False),
        ("matchers: ['a=~\"x.*\"']", "matchers: ['a=~\"xy|xz\"']", False),
        ("matchers: ['a!=\"y\"']", "matchers: ['a=\"x\"']", False),
        ("matchers: ['a=~\"x.*\"']", "matchers: ['a=~\"x.*\"', 'b=\"y\"']", False),
        ("matchers: ['a=\"x\"']", "matchers: ['a=~\"x|y\"']", True),
        ("matchers: ['a=\"x\"', 'b=\"y\"']", "matchers: ['a=\"x\"']", True),
        ("matchers: ['a=\"x\"'], continue: true", "matchers: ['a=\"x\"']", True),
        ("matchers: ['a=\"x\"']", "matchers: ['b=\"x\"']", True),
        ("matchers: ['a=~\"x.*\"']", "matchers: ['a=~\"xy.*\"']", True),
    ],
)
def test_a_rule_that_is_never_reached(earlier: str, later: str, reached: bool) -> None:
    found = advice(rules(earlier, later))
    wanted = 'severity.yaml:3:12: never reached: "r0" (severity.yaml:2) ends the reading before it'
    assert found == ([] if reached else [wanted + " (add continue: true there, or move this rule up)"])


def test_a_rule_of_a_team_can_be_out_of_reach_of_a_rule_at_the_top() -> None:
    found = advice(rules("matchers: ['team=\"t\"']"), **{"teams/t/severity": rules("matchers: ['a=\"x\"']")})
    assert [line.split(": ")[1] for line in found] == ["never reached"]
    assert found[0].startswith("teams/t/severity.yaml:2:12")


def test_rules_that_no_index_can_serve_matter_only_among_many() -> None:
    entries = [f"matchers: ['a=\"{number}\"']" for number in range(MANY_RULES - 1)]
    assert advice(rules("matchers: ['b=~\"x.*\"']", *entries)) == []
    assert advice(rules("matchers: ['b=~\"x.*\"']", *entries, "matchers: ['c=\"1\"']")) == [
        "severity.yaml:2:26: no index can serve this rule "
        '(give it a matcher with = or =~"a|b", or accept that it costs time on every event)'
    ]


@pytest.mark.parametrize(
    ("severity", "line"),
    [
        (
            rules("matchers: [], policy: defalt"),
            '2:38: there is no policy "defalt"; the default one would be used (did you mean "default"?)',
        ),
        (rules("matchers: [], runbook: runbooks/x.md"), '2:39: there is no file "runbooks/x.md" (write it, or give a '
         "link that begins with https://)"),
        (
            rules("matchers: ['service_teir=\"1\"']"),
            '2:26: the catalogue adds no label "service_teir" (did you mean "service_tier"?)',
        ),
        (
            rules("matchers: [], group_by: [service_taem]"),
            '2:40: the catalogue adds no label "service_taem" (did you mean "service_team"?)',
        ),
        (
            rules("matchers: ['service=\"chekout\"']"),
            '2:26: services.yaml has no service "chekout" (did you mean "checkout"?)',
        ),
        (
            "defaults: {policy: nightly}",
            '1:20: there is no policy "nightly", the default one: only the last resort would be paged '
            "(define it in oncall.yaml under policies:)",
        ),
    ],
)  # fmt: skip
def test_names_that_lead_nowhere(severity: str, line: str) -> None:
    assert advice(severity, services="services: {checkout: {}}") == [f"severity.yaml:{line}"]


WHOLE = "".join(f"## {name}\n\nx\n\n" for name in SECTIONS)


def test_runbooks_that_exist_and_templates_are_no_matter() -> None:
    text = rules("matchers: [], runbook: 'runbooks/{a}.md', continue: true", "matchers: [], runbook: runbooks/x.md")
    assert said({"oncall.yaml": ONCALL, "severity.yaml": text, "runbooks/x.md": WHOLE}) == []


def test_people_and_policies_that_reach_nobody() -> None:
    text = """people:
  ana: {contact: [terminal://, 'slack://T1JJ3T3L2AAAAAAAAAAAAAAAAAB/x']}
  ben: {}
policies:
  default: {steps: [{notify: [ana, bne]}]}
  empty: {}
  nobody: {steps: [{notify: []}]}
operators: [anna]
last_resort: carl
"""
    assert said({"oncall.yaml": text}) == [
        "oncall.yaml:2:32: a part of this URL looks like a token (put the secret into an environment variable and "
        "write ${NAME} in its place)",
        'oncall.yaml:3:3: "ben" has no contact method and can\'t be told anything (add contact: [terminal://])',
        'oncall.yaml:5:36: there is no person, schedule or team "bne" (did you mean "ben"?)',
        'oncall.yaml:6:3: the policy "empty" has no steps: only the last resort would be paged '
        "(add steps: [{notify: …}])",
        "oncall.yaml:7:29: this step notifies nobody (name a person)",
        'oncall.yaml:8:13: there is no person "anna" (did you mean "ana"?)',
        "oncall.yaml:9:1: the last resort reaches nobody: everybody who has a contact method would be paged (name "
        "somebody with a contact method: last_resort: [ana])",
        'oncall.yaml:9:14: there is no person "carl" (add that person under people:)',
    ]


def test_services_that_lead_nowhere() -> None:
    text = "services: {a: {depends_on: [b, c]}, b: {runbook: runbooks/a.md}}"
    assert advice(services=text) == [
        'services.yaml:1:32: there is no service "c" (add it under services:)',
        'services.yaml:1:50: there is no file "runbooks/a.md" (write it, or give a link that begins with https://)',
    ]


def test_files_that_are_not_read() -> None:
    files = {"oncall.yaml": ONCALL, "severty.yaml": "", "teams/t/notes.yaml": "", "tests/x.yaml": "", "a/b.md": ""}
    assert said(files) == [
        'severty.yaml:1:1: this file is not read (did you mean "severity.yaml"?)',
        "teams/t/notes.yaml:1:1: this file is not read (read here: severity.yaml, oncall.yaml, services.yaml)",
    ]


def test_advice_never_refuses() -> None:
    assert {p.severity for p in problems_of({"oncall.yaml": "policies: {default: {}}"})} == {"warning"}


def test_a_folder_without_a_default_policy_is_told_so() -> None:
    assert said({"severity.yaml": ""}) == [
        'oncall.yaml:1:1: there is no policy "default", the default one: only the last resort would be paged '
        "(define it in oncall.yaml under policies:)"
    ]


@pytest.mark.parametrize(
    ("people", "more", "says"),
    [
        ("{ana: {contact: [terminal://]}}", "operators: [ana]", "the operators would be paged"),
        ("{ana: {contact: [terminal://]}}", "last_resort: []", "everybody who has a contact method would be paged"),
        ("{ana: {}}", "last_resort: [ana]", "NOBODY would be paged"),
        ("{ana: {contact: [terminal://]}}", "last_resort: [ana]", ""),
    ],
)
def test_a_last_resort_that_reaches_nobody_is_loud(people: str, more: str, says: str) -> None:
    policies = "policies: {default: {steps: [{notify: [ana]}]}}"
    found = [one for one in said({"oncall.yaml": f"people: {people}\n{policies}\n{more}\n"}) if "last resort" in one]
    assert (len(found), says in "".join(found)) == (bool(says), True)


def test_a_calendar_whose_file_is_not_there() -> None:
    text = "people: {ana: {contact: [terminal://]}}\nschedules:\n  one: {time_zone: UTC, ical: {file: cal/a.ics}}\n"
    found = [one for one in said({"oncall.yaml": text, "cal/b.ics": ""}) if "ics" in one]
    assert found == ['oncall.yaml:3:38: there is no file "cal/a.ics" (did you mean "cal/b.ics"?)']
    assert [one for one in said({"oncall.yaml": text, "cal/a.ics": ""}) if "ics" in one] == []
