"""Alerts that flap: one page, ends held back, one account of what was withheld; and a model of it."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triage.quiet_stage import silence, staged
from tests.unit.triage.stage import START, alert
from tests.unit.triage.test_decide_model import Watched, snapshot
from triage import turns
from triage.decide import decide
from triage.memory import ALERT, DictMemory
from triage.model import (
    MINUTE,
    Alert,
    AlertState,
    Command,
    Flap,
    Millis,
    Outcome,
    Phase,
    Reason,
    Severity,
    Status,
    Tick,
    Verb,
)

FLAPPING = "flapping: {changes: 5, within: 10m, settled_after: 10m}"


def flaps(stage: Watched, changes: int, every: float = 1, instance: str = "") -> list[tuple[Outcome, Reason]]:
    """Let an alert fire and end in turn, `every` minutes, beginning with what it does not do now."""
    found = []
    for number in range(changes):
        status = Status.RESOLVED if number % 2 else Status.FIRING
        (decision,) = stage.events("am", [alert(status=status, instance=instance)])
        found.append((decision.outcome, decision.reason))
        stage.minutes(every)
    return found


def flap_of(stage: Watched) -> Flap:
    (known,) = [value for (family, _), value in stage.memory.values.items() if family == ALERT]
    flap = cast("Alert", known).flap
    assert flap is not None
    return flap


HELD = (Outcome.HELD, Reason.FLAPPING)


def test_the_fifth_change_pages_once_saying_so_and_nothing_pages_while_it_flaps() -> None:
    stage = staged(FLAPPING)
    assert flaps(stage, 4) == [
        (Outcome.OPENED, Reason.NEW_GROUP),
        (Outcome.RESOLVED, Reason.LAST_ENDED),
        (Outcome.REOPENED, Reason.FIRES_AGAIN),
        (Outcome.RESOLVED, Reason.LAST_ENDED),
    ]
    before = len(stage.pages)
    assert stage.fires().outcome is Outcome.REOPENED
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    (page,) = stage.pages[before:]
    assert page.facts["flapping"] == "Down: 5 changes in 4m"
    stage.minutes(1)
    for _ in range(4):
        assert (stage.ends().outcome, stage.fires().outcome) == (Outcome.HELD, Outcome.HELD)
        stage.minutes(1)
    assert stage.ends().detail == "it flaps: its changes are held back until there was none for 10m"
    assert (stage.incident.phase, stage.incident.firing, stage.incident.acked_by) == (Phase.TRIAGED, 1, "ana")
    assert len(stage.pages) == before + 1
    assert "flapping" in stage.whats(stage.incident)


def test_one_that_settles_down_goes_to_monitoring_after_the_hold_with_one_account() -> None:
    stage = staged(FLAPPING)
    flaps(stage, 8)  # it flaps from minute 4, and ends last in minute 7
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    told = len(stage.told)
    stage.minutes(8.9)
    assert stage.incident.phase is Phase.TRIAGED
    stage.minutes(0.2)
    assert (stage.incident.phase, stage.incident.firing, stage.incident.flapping) == (Phase.MONITORING, 0, 0)
    assert [title for _, title in stage.told[told:]] == ["All clear: Down"]
    _, sent = [one for one in stage.delivered if one[1].title == "All clear: Down"][-1]
    assert sent.facts["text"] == (
        "Down is over: it flapped for 3m and has not changed for 10m since; 3 changes were withheld."
    )
    assert stage.incident.flaps == ""
    stage.minutes(61)
    assert stage.incident.phase.value == "resolved"


def test_one_that_settles_firing_says_so_and_stays_open() -> None:
    stage = staged(FLAPPING)
    flaps(stage, 9)
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    told = len(stage.told)
    stage.minutes(10)
    assert stage.told[told:] == [(name, "Settled, and fires: Down") for name in ("ana", "ben")]
    assert (stage.incident.phase, stage.incident.firing, stage.incident.flapping) == (Phase.TRIAGED, 1, 0)
    stage.ends()
    assert stage.incident.phase is Phase.MONITORING, "it ends like any other now"


def test_reached_at_an_end_the_hold_begins_with_a_page_of_its_own() -> None:
    stage = staged("flapping: {changes: 4, within: 10m}")
    flaps(stage, 3)
    pages = len(stage.pages)
    decision = stage.ends()
    assert (decision.outcome, decision.reason) == HELD
    (page,) = stage.pages[pages:]
    assert (page.person, page.facts["flapping"]) == ("ana", "Down: 4 changes in 3m")
    assert stage.incident.phase is Phase.DETECTED


def test_whoever_has_it_is_told_and_not_paged() -> None:
    stage = staged("flapping: {changes: 4, within: 10m}")
    flaps(stage, 3)
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ben")
    pages = len(stage.pages)
    stage.ends()
    assert ("ben", "Flapping: Down") in stage.told
    assert len(stage.pages) == pages


def test_slow_changes_are_no_flapping() -> None:
    stage = staged(FLAPPING)
    assert HELD not in flaps(stage, 12, every=2.6)


def test_without_a_word_in_the_rules_nothing_is_held_back_or_remembered() -> None:
    stage = staged()
    assert HELD not in flaps(stage, 12)
    (known,) = [value for (family, _), value in stage.memory.values.items() if family == ALERT]
    assert cast("Alert", known).flap is None


def test_some_alerts_have_limits_of_their_own_and_some_are_never_held() -> None:
    stage = staged("""
