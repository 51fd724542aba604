"""Attacks on the promise of one page: waits, raises, reloads, reports and windows that interfere with each other."""

from __future__ import annotations

import msgspec

from tests.unit.triage.stage import FILES, Stage, alert, report
from triage.model import HOUR, MINUTE, Effect, Ending, Events, Outcome, Phase, Result, Severity, Verb

SEVERITY = FILES["severity.yaml"]


def files(severity: str = SEVERITY, oncall: str = FILES["oncall.yaml"]) -> dict[str, str]:
    return {"severity.yaml": severity, "oncall.yaml": oncall}


def test_an_alert_without_a_wait_does_not_wait_for_another_alerts_wait() -> None:
    stage = Stage()
    stage.fires("Pod")
    stage.seconds(5)
    stage.fires("AllDown", severity="outage")
    assert stage.paged == ["ana"]
    stage.minutes(4)
    assert stage.paged == ["ana"]


def test_an_incident_that_opens_again_waits_as_the_alert_that_fires_now_says() -> None:
    stage = Stage()
    stage.fires("Pod")
    stage.ends("Pod")
    stage.minutes(1)
    stage.fires("AllDown", severity="outage")
    assert stage.paged == ["ana"]


def test_an_alert_that_raises_waits_as_its_rule_says() -> None:
    stage = Stage()
    stage.fires(severity="warning")
    stage.fires("Pod")
    assert stage.incident.severity is Severity.P1
    assert stage.paged == []
    stage.seconds(60)
    assert stage.paged == ["ana"]


def test_a_notification_that_reaches_nobody_goes_to_the_last_resort_and_the_operator() -> None:
    oncall = FILES["oncall.yaml"].replace("notify: [ana]", "notify: [ben]")
    stage = Stage(files=files(oncall=oncall))
    stage.advance(9 * HOUR)
    stage.fires(severity="error")
    gone = oncall.replace('  ben: {name: Ben, contact: ["terminal://ben"]}\n', "").replace("[ben]", "[]")
    stage.load(files(oncall=gone), "gone")
    for _ in range(15):
        stage.advance(HOUR)
        stage.fires(severity="error")
    assert ("eve", "Digest: 1 P2") in stage.told, (stage.told, stage.lines(stage.incident.key))


def test_a_clause_on_time_survives_a_resolve_by_hand() -> None:
    stage = Stage()
    stage.fires("ReplicaDown", severity="warning", instance="a")
    stage.minutes(5)
    stage.command(Verb.RESOLVE, stage.incident.key, "ana", confirm=True)
    stage.fires("ReplicaDown", severity="warning", instance="b")
    assert stage.incident.phase is not Phase.RESOLVED
    stage.minutes(31)
    assert stage.incident.severity is Severity.P2


def test_a_confirmed_report_pages_though_an_anonymous_one_opened_the_incident() -> None:
    stage = Stage()
    stage.events("report", [report("the shop is down", "critical", anonymous=True)])
    assert stage.paged == []
    stage.events("report", [report("nobody can pay", "critical")])
    assert stage.paged == ["ana"]


def test_a_severe_report_while_monitoring_pages() -> None:
    stage = Stage()
    stage.fires()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ben")
    stage.ends()
    assert stage.incident.phase is Phase.MONITORING
    stage.minutes(10)
    stage.events("report", [report("still nobody can pay", "critical")])
    assert stage.paged == ["ana", "ben"]


def test_a_held_alert_that_becomes_urgent_is_not_held_any_longer() -> None:
    stage = Stage()
    stage.advance(9 * HOUR)  # Monday 19:00
    held = alert("BatchLate")
    assert stage.events("kuma", [held])[0].outcome is Outcome.HELD
    urgent = msgspec.structs.replace(held, labels={**held.labels, "alertname": "AllDown", "severity": "outage"})
    (decision,) = stage.events("kuma", [urgent])
    assert decision.outcome is not Outcome.HELD
    assert stage.paged == ["ana"]


def test_a_delivery_is_believed_though_an_earlier_claim_reported_a_failure_first() -> None:
    tried: list[int] = []

    def provider(effect: Effect) -> Result:
        tried.append(effect.attempt)
        return Result(effect.id, effect.attempt, Ending.TRY_AGAIN, "timeout", True, incident=effect.incident)

    stage = Stage(provider, files=files(oncall=FILES["oncall.yaml"].replace(', "file:///ana"', "")))
    stage._decide(Events("am", [alert()]))
    stage.settle()
    (page,) = [one for one in stage._effects(None) if one.person == "ana"]
    assert page.attempt == 1
    stage._decide(Result(page.id, 0, Ending.DELIVERED, "accepted", incident=page.incident, person="ana"))
    stage.minutes(1)
    assert tried == [0], "it was delivered: no second copy"


