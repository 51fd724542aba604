"""Deduplication, grouping, raising and staleness: what becomes of events in any order."""

from __future__ import annotations

import pytest

from tests.unit.triage.stage import FILES, START, Stage, alert, report
from triage.decide import decide
from triage.model import (
    HOUR,
    MINUTE,
    SECOND,
    AlertState,
    Entry,
    Event,
    Events,
    Outcome,
    Phase,
    Reason,
    Severity,
    Status,
    Verb,
    fingerprint_of_labels,
    rules_digest,
)


def state_of(stage: Stage, **labels: str) -> AlertState:
    known = stage.memory.get(("alert", alert("Down", Status.FIRING, None, **labels).fingerprint))
    assert known is not None
    return known.state  # type: ignore[attr-defined,no-any-return]


def test_resolved_before_firing_is_recorded_and_the_straggler_pages_nobody() -> None:
    stage = Stage()
    decision = stage.ends(at=START)
    assert (decision.outcome, decision.reason) == (Outcome.RECORDED, Reason.UNKNOWN_ALERT)
    late = stage.fires(at=START - MINUTE)
    assert (late.outcome, late.reason) == (Outcome.DEDUPLICATED, Reason.LATE_FIRING)
    assert stage.paged == []


def test_a_straggler_within_the_grace_does_not_fire_again() -> None:
    stage = Stage()
    stage.fires(at=START)
    stage.ends(at=START + MINUTE)
    assert stage.fires(at=START).reason is Reason.LATE_FIRING
    assert stage.incident.phase is Phase.MONITORING


def test_a_sender_that_goes_on_claiming_that_it_fires_is_believed() -> None:
    stage = Stage()
    stage.fires(at=START)
    stage.ends(at=START + MINUTE)
    stage.minutes(3)
    assert stage.fires(at=START).outcome is Outcome.REOPENED


def test_a_resolve_of_an_earlier_episode_does_not_end_this_one() -> None:
    stage = Stage()
    stage.fires(at=START)
    late = stage.ends(at=START - HOUR)
    assert (late.outcome, late.reason) == (Outcome.DEDUPLICATED, Reason.LATE_RESOLVE)
    assert state_of(stage) is AlertState.FIRING


def test_resolved_twice_is_deduplicated() -> None:
    stage = Stage()
    stage.fires()
    assert stage.ends().reason is Reason.LAST_ENDED
    assert stage.ends().reason is Reason.ALREADY_RESOLVED


@pytest.mark.parametrize("at", [START + 365 * 24 * HOUR, START - 40 * 365 * 24 * HOUR, None])
def test_what_a_sender_says_of_time_drives_no_timer(at: int | None) -> None:
    stage = Stage()
    stage.fires(at=at)
    stage.minutes(5)
    assert stage.paged == ["ana", "ben"]
    stage.ends()
    assert state_of(stage) is AlertState.RESOLVED


def test_alerts_of_one_service_are_one_incident_and_of_another_another() -> None:
    stage = Stage()
    stage.fires("Down", instance="a")
    assert stage.fires("Slow", instance="b").reason is Reason.JOINED
    assert stage.fires("Down", service="search").outcome is Outcome.OPENED
    assert [(one.service, one.alerts, one.firing) for one in stage.incidents] in (
        [("shop", 2, 2), ("search", 1, 1)],
        [("search", 1, 1), ("shop", 2, 2)],
    )


def test_without_the_group_label_the_group_is_source_and_alertname_never_a_shared_one() -> None:
    stage = Stage()
    stage.fires("Down", service="")
    stage.fires("Slow", service="")
    stage.events("am", [Event(Status.FIRING, fingerprint_of_labels("am", {"a": "1"}), "?", {"a": "1"})])
    stage.events("am", [Event(Status.FIRING, fingerprint_of_labels("am", {"a": "2"}), "?", {"a": "2"})])
    assert len({one.group for one in stage.incidents}) == 4


def test_fires_again_long_after_the_end_is_a_new_incident_linked_to_the_old() -> None:
    stage = Stage()
    stage.fires()
    stage.ends()
    stage.advance(HOUR + 31 * MINUTE)
    decision = stage.fires(at=stage.now)
    assert (decision.outcome, decision.reason) == (Outcome.OPENED, Reason.LINKED)
    old, new = stage.incidents
    assert new.earlier == old.key


def test_within_half_an_hour_of_the_end_it_is_the_same_incident() -> None:
    stage = Stage()
    stage.fires()
    stage.ends()
    stage.advance(HOUR + 29 * MINUTE)
    assert stage.incident.phase is Phase.RESOLVED
    assert stage.fires(at=stage.now).outcome is Outcome.REOPENED
    assert len(stage.incidents) == 1
    assert stage.paged == ["ana", "ana"]


