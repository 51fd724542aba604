"""What quiet.yaml holds back by the clock and by other alerts; many at once; and that history replays."""

from __future__ import annotations

import pytest

from tests.unit.triage.quiet_stage import SERVICES, expire, silence, staged
from tests.unit.triage.stage import FILES, START, Stage, alert
from tests.unit.triage.test_decide_model import snapshot
from triage import quiet, turns
from triage.decide import decide
from triage.memory import DictMemory
from triage.model import (
    AlertState,
    Outcome,
    Reason,
    Tick,
    Verb,
)
from triage.rulebook import compile_files

# ------------------------------------------------------------------------------------------ quiet.yaml: by the clock


def test_a_mute_holds_at_its_hours_and_what_still_fires_is_told_after() -> None:
    stage = staged("mutes: {nights: {matchers: ['service=\"shop\"'], unless: office, except: [P0]}}")
    stage.minutes(9 * 60)  # 19:00
    decision = stage.fires()
    assert (decision.outcome, decision.reason) == (Outcome.SILENCED, Reason.MUTED)
    assert decision.detail == "mute “nights” outside “office”"
    assert stage.fires("Outage", severity="outage").outcome is Outcome.OPENED
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    stage.ends("Outage", severity="outage")
    stage.minutes(13 * 60 + 59)
    assert stage.paged == ["ana"]
    stage.minutes(2)
    assert len(stage.paged) == 2


def test_a_mute_during_an_interval() -> None:
    stage = staged("mutes: {day: {matchers: ['service=\"shop\"'], during: office}}")
    assert stage.fires().reason is Reason.MUTED
    stage.minutes(7 * 60 + 59)
    assert stage.paged == []
    stage.minutes(2)
    assert stage.paged == ["ana"]


def test_maintenance_of_a_service() -> None:
    window = '{service: shop, from: "2026-03-02T11:00:00Z", to: "2026-03-02T14:00:00+02:00", comment: move}'
    stage = staged(f"maintenance: {{move: {window}}}")
    assert stage.fires("Before").outcome is Outcome.OPENED
    stage.ends("Before")
    stage.minutes(30 + 60 + 1)
    decision = stage.fires()
    assert (decision.outcome, decision.reason) == (Outcome.SILENCED, Reason.MAINTENANCE)
    assert decision.detail == "maintenance “move”: move"
    assert stage.fires(service="search").outcome is Outcome.OPENED
    before = len(stage.paged)
    stage.minutes(30)
    assert len(stage.paged) > before


def test_a_mute_that_leaves_the_rules_lets_go_of_what_it_held() -> None:
    stage = staged("mutes: {nights: {matchers: ['service=\"shop\"'], during: office}}")
    stage.fires()
    stage.load({**FILES, "quiet.yaml": "{}"}, "other")
    assert stage.paged == ["ana"]


# ------------------------------------------------------------------------------------------------------- inhibitions

NODE = """
inhibitions:
  node: {source_matchers: ['alertname="NodeDown"'], target_matchers: ['alertname!="NodeDown"'], equal: [node]}
"""


def test_a_target_is_held_while_its_source_fires_and_told_when_that_ends() -> None:
    stage = staged(NODE)
    stage.fires("NodeDown", node="n1", service="nodes")
    decision = stage.fires(node="n1")
    assert (decision.outcome, decision.reason) == (Outcome.INHIBITED, Reason.INHIBITED)
    assert stage.fires(node="n1").outcome is Outcome.INHIBITED
    assert stage.fires("Slow", node="n2", service="search").outcome is Outcome.OPENED
    stage.command(Verb.ACKNOWLEDGE, stage.incidents[0].key, "ana")
    before = len(stage.paged)
    stage.ends("NodeDown", node="n1", service="nodes")
    assert stage.paged[before:] == ["ana"]


def test_a_label_that_is_missing_on_both_sides_is_not_equal() -> None:
    stage = staged(NODE)
    stage.fires("NodeDown", service="nodes")
    assert stage.fires().outcome is Outcome.OPENED


def test_of_two_sources_the_last_one_lets_go() -> None:
    stage = staged(NODE)
    stage.fires("NodeDown", node="n1", service="nodes", instance="a")
    stage.fires("NodeDown", node="n1", service="nodes", instance="b")
    stage.fires(node="n1")
    stage.ends("NodeDown", node="n1", service="nodes", instance="a")
    assert len(stage.incidents) == 1
    stage.ends("NodeDown", node="n1", service="nodes", instance="b")
    assert len(stage.incidents) == 2


def test_after_its_wait_a_rule_asks_whether_it_is_inhibited() -> None:
    stage = staged(NODE)
    stage.fires("Pod", node="n1", severity="")
    stage.seconds(30)
    stage.fires("NodeDown", node="n1", service="nodes")
    stage.minutes(3)
    assert stage.paged == ["ana"], "only the node"
    pod = next(one for one in stage.incidents if one.service == "shop")
    assert pod.paused.startswith("inhibition “node”")
    stage.ends("NodeDown", node="n1", service="nodes")
    assert [page.incident for page in stage.pages][-1] == pod.key


def test_what_is_source_and_target_is_not_inhibited_by_its_like() -> None:
    both = "inhibitions: {all: {source_matchers: ['severity=\"critical\"'], target_matchers: ['severity=~\".+\"']}}"
    stage = staged(both)
    assert stage.fires("A").outcome is Outcome.OPENED
    assert stage.fires("B").outcome is Outcome.ATTACHED
    assert stage.fires("C", severity="warning").outcome is Outcome.INHIBITED


