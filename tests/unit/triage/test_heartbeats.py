"""Heartbeats: what beats, what is missed, what ends it, and what the rules say of it."""

from __future__ import annotations

from typing import cast

import pytest

from tests.unit.triage.stage import FILES, START, Stage
from triage.heartbeats import MOST
from triage.memory import HEARTBEAT, THE_ROSTER
from triage.model import (
    DAY,
    HOUR,
    MINUTE,
    DeadLetter,
    Decision,
    Event,
    Kind,
    Outcome,
    Phase,
    Reason,
    Severity,
    Status,
    Tick,
    Verb,
    rules_digest,
)
from triage.roster import BeatState, Heartbeat
from triage.rulebook import compile_files

BEATS = """
heartbeats:
  backup: {every: 1h, grace: 10m, severity: P1, service: shop, labels: {team: core}}
  report: {cron: "0 3 * * *", time_zone: Europe/Berlin, grace: 30m, max_run: 2h, severity: P1}
"""
WATCHDOG = """
rules:
  - name: watchdog
    matchers: ['alertname="Watchdog"']
    heartbeat: {by: [cluster], every: 5m, grace: 2m, expect: [eu1, us1], severity: P1}
"""
SOURCES = "sources: {am: {adapter: alertmanager, expect_every: 10m, labels: {team: core}}}"


def stage_with(**files: str) -> Stage:
    """A stage on which these rules came into force at its start; `heartbeats="…"` is heartbeats.yaml."""
    folder = {**FILES, **{f"{name}.yaml": text for name, text in files.items()}}
    stage = Stage(files=folder)
    stage.load(folder, rules_digest(folder))
    return stage


def reload(stage: Stage, **files: str) -> None:
    folder = {**FILES, **{f"{name}.yaml": text for name, text in files.items()}}
    stage.load(folder, rules_digest(folder))


def ping(stage: Stage, name: str = "backup", signal: str = "success", code: str = "", body: str = "") -> Decision:
    """A beat as the door makes it."""
    labels = {"alertname": "Heartbeat", "heartbeat": name, "signal": signal} | ({"exit_code": code} if code else {})
    cadence = compile_files({**FILES, "heartbeats.yaml": BEATS}).cadences[f"ping/{name}"]
    event = Event(
        Status.FIRING if signal == "fail" else Status.INFO,
        cadence.fingerprint({}),
        f"Heartbeat {name}: {signal}",
        labels,
        {"body": body} if body else {},
        kind=Kind.CHECK,
    )
    return stage.events("heartbeat", [event])[0]


def state(stage: Stage, name: str, **labels: str) -> Heartbeat:
    found = [cast("Heartbeat", one) for (family, _), one in stage.memory.values.items() if family == HEARTBEAT]
    (only,) = [one for one in found if one.name == name and one.labels == labels]
    return only


def test_a_beat_is_recorded_and_makes_no_incident() -> None:
    stage = stage_with(heartbeats=BEATS)
    decision = ping(stage)
    assert (decision.outcome, decision.reason) == (Outcome.RECORDED, Reason.HEARTBEAT)
    assert stage.incidents == []
    assert state(stage, "backup").due == START + 70 * MINUTE


def test_what_is_missed_pages_like_any_alert_and_the_next_beat_ends_it() -> None:
    stage = stage_with(heartbeats=BEATS)
    for _ in range(3):
        ping(stage)
        stage.minutes(60)
    stage.minutes(9)
    assert stage.incidents == []
    stage.minutes(1)
    assert (stage.incident.title, stage.incident.severity) == ("Heartbeat missed: backup", Severity.P1)
    assert (stage.incident.service, stage.paged) == ("shop", ["ana"])
    decision = ping(stage)
    assert (decision.outcome, decision.incident) == (Outcome.RESOLVED, stage.incident.key)
    assert stage.incident.phase is Phase.MONITORING
    assert state(stage, "backup").state is BeatState.UP


def test_one_that_never_beat_is_missed_counted_from_when_the_rules_came_into_force() -> None:
    stage = stage_with(heartbeats=BEATS)
    stage.minutes(69)
    assert stage.incidents == []
    stage.minutes(1)
    assert stage.incident.title == "Heartbeat missed: backup"


def test_the_entry_of_the_file_decides_after_all_rules_and_a_rule_overrides_it() -> None:
    stage = stage_with(heartbeats=BEATS)
    stage.minutes(70)
    assert stage.incident.rule == "heartbeat backup"
    rule = "rules: [{name: backups wait, matchers: ['alertname=\"HeartbeatMissed\"'], severity: P3}]"
    other = stage_with(heartbeats=BEATS, severity=rule)
    other.minutes(70)
    assert (other.incident.severity, other.incident.rule) == (Severity.P3, "backups wait")
    assert other.paged == []