def test_a_held_alert_of_a_sender_that_speaks_once_is_decided_when_its_window_opens() -> None:
    stage = Stage()
    stage.advance(9 * HOUR)  # Monday 19:00
    stage.fires("BatchLate")
    stage.advance(15 * HOUR)  # Tuesday 10:00, and not a word since
    assert stage.paged[:1] == ["ana"]


def test_one_clause_full_of_values_does_not_blind_another() -> None:
    severity = """
rules:
  - name: many
    matchers: ['alertname="Many"']
    severity: P3
    group_by: [service]
    raise: [{firing: 1000, distinct: instance, to: P2}]
  - name: few
    matchers: ['alertname="Few"']
    severity: P3
    group_by: [service]
    raise: [{firing: 3, distinct: instance, to: P1}]
defaults: {severity: P3}
"""
    stage = Stage(files=files(severity))
    stage.events("am", [alert("Many", instance=str(number)) for number in range(1100)])
    for number in range(3):
        stage.fires("Few", instance=str(number))
    assert stage.incident.severity is Severity.P1


def test_a_clause_that_comes_due_while_all_is_stale_still_raises_when_it_fires_again() -> None:
    severity = """
rules:
  - name: slow
    matchers: ['alertname="Slow"']
    severity: P2
    group_by: [service]
    raise: [{after: 5h10m, to: P1}]
defaults: {severity: P3}
"""
    sources = "sources:\n  am: {adapter: alertmanager, stale_after: 5h}\n"
    stage = Stage(files={**files(severity), "sources.yaml": sources})
    stage.fires("Slow")
    stage.advance(5 * HOUR + 12 * MINUTE)
    assert stage.incident.phase is Phase.MONITORING
    stage.fires("Slow")
    stage.minutes(1)
    assert stage.incident.severity is Severity.P1


def test_a_raise_pages_though_only_the_one_who_had_it_last_was_paged() -> None:
    stage = Stage()
    stage.fires()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ben")
    stage.ends()
    stage.minutes(5)
    stage.fires()
    assert stage.paged == ["ana", "ben"]
    stage.minutes(2)
    stage.fires("AllDown", severity="outage")
    assert stage.paged == ["ana", "ben", "ana"]


def test_an_alert_that_pages_nobody_does_not_hasten_one_that_waits() -> None:
    stage = Stage()
    stage.fires("Pod")
    stage.fires("Slow", severity="warning")
    assert stage.paged == []
    stage.seconds(60)
    assert stage.paged == ["ana"]


def test_an_anonymous_report_does_not_page_for_what_was_resolved() -> None:
    stage = Stage()
    stage.fires(severity="error")
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ben")
    stage.ends(severity="error")
    stage.command(Verb.RESOLVE, stage.incident.key, "ben")
    stage.minutes(5)
    stage.events("report", [report("the shop is down", "outage", anonymous=True)])
    assert stage.paged == []
    stage.minutes(5)
    stage.fires()
    assert stage.paged == ["ana"]


def test_a_sender_whose_clock_is_behind_is_believed_when_it_fires_again() -> None:
    stage = Stage()
    stage.fires(at=stage.now - 10 * MINUTE)
    stage.ends()  # it does not say when
    stage.seconds(90)
    assert stage.fires(at=stage.now - 10 * MINUTE).outcome is Outcome.REOPENED
    assert len(stage.paged) == 2


def test_a_straggler_of_the_episode_that_ended_stays_one_though_its_end_was_not_told() -> None:
    stage = Stage()
    began = stage.now - 10 * MINUTE
    stage.fires(at=began)
    stage.ends()
    stage.seconds(90)
    assert stage.fires(at=began).outcome is Outcome.DEDUPLICATED
    assert len(stage.paged) == 1


def test_a_stale_alert_that_fires_after_its_incident_is_decided_by_the_rules_of_today() -> None:
    stage = Stage()
    stage.fires(severity="warning")
    stage.fires("ReplicaDown", severity="warning", instance="a", service="other")
    stage.advance(7 * HOUR)
    assert all(incident.phase is Phase.RESOLVED for incident in stage.incidents)
    dropped = SEVERITY.replace("""['alertname="Noise"']""", """['alertname=~"Noise|Down"']""")
    stage.load(files(dropped), "dropped")
    assert stage.fires(severity="warning").outcome is Outcome.DROPPED
    stage.fires("ReplicaDown", severity="warning", instance="a", service="other")
    assert stage.incidents[-1].severity is Severity.P3
    stage.minutes(31)
    assert stage.incidents[-1].severity.name == "P2", "its clauses count in the incident that it opened"
