"""Severity by people, roles, impact, ETA, notes, links, and incidents that people declare."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.triage.stage import Stage
from triage.model import HOUR, Answer, Command, Declared, Phase, Role, Severity, Verb


def ask(stage: Stage, verb: Verb, by: str = "ana", **more: Any) -> Answer:
    return stage.answers[stage.append(Command(verb, stage.incident.key, by, "test", **more))]


def grade(stage: Stage, to: str, by: str = "ana", text: str = "looked at it") -> Answer:
    return ask(stage, Verb.SEVERITY, by, text=text, data={"to": to})


def down(severity: str = "critical") -> Stage:
    stage = Stage()
    stage.fires(severity=severity)
    return stage


def texts(stage: Stage, what: str) -> list[str]:
    return [line.text for line in stage.lines(stage.incident.key) if line.what == what]


# ------------------------------------------------------------ severity


def test_raised_into_p1_by_a_person_it_pages_once_and_never_who_raised_it() -> None:
    stage = down("warning")
    assert stage.paged == []
    assert grade(stage, "P1", "ana") == Answer("done", "raised from P3 to P1")
    assert stage.paged == ["ben"]  # step 1 is ana alone: the next step begins at once
    assert texts(stage, "not-paged")[-1] == "step 1 of policy “default”: ana knows, and made it page"
    assert not [title for _, title in stage.told if "can be reached" in title]
    grade(stage, "P0", "ana")  # within a minute
    assert stage.paged == ["ben"]


def test_a_raise_voids_the_acknowledgement_of_whoever_raised_it_too() -> None:
    stage = down()
    ask(stage, Verb.ACKNOWLEDGE, "ben")
    stage.minutes(5)
    grade(stage, "P0", "ben")
    assert (stage.incident.acked_by, stage.paged) == ("", ["ana", "ana"])
    stage.minutes(5)
    assert stage.paged == ["ana", "ana", "ana"]  # step 2 is ben alone, who knows: round 2, since nobody acknowledged
    stage.minutes(5)
    assert stage.paged[-1] == "ben"


def test_lowered_by_a_person_it_pages_no_longer_and_stays_until_a_later_alert_is_more_severe() -> None:
    stage = down("outage")
    stage.minutes(1)
    assert grade(stage, "P3", "eve") == Answer("done", "lowered from P0 to P3")
    stage.advance(3 * HOUR)
    stage.fires(severity="outage")  # the same alert again
    stage.fires("Slow", severity="info")
    assert (stage.paged, stage.incident.severity) == (["ana"], Severity.P3)
    stage.fires("Worse", severity="critical")
    assert (stage.incident.severity, stage.paged) == (Severity.P1, ["ana", "ana"])


def test_lowered_to_p1_the_escalation_goes_on() -> None:
    stage = down("outage")
    grade(stage, "P1")
    stage.minutes(5)
    assert stage.paged == ["ana", "ben"]


def test_lowered_to_p2_it_is_told_in_office_hours() -> None:
    stage = down("outage")
    grade(stage, "P2")
    assert stage.told == [("ana", "P2: Down")]


def test_a_rule_that_waits_for_time_does_not_raise_again_what_a_person_lowered() -> None:
    stage = Stage()
    stage.fires("ReplicaDown")
    grade(stage, "P4")
    stage.advance(HOUR)
    assert stage.incident.severity.name == "P4"
    stage.fires("ReplicaDown", instance="b")
    stage.fires("ReplicaDown", instance="c")  # three at once: that is new
    assert stage.incident.severity.name == "P1"


def test_a_severity_needs_a_reason_and_a_name() -> None:
    stage = down()
    assert grade(stage, "P0", text=" ") == Answer("refused", "say why it is P0 and not P1")
    assert grade(stage, "urgent") == Answer("refused", "“urgent” is no severity: there are P0, P1, P2, P3, P4")
    assert grade(stage, "P1") == Answer("done", "it is P1 already")


def test_in_monitoring_a_raise_pages_nobody() -> None:
    stage = down()
    stage.ends()
    grade(stage, "P0")
    assert (stage.incident.severity, stage.incident.phase, stage.paged) == (Severity.P0, Phase.MONITORING, ["ana"])


# ------------------------------------------------------------ roles


def role(stage: Stage, which: str, person: str, by: str = "ana", text: str = "") -> Answer:
    return ask(stage, Verb.ROLE, by, person=person, text=text, data={"role": which})


def test_the_first_to_have_a_p1_commands_it_until_handed_over() -> None:
    stage = down()
    ask(stage, Verb.ACKNOWLEDGE, "ana")
    assert stage.incident.roles == {Role.COMMANDER: "ana"}
    ask(stage, Verb.ACKNOWLEDGE, "ben")
    assert stage.incident.roles == {Role.COMMANDER: "ana"}
    assert role(stage, "commander", "ben", text="my shift ends") == Answer("done", "ben is commander")
    assert texts(stage, "role")[-1] == "ana hands commander over to ben: my shift ends"
    assert stage.told == [("ben", "You are commander: Down")]


def test_a_role_is_taken_over_left_and_given_by_a_third() -> None:
    stage = down("info")
    role(stage, "scribe", "ana")
    role(stage, "scribe", "ben", "ben")
    role(stage, "scribe", "ana", "eve")
    role(stage, "scribe", "", "ana")
    assert texts(stage, "role") == [
        "ana is scribe",
        "ben takes over as scribe from ana",
        "eve hands scribe over from ben to ana",
        "ana is no longer scribe",
    ]
    assert stage.incident.roles == {}
    assert role(stage, "scribe", "") == Answer("done", "nobody is scribe")


def test_a_role_goes_to_people_we_know() -> None:
    stage = down()
    assert "nobody called “zoe”" in role(stage, "scribe", "zoe").text
    assert role(stage, "king", "ana").text == "“king” is no role: there are commander, communications, scribe"
    assert role(stage, "scribe", "admin", "admin").ending == "done"  # a token's name


# ------------------------------------------------------------ impact, ETA, notes, links


def test_impact_and_eta_are_fields_of_the_incident() -> None:
    stage = down()
    assert ask(stage, Verb.IMPACT, text="nobody can pay").ending == "done"
    assert ask(stage, Verb.ETA, data={"eta": "45m"}) == Answer("done", "should be over in 45 min")
    assert (stage.incident.impact, stage.incident.eta) == ("nobody can pay", stage.now + 45 * 60_000)
    assert ask(stage, Verb.ETA, data={"eta": "2026-03-02T12:00:00Z"}).text == "should be over in 120 min"
    assert ask(stage, Verb.ETA, text="the vendor is silent") == Answer("done", "no ETA any more")
    assert stage.incident.eta is None


@pytest.mark.parametrize("eta", ["soon", "0s", "31d", "2026-03-02T09:00:00Z", "2026-13-02T09:00:00Z"])
def test_an_eta_is_a_time_to_come(eta: str) -> None:
    assert ask(down(), Verb.ETA, data={"eta": eta}).ending == "refused"


def test_impact_is_said_in_a_sentence() -> None:
    stage = down()
    assert ask(stage, Verb.IMPACT, text="  ").ending == "refused"
    assert ask(stage, Verb.IMPACT, text="x" * 501).ending == "refused"


def test_findings_and_hypotheses_are_notes_of_their_own_kind() -> None:
    stage = down()
    for kind in ("finding", "hypothesis", "note"):
        assert ask(stage, Verb.NOTE, text=f"a {kind}", data={"kind": kind}).ending == "done"
        assert texts(stage, kind) == [f"a {kind}"]
    assert "no kind of note" in ask(stage, Verb.NOTE, text="x", data={"kind": "poem"}).text


def test_linked_incidents_lead_to_each_other() -> None:
    stage = Stage()
    stage.fires(service="shop")
    stage.fires(service="search")
    one, other = (incident.key for incident in stage.incidents)
    answer = stage.answers[stage.append(Command(Verb.LINK, one, "ana", "test", data={"other": other}))]
    assert answer == Answer("done", f"linked with {other[:6]}")
    again = stage.answers[stage.append(Command(Verb.LINK, other, "ana", "test", data={"other": one}))]
    assert again == Answer("done", f"linked with {one[:6]} already")
    assert [incident.links for incident in stage.incidents] == [(other,), (one,)]
    itself = stage.answers[stage.append(Command(Verb.LINK, one, "ana", "test", data={"other": one}))]
    assert itself.ending == "refused"


# ------------------------------------------------------------ declaring


def declare(stage: Stage, severity: str = "P1", by: str = "eve", **more: Any) -> Answer:
    asked = Declared("Checkout is slow", Severity[severity], by, "test", **{"service": "shop", **more})
    return stage.answers[stage.append(asked)]


def test_declared_it_is_open_and_pages_by_policy() -> None:
    stage = Stage()
    answer = declare(stage, impact="one in ten fails", text="seen by support")
    assert (answer.ending, answer.incident) == ("done", stage.incident.key)
    one = stage.incident
    assert (one.severity, one.service, one.impact, one.alerts) == (Severity.P1, "shop", "one in ten fails", 0)
    assert stage.paged == ["ana"]
    assert texts(stage, "opened") == ["P1 declared by eve (by test): seen by support"]
    stage.minutes(5)
    assert stage.paged == ["ana", "ben"]


def test_whoever_declares_it_is_not_paged_for_it() -> None:
    stage = Stage()
    declare(stage, by="ana")
    assert stage.paged == ["ben"]


def test_whoever_declares_and_takes_it_has_it_and_nobody_is_paged() -> None:
    stage = Stage()
    declare(stage, by="ana", take=True)
    stage.minutes(20)
    assert (stage.paged, stage.incident.acked_by, stage.incident.phase) == ([], "ana", Phase.TRIAGED)


def test_alerts_of_its_group_join_it_and_their_end_is_its_all_clear() -> None:
    stage = Stage()
    declare(stage)
    stage.fires()
    assert (len(stage.incidents), stage.incident.firing) == (1, 1)
    stage.ends()
    assert stage.incident.phase is Phase.MONITORING


def test_where_one_is_open_for_the_same_it_asks_and_another_one_keeps_its_own_group() -> None:
    stage = down()
    answer = declare(stage)
    assert (answer.ending, answer.incident) == ("asks", stage.incident.key)
    assert "is open for the same already (P1, Down)" in answer.text
    assert declare(stage, confirm=True).ending == "done"
    assert [one.alerts for one in stage.incidents] in ([1, 0], [0, 1])
    stage.fires("Slow")
    assert sorted(one.alerts for one in stage.incidents) == [0, 2]


def test_declared_after_one_that_ended_it_leads_there() -> None:
    stage = down()
    before = stage.incident.key
    stage.ends()
    stage.advance(2 * HOUR)
    declare(stage)
    assert stage.incidents[-1].earlier == before


def test_declared_without_a_word_it_is_refused() -> None:
    stage = Stage()
    asked = Declared(" \n ", Severity.P1, "ana", "test")
    assert stage.answers[stage.append(asked)] == Answer("refused", "say in one line what is wrong")


def test_declared_and_over_people_end_it() -> None:
    stage = Stage()
    declare(stage, by="ana", take=True)
    assert ask(stage, Verb.PHASE, data={"to": "monitoring"}) == Answer("done", "it is monitoring")
    stage.advance(HOUR)
    assert stage.incident.phase is Phase.RESOLVED
