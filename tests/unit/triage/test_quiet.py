"""Silences on the stage: who is left to sleep, and who is woken when that ends."""

from __future__ import annotations

from tests.unit.triage.quiet_stage import expire, silence, staged, state_of
from tests.unit.triage.stage import START
from triage import silences
from triage.model import (
    HOUR,
    MINUTE,
    Outcome,
    Phase,
    Reason,
    Severity,
    Verb,
)
from triage.silence import Words

# ------------------------------------------------------------------------------------------------ before it fires


def test_what_begins_under_a_silence_opens_nothing_and_is_told_at_its_end_if_it_still_fires() -> None:
    stage = staged()
    assert silence(stage, 'service="shop"').ending == "done"
    decision = stage.fires()
    assert (decision.outcome, decision.reason, decision.incident) == (Outcome.SILENCED, Reason.SILENCED, "")
    assert decision.detail == "silence “deploy” by ana: a deploy"
    assert stage.fires().outcome is Outcome.SILENCED
    stage.minutes(59.9)
    assert stage.incidents == []
    stage.minutes(0.2)
    assert stage.paged == ["ana"]
    assert "window" in stage.whats(stage.incident)


def test_what_ends_under_a_silence_is_never_told() -> None:
    stage = staged()
    silence(stage, 'service="shop"')
    stage.fires()
    assert stage.ends().outcome is Outcome.RESOLVED
    stage.minutes(120)
    assert stage.incidents == [] and stage.paged == []


def test_other_alerts_are_told_all_the_same() -> None:
    stage = staged()
    silence(stage, 'service="shop"', 'instance="a"')
    assert stage.fires(instance="b").outcome is Outcome.OPENED
    assert stage.paged == ["ana"]


def test_a_silence_that_starts_later_holds_only_then() -> None:
    stage = staged()
    silence(stage, 'service="shop"', starts=10)
    assert stage.fires(instance="a").outcome is Outcome.OPENED
    stage.minutes(4)
    assert stage.paged == ["ana"]
    stage.minutes(20)
    assert stage.paged == ["ana", "ben"]
    assert stage.incident.paused


def test_a_silence_spares_severities() -> None:
    stage = staged()
    silence(stage, 'service="shop"', spared=(Severity.P0,))
    assert stage.fires(severity="critical").outcome is Outcome.SILENCED
    assert stage.fires("Outage", severity="outage").outcome is Outcome.OPENED
    assert stage.paged == ["ana"]


def test_a_deploy_job_may_ask_again_and_again() -> None:
    stage = staged()
    assert silence(stage, 'service="shop"').text == "silence deploy stands for 1h"
    assert silence(stage, 'service="shop"').text == "silence deploy stands already"
    stage.minutes(30)
    assert silence(stage, 'service="shop"').text == "silence deploy is changed for 1h"
    stage.fires()
    stage.minutes(59)
    assert stage.paged == []
    stage.minutes(2)
    assert stage.paged == ["ana"]


def test_one_set_of_several_will_do() -> None:
    stage = staged()
    words = Words((('service="a"',), ('service="shop"', 'alertname="Slow"')), ends_at=stage.now + HOUR)
    stage.append(silences.asked("k", words, "ana", "test"))
    assert stage.fires("Slow").outcome is Outcome.SILENCED
    assert stage.fires("Down").outcome is Outcome.OPENED


def test_what_cannot_be_a_silence_is_refused_in_words() -> None:
    stage = staged()
    assert "every matcher accepts a missing label" in silence(stage, 'service=~".*"').text
    assert "no matcher" in silence(stage).text
    assert "expected one of" in silence(stage, "service").text
    assert "ends before it starts" in silence(stage, 'service="a"', minutes=-1).text
    assert "needs an end" in silence(stage, 'service="a"', minutes=None).text
    assert "a year at most" in silence(stage, 'service="a"', minutes=600_000).text
    assert "key has letters" in silence(stage, 'service="a"', key="file/x").text
    assert expire(stage, "nothing").ending == "refused"


# ------------------------------------------------------------------------------------------- on an open incident


def test_a_silence_on_a_paging_incident_pauses_it_and_its_end_begins_again_at_step_1() -> None:
    stage = staged()
    stage.fires()
    stage.minutes(1)
    silence(stage, 'service="shop"', minutes=60)
    stage.minutes(30)
    assert stage.paged == ["ana"]
    assert stage.incident.paused == "silence “deploy” by ana: a deploy"
    assert (stage.incident.page_at, stage.incident.phase, stage.incident.firing) == (None, Phase.DETECTED, 1)
    stage.minutes(31)
    assert stage.paged == ["ana", "ana"]
    stage.minutes(5)
    assert stage.paged == ["ana", "ana", "ben"]
    assert [what for what in stage.whats(stage.incident) if what in ("paused", "resumed")] == ["paused", "resumed"]