def test_two_rules_never_inhibit_each_other_for_ever() -> None:
    stage = staged("""
inhibitions:
  one: {source_matchers: ['alertname="A"'], target_matchers: ['alertname="B"']}
  two: {source_matchers: ['alertname="B"'], target_matchers: ['alertname="A"']}
""")
    stage.fires("A", instance="1")
    assert stage.fires("B", service="search").outcome is Outcome.INHIBITED
    assert stage.fires("A", instance="2").outcome is Outcome.ATTACHED
    stage.ends("A", instance="1")
    stage.ends("A", instance="2")
    assert any(page.title == "B" for page in stage.pages)


def test_a_silenced_source_inhibits_all_the_same() -> None:
    stage = staged(NODE)
    silence(stage, 'alertname="NodeDown"', minutes=30)
    assert stage.fires("NodeDown", node="n1", service="nodes").outcome is Outcome.SILENCED
    assert stage.fires(node="n1").outcome is Outcome.INHIBITED
    stage.minutes(31)
    assert [page.title for page in stage.pages] == ["NodeDown"]


def test_what_needs_a_broken_service_waits_for_it() -> None:
    stage = staged("depends_on: true")
    stage.fires(service="db")
    decision = stage.fires(service="shop")
    assert (decision.outcome, decision.reason) == (Outcome.INHIBITED, Reason.DEPENDS_ON)
    assert "“shop” needs “db”" in decision.detail
    assert stage.fires("Slow", service="db").outcome is Outcome.ATTACHED
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    stage.ends("Slow", service="db")
    stage.ends(service="db")
    assert [one.service for one in stage.incidents] == ["db", "shop"]
    assert stage.paged == ["ana", "ana"]


def test_services_that_need_each_other_do_not_silence_each_other() -> None:
    ring = "services: {shop: {depends_on: [api]}, api: {depends_on: [shop]}}"
    stage = staged("depends_on: true", services=ring)
    stage.fires("Pod", service="shop", severity="")
    stage.fires("Pod", service="api", severity="")
    stage.minutes(3)
    assert len(stage.paged) == 1
    stage.minutes(120)
    assert "eve" in stage.paged, "somebody is told until the last resort"


def test_a_low_incident_of_a_needed_service_inhibits_nothing() -> None:
    stage = staged("depends_on: true")
    stage.fires(service="db", severity="warning")
    assert stage.fires(service="shop").outcome is Outcome.OPENED


# ------------------------------------------------------------------------------------------------ many, and replay


def test_a_mute_forgets_each_day_what_waited_for_it_the_day_before() -> None:
    stage = staged("mutes: {nights: {matchers: ['service=\"shop\"'], unless: office}}")
    for day in range(3):
        stage.minutes(9 * 60)  # 19:00
        stage.fires(instance=str(day))
        waiting = stage.memory.get(("waiting", "mute/nights"))
        assert len(waiting.names) == 1, "what waited before is not among it"  # type: ignore[union-attr]
        stage.minutes(15 * 60)  # 10:00
        stage.ends(instance=str(day))


def test_sources_that_are_long_forgotten_do_not_keep_new_ones_from_inhibiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triage.quiet.GATE_MAX", 3)
    stage = staged(NODE)
    for number in range(3):
        stage.fires("NodeDown", node="n1", service="nodes", instance=str(number))
    stage.minutes(10 * 24 * 60)  # and never a word of their end
    assert stage.fires("Down", node="n1").outcome is Outcome.OPENED
    stage.ends("Down", node="n1")
    stage.fires("NodeDown", node="n1", service="nodes", instance="new")
    assert stage.fires("Slow", node="n1").outcome is Outcome.INHIBITED


def test_thousands_of_alerts_under_one_silence_stay_bounded_and_page_once() -> None:
    stage = Stage(files=FILES)
    silence(stage, 'service="shop"', minutes=60)
    for start in range(0, 4_000, 1_000):
        decisions = stage.events("am", [alert(instance=str(number)) for number in range(start, start + 1_000)])
        assert {one.outcome for one in decisions} == {Outcome.SILENCED}
    waiting = stage.memory.get(("waiting", "silence/deploy"))
    assert len(waiting.names) == quiet.WAITING_MAX  # type: ignore[union-attr]
    stage.minutes(2)
    assert stage.incidents == []
    expire(stage)
    stage.minutes(2)
    assert stage.paged == ["ana"]
    assert stage.incident.firing == 4_000


def test_history_with_silences_replays() -> None:
    stage = staged(NODE + "depends_on: true\n")
    stage.fires("NodeDown", node="n1", service="nodes")
    stage.fires(node="n1")
    silence(stage, 'service="search"', minutes=40)
    stage.fires(service="search")
    stage.minutes(20)
    expire(stage)
    stage.ends("NodeDown", node="n1", service="nodes")
    stage.minutes(90)
    memory, rulebook = DictMemory(), stage._rulebook
    for entry in stage.entries:
        due = turns.due(memory, max(entry.at, START)) if isinstance(entry.body, Tick) else ()
        memory.apply(decide(memory, entry, rulebook, due))
    assert snapshot(memory) == snapshot(stage.memory)


def test_a_held_alert_whose_sender_falls_silent_is_dropped_in_the_end() -> None:
    stage = staged(NODE)
    silence(stage, 'service="shop"', minutes=60)
    fingerprint = stage.fires().fingerprint
    assert stage.memory.get(("alert", fingerprint)).state is AlertState.HELD  # type: ignore[union-attr]
    stage.minutes(90)
    assert stage.paged[0] == "ana", "it spoke only once, and is told at the end"


def test_compiled_rules_give_the_same_answers_each_time() -> None:
    files = {**FILES, "quiet.yaml": NODE, "services.yaml": SERVICES}
    assert compile_files(files).quiet == compile_files(files).quiet