@pytest.mark.parametrize(("signal", "code"), [("fail", ""), ("fail", "3")])
def test_a_failure_fires_at_once_with_its_words_and_the_next_success_ends_it(signal: str, code: str) -> None:
    stage = stage_with(heartbeats=BEATS)
    decision = ping(stage, signal=signal, code=code, body="disk full")
    assert decision.outcome is Outcome.OPENED
    assert stage.incident.title == f"Heartbeat failed: backup{' (exit code 3)' if code else ''}"
    assert stage.paged == ["ana"]
    ping(stage, signal="start")
    assert stage.incident.acked_by == "" and stage.incident.monitoring_at is None
    ping(stage, code="0")
    assert stage.incident.phase is Phase.MONITORING


def test_a_start_without_an_end_is_late_after_max_run() -> None:
    stage = stage_with(heartbeats=BEATS)
    stage.advance_to(state(stage, "report").due or 0)  # 03:30 in Berlin
    assert stage.incidents[-1].title == "Heartbeat missed: report"
    ping(stage, "report")
    assert state(stage, "report").due == START - 10 * HOUR + 2 * HOUR + 30 * MINUTE + 2 * DAY
    stage.advance_to((state(stage, "report").due or 0) - 20 * MINUTE)
    ping(stage, "report", "start")
    stage.minutes(119)
    assert stage.incidents[-1].phase is not Phase.DETECTED
    stage.minutes(1)
    assert stage.incidents[-1].title == "Heartbeat missed: report started and did not end within 2h"


def test_how_long_a_run_took_is_kept() -> None:
    stage = stage_with(heartbeats=BEATS)
    ping(stage, signal="start")
    stage.minutes(7)
    ping(stage)
    assert (state(stage, "backup").took, state(stage, "backup").started_at) == (7 * MINUTE, None)


def test_beats_further_apart_than_every_are_noted_and_nobody_is_told() -> None:
    stage = stage_with(heartbeats=BEATS)
    ping(stage)
    stage.seconds(3_605)
    assert ping(stage).detail == ""
    stage.minutes(65)
    assert "1h5m after the one before" in ping(stage).detail
    one = state(stage, "backup")
    assert (one.slow, one.gap, one.state) == (1, 65 * MINUTE, BeatState.UP)
    assert stage.incidents == []


def test_a_missed_heartbeat_does_not_go_stale() -> None:
    stage = stage_with(heartbeats=BEATS)
    stage.minutes(70)
    stage.command(Verb.ACKNOWLEDGE, stage.incidents[0].key, "ana")
    stage.minutes(60 * 24 * 3)
    assert stage.incidents[0].phase is Phase.TRIAGED
    assert (stage.incidents[0].firing, stage.incidents[0].stale) == (1, 0)


def test_after_an_absence_of_tocsins_own_a_heartbeat_gets_one_more_chance() -> None:
    stage = stage_with(heartbeats=BEATS)
    ping(stage)
    stage.now += 3 * HOUR
    stage.append(Tick())
    assert stage.incidents == []
    stage.minutes(24)
    assert stage.incidents == []
    stage.minutes(1)
    assert stage.incident.title == "Heartbeat missed: backup"


def test_a_watchdog_is_no_incident_and_each_cluster_is_missed_by_itself() -> None:
    stage = stage_with(severity=WATCHDOG)
    for _ in range(4):
        for cluster in ("eu1", "us1", "ap1"):
            decision = stage.fires("Watchdog", cluster=cluster)
            assert (decision.outcome, decision.reason) == (Outcome.RECORDED, Reason.HEARTBEAT)
        stage.minutes(5)
    for cluster in ("eu1", "us1"):
        stage.fires("Watchdog", cluster=cluster)
    stage.minutes(2)
    assert stage.incident.title == "Heartbeat missed: watchdog (cluster=ap1)"
    assert stage.incident.severity is Severity.P1
    stage.fires("Watchdog", cluster="ap1")
    assert stage.incident.phase is Phase.MONITORING


def test_clusters_that_never_beat_are_missed_each_an_incident_of_its_own() -> None:
    stage = stage_with(severity=WATCHDOG)
    stage.fires("Watchdog", cluster="eu1")
    stage.minutes(6)
    stage.fires("Watchdog", cluster="eu1")
    stage.minutes(1)
    assert [one.title for one in stage.incidents] == ["Heartbeat missed: watchdog (cluster=us1)"]
    stage.minutes(10)
    assert len(stage.incidents) == 2