def test_to_end_a_silence_early_decides_again_at_once() -> None:
    stage = staged()
    stage.fires(instance="a")
    silence(stage, 'service="shop"', minutes=600)
    stage.minutes(10)
    held = stage.fires("Held", service="search")
    assert held.outcome is Outcome.OPENED
    silence(stage, 'service="search"', key="other", minutes=600)
    stage.ends("Held", service="search")
    before = len(stage.paged)
    expire(stage)
    assert stage.paged[before:] == ["ana"]


def test_to_end_a_silence_early_tells_what_it_held() -> None:
    stage = staged()
    silence(stage, 'service="shop"')
    stage.fires()
    stage.minutes(5)
    assert expire(stage).ending == "done"
    assert stage.paged == ["ana"]
    assert expire(stage).text == "silence deploy has ended already"


def test_of_two_silences_the_longer_one_counts() -> None:
    stage = staged()
    silence(stage, 'service="shop"', key="short", minutes=30)
    silence(stage, 'alertname="Down"', key="long", minutes=90)
    stage.fires()
    stage.minutes(89)
    assert stage.paged == []
    stage.minutes(2)
    assert stage.paged == ["ana"]


def test_two_silences_pause_one_incident_and_either_end_lets_it_go_on() -> None:
    stage = staged()
    stage.fires(instance="a")
    stage.fires(instance="b")
    silence(stage, 'instance="a"', key="one", minutes=300)
    silence(stage, 'instance="b"', key="two", minutes=300)
    stage.minutes(10)
    assert stage.paged == ["ana"]
    expire(stage, "two")
    assert stage.paged == ["ana", "ana"]


def test_one_alert_that_is_not_silenced_keeps_paging() -> None:
    stage = staged()
    stage.fires(instance="a")
    stage.fires(instance="b")
    silence(stage, 'instance="a"')
    stage.minutes(6)
    assert stage.paged == ["ana", "ben"]


def test_an_alert_that_joins_a_paused_incident_has_it_page_at_once() -> None:
    stage = staged()
    stage.fires(instance="a")
    silence(stage, 'instance="a"')
    stage.minutes(6)
    assert stage.paged == ["ana"] and stage.incident.paused
    assert stage.fires(instance="b").outcome is Outcome.ATTACHED
    assert stage.paged == ["ana", "ana"]
    stage.ends(instance="b")
    stage.minutes(6)
    assert stage.paged == ["ana", "ana"] and stage.incident.paused


def test_a_silenced_alert_joins_an_open_incident_without_a_word_and_raises_it_at_the_end() -> None:
    stage = staged()
    stage.fires(instance="a", severity="critical")
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    silence(stage, 'instance="b"', minutes=30)
    decision = stage.fires("Outage", instance="b", severity="outage")
    assert (decision.outcome, decision.incident) == (Outcome.SILENCED, stage.incident.key)
    assert (stage.incident.severity, stage.incident.firing, stage.incident.quiet) == (Severity.P1, 2, 1)
    stage.minutes(29)
    assert stage.paged == ["ana"] and stage.incident.acked_by == "ana"
    stage.minutes(2)
    assert (stage.incident.severity, stage.incident.quiet, stage.incident.acked_by) == (Severity.P0, 0, "")
    assert stage.paged == ["ana", "ana"]


def test_only_what_joined_silenced_still_fires() -> None:
    stage = staged()
    stage.fires(instance="a")
    silence(stage, 'instance="b"', minutes=30)
    stage.fires(instance="b")
    stage.ends(instance="a")
    assert stage.incident.phase is Phase.DETECTED, "what is silenced counts as firing"
    stage.minutes(29)
    assert stage.paged == ["ana"]
    stage.minutes(2)
    assert stage.paged == ["ana", "ana"]
    stage.ends(instance="b")
    assert (stage.incident.phase, stage.incident.firing, stage.incident.quiet) == (Phase.MONITORING, 0, 0)