def test_dropped_events_leave_no_trace_but_the_ledger() -> None:
    stage = Stage()
    decision = stage.fires("Noise")
    assert (decision.outcome, decision.rule) == (Outcome.DROPPED, "noise")
    assert stage.incidents == []
    assert not [key for key in stage.memory.values if key[0] == "alert"]


def test_three_distinct_instances_raise() -> None:
    stage = Stage()
    for instance in ("a", "b"):
        stage.fires("ReplicaDown", instance=instance, pod="x")
        stage.fires("ReplicaDown", instance=instance, pod="y")
    assert stage.incident.severity.name == "P3"
    assert stage.paged == []
    stage.fires("ReplicaDown", instance="c")
    assert stage.incident.severity.name == "P1"
    assert stage.paged == ["ana"]


def test_what_ended_does_not_count_towards_distinct() -> None:
    stage = Stage()
    for instance in ("a", "b", "c", "d"):
        stage.fires("ReplicaDown", instance=instance)
        stage.seconds(1)
        if instance != "d":
            stage.ends("ReplicaDown", instance=instance)
    assert stage.incident.severity.name == "P3"


def test_five_times_within_ten_minutes_raise_to_p2() -> None:
    stage = Stage()
    for _ in range(4):
        stage.fires("ReplicaDown", instance="a", at=stage.now)
        stage.minutes(1)
        stage.ends("ReplicaDown", instance="a")
        stage.minutes(1)
    assert stage.incident.severity.name == "P3"
    stage.fires("ReplicaDown", instance="a", at=stage.now)
    assert stage.incident.severity.name == "P2"


def test_still_firing_after_half_an_hour_raises_and_a_resolve_before_does_not() -> None:
    stage = Stage()
    stage.fires("ReplicaDown", instance="a")
    stage.minutes(31)
    assert stage.incident.severity.name == "P2"
    other = Stage()
    other.fires("ReplicaDown", instance="a")
    other.minutes(10)
    other.ends("ReplicaDown", instance="a")
    other.minutes(31)
    assert other.incident.severity is Severity.P3


def test_outside_its_window_an_alert_is_held_and_decided_again_when_it_opens() -> None:
    stage = Stage()
    stage.advance(9 * HOUR)  # 19:00
    held = stage.fires("BatchLate")
    assert (held.outcome, held.reason) == (Outcome.HELD, Reason.OUTSIDE_WINDOW)
    assert stage.fires("BatchLate").outcome is Outcome.HELD
    for _ in range(13):
        stage.advance(HOUR)
        stage.fires("BatchLate")
    assert stage.paged == []
    stage.advance(HOUR)
    assert stage.paged == ["ana"], "09:00 on Tuesday"
    assert "window" in stage.whats(stage.incident)


def test_what_ended_before_its_window_opened_pages_nobody() -> None:
    stage = Stage()
    stage.advance(9 * HOUR)
    stage.fires("BatchLate")
    stage.advance(HOUR)
    assert stage.ends("BatchLate").outcome is Outcome.RESOLVED
    stage.advance(24 * HOUR)
    assert stage.incidents == []


def test_a_stale_low_incident_settles_and_a_stale_high_one_asks() -> None:
    stage = Stage()
    stage.fires(severity="warning", service="low")
    stage.fires(severity="critical", service="high")
    stage.command(Verb.ACKNOWLEDGE, stage.fires(severity="critical", service="high").incident, "ana")
    stage.advance(7 * HOUR)
    low, high = sorted(stage.incidents, key=lambda one: one.service, reverse=True)
    assert low.phase is Phase.RESOLVED
    assert high.phase is Phase.TRIAGED
    assert "Still broken? Down" in [title for _, title in stage.told]


def test_a_stale_alert_that_speaks_again_reopens_what_settled_for_want_of_words() -> None:
    stage = Stage()
    stage.fires(severity="warning")
    stage.advance(6 * HOUR + SECOND)
    assert stage.incident.phase is Phase.RESOLVED
    assert stage.fires(severity="warning").outcome is Outcome.REOPENED
    assert (stage.incident.firing, stage.incident.stale) == (1, 0)


def test_ended_alerts_are_forgotten_in_the_end_and_so_are_incidents() -> None:
    stage = Stage()
    stage.fires()
    stage.ends()
    stage.advance(91 * 24 * HOUR)
    left = {key[0] for key in stage.memory.values}
    assert left <= {"meta", "ledger", "rules", "budget", "past", "postmortem"}
    stage.advance(800 * 24 * HOUR)
    left = {key[0] for key in stage.memory.values}
    assert left <= {"meta", "ledger", "rules", "budget"}
    assert stage.memory.timers == {}


