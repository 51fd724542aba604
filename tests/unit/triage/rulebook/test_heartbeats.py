"""What operators write of heartbeats: what is refused and in which words, and when cron comes next."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.unit.triage.rulebook.making import ONCALL, book, event, said
from triage.model import MINUTE, Millis, Severity
from triage.rulebook.cron import check_cron, next_after


def refused(text: str, name: str = "heartbeats") -> list[str]:
    """The problems that one file has beside a good oncall.yaml."""
    return said({"oncall.yaml": ONCALL, f"{name}.yaml": text})


def at(text: str) -> Millis:
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{}", "a heartbeat has either every or cron; found neither"),
        ('{every: 1d, cron: "0 3 * * *"}', "found both"),
        ("{every: 0}", "this must be a second or longer"),
        ('{cron: "0 3 * *"}', "five fields"),
        ('{cron: "0 25 * * *"}', "is no cron expression"),
        ('{cron: "0 0 30 2 *"}', "is no cron expression"),
        ('{cron: "R R * * *"}', '"R" is no field'),
        ('{cron: "0 3 * * *", time_zone: Mars/Base}', '"Mars/Base" is no time zone'),
        ("{every: 1d, time_zone: UTC}", "time_zone belongs to cron"),
        ("{every: 1d, token_sha256: [abc]}", "this is no SHA-256 of a token"),
        ("{every: 1d, policy: nobody}", 'there is no policy "nobody"'),
        ("{every: 1d, graze: 5m}", 'did you mean "grace"?'),
    ],
)
def test_what_cannot_be_is_said_with_its_place(entry: str, words: str) -> None:
    (problem,) = refused(f"heartbeats:\n  backup: {entry}\n")
    assert words in problem
    assert problem.startswith("heartbeats.yaml:2:")


def test_a_name_must_fit_into_an_address_and_be_one_heartbeats_only() -> None:
    assert "can't be a part of a web address" in refused("heartbeats: {a/b: {every: 1d}}")[0]
    severity = "rules: [{name: backup, matchers: [a=b], heartbeat: {every: 5m}}]"
    folder = {"oncall.yaml": ONCALL, "severity.yaml": severity, "heartbeats.yaml": "heartbeats: {backup: {every: 1d}}"}
    assert any('there is another heartbeat "backup"' in problem for problem in said(folder))


@pytest.mark.parametrize(
    ("heartbeat", "words"),
    [
        ("{every: 0}", "a second or longer"),
        ("{every: 5m, expect: [eu1]}", "expect lists values of the one label in by"),
        ("{every: 5m, by: [cluster, region], expect: [eu1]}", "expect lists values of the one label in by"),
        ("{every: 5m, by: [alertname]}", 'by can\'t be "alertname"'),
        ("{every: 5m, by: [a, a]}", "each once"),
    ],
)
def test_a_watchdog_that_cannot_be(heartbeat: str, words: str) -> None:
    text = f"rules:\n  - name: watchdog\n    matchers: ['alertname=\"W\"']\n    heartbeat: {heartbeat}\n"
    (problem,) = refused(text, "severity")
    assert words in problem
    assert problem.startswith("severity.yaml:4:")


def test_sources_that_cannot_be() -> None:
    assert "choose another name" in refused("sources: {heartbeat: {adapter: generic}}", "sources")[0]
    assert "second or longer" in refused("sources: {a: {adapter: generic, expect_every: 0}}", "sources")[0]


def test_a_rule_with_a_heartbeat_is_found_by_one_look_up_where_it_names_alertnames() -> None:
    rules = book("rules: [{name: w, matchers: ['alertname=~\"Watchdog|DeadMan\"'], heartbeat: {every: 5m}}]")
    assert rules.heartbeat_of("am", event(alertname="DeadMan")) == "w"
    assert rules.heartbeat_of("am", event(alertname="Down")) == ""
    loose = book("rules: [{name: w, matchers: ['signal=\"alive\"'], heartbeat: {every: 5m}}]")
    assert loose.heartbeat_of("am", event(alertname="Down", signal="alive")) == "w"


def test_the_policy_and_runbook_of_a_watchdog_hold_for_its_absence() -> None:
    rules = book(
        "rules: [{name: w, matchers: ['alertname=\"W\"'], runbook: 'https://example.org/w', "
        "heartbeat: {every: 5m, severity: P0}}]"
    )
    verdict = rules.verdict("heartbeat", event(alertname="HeartbeatMissed", heartbeat="w"))
    assert (verdict.severity, verdict.runbook, verdict.rule) == (Severity.P0, "https://example.org/w", "w")
    assert (
        rules.explain("heartbeat", event(alertname="HeartbeatMissed", heartbeat="w")).fields[0].path == "severity.yaml"
    )


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("0 3 * * *", "UTC", "2026-03-02T03:00:00Z", "2026-03-03T03:00:00Z"),
        ("*/15 * * * *", "UTC", "2026-03-02T10:01:00Z", "2026-03-02T10:15:00Z"),
        ("0 9 * * mon-fri", "Europe/Berlin", "2026-03-06T10:00:00Z", "2026-03-09T08:00:00Z"),
        # 02:30 does not exist on the 29th: the clock reads 03:30 when it would have come.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"),
        # 02:30 comes twice on 25 October: the first one counts, and the second is not awaited.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-25T02:00:00Z"),
        ("0 0 29 2 *", "UTC", "2026-03-02T00:00:00Z", "2028-02-29T00:00:00Z"),
    ],
)
def test_when_cron_comes_next(cron: str, zone: str, after: str, expected: str) -> None:
    assert next_after(cron, zone, at(after)) == at(expected)


def test_cron_does_not_ask_the_machine_for_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    for zone in ("UTC", "Pacific/Apia", "America/New_York"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        found.add(next_after("30 2 * * *", "Australia/Lord_Howe", at("2026-04-04T12:00:00Z")))
    monkeypatch.undo()
    time.tzset()
    assert len(found) == 1


def test_it_goes_forward_over_two_years_of_changing_clocks() -> None:
    for zone in ("Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca"):
        now, end = at("2026-01-01T00:00:00Z"), at("2028-01-01T00:00:00Z")
        while now < end:
            later = next_after("17 */6 * * *", zone, now)
            assert now < later <= now + 8 * 60 * MINUTE
            now = later


def test_five_fields_of_usual_cron_are_taken() -> None:
    for text in ("* * * * *", "0,30 8-18/2 1,15 jan-mar Sun", "5 4 * * 7"):
        check_cron(text)


def test_the_example_of_the_file_compiles() -> None:
    text = (Path(__file__).parents[4] / "rules" / "heartbeats.yaml").read_text("utf-8")
    example = "\n".join(line.removeprefix("# ") for line in text.split("heartbeats: {}\n\n")[1].splitlines())
    rules = book("", heartbeats=example)
    assert rules.problems == []
    assert sorted(rules.cadences) == ["ping/nightly-backup", "ping/queue-worker"]
