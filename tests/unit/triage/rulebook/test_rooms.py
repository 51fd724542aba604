"""rooms.yaml: what it says, and what is wrong with it, with its place."""

from __future__ import annotations

import pytest

from triage.model import Severity
from triage.rulebook import RulesError, compile_files
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
