"""Who is paged, when, and when not: the table of behaviour in the design, line by line."""

from __future__ import annotations

import pytest

from tests.unit.triage.stage import FILES, Stage, alert, report
from triage.model import (
    HOUR,
    MINUTE,
    Effect,
    Ending,
    Events,
    Outcome,
    Phase,
    Reason,
    Result,
    Severity,
    Status,
    Verb,
    rules_digest,
)
from triage.rehearsal import accepts


def test_a_critical_alert_pages_step_one_at_once() -> None:
    stage = Stage()
    decision = stage.fires()
    assert (decision.outcome, decision.reason, decision.severity) == (Outcome.OPENED, Reason.NEW_GROUP, Severity.P1)
    assert stage.paged == ["ana"]
    assert stage.incident.phase is Phase.DETECTED


def test_the_same_alert_again_never_pages() -> None:
    stage = Stage()
    stage.fires()
    for _ in range(5):
        assert stage.fires().outcome is Outcome.DEDUPLICATED
    assert stage.paged == ["ana"]


def test_nobody_answers_every_step_and_round_then_the_last_resort_once() -> None:
    stage = Stage()
    stage.fires()
    stage.advance(3 * HOUR)
    assert stage.paged == ["ana", "ben", "ana", "ben", "eve"]
    assert len({page.id for page in stage.pages}) == 5
    assert "Nobody has acknowledged: Down" in [title for _, title in stage.told]


def test_steps_wait_as_long_as_the_policy_says() -> None:
    stage = Stage()
    stage.fires()
    stage.advance(5 * MINUTE - 1)
    assert stage.paged == ["ana"]
    stage.advance(1)
    assert stage.paged == ["ana", "ben"]


def test_an_acknowledgement_stops_the_escalation() -> None:
    stage = Stage()
    stage.fires()
    answer = stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    assert answer.ending == "done"
    stage.minutes(20)
    assert stage.paged == ["ana"]
    assert stage.incident.phase is Phase.TRIAGED


def test_acknowledged_and_forgotten_pages_again_from_the_acknowledger() -> None:
    stage = Stage()
    stage.fires()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ben")
    stage.advance(HOUR - MINUTE)
    assert stage.paged == ["ana"]
    stage.command(Verb.NOTE, stage.incident.key, "ben", "looking at the database")
    stage.advance(HOUR - MINUTE)
    assert stage.paged == ["ana"], "a human action sets the time back"
    stage.minutes(2)
    assert stage.paged == ["ana", "ben"]
    stage.minutes(5)
    assert stage.paged == ["ana", "ben", "ana"], "then the policy from its beginning"


def test_a_resolve_in_the_same_backlog_cancels_the_page() -> None:
    stage = Stage()
    stage._decide(Events("am", [alert()]))
    stage._decide(Events("am", [alert(status=Status.RESOLVED)]))
    stage.settle()
    assert stage.paged == []
    assert stage.incident.phase is Phase.MONITORING


def test_wait_holds_the_first_page_and_a_resolve_within_it_pages_nobody() -> None:
    stage = Stage()
    stage.fires("Pod")
    stage.seconds(59)
    assert stage.paged == []
    stage.ends("Pod")
    stage.minutes(10)
    assert stage.paged == []
    stage.fires("Pod", service="other")
    stage.seconds(60)
    assert stage.paged == ["ana"]


def test_low_severities_page_nobody() -> None:
    stage = Stage()
    stage.fires(severity="warning")
    stage.advance(4 * HOUR)
    assert stage.paged == []
    assert stage.told == []
    assert stage.incident.severity is Severity.P3


def test_p2_is_told_in_office_hours_only() -> None:
    stage = Stage()
    stage.advance(9 * HOUR)  # Monday 19:00
    stage.fires(severity="error")
    for _ in range(13):
        stage.advance(HOUR)
        stage.fires(severity="error")  # its sender repeats, or it would be stale and settle
    assert stage.told == []
    stage.advance(2 * HOUR)
    assert stage.told == [("ana", "Digest: 1 P2")]
    assert stage.paged == []


def test_entering_p0_voids_the_acknowledgement_and_pages_once() -> None:
    stage = Stage()
    stage.fires()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    stage.minutes(10)
    decision = stage.fires("AllDown", severity="outage")
    assert (decision.outcome, decision.reason) == (Outcome.ATTACHED, Reason.RAISED)
    assert stage.incident.severity is Severity.P0
    assert stage.incident.acked_by == ""
    assert stage.paged == ["ana", "ana"]


def test_raises_within_a_minute_count_as_one() -> None:
    stage = Stage()
    stage.fires(severity="warning")
    stage.minutes(5)
    stage.fires("Worse", severity="critical")
    stage.seconds(30)
    stage.fires("Worst", severity="outage")
    assert stage.incident.severity is Severity.P0
    assert stage.paged == ["ana"]


def test_a_new_alert_in_an_acknowledged_incident_is_a_note_to_the_acknowledger() -> None:
    stage = Stage()
    stage.fires()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ben")
    for number in range(30):
        stage.fires("Also", instance=str(number))
    stage.minutes(2)
    assert stage.paged == ["ana"]
    assert stage.told == [("ben", "30 more alerts: Down")]


def test_fires_again_in_monitoring_reopens_and_pages_the_last_acknowledger_first() -> None:
    stage = Stage()
    stage.fires()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ben")
    stage.ends()
    stage.minutes(20)
    assert stage.fires().outcome is Outcome.REOPENED
    assert stage.paged == ["ana", "ben"]
    assert [page.facts["reopened"] for page in stage.pages] == ["", "back from monitoring: Down fires again"]
    assert stage.incident.phase is Phase.TRIAGED


