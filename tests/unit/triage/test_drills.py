"""Drills: who is paged for a test, by which ways, what counts as an answer, and who hears when there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from tests.unit.triage.stage import FILES, START, Stage
from triage.deliveries import WORD_WITHIN
from triage.drill import TITLE, Drill, DrillState
from triage.drills import KEPT
from triage.memory import DRILL, HANDED, THE_DRILLS
from triage.model import (
    HOUR,
    LATER,
    MINUTE,
    SECOND,
    Answer,
    Command,
    DrillAsked,
    Effect,
    EffectKind,
    Ending,
    Result,
    Severity,
    Verb,
    rules_digest,
)
from triage.rehearsal import accepts
from triage.rulebook.drills import WITHIN_MAX

ONCALL = FILES["oncall.yaml"]


def staged(oncall: str = ONCALL, provider: Callable[[Effect], Result] = accepts) -> Stage:
    folder = {**FILES, "oncall.yaml": oncall}
    stage = Stage(provider, folder)
    stage.load(folder, rules_digest(folder))
    return stage


def ask(stage: Stage, target: str, within: int = 15 * MINUTE, everybody: bool = False) -> Answer:
    return stage.answers[stage.append(DrillAsked(target, "eve", "test", within, everybody))]


def drills(stage: Stage) -> list[tuple[str, Drill]]:
    book = stage.memory.get(THE_DRILLS)
    keys = book.keys if book is not None else ()  # type: ignore[attr-defined]
    return [(key, cast("Drill", stage.memory.get((DRILL, key)))) for key in keys]


def only(stage: Stage) -> tuple[str, Drill]:
    (one,) = drills(stage)
    return one


def ack(stage: Stage, key: str, by: str, via: str = "link", page: str = "", verb: Verb = Verb.ACKNOWLEDGE) -> Answer:
    return stage.answers[stage.append(Command(verb, key, by, via, page=page))]


def refuses(*schemes: str) -> Callable[[Effect], Result]:
    """A provider that takes nothing by these ways."""

    def provide(effect: Effect) -> Result:
        scheme = effect.target.partition(":")[0]
        ending = Ending.GIVE_UP if scheme in schemes else Ending.DELIVERED
        return Result(effect.id, effect.attempt, ending, "no such number", incident=effect.incident, scheme=scheme)

    return provide


def test_a_person_is_paged_answers_and_is_measured() -> None:
    stage = staged()
    assert ask(stage, "ana") == Answer("done", "a drill pages ana")
    key, drill = only(stage)
    (page,) = stage.pages
    assert (page.person, page.title, page.kind, page.severity) == ("ana", TITLE, EffectKind.PAGE, Severity.P1)
    assert (drill.state, drill.scheme) == (DrillState.CALLING, "terminal")
    stage.seconds(42)
    assert ack(stage, key, "ana") == Answer("done", "the drill is acknowledged, after 42s")
    _, drill = only(stage)
    assert (drill.state, drill.acked_via, drill.acked_at) == (DrillState.ANSWERED, "link", START + 42 * SECOND)
    assert stage.told == [("ana", "DRILL is over")]
    stage.advance(HOUR)
    assert (len(stage.pages), stage.incidents) == (1, [])
    assert [line.what for line in stage.lines(key)] == ["drill", "page", "delivered", "answered"]


def test_nobody_answers_and_the_operator_hears() -> None:
    stage = staged()
    ask(stage, "ana", within=5 * MINUTE)
    stage.minutes(5)
    _, drill = only(stage)
    assert drill.state is DrillState.UNANSWERED
    assert ("eve", "ana did not answer") in stage.told
    key, _ = only(stage)
    assert ack(stage, key, "ana").text == "this drill is over: unanswered"


def test_the_next_contact_method_is_tried_at_once_and_what_failed_is_kept() -> None:
    stage = staged(provider=refuses("terminal"))
    ask(stage, "ana")
    _, drill = only(stage)
    assert [one.target for one in stage.pages] == ["file:///ana"]
    assert (drill.scheme, drill.faults) == ("file", ("terminal: no such number",))


def test_who_can_be_reached_by_no_way_is_found() -> None:
    stage = staged(provider=refuses("terminal", "file"))
    ask(stage, "ana")
    _, drill = only(stage)
    assert drill.state is DrillState.UNREACHED
    assert drill.pending == ()


def test_who_has_no_contact_method_is_found() -> None:
    stage = staged(ONCALL.replace('ben: {name: Ben, contact: ["terminal://ben"]}', "ben: {name: Ben}"))
    ask(stage, "ben")
    assert only(stage)[1].state is DrillState.UNREACHED
    assert ("eve", "A drill did not reach ben") in stage.told


def test_a_policy_pages_its_first_step_or_all() -> None:
    stage = staged()
    ask(stage, "default")
    assert stage.paged == ["ana"]
    assert ask(stage, "policy:default", everybody=True).text == "a drill pages ben"
    assert stage.paged == ["ana", "ben"]


@pytest.mark.parametrize(
    ("target", "within", "words"),
    [
        ("anna", 15 * MINUTE, 'did you mean "ana"?'),
        ("policy:nothing", 15 * MINUTE, "there is no person, policy"),
        ("ana", SECOND, "wait for 1m to 12h"),
        ("ana", WITHIN_MAX + 1, "wait for 1m to 12h"),
    ],
)
def test_what_cannot_be_is_refused(target: str, within: int, words: str) -> None:
    stage = staged()
    answer = ask(stage, target, within)
    assert (answer.ending, words in answer.text) == ("refused", True), answer
    assert stage.pages == []


def test_one_drill_of_a_person_at_a_time() -> None:
    stage = staged()
    ask(stage, "ana")
    assert ask(stage, "ana").text == "nobody is paged for “ana”: ana: a drill runs already"
    ack(stage, only(stage)[0], "ana")
    assert ask(stage, "ana").ending == "done"


def test_only_ones_own_answer_counts_or_the_operators_which_is_shown() -> None:
    stage = staged()
    ask(stage, "ana")
    key, _ = only(stage)
    assert ack(stage, key, "ben").text == "this drill is for ana: only their own acknowledgement counts"
    assert ack(stage, key, "ana", verb=Verb.RESOLVE).text == "this is a drill: it can only be acknowledged"
    assert ack(stage, key, "admin", via="api").ending == "done"
    assert only(stage)[1].acked_by == "admin"


def test_wrong_numbers_end_a_link() -> None:
    stage = staged()
    ask(stage, "ana")
    key, _ = only(stage)
    for _ in range(3):
        ack(stage, key, "ana", page="p", verb=Verb.MISTAP)
    assert "no longer taken" in ack(stage, key, "ana", page="p").text
    assert ack(stage, key, "ana", via="api").ending == "done"


def test_a_real_page_beside_a_drill_is_its_own() -> None:
    stage = staged()
    ask(stage, "ana")
    stage.fires()
    assert [one.title for one in stage.pages] == [TITLE, "Down"]
    ack(stage, only(stage)[0], "ana")
    assert stage.incident.acked_by == ""


PLANNED = (
    ONCALL
    + """
