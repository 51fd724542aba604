"""Faults of schedules and teams are told in the operator's words, at their place; the document's example compiles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.triage.rulebook.making import said
from triage.model import HOUR, MINUTE
from triage.rulebook import RulesError, compile_files
from triage.rulebook.wall import parse_wall, show_wall

DOCUMENT = Path(__file__).parents[4] / "docs" / "on-call.md"
HEAD = """\
people: {ana: {contact: ["terminal://"]}, ben: {contact: ["terminal://"]}}
policies: {default: {steps: [{notify: ana}]}}
last_resort: [ana]
"""


def schedule(layer: str = "", more: str = "", zone: str = "Europe/Berlin") -> str:
    layers = f"layers: [{{{layer}}}]" if layer else ""
    return f"{HEAD}schedules: {{one: {{time_zone: {zone}, {layers}{more}}}}}"


TURNS = 'users: [ana], start: "2026-01-05T09:00", every: 1w'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (schedule("users: [ana], start: 12:30, every: 1w"), '"12:30" is no date and time'),
        (schedule("users: [ana], start: 750, every: 1w"), "expected a date and time in quotes"),
        (schedule('users: [ana], start: "2026-02-30T09:00", every: 1w'), "is on no calendar"),
        (schedule('users: [ana], start: "2026-01-05T09:00Z", every: 1w'), "without an offset"),
        (schedule('users: [ana], start: "2026-01-05T09:00"'), "either every or handoffs"),
        (schedule(f"{TURNS}, handoffs: [{{weekdays: [monday], time: 09:00}}]"), "either every or handoffs"),
        (schedule('users: [ana], start: "2026-01-05T09:00", every: 90m'), "whole hours"),
        (schedule('users: [ana], start: "2026-01-05T09:00", handoffs: []'), "handoffs is empty"),
        (schedule('users: [ana], start: "2026-01-05T09:00", handoffs: [{weekdays: [mondy], time: 09:00}]'), "monday"),
        (schedule('users: [ana], start: "2026-01-05T09:00", handoffs: [{weekdays: [monday], time: 9:00}]'), "9:00"),
        (schedule('users: [ana], start: "2026-01-05T09:00", handoffs: [{weekdays: [monday], time: 24:00}]'), "24:00"),
        (schedule('users: [anna], start: "2026-01-05T09:00", every: 1w'), 'did you mean "ana"?'),
        (schedule('users: [], start: "2026-01-05T09:00", every: 1w'), "nobody takes turns"),
        (schedule(f'{TURNS}, end: "2026-01-05T09:00"'), "ends before it starts"),
        (schedule(f"{TURNS}, restrict: [{{times: [{{start_time: 22:00, end_time: 06:00}}]}}]"), "write two ranges"),
        (schedule(f"{TURNS}, name: override"), "no layer can be called"),
        (schedule(TURNS, zone="Europe/Berln"), "is no time zone"),
        (schedule(TURNS, ", overrides: [{user: bne, start: 2026-01-06, end: 2026-01-07}]"), 'did you mean "ben"?'),
        (schedule(TURNS, ", overrides: [{user: ben, start: 2026-01-07, end: 2026-01-07}]"), "ends before it starts"),
        (HEAD.replace("notify: ana", "notify: schedule:primary"), 'there is no schedule "primary"'),
        (HEAD.replace("notify: ana", "notify: team:shop"), 'there is no team "shop"'),
        (HEAD.replace("notify: ana", "notify: person:bne"), 'there is no person "bne" (did you mean "ben"?)'),
        (HEAD.replace("notify: ana", "notify: an"), 'there is no person, schedule or team "an"'),
        (f"{HEAD}teams: {{shop: [ana, bne]}}", 'there is no person "bne"'),
        (f"{HEAD}teams: {{ana: [ben]}}", "here the person is meant"),
        (f"{HEAD}schedules: {{a/b: {{time_zone: UTC}}}}", "can't be a part of a web address"),
        (f"{HEAD}schedules: {{one: {{time_zone: UTC}}}}", "nobody is ever on call"),
        (HEAD.replace("ana: {", "ana: {quiet_hours: [{}], "), "quiet hours need a time zone"),
    ],
)
def test_a_fault_is_told(text: str, says: str) -> None:
    found = [line for line in said({"oncall.yaml": text}) if line.startswith("oncall.yaml:")]
    assert len(found) == 1, found
    assert says in found[0]


def test_a_name_of_two_things_means_the_person() -> None:
    text = f"{HEAD}teams: {{ana: [ben]}}"
    assert compile_files({"oncall.yaml": text}).target("ana") == ("person", "ana")
    assert compile_files({"oncall.yaml": text}).target("team:ana") == ("team", "ana")


def test_a_name_is_taken_once_in_the_whole_folder() -> None:
    files = {"oncall.yaml": schedule(TURNS), "teams/shop/oncall.yaml": "schedules: {one: {time_zone: UTC}}"}
    assert any('the schedule "one" is already in oncall.yaml, line 4' in line for line in said(files))


def test_a_file_override_is_cut_by_the_one_rule() -> None:
    """From the first 02:30 of the day that clocks go back to the second."""
    more = ', overrides: [{user: ben, start: "2026-10-25T02:30", end: "2026-10-25T02:30"}]'
    assert any("ends before it starts" in line for line in said({"oncall.yaml": schedule(TURNS, more)}))
    more = ', overrides: [{user: ben, start: "2026-10-25T02:00", end: "2026-10-25T02:30"}]'
    (one,) = compile_files({"oncall.yaml": schedule(TURNS, more)}).schedules["one"].overrides
    assert one.end - one.start == HOUR + 30 * MINUTE


@pytest.mark.parametrize("text", ["1970-01-01T00:00", "2026-02-28T23:59", "2199-12-31T12:00"])
def test_a_wall_time_reads_back(text: str) -> None:
    assert show_wall(parse_wall(text)) == text


def test_the_example_of_the_document_compiles_without_a_word() -> None:
    text, *others = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    for other in others:
        compile_files({"oncall.yaml": other})
    rulebook = compile_files({"oncall.yaml": text})
    assert [str(problem) for problem in rulebook.problems] == []
    assert [layer.name for layer in rulebook.schedules["primary"].layers] == ["weekly", "office hours"]


@pytest.mark.parametrize(
    ("ical", "says"),
    [
        ("{}", "either from a url or from a file"),
        ('{url: "https://a.example/b", file: a.ics}', "either from a url or from a file"),
        ('{url: "ftp://a.example/b"}', "this is no address"),
        ('{url: "https://me:secret@a.example/b"}', "literal secret"),
        ('{url: "https://a.example/b?token=abc"}', "literal secret"),
        ('{url: "https://a.example/${}"}', "names no variable"),
        ("{file: /etc/a.ics}", "no .ics file of the rules folder"),
        ("{file: ../a.ics}", "no .ics file of the rules folder"),
        ("{file: a.txt}", "no .ics file of the rules folder"),
        ("{file: a.ics, every: 5s}", "every 1m to 1d"),
        ("{file: a.ics, people: {Ana: anna}}", 'there is no person "anna"'),
        ("{file: a.ics, by: title}", "by: expected"),
    ],
)
def test_a_calendar_that_cannot_be_imported_says_why(ical: str, says: str) -> None:
    text = f"people: {{ana: {{}}}}\nschedules:\n  one: {{time_zone: UTC, ical: {ical}}}\n"
    with pytest.raises(RulesError) as refused:
        compile_files({"oncall.yaml": text})
    assert says in str(refused.value)
    assert all(one.line == 3 for one in refused.value.problems)


def test_a_calendar_is_compiled_and_a_token_in_its_address_is_worth_a_word() -> None:
    text = """people: {ana: {contact: ["terminal://"]}}
schedules:
  one: {time_zone: UTC, ical: {url: "webcal://a.example/private-0123456789abcdef0123456789abcdef/b.ics", by: attendee}}
"""
    rulebook = compile_files({"oncall.yaml": text})
    ical = rulebook.schedules["one"].ical
    assert ical is not None
    assert (ical.by, ical.every) == ("attendee", 15 * MINUTE)
    assert "a part of this URL looks like a token" in [one.message for one in rulebook.problems]