def test_a_storm_in_one_group_is_one_incident_one_page_and_a_bounded_timeline() -> None:
    stage = Stage()
    for start in range(0, 20_000, 1_000):
        stage.events("am", [alert("Storm", instance=str(n)) for n in range(start, start + 1_000)])
    assert stage.paged == ["ana"]
    assert (stage.incident.alerts, stage.incident.firing) == (20_000, 20_000)
    assert len(stage.lines(stage.incident.key)) < 60


def test_a_repeat_with_other_labels_can_raise_its_incident() -> None:
    stage = Stage()
    mild = Event(
        Status.FIRING,
        "ab" * 16,
        "CPU",
        {"alertname": "CPU", "service": "shop", "severity": "warning"},
        raw_severity="warning",
    )
    wild = Event(
        Status.FIRING,
        "ab" * 16,
        "CPU",
        {"alertname": "CPU", "service": "shop", "severity": "critical"},
        raw_severity="critical",
    )
    stage.events("kuma", [mild])
    (decision,) = stage.events("kuma", [wild])
    assert decision.reason is Reason.CHANGED
    assert stage.incident.severity.name == "P1"
    assert stage.paged == ["ana"]


def test_a_reload_pages_nobody_and_the_next_event_meets_the_new_rules() -> None:
    stage = Stage()
    stage.fires(severity="warning")
    files = dict(FILES)
    files["severity.yaml"] = FILES["severity.yaml"].replace("severity: P3}", "severity: P0}")
    stage.load(files, rules_digest(files))
    stage.minutes(10)
    assert stage.paged == []


def test_broken_rules_are_refused_and_the_old_ones_stay() -> None:
    stage = Stage()
    stage.load({"severity.yaml": "rules: [{name: x, matchers: ['a=~\"(\"'], severity: P9}]"}, "broken")
    assert stage.fires().severity is Severity.P1
    rules = stage.memory.get(("rules", ""))
    assert rules is not None
    assert rules.refused  # type: ignore[attr-defined]
    assert [title for name, title in stage.told if name == "eve"] == [
        "The changed rules are refused; the old ones stay in force"
    ]


def test_a_held_alert_that_falls_silent_is_decided_anew_when_it_fires_again() -> None:
    stage = Stage()
    stage.advance(9 * HOUR)  # Monday 19:00
    stage.fires("BatchLate")
    stage.advance(7 * HOUR)
    assert stage.fires("BatchLate").outcome is Outcome.HELD
    assert stage.incidents == []


def test_a_clock_that_runs_ahead_does_not_drag_the_journal_along() -> None:
    stage = Stage()
    ahead = Entry(f"{START}-0", START + 5 * HOUR, Events("am", [alert()]))
    stage.memory.apply(decide(stage.memory, ahead, stage._rulebook))
    stage.settle()
    stage.seconds(6)
    assert stage.paged == ["ana"]
    stage.minutes(5)
    assert stage.paged == ["ana", "ben"]


def test_alert_text_cannot_flood_the_operators() -> None:
    stage = Stage()
    for number in range(100):
        stage.fires("Down", service=f"s{number}", team=f"ghosts{number}", severity="warning")
    told = [title for _, title in stage.told]
    assert len(told) == 31
    assert told[-1] == "There is more that needs care"


def test_a_report_joins_the_open_incident_of_its_service_and_does_not_keep_it_open() -> None:
    stage = Stage()
    stage.fires()
    (low,) = stage.events("report", [report("cannot pay", "low")])
    (high,) = stage.events("report", [report("nothing works", "critical", anonymous=True)])
    assert (low.outcome, high.outcome) == (Outcome.ATTACHED, Outcome.ATTACHED)
    assert [line.text for line in stage.lines(stage.incident.key) if line.what == "reported"] == [
        "cannot pay",
        "nothing works",
    ]
    assert stage.paged == ["ana"]
    stage.ends()
    assert stage.incident.phase is Phase.MONITORING


def test_the_timeline_says_who_reports_but_not_in_the_name_of_whom_anybody_may_write() -> None:
    stage = Stage()
    stage.fires()
    for anonymous in (False, True):
        told = report(f"cannot pay {anonymous}", "low", anonymous)
        told.annotations = {"reporter": "mia"}
        stage.events("report", [told])
    lines = [(line.by, line.text) for line in stage.lines(stage.incident.key) if line.what == "reported"]
    assert lines == [("mia", "cannot pay False"), ("somebody", "cannot pay True (signed “mia”)")]


def test_reports_of_one_service_within_half_an_hour_are_one_incident() -> None:
    stage = Stage()
    stage.events("report", [report("slow", "error")])
    stage.minutes(20)
    stage.events("report", [report("slower", "error")])
    assert stage.incident.severity is Severity.P2
    stage.minutes(31)
    assert stage.incident.phase is not Phase.DETECTED, "nobody reports any more: it settles"