drills:
  weekly: {target: default, cron: "0 12 * * *", time_zone: Europe/Berlin, within: 10m}
"""
)


def test_a_planned_drill_comes_when_it_is_time_and_again() -> None:
    stage = staged(PLANNED)
    stage.minutes(59)
    assert stage.pages == []
    stage.minutes(1)  # 12:00 in Berlin
    assert (stage.paged, only(stage)[1].plan) == (["ana"], "weekly")
    stage.advance(24 * HOUR)
    assert stage.paged == ["ana", "ana"]


def test_a_planned_drill_waits_for_the_end_of_quiet_hours_and_is_measured_from_there() -> None:
    quiet = PLANNED.replace(
        "ana: {name: Ana,",
        "ana: {name: Ana, time_zone: Europe/Berlin, "
        'quiet_hours: [{times: [{start_time: "11:30", end_time: "13:00"}]}],',
    )
    stage = staged(quiet)
    stage.minutes(60)
    assert stage.pages == []
    stage.minutes(60)
    assert stage.paged == ["ana"]
    key, drill = only(stage)
    assert drill.until == drill.due + 10 * MINUTE
    stage.seconds(20)
    assert ack(stage, key, "ana").text == "the drill is acknowledged, after 20s"


def test_a_planned_drill_that_was_slept_through_waits_for_its_next_turn() -> None:
    stage = staged(PLANNED)
    stage.now += 5 * HOUR
    stage.settle()
    assert drills(stage) == []
    stage.advance(24 * HOUR)
    assert stage.paged == ["ana"]


def test_a_drill_that_leaves_the_rules_does_not_come() -> None:
    stage = staged(PLANNED)
    stage.load(FILES, rules_digest(FILES))
    stage.advance(48 * HOUR)
    assert stage.pages == []


def test_a_shadow_drill_reaches_nobody_and_says_so() -> None:
    stage = staged(provider=lambda one: Result(one.id, one.attempt, Ending.SHADOWED, incident=one.incident))
    ask(stage, "ana")
    assert only(stage)[1].state is DrillState.SHADOWED


def test_old_drills_are_forgotten_with_what_belongs_to_them() -> None:
    stage = staged()
    for _ in range(KEPT + 2):
        ask(stage, "ana")
        ack(stage, drills(stage)[-1][0], "ana")
    assert len(drills(stage)) == KEPT
    assert sum(key[0] == DRILL for key in stage.memory.values) == KEPT


def phoned(effect: Effect) -> Result:
    """The provider takes a call, and says later what became of it."""
    if effect.kind is not EffectKind.PAGE:
        return accepts(effect)
    return Result(effect.id, effect.attempt, Ending.HANDED_OVER, "it rings", person=effect.person)


def word(stage: Stage, page: str, ending: Ending, reason: str = "") -> None:
    stage.append(Result(page, LATER, ending, reason))


def test_a_call_that_was_taken_is_not_delivered_until_somebody_answers_it() -> None:
    stage = staged(provider=phoned)
    ask(stage, "ben")
    key, drill = only(stage)
    assert (drill.state, drill.delivered_at, len(drill.pending)) == (DrillState.CALLING, None, 1)
    stage.seconds(20)
    word(stage, drill.pages[0], Ending.DELIVERED, "answered by a key")
    key, drill = only(stage)
    assert (drill.scheme, drill.delivered_at, drill.pending) == ("terminal", stage.now, ())
    assert not [name for name in stage.memory.timers if name.startswith("handed:")]
    assert ack(stage, key, "ben").ending == "done"


def test_a_key_that_acknowledges_proves_that_the_call_arrived() -> None:
    stage = staged(provider=phoned)
    ask(stage, "ben")
    key, drill = only(stage)
    stage.seconds(20)
    assert ack(stage, key, "ben", "phone", drill.pages[0]).ending == "done"
    _, drill = only(stage)
    assert (drill.state, drill.scheme, drill.delivered_at) == (DrillState.ANSWERED, "terminal", stage.now)
    word(stage, drill.pages[0], Ending.DELIVERED)
    assert only(stage)[1] == drill
    assert not [one for one in stage.memory.values if one[0] == HANDED]


@pytest.mark.parametrize("silent", [False, True])
def test_a_call_that_nobody_answers_begins_the_next_way_and_the_last_one_ends_the_drill(silent: bool) -> None:
    stage = staged(provider=phoned)
    ask(stage, "ana")  # who has two ways
    for number in (1, 2):
        _, drill = only(stage)
        assert len(drill.pages) == number
        if silent:
            stage.advance(WORD_WITHIN)
        else:
            word(stage, drill.pages[-1], Ending.UNANSWERED, "busy")
    _, drill = only(stage)
    assert (drill.state, drill.delivered_at, len(drill.faults)) == (DrillState.UNREACHED, None, 2)
    assert ("eve", "A drill did not reach ana") in stage.told
