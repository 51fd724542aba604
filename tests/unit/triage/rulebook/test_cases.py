"""tests/*.yaml are read into cases that can be played, and faults in them have a place."""

from __future__ import annotations

import pytest

from tests.unit.triage.rulebook.making import book
from triage.model import Kind, Severity, Status, Verb
from triage.rulebook import RulesError
from triage.rulebook.cases import Case, IncidentWanted, parse_cases

TEXT = """tests:
  - name: it pages once
    start: "2026-03-02T10:00:00+01:00"
    given:
      - {at: 0s, firing: {alertname: Down, service: checkout, severity: critical, code: 500}, copies: 2}
      - {at: 1m, acknowledge: checkout, by: ben}
      - {at: 2m, resolved: {alertname: Down, replica: a}, source: am}
      - {at: 3m, report: {service: checkout}, anonymous: true, title: I can't pay}
      - {at: 4m, resolve: checkout, confirm: true}
      - {at: 5m, note: checkout, text: hello}
      - {at: 6m, wait: true}
    expect:
      - {at: 5s, incident: {severity: P0, service: checkout, phase: detected, firing: 1}, pages: [ana], incidents: 1}
      - {at: 3m, pages_total: 1, notified: []}
"""


def read(text: str) -> list[Case]:
    return parse_cases({"tests/x.yaml": text}, book(sources="sources: {am: {adapter: alertmanager, labels: {o: p}}}"))


def test_a_case_is_read_whole() -> None:
    (case,) = read(TEXT)
    assert (case.name, case.start, case.where.line) == ("it pages once", 1_772_442_000_000, 2)
    firing, ack, resolved, report, resolve, note, wait = case.given
    assert [event.labels["copy"] for event in firing.events] == ["1", "2"]
    assert firing.events[0].raw_severity == "critical"
    assert firing.events[0].labels["code"] == "500"
    assert firing.events[0].fingerprint != firing.events[1].fingerprint
    assert (ack.at, ack.request and (ack.request.verb, ack.request.selector, ack.request.by)) == (
        60_000,
        (Verb.ACKNOWLEDGE, "checkout", "ben"),
    )
    assert (resolved.source, resolved.events[0].status, resolved.events[0].labels["o"]) == ("am", Status.RESOLVED, "p")
    assert resolved.events[0].ends_at == case.start + 120_000
    assert (report.source, report.events[0].kind, report.events[0].anonymous) == ("report", Kind.REPORT, True)
    assert report.events[0].title == "I can't pay"
    assert (resolve.request and resolve.request.confirm, note.request and note.request.text) == (True, "hello")
    assert (wait.events, wait.request) == ((), None)
    first, second = case.expect
    assert first.incident == IncidentWanted(severity=Severity.P0, service="checkout", phase="detected", firing=1)
    assert (first.pages, first.incidents, first.pages_total) == (("ana",), 1, None)
    assert (second.incident, second.pages, second.pages_total, second.notified) == (None, None, 1, ())


def test_ignored_labels_do_not_tell_alerts_apart() -> None:
    (case,) = read("tests: [{name: n, given: [{at: 0s, firing: {a: x, replica: '1'}}, "
                   "{at: 1s, firing: {a: x, replica: '2'}}], expect: []}]")  # fmt: skip
    first, second = (given.events[0].fingerprint for given in case.given)
    assert first == second


def given_and(expect: str, given: str = "at: 0s, firing: {a: b}") -> str:
    return f"tests:\n  - name: n\n    given:\n      - {{{given}}}\n    expect:\n      - {{{expect}}}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            given_and("at: 1s, incidents: 0", "at: 0s"),
            "4:9: expected exactly one of firing, resolved, report, acknowledge, resolve, note, wait; "
            "found none of them",
        ),
        (
            given_and("at: 1s, incidents: 0", "at: 0s, firing: {}, resolved: {}"),
            "4:9: expected exactly one of firing, resolved, report, acknowledge, resolve, note, wait; "
            "found firing and resolved",
        ),
        (given_and("at: 1s"), "6:9: nothing is expected here (add incident:, incidents:, pages: …)"),
        (given_and("at: 1s, pages: [anna]"), '6:26: there is no person "anna" in oncall.yaml (did you mean "ana"?)'),
        (given_and("at: 1s, incident: {severty: P0}"), '6:29: unknown key "severty" (did you mean "severity"?)'),
        (given_and("at: 1s, incident: {severity: P7}"), "6:39: severity: expected a severity, P0 to P4, "
         'found "P7"'),
        (given_and("at: 1s, incident: {phase: open}"), "6:36: phase: expected a phase: detected, triaged, mitigating, "
         "monitoring, resolved, postmortem, closed"),
        (given_and("at: 1, pages_total: 0"), "6:14: at: expected a duration with its unit, like 90s or 10m, found 1"),
        ("tests: [{name: n, given: [], expect: [], start: soon}]",
         "1:49: start: expected a time like 2026-03-02T10:00:00Z"),
        ("tests: [{name: n, given: [], expect: [], start: '2026-03-02T10:00:00'}]",
         "1:49: start: the time lacks its zone: end it with Z or +01:00"),
        ("tests: [{name: n, given: [{at: 2s, wait: true}, {at: 1s, wait: true}], expect: []}]",
         "1:54: at: earlier than the item before it (sort them by time)"),
        ("tests: [{name: n, given: [], expect: []}, {name: n, given: [], expect: []}]",
         '1:50: the test "n" is already on line 1 (give each test a name of its own)'),
        ("test: []", '1:1: unknown key "test" (did you mean "tests"?)'),
    ],
)  # fmt: skip
def test_a_fault_has_its_place(text: str, problem: str) -> None:
    with pytest.raises(RulesError) as caught:
        read(text)
    assert f"tests/x.yaml:{problem}" in [str(p) for p in caught.value.problems]


def test_only_files_of_the_folder_tests_are_read() -> None:
    assert parse_cases({"severity.yaml": "x", "tests/readme.md": "x"}, book()) == []