flapping:
  changes: 5
  within: 10m
  rules:
    - {matchers: ['alertname="Slow"'], changes: 3}
    - {matchers: ['service_tier="1"'], never: true}
""")
    for name, held in (("Slow", 1), ("Down", 0)):
        found = []
        for number in range(4):
            decision = stage.ends(name) if number % 2 else stage.fires(name)
            found.append(decision.reason)
        assert found.count(Reason.FLAPPING) == held, name
    tiered = staged(
        "flapping: {rules: [{matchers: ['service_tier=\"1\"'], never: true}]}", services="services: {shop: {tier: 1}}"
    )
    assert HELD not in flaps(tiered, 12)


def test_repeats_are_no_changes() -> None:
    stage = staged(FLAPPING)
    for _ in range(12):
        stage.fires()
    stage.ends()
    for _ in range(12):
        assert stage.ends().reason is Reason.ALREADY_RESOLVED
    assert len(flap_of(stage).times) == 2
    flaps(stage, 4, every=0.1)
    assert flap_of(stage).since is not None
    assert stage.ends().reason is Reason.ALREADY_RESOLVED
    assert stage.fires().reason is Reason.FLAPPING
    assert stage.fires().reason is Reason.REPEAT
    assert flap_of(stage).withheld == 2


def test_two_alerts_of_one_incident_and_only_one_flaps() -> None:
    stage = staged(FLAPPING)
    stage.fires(instance="steady")
    pages = len(stage.pages)
    flaps(stage, 7, every=0.5, instance="b")
    assert stage.incident.flapping == 1
    assert len(stage.pages) == pages, "it joined an open incident: no extra page"
    stage.ends(instance="b")
    stage.minutes(10)
    assert (stage.incident.firing, stage.incident.flapping) == (1, 0)
    assert ("ana", "Settled: Down steady") in stage.told


def test_a_silenced_alert_that_flaps_tells_nobody() -> None:
    stage = staged(FLAPPING)
    silence(stage, 'service="shop"', minutes=120)
    found = flaps(stage, 11)
    assert {outcome for outcome, _ in found} == {Outcome.SILENCED, Outcome.RESOLVED}
    stage.ends()
    stage.minutes(130)
    assert (stage.incidents, stage.pages) == ([], [])


def test_a_silence_on_an_incident_that_flaps_keeps_the_account_to_the_timeline() -> None:
    stage = staged(FLAPPING)
    flaps(stage, 6)
    silence(stage, 'service="shop"', minutes=120)
    stage.minutes(6)
    stage.fires()
    told = len(stage.told)
    stage.minutes(11)
    assert stage.incident.paused
    assert len(stage.told) == told
    assert "settled" in stage.whats(stage.incident)


def test_a_source_that_flaps_goes_on_inhibiting_until_it_settles() -> None:
    node = "{source_matchers: ['alertname=\"NodeDown\"'], target_matchers: ['alertname=\"Down\"'], equal: [node]}"
    stage = staged(f"{FLAPPING}\ninhibitions: {{node: {node}}}")
    for number in range(6):
        (stage.ends if number % 2 else stage.fires)("NodeDown", node="n1", service="nodes")
    assert stage.fires("Down", node="n1").outcome is Outcome.INHIBITED
    stage.minutes(9)
    assert len(stage.incidents) == 1
    stage.minutes(1.1)
    assert [one.title for one in stage.incidents] == ["NodeDown", "Down"]


def test_what_was_resolved_by_hand_opens_again_if_it_settles_firing() -> None:
    stage = staged(FLAPPING)
    flaps(stage, 6)
    stage.append(Command(Verb.RESOLVE, stage.incident.key, "ana", "test", confirm=True))
    assert stage.incident.phase is Phase.RESOLVED
    assert stage.fires().reason is Reason.FLAPPING
    pages = len(stage.pages)
    stage.minutes(9)
    assert stage.incident.phase is Phase.RESOLVED
    stage.minutes(1.1)
    assert (stage.incident.phase, stage.incident.firing, stage.incident.flapping) == (Phase.DETECTED, 1, 0)
    assert [page.person for page in stage.pages[pages:]] == ["ana"]


def test_beginnings_count_for_a_clause_though_they_are_held_back() -> None:
    stage = staged("flapping: {changes: 3, within: 10m}")
    for number in range(9):
        (stage.ends if number % 2 else stage.fires)("ReplicaDown", severity="")
    assert stage.incident.severity is Severity.P2, "it began to fire five times within 10 min"


def test_a_flapping_alert_whose_source_falls_silent_settles_all_the_same() -> None:
    stage = staged(FLAPPING + "\n", sources="sources: {am: {adapter: alertmanager, stale_after: 5m}}")
    flaps(stage, 6, every=0.5)
    stage.minutes(30)
    assert (stage.incident.flapping, stage.incident.firing, stage.incident.stale) == (0, 0, 0)
    assert stage.incident.phase is Phase.MONITORING


def test_history_with_flapping_replays() -> None:
    stage = staged(FLAPPING)
    flaps(stage, 9)
    stage.minutes(30)
    memory = DictMemory()
    for entry in stage.entries:
        due = turns.due(memory, max(entry.at, START)) if isinstance(entry.body, Tick) else ()
        memory.apply(decide(memory, entry, stage._rulebook, due))
    assert snapshot(memory) == snapshot(stage.memory)


# --------------------------------------------------------------------------------------------------------- the model


class Model:
    """What is said of flapping in docs/quiet.md, told again without a rule engine: one alert, its changes in order."""

    def __init__(self, changes: int, within: Millis, rest: Millis) -> None:
        self.changes, self.within, self.rest = changes, within, rest
        self.times: list[Millis] = []
        self.fires = self.flaps = False

    def settle(self, now: Millis) -> None:
        if self.flaps and now - self.times[-1] >= self.rest:
            self.flaps, self.times = False, []

    def change(self, now: Millis) -> bool:
        """Return whether the change is held back."""
        self.settle(now)
        self.fires = not self.fires
        held = self.flaps
        self.times.append(now)
        if not self.flaps:
            lately = [at for at in self.times if now - at < self.within]
            self.flaps = len(lately) >= self.changes
            held = self.flaps and not self.fires
        return held

    @property
    def counts(self) -> bool:
        """Whether it counts as firing."""
        return self.fires or self.flaps


@settings(max_examples=120, deadline=None)
@given(
    st.integers(3, 6),
    st.sampled_from([3, 10]),
    st.sampled_from([2, 10]),
    st.lists(st.sampled_from([0.1, 0.5, 1, 2, 4, 9, 12]), min_size=4, max_size=30),
)
def test_it_flaps_exactly_when_the_model_says_so(changes: int, within: int, rest: int, gaps: list[float]) -> None:
    stage = staged(f"flapping: {{changes: {changes}, within: {within}m, settled_after: {rest}m}}")
    model = Model(changes, within * MINUTE, rest * MINUTE)
    opened = 0
    for gap in gaps:
        fires = not model.fires
        flapped = model.flaps
        held = model.change(stage.now)
        decision = stage.fires() if fires else stage.ends()
        assert (decision.reason is Reason.FLAPPING) is held
        opened += decision.outcome in (Outcome.OPENED, Outcome.REOPENED)
        assert not (flapped and model.flaps and decision.outcome in (Outcome.OPENED, Outcome.REOPENED))
        stage.minutes(gap)
        model.settle(stage.now)
        (known,) = [value for (family, _), value in stage.memory.values.items() if family == ALERT]
        one = cast("Alert", known)
        assert one.flap is not None
        assert (one.flap.since is not None) is model.flaps
        assert (one.state is AlertState.FIRING) is model.counts
        incident = stage.incidents[-1]
        assert (incident.firing, incident.flapping) == (int(model.counts), int(model.flaps))
        assert (incident.phase in (Phase.DETECTED, Phase.TRIAGED)) is model.counts
    episodes = max(incident.episode for incident in stage.incidents)
    said = sum(stage.whats(incident).count("flapping") for incident in stage.incidents)
    assert episodes <= opened + said, "only what opens, and the word that it flaps, begin to page"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flapping: {changes: 2}", "must be at least 3"),
        ("flapping: {changes: 51}", "must be at most 50"),
        ("flapping: {within: 2d}", "a day at most"),
        ("flapping: {settled_after: 0}", "a day at most"),
        ("flapping: {rules: [{matchers: ['a=~\".*\"'], changes: 4}]}", "nearly everything"),
        ("flapping: {rules: [{matchers: ['a=\"b\"'], never: true, changes: 4}]}", "needs no limits"),
        ("flapping: {rules: [{changes: 4}]}", "matchers"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, says: str) -> None:
    from triage.rulebook import RulesError

    with pytest.raises(RulesError) as refused:
        staged(text)
    assert says in " ".join(one.message for one in refused.value.problems)


def test_alerts_that_never_flap_stay_small() -> None:
    stage = staged(FLAPPING)
    stage.fires()
    assert flap_of(stage) == Flap((START,), 5, 10 * MINUTE, 10 * MINUTE)


def test_what_went_stale_while_it_flapped_and_comes_back_late_flaps_no_more_where_it_did() -> None:
    rules = "flapping: {changes: 3, within: 10m, settled_after: 1d}"
    stage = staged(rules, sources="sources: {am: {adapter: alertmanager, stale_after: 5m}}")
    for number in range(3):
        (stage.ends if number % 2 else stage.fires)(severity="error")
    assert stage.incident.flapping == 1
    stage.minutes(90)
    assert stage.incident.phase is Phase.RESOLVED
    stage.fires(severity="error")
    assert [one.flapping for one in stage.incidents] == [0, 0]