def test_a_watchdog_that_resolves_is_no_beat() -> None:
    stage = stage_with(severity=WATCHDOG)
    stage.fires("Watchdog", cluster="eu1")
    stage.minutes(4)
    assert stage.ends("Watchdog", cluster="eu1").reason is Reason.HEARTBEAT
    assert state(stage, "watchdog", cluster="eu1").beat_at == START


def test_a_cluster_taken_down_and_resolved_by_hand_is_forgotten() -> None:
    stage = stage_with(severity=WATCHDOG)
    stage.fires("Watchdog", cluster="ap1")
    stage.minutes(7)
    missed = next(one for one in stage.incidents if "ap1" in one.title)
    stage.command(Verb.RESOLVE, missed.key, "ana", confirm=True)
    stage.minutes(61)
    with pytest.raises(ValueError, match="unpack"):
        state(stage, "watchdog", cluster="ap1")
    assert state(stage, "watchdog", cluster="us1").state is BeatState.MISSED


def test_labels_with_a_new_value_each_time_make_no_heartbeats_without_end() -> None:
    stage = stage_with(severity=WATCHDOG)
    for number in range(MOST - 2):
        stage.fires("Watchdog", cluster=f"c{number}")
    assert "too many values" in stage.fires("Watchdog", cluster="one more").detail
    assert [title for _, title in stage.told] == ["Too many heartbeats by the rule “watchdog”"]
    stage.fires("Watchdog", cluster="eu1")
    assert state(stage, "watchdog", cluster="eu1").beats == 1


def test_a_source_that_falls_silent_is_an_alert_until_it_speaks() -> None:
    stage = stage_with(sources=SOURCES)
    stage.minutes(8)
    stage.fires("Noise")
    stage.minutes(9)
    stage.append(DeadLetter("am", "no JSON", "body", b"{"))
    stage.minutes(9.9)
    assert stage.incidents == []
    stage.minutes(0.1)
    assert (stage.incident.title, stage.incident.severity) == ("Nothing from am for 10m", Severity.P1)
    stage.fires("Noise")
    assert stage.incident.phase is Phase.MONITORING


def test_rules_that_no_longer_name_a_heartbeat_resolve_its_incident_and_drop_its_timer() -> None:
    stage = stage_with(heartbeats=BEATS)
    stage.minutes(70)
    missed = stage.incident.key
    reload(stage)
    assert stage.incident.phase is Phase.RESOLVED
    resolved = next(line for line in stage.lines(missed) if line.what == "resolved")
    assert resolved.text == "backup is no longer in the rules"
    assert [name for name in stage.memory.timers if name.startswith("beat:")] == []
    assert [key for key in stage.memory.values if key[0] == HEARTBEAT] == []


def test_a_value_no_longer_expected_that_never_beat_is_dropped_and_one_that_beat_stays() -> None:
    stage = stage_with(severity=WATCHDOG)
    stage.fires("Watchdog", cluster="eu1")
    reload(stage, severity=WATCHDOG.replace("[eu1, us1]", "[]"))
    stage.minutes(7)
    assert [one.title for one in stage.incidents] == ["Heartbeat missed: watchdog (cluster=eu1)"]


def test_another_period_holds_from_the_last_beat_on() -> None:
    stage = stage_with(heartbeats=BEATS)
    ping(stage)
    reload(stage, heartbeats=BEATS.replace("every: 1h", "every: 20m"))
    stage.minutes(30)
    assert stage.incident.title == "Heartbeat missed: backup"


def test_rules_of_an_earlier_version_are_noticed_at_the_next_tick() -> None:
    stage = stage_with(severity=WATCHDOG)
    stage.memory.values = {key: one for key, one in stage.memory.values.items() if key[0] not in (HEARTBEAT, "roster")}
    stage.memory.timers.clear()
    stage.append(Tick())
    assert state(stage, "watchdog", cluster="us1").state is BeatState.NEW


def test_without_heartbeats_nothing_is_remembered() -> None:
    stage = stage_with()
    stage.fires()
    stage.minutes(1)
    assert stage.memory.get(THE_ROSTER) is None


def test_a_failure_of_a_heartbeat_that_left_the_rules_is_an_alert_all_the_same() -> None:
    stage = stage_with()
    assert ping(stage, signal="fail").outcome is Outcome.OPENED
    assert ping(stage).reason is Reason.INFORMATIONAL
