"""`tocsin oncall check`: a year of the schedules, as a table and an exit code. And how times are shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.unit.triage.test_schedules import at
from tocsin.cli import main
from triage.coverage import examine
from triage.model import DAY, HOUR, MINUTE
from triage.rulebook import compile_files

GOOD = """
people:
  ana: {contact: ["terminal://"], time_zone: Europe/Berlin}
  ben: {contact: ["terminal://"]}
schedules:
  primary:
    time_zone: Europe/Berlin
    layers: [{users: [ana, ben], start: "2026-01-05T09:00", every: 1w}]
policies: {default: {steps: [{notify: [schedule:primary]}]}}
operators: [ana]
last_resort: [ana]
"""
OFFICE = """    layers: [{users: [ana, ben], start: "2026-01-05T09:00", every: 1w, restrict: [
      {weekdays: ["monday:friday"], times: [{start_time: "09:00", end_time: "17:00"}]}]}]
"""


def checked(folder: Path, text: str, *more: str) -> tuple[int, str]:
    (folder / "oncall.yaml").write_text(text, "utf-8")
    result = CliRunner().invoke(main, ["oncall", "check", str(folder), "--from", "2026-11-24", *more])
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def restricted(text: str) -> str:
    head, _, rest = text.partition("    layers:")
    return head + OFFICE + rest.partition("\n")[2]


def test_a_year_without_gaps_is_good(tmp_path: Path) -> None:
    code, output = checked(tmp_path, GOOD)
    assert code == 0, output
    lines = output.splitlines()
    assert lines[0] == "clock  primary: 2027-03-28 03:00 (Europe/Berlin from UTC+01:00 to UTC+02:00): ben, then ben"
    assert lines[1] == "clock  primary: 2027-10-31 02:00 (Europe/Berlin from UTC+02:00 to UTC+01:00): ana, then ana"
    assert lines[-1] == "1 schedules, 0 gaps, 0 unreachable: good"
    hours = {line.split()[0]: int(line.split()[1]) for line in lines[4:6]}
    assert sum(hours.values()) == 366 * 24


def test_a_gap_is_told_with_its_times_and_fails(tmp_path: Path) -> None:
    code, output = checked(tmp_path, restricted(GOOD), "--days", "3")
    assert code == 1
    assert "GAP  primary: nobody from 2026-11-24 17:00 to 2026-11-25 09:00 (Europe/Berlin)" in output
    code, output = checked(tmp_path, restricted(GOOD) + "# partial\n")
    assert "GAP  primary: and " in output


def test_gaps_that_are_meant_do_not_fail(tmp_path: Path) -> None:
    text = restricted(GOOD).replace("  primary:\n", "  primary:\n    partial: true\n")
    code, output = checked(tmp_path, text, "--days", "1")
    assert code == 0, output
    assert "partial  primary: 16 hours without anybody, as meant" in output


def test_somebody_without_a_contact_method_fails_and_it_is_said_where(tmp_path: Path) -> None:
    code, output = checked(tmp_path, GOOD.replace('  ben: {contact: ["terminal://"]}', "  ben: {}"))
    assert code == 1
    assert "UNREACHABLE  ben has no contact method, and is in schedule primary" in output


def test_files_that_are_refused_end_with_code_2(tmp_path: Path) -> None:
    code, output = checked(tmp_path, GOOD.replace("users: [ana, ben]", "users: [ana, bne]"))
    assert code == 2
    assert 'there is no person "bne" (did you mean "ben"?)' in output
    code, _ = checked(tmp_path, GOOD, "--from", "soon")
    assert code == 2


@pytest.mark.parametrize("given", [["primary"], ["primary", "ben"], ["primary", "ben", "--withdraw", "x"]])
def test_an_override_that_says_too_little_or_too_much(given: list[str]) -> None:
    result = CliRunner().invoke(main, ["oncall", "override", *given])
    assert result.exit_code == 2
    assert "--withdraw" in result.output


def test_load_counts_nights_and_weekends_on_the_persons_own_clock() -> None:
    """Ben is in New York: Berlin's Monday morning is still his Sunday night."""
    text = GOOD.replace(
        '  ben: {contact: ["terminal://"]}', '  ben: {contact: ["terminal://"], time_zone: America/New_York}'
    )
    text = text.replace("every: 1w", "every: 12h")
    rulebook = compile_files({"oncall.yaml": text})
    begin = at("2026-06-01T07:00")  # Monday 09:00 in Berlin, 03:00 in New York
    ana, ben = examine(rulebook, begin, begin + 12 * HOUR).loads[:1], examine(rulebook, begin, begin + DAY).loads
    assert [(one.person, one.time // HOUR, one.nights, one.weekends) for one in ana] == [("ana", 12, 0, 0)]
    assert [(one.person, one.time // HOUR, one.nights, one.weekends) for one in ben] == [
        ("ana", 12, 0, 0),
        ("ben", 12, 1, 0),
    ]
    week = examine(rulebook, begin, begin + 7 * DAY).loads
    assert [(one.person, one.nights, one.weekends, one.shifts) for one in week] == [("ana", 0, 1, 7), ("ben", 7, 1, 7)]


def test_the_instant_of_a_change_of_the_clock_is_exact() -> None:
    rulebook = compile_files({"oncall.yaml": GOOD})
    report = examine(rulebook, at("2026-10-01T00:00"), at("2026-11-01T00:00"))
    (edge,) = report.edges
    assert (edge.at, edge.before, edge.after) == (at("2026-10-25T01:00"), 120, 60)
    assert edge.at % MINUTE == 0


CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:x
BEGIN:VEVENT
UID:1
DTSTART:20261124T000000
DTEND:20261125T000000
RRULE:FREQ=DAILY;COUNT=2
SUMMARY:ana on call
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTART:20261126T000000
DTEND:20261128T000000
SUMMARY:%s
END:VEVENT
END:VCALENDAR
"""


def importing(folder: Path, where: str, title: str = "ben", *more: str) -> tuple[int, str]:
    layers = '    layers: [{users: [ana, ben], start: "2026-01-05T09:00", every: 1w}]'
    (folder / "a.ics").write_text(CALENDAR % title, "utf-8")
    return checked(folder, GOOD.replace(layers, f"    ical: {{{where}}}"), "--days", "3", *more)


def test_a_calendar_is_read_and_its_gaps_and_strangers_are_told(tmp_path: Path) -> None:
    code, output = importing(tmp_path, "file: a.ics")
    assert (code, "0 gaps, 0 unreachable: good" in output) == (0, True), output
    code, output = importing(tmp_path, "file: a.ics", "Zoe \x1b[31m")
    assert code == 1
    assert "CALENDAR  primary: nobody is called “Zoe" in output
    assert "GAP  primary: nobody from 2026-11-26 00:00 to 2026-11-27 01:00 (Europe/Berlin)" in output
    assert "\x1b" not in output


def test_a_calendar_that_cannot_be_read_fails_and_one_that_was_not_looked_at_does_not(tmp_path: Path) -> None:
    code, output = importing(tmp_path, "file: b.ics")
    assert (code, "CALENDAR  primary: The rules folder has no file b.ics." in output) == (1, True)
    code, output = importing(tmp_path, 'url: "https://127.0.0.1/${NOT_SET}"')
    assert (code, "The secret NOT_SET is not set" in output) == (1, True)
    code, output = importing(tmp_path, 'url: "https://127.0.0.1/${NOT_SET}"', "ben", "--offline")
    assert (code, "skipped  primary: its calendar was not fetched" in output) == (0, True), output


def test_somebody_in_the_calendar_without_a_contact_method_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.ics").write_text(CALENDAR % "ben", "utf-8")
    layers = '    layers: [{users: [ana, ben], start: "2026-01-05T09:00", every: 1w}]'
    text = GOOD.replace(layers, "    ical: {file: a.ics}").replace('  ben: {contact: ["terminal://"]}', "  ben: {}")
    code, output = checked(tmp_path, text, "--days", "3")
    assert (code, "UNREACHABLE  ben has no contact method, and is in schedule primary" in output) == (1, True), output


@pytest.mark.parametrize(
    ("last_resort", "says"),
    [("[]", "LAST RESORT  it is empty"), ("[nobody]", "LAST RESORT  nobody of it has a contact")],
)
def test_a_last_resort_that_reaches_nobody_fails(tmp_path: Path, last_resort: str, says: str) -> None:
    code, output = checked(tmp_path, GOOD.replace("last_resort: [ana]", f"last_resort: {last_resort}"), "--days", "1")
    assert (code, says in output) == (1, True), output


def test_drills_that_are_planned_are_told_with_when_they_are_due(tmp_path: Path) -> None:
    drills = """drills:
  mondays: {target: ana, cron: "0 10 * * mon", time_zone: Europe/Berlin}
  leap: {target: default, everybody: true, cron: "0 10 29 2 *"}
"""
    _, output = checked(tmp_path, GOOD + drills)
    assert "drill  mondays: ana: due on 2026-11-30 10:00 (Europe/Berlin), 52 times in all" in output
    assert "drill  leap: default, everybody of it: does not come in this time" in output
    assert "no drills are planned" in checked(tmp_path, GOOD)[1]