def test_a_raise_to_a_spared_severity_pages() -> None:
    stage = staged()
    silence(stage, 'service="shop"', spared=(Severity.P1,), minutes=300)
    for instance in ("a", "b"):
        stage.fires("ReplicaDown", instance=instance, severity="")
    assert stage.incidents == []
    stage = staged()
    for instance in ("a", "b"):
        stage.fires("ReplicaDown", instance=instance, severity="")
    silence(stage, 'alertname="ReplicaDown"', spared=(Severity.P1,), minutes=300)
    stage.fires("Slow", severity="critical")
    stage.ends("Slow", severity="critical")
    stage.minutes(6)
    assert stage.incident.severity is Severity.P1
    assert stage.paged == ["ana", "ben"], "the incident is a P1 now, which the silence spares"


def test_resolved_while_silenced() -> None:
    stage = staged()
    stage.fires()
    silence(stage, 'service="shop"')
    stage.minutes(10)
    stage.ends()
    assert (stage.incident.phase, stage.incident.paused) == (Phase.MONITORING, "")
    stage.minutes(70)
    assert (stage.incident.phase, stage.incident.paused) == (Phase.RESOLVED, "")
    assert stage.paged == ["ana"]


def test_an_acknowledged_incident_stays_acknowledged_over_a_silence() -> None:
    stage = staged()
    stage.fires()
    silence(stage, 'service="shop"', minutes=30)
    stage.minutes(10)
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ben")
    stage.minutes(25)
    assert stage.paged == ["ana"]
    assert (stage.incident.acked_by, stage.incident.paused) == ("ben", "")


def test_a_p2_is_not_told_while_silenced() -> None:
    stage = staged()
    stage.minutes(12 * 60)
    stage.fires(severity="error")
    silence(stage, 'service="shop"', minutes=13 * 60)
    for _ in range(5):
        stage.minutes(2.5 * 60)
        stage.fires(severity="error")
    assert stage.told == [] and stage.incident.paused
    stage.minutes(40)
    assert ("ana", "P2: Down") in stage.told


# --------------------------------------------------------------------------------------------------------- endings


def test_the_author_hears_of_the_end_a_quarter_of_an_hour_before() -> None:
    stage = staged()
    silence(stage, 'service="shop"', minutes=60)
    stage.fires()
    stage.minutes(44)
    assert stage.told == []
    stage.minutes(2)
    assert stage.told == [("ana", "Silence deploy ends in 15m")]
    stage.minutes(15)
    assert stage.paged == ["ana"]
    assert state_of(stage).ended_at == START + HOUR
    stage.minutes(6 * 24 * 60)
    assert state_of(stage) is None


def test_strangers_and_short_silences_get_no_warning() -> None:
    stage = staged()
    silence(stage, 'service="shop"', key="a", minutes=20)
    silence(stage, 'service="shop"', key="b", minutes=60, by="deploy-shop")
    stage.minutes(70)
    assert stage.told == []


def test_a_silence_ends_so_long_after_its_alerts_resolved() -> None:
    stage = staged()
    silence(stage, 'service="shop"', minutes=None, after_resolve=10 * MINUTE)
    stage.fires(instance="a")
    stage.fires(instance="b")
    stage.ends(instance="a")
    stage.minutes(120)
    assert state_of(stage).ended_at is None
    stage.ends(instance="b")
    stage.minutes(9)
    assert stage.fires(instance="a").outcome is Outcome.SILENCED, "it fires again in time, and is silenced further"
    stage.minutes(30)
    stage.ends(instance="a")
    stage.minutes(11)
    assert state_of(stage).ended_at is not None
    assert stage.fires(instance="a").outcome is Outcome.OPENED


def test_it_follows_what_fired_before_it_was_made() -> None:
    stage = staged()
    fingerprint = stage.fires().fingerprint
    silence(stage, 'service="shop"', minutes=None, after_resolve=10 * MINUTE, firing=(fingerprint,))
    stage.minutes(60)
    assert stage.paged == ["ana"]
    stage.ends()
    stage.minutes(11)
    assert state_of(stage).ended_at is not None


def test_a_silence_of_the_file_can_follow_its_alerts_and_stays_ended() -> None:
    stage = staged("silences: {mend: {matchers: ['service=\"shop\"'], ends: {after_resolve: 10m}, comment: x}}")
    assert stage.fires().outcome is Outcome.SILENCED
    stage.ends()
    stage.minutes(11)
    assert stage.fires().outcome is Outcome.OPENED
    stage.ends()
    stage.minutes(24 * 60 * 12)
    assert stage.fires().outcome is Outcome.OPENED
