"""rooms.yaml: what it says, and what is wrong with it, with its place."""

from __future__ import annotations

import pytest

from triage.model import Severity
from triage.rehearse import run_cases
from triage.rulebook import RulesError, compile_files
from triage.rulebook.cases import parse_cases
from triage.rulebook.rooms import RoomRule

FILES = {
    "oncall.yaml": "people: {ana: {contact: ['terminal://']}}\npolicies: {default: {steps: [{notify: ana}]}}",
    "services.yaml": "services: {checkout: {}}",
}


def compiled(rooms: str) -> tuple[tuple[RoomRule, ...], list[str]]:
    rulebook = compile_files({**FILES, "rooms.yaml": rooms})
    return rulebook.rooms, [str(one) for one in rulebook.problems if one.path == "rooms.yaml"]


def test_the_first_room_that_fits_is_for_p0_and_p1_of_any_service_unless_it_says_otherwise() -> None:
    rooms, problems = compiled(
        "rooms:\n"
        "  - {name: shop, contact: 'slack+room://${T}@acme', severities: [P2], services: [checkout], invite: [ana]}\n"
        "  - {name: all, contact: 'mattermost+room://${T}@chat.example.org/ops', archive: resolved}\n"
    )
    assert problems == []
    assert [one.fits(Severity.P2, "checkout") for one in rooms] == [True, False]
    assert [one.fits(Severity.P2, "shop") for one in rooms] == [False, False]
    assert [one.fits(Severity.P1, "checkout") for one in rooms] == [False, True]
    assert [(one.archive, one.invite) for one in rooms] == [("closed", ("ana",)), ("resolved", ())]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("contact: 'slack+room://xoxb-1@acme'", "1:28: a literal secret stands in this URL"),
        ("contact: 'slack://${T}@acme'", "1:28: slack:// opens no rooms (there are slack+room"),
        ("contact: 'slack+room://acme'", "1:28: this must be written slack+room://${TOKEN}@workspace"),
        (
            "contact: 'mattermost+room://${T}@chat.example.org'",
            "1:28: this must be written mattermost+room://${TOKEN}@host/team",
        ),
        ("contact: 'slack+room://${T'", "1:28: ${ is never closed"),
        ("severities: [P9], contact: 'slack+room://${T}@a'", "1:32: severities: expected a severity"),
        ("contact: 'slack+room://${T}@a', archive: never", "1:60: archive: expected"),
    ],
)
def test_what_cannot_be_a_room_is_refused_with_its_place(entry: str, problem: str) -> None:
    with pytest.raises(RulesError) as caught:
        compiled(f"rooms: [{{name: a, {entry}}}]")
    (said,) = [str(one) for one in caught.value.problems]
    assert said.startswith(f"rooms.yaml:{problem}")


def test_names_that_mean_nothing_are_a_warning() -> None:
    _, problems = compiled("rooms: [{name: a, contact: 'slack+room://${T}@a', services: [chekout], invite: [anna]}]")
    assert problems == [
        'rooms.yaml:1:62: there is no service "chekout" (did you mean "checkout"?)',
        'rooms.yaml:1:81: there is no person "anna" (did you mean "ana"?)',
    ]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("contact: 'slack+room://${T}@acme'", "1:28: this contact method opens rooms, which belong under `rooms`"),
        ("contact: 'pagerduty://${KEY}@a'", "1:28: pagerduty:// makes an alarm of each message"),
        ("contact: 'slack+bot://xoxb-1@acme/C1'", "1:28: a literal secret stands in this URL"),
    ],
)
def test_what_cannot_be_posted_to_is_refused_with_its_place(entry: str, problem: str) -> None:
    with pytest.raises(RulesError) as caught:
        compiled(f"posts: [{{name: a, {entry}}}]")
    (said,) = [str(one) for one in caught.value.problems]
    assert said.startswith(f"rooms.yaml:{problem}")


ROOMS = """
rooms:
  - {name: all, contact: 'slack+room://${T}@acme'}
  - {name: quiet corner, contact: 'slack+room://${T}@other', severities: []}
"""
BY_RULE = """
rules:
  - {name: asks, matchers: ['alertname="Asks"'], severity: P3, room: quiet corner}
  - {name: forbids, matchers: ['alertname="Forbids"'], severity: P0, room: none}
  - {name: neither, matchers: ['alertname="Neither"'], severity: P0}
  - {name: less, matchers: ['alertname="Less"'], severity: P3}
defaults: {group_by: [service]}
"""
CASES = """
tests:
  - name: a rule decides
    given:
      - {at: 0s, firing: {alertname: Asks, service: a}}
      - {at: 0s, firing: {alertname: Forbids, service: b}}
      - {at: 0s, firing: {alertname: Neither, service: c}}
      - {at: 0s, firing: {alertname: Less, service: d}}
    expect:
      - {at: 1m, incident: {service: a, room: quiet corner}}
      - {at: 1m, incident: {service: b, room: ""}}
      - {at: 1m, incident: {service: c, room: all}}
      - {at: 1m, incident: {service: d, room: ""}}
      - {at: 1m, incident: {service: d, room: all}}
  - name: one that joins may ask for it
    given:
      - {at: 0s, firing: {alertname: Forbids, service: a}}
      - {at: 1m, firing: {alertname: Asks, service: a}}
    expect:
      - {at: 30s, incident: {service: a, room: ""}}
      - {at: 2m, incident: {service: a, room: quiet corner}}
"""


def test_a_rule_asks_for_a_room_or_forbids_one_and_a_test_can_expect_it() -> None:
    rulebook = compile_files({**FILES, "severity.yaml": BY_RULE, "rooms.yaml": ROOMS})
    first, second = run_cases(rulebook, parse_cases({"tests/a.yaml": CASES}, rulebook))
    assert [one.message for one in first.problems] == ['incident: room expected "all", found ""']
    assert second.passed


def test_rooms_that_are_not_there_and_those_that_nobody_asks_for_are_a_warning() -> None:
    rules = "rules: [{name: a, matchers: ['b=\"c\"'], room: quiet cornr}]"
    rulebook = compile_files({**FILES, "severity.yaml": rules, "rooms.yaml": ROOMS})
    said = [str(one) for one in rulebook.problems if "room" in one.message or "never opened" in one.message]
    assert any('rooms.yaml has no room "quiet cornr"' in one and 'did you mean "quiet corner"' in one for one in said)
    assert any('no rule asks for "quiet corner"' in one for one in said)


def test_an_entry_cannot_be_called_what_forbids_a_room() -> None:
    with pytest.raises(RulesError, match="is how a rule forbids a room"):
        compiled("rooms: [{name: none, contact: 'slack+room://${T}@a'}]")