def test_after_downtime_one_step_fires_marked_late() -> None:
    stage = Stage()
    stage.fires()
    stage.now += 45 * MINUTE  # nobody was there to tick
    stage.settle()
    assert stage.paged == ["ana", "ben"]
    assert stage.pages[-1].facts["late"] == "40 min"
    stage.minutes(9)
    assert stage.paged == ["ana", "ben"], "spacing starts anew"
    stage.minutes(1)
    assert stage.paged == ["ana", "ben", "ana"]


def test_an_anonymous_report_alone_never_pages_until_an_alert_confirms_it() -> None:
    stage = Stage()
    stage.events("report", [report("the shop is down", "critical", anonymous=True)])
    stage.advance(HOUR)
    assert stage.paged == []
    stage.fires()
    assert stage.paged == ["ana"]
    assert len(stage.incidents) == 1


def test_a_low_report_is_recorded_without_an_incident() -> None:
    stage = Stage()
    (decision,) = stage.events("report", [report("please add a dark mode", "low")])
    assert (decision.outcome, decision.reason) == (Outcome.RECORDED, Reason.LOW_REPORT)
    assert stage.incidents == []


def test_an_unknown_policy_becomes_the_default_one_and_the_operator_hears() -> None:
    stage = Stage()
    stage.fires(team="ghosts")
    assert stage.paged == ["ana"]
    assert ("eve", "Unknown escalation policy “ghosts”") in stage.told


def test_when_nobody_can_be_reached_the_next_step_begins_at_once() -> None:
    def provider(effect: Effect) -> Result:
        if effect.person == "ana":
            return Result(effect.id, effect.attempt, Ending.GIVE_UP, "no such number", incident=effect.incident)
        return accepts(effect)

    stage = Stage(provider)
    stage.fires()
    assert stage.paged == ["ben"], "both of Ana's methods failed for good"
    assert next(title for name, title in stage.told if name == "eve") == "Cannot reach ana by terminal"


def test_a_provider_that_is_down_starts_the_next_method_and_is_tried_again() -> None:
    down = {"terminal://ana"}

    def provider(effect: Effect) -> Result:
        if effect.target in down:
            return Result(effect.id, effect.attempt, Ending.TRY_AGAIN, "503", incident=effect.incident)
        return accepts(effect)

    stage = Stage(provider)
    stage.fires()
    assert [page.target for page in stage.pages] == ["file:///ana"]
    down.clear()
    stage.minutes(1)
    assert [page.target for page in stage.pages] == ["file:///ana"], "delivered one way, the other is not needed"


@pytest.mark.parametrize(
    ("confirm", "phase", "ending"), [(False, Phase.DETECTED, "asks"), (True, Phase.RESOLVED, "done")]
)
def test_resolving_by_hand_while_it_fires_asks(confirm: bool, phase: Phase, ending: str) -> None:
    stage = Stage()
    stage.fires()
    answer = stage.command(Verb.RESOLVE, stage.incident.key, "ana", confirm=confirm)
    assert (answer.ending, stage.incident.phase) == (ending, phase)


def test_repeats_do_not_reopen_what_was_resolved_by_hand() -> None:
    stage = Stage()
    stage.fires()
    stage.command(Verb.RESOLVE, stage.incident.key, "ana", confirm=True)
    stage.minutes(1)
    assert stage.fires().outcome is Outcome.DEDUPLICATED
    assert stage.incident.phase is Phase.RESOLVED
    stage.ends()
    assert stage.fires(at=stage.now).outcome is Outcome.REOPENED


def test_the_all_clear_reaches_everybody_who_was_paged() -> None:
    stage = Stage()
    stage.fires()
    stage.minutes(6)
    stage.ends()
    assert stage.paged == ["ana", "ben"]
    assert stage.told == [("ana", "All clear: Down"), ("ben", "All clear: Down")]
    stage.advance(HOUR)
    assert stage.incident.phase is Phase.RESOLVED
    assert len(stage.told) == 2


def with_policy(text: str) -> dict[str, str]:
    """The rules of the stage with other policies."""
    before, _, after = FILES["oncall.yaml"].partition("policies:")
    return {**FILES, "oncall.yaml": f"{before}policies: {text}\noperators:{after.partition('operators:')[2]}"}


def test_a_running_escalation_keeps_its_steps_and_the_next_one_takes_the_new_ones() -> None:
    stage = Stage()
    stage.fires()
    files = with_policy("{default: {rounds: 1, steps: [{notify: [eve], wait: 1m}]}}")
    stage.load(files, rules_digest(files))
    stage.minutes(6)
    assert stage.paged == ["ana", "ben"]
    stage.fires(service="search")
    assert stage.paged == ["ana", "ben", "eve"]


def test_a_running_escalation_whose_policy_is_deleted_goes_on_with_the_default_one() -> None:
    files = with_policy("{default: {steps: [{notify: [ben], wait: 5m}]}, shop: {steps: [{notify: [ana], wait: 5m}]}}")
    stage = Stage(files=files)
    stage.fires(team="shop")
    assert stage.paged == ["ana"]
    files = with_policy("{default: {steps: [{notify: [ben], wait: 5m}]}}")
    stage.load(files, rules_digest(files))
    stage.minutes(5)
    assert stage.paged == ["ana", "ben"]
    assert ("eve", "Escalation policy “shop” is gone") in stage.told
