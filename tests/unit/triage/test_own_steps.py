"""A person's own steps: what comes when, what stops them, and that each way pages once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triage.stage import FILES, Stage
from triage.model import ENDED, HOUR, MINUTE, Effect, Ending, Result, Verb
from triage.paging import LAST_STEP
from triage.rehearsal import Provider, accepts

OWN = """
people:
  ana:
    methods: {push: "terminal://push", sms: "terminal://sms", call: "terminal://call", mail: "terminal://mail"}
    notify:
      high: [{by: call, after: 4m}, {by: push}, {by: sms, after: 2m}]
      low: [{by: mail}, {by: push}]
  ben: {contact: ["terminal://ben"]}
  eve: {contact: ["terminal://eve"]}
policies: {default: {rounds: 1, steps: [{notify: [ana], wait: 10m}, {notify: [ben], wait: 10m}]}}
operators: [eve]
last_resort: [eve]
"""


def stage_of(provider: Provider = accepts, oncall: str = OWN) -> Stage:
    severity = "raw_severity: {warning: P2, critical: P1}\n" + FILES["severity.yaml"]
    return Stage(provider, {"severity.yaml": severity, "oncall.yaml": oncall})


def fails(*ways: str, ending: Ending = Ending.GIVE_UP) -> Provider:
    """A provider that takes nothing by these ways."""

    def provider(effect: Effect) -> Result:
        if effect.target.rpartition("/")[2] in ways:
            return Result(effect.id, effect.attempt, ending, "no", incident=effect.incident, person=effect.person)
        return accepts(effect)

    return provider


def ways(stage: Stage) -> list[tuple[int, str]]:
    """When (minutes) and by which way pages came."""
    begin = stage.incident.opened_at
    return [
        ((at - begin) // MINUTE, one.target.rpartition("/")[2])
        for at, one in stage.delivered
        if one.kind.value == "page"
    ]


def test_each_step_comes_in_its_time_until_the_next_person_is_paged_too() -> None:
    stage = stage_of()
    stage.fires()
    stage.minutes(10)
    assert ways(stage) == [(0, "push"), (2, "sms"), (4, "call"), (10, "ben")]
    assert len({page.id for page in stage.pages}) == 4
    assert stage.incident.pages == 4


def test_an_acknowledgement_withdraws_what_is_still_to_come() -> None:
    stage = stage_of()
    stage.fires()
    stage.minutes(3)
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    stage.minutes(30)
    assert ways(stage) == [(0, "push"), (2, "sms")]
    assert (stage.incident.pages, stage.incident.pending) == (2, ())


def test_a_way_that_fails_brings_the_next_one_at_once_and_the_rest_in_its_time() -> None:
    stage = stage_of(fails("push"))
    stage.fires()
    stage.minutes(9)
    assert ways(stage) == [(0, "sms"), (4, "call")]
    assert "hastened" in stage.whats(stage.incident)


def test_a_last_way_that_fails_after_another_reached_them_hurries_nobody_else() -> None:
    stage = stage_of(fails("call"))
    stage.fires()
    stage.minutes(9)
    assert ways(stage) == [(0, "push"), (2, "sms")]
    stage.minutes(1)
    assert ways(stage)[-1] == (10, "ben")


def test_when_no_way_works_the_next_step_of_the_policy_begins_at_once() -> None:
    stage = stage_of(fails("push", "sms", "call"))
    stage.fires()
    assert ways(stage) == [(0, "ben")]


def test_a_way_that_is_tried_again_is_needless_once_another_has_worked() -> None:
    stage = stage_of(fails("push", ending=Ending.TRY_AGAIN))
    stage.fires()
    stage.minutes(1)
    assert ways(stage) == [(0, "sms")]
    assert [stage.memory.get(("effect", one)).target for one in stage.incident.pending] == [  # type: ignore[union-attr]
        "terminal://call"
    ]


def test_what_wakes_nobody_comes_by_the_ways_for_low_urgency() -> None:
    stage = stage_of()
    stage.fires(severity="warning")
    assert sorted(one.target for _, one in stage.delivered) == ["terminal://mail", "terminal://push"]
    assert stage.pages == []


def test_a_raise_begins_the_steps_anew_and_withdraws_the_old_ones() -> None:
    stage = stage_of()
    stage.fires()
    stage.minutes(3)
    stage.fires("Worse", severity="outage")
    stage.minutes(4)
    assert ways(stage) == [(0, "push"), (2, "sms"), (3, "push"), (5, "sms"), (7, "call")]


def test_one_who_is_reached_is_enough_that_the_next_step_waits() -> None:
    """Nobody else is woken because a colleague's address is wrong."""
    both = OWN.replace("notify: [ana], wait: 10m", "notify: [eve, ben], wait: 10m").replace(
        "{notify: [ben]", "{notify: [ana]"
    )
    stage = stage_of(fails("ben"), both)
    stage.fires()
    stage.minutes(9)
    assert stage.paged == ["eve"]
    stage.minutes(1)
    assert stage.paged == ["eve", "ana"]


WAYS = ("push", "sms", "call", "mail")


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.sampled_from(WAYS), min_size=1, max_size=4, unique=True).flatmap(
        lambda names: st.tuples(st.just(names), st.lists(st.integers(0, 25), min_size=len(names), max_size=len(names)))
    ),
    broken=st.sets(st.sampled_from((*WAYS, "ben"))),
    ending=st.sampled_from((Ending.GIVE_UP, Ending.TRY_AGAIN)),
    acks=st.none() | st.integers(0, 30),
)
def test_whatever_the_steps_each_way_pages_once_and_an_escalation_ends_well(
    steps: tuple[list[str], list[int]], broken: set[str], ending: Ending, acks: int | None
) -> None:
    high = ", ".join(f"{{by: {name}, after: {after}m}}" for name, after in zip(*steps, strict=True))
    oncall = OWN.replace("{by: call, after: 4m}, {by: push}, {by: sms, after: 2m}", high)
    stage = stage_of(fails(*broken, ending=ending), oncall)
    stage.fires()
    if acks is not None:
        stage.minutes(acks)
        if stage.incident.phase not in ENDED:
            stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
        before = len(stage.pages)
        stage.minutes(29)
        assert len(stage.pages) == before
        assert stage.incident.pending == ()
        return
    stage.advance(12 * HOUR)
    ids = [page.id for page in stage.pages]
    assert len(ids) == len(set(ids))
    assert any(page.step == LAST_STEP for page in stage.pages)
    assert stage.incident.pages >= len(ids)
