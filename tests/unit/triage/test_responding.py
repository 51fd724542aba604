"""What people do about who has an incident: which verb is taken in which phase, and what follows from each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.triage.stage import FILES, Stage
from triage.commands import ALLOWED
from triage.model import HOUR, MINUTE, Answer, Command, Effect, Ending, Phase, Result, Verb
from triage.rehearsal import accepts


def ask(stage: Stage, verb: Verb, by: str = "ana", **more: Any) -> Answer:
    """Let a person ask for something with all that a command can carry."""
    command = Command(verb, stage.incident.key, by, "test", **more)
    return stage.answers[stage.append(command)]


def down(severity: str = "critical") -> Stage:
    stage = Stage()
    stage.fires(severity=severity)
    return stage


def whats(stage: Stage) -> list[str]:
    return stage.whats(stage.incident)


ARGUMENTS: dict[Verb, dict[str, Any]] = {
    Verb.SNOOZE: {"duration": HOUR},
    Verb.ASSIGN: {"person": "ben"},
    Verb.PAGE: {"person": "ben"},
    Verb.NOTE: {"text": "x"},
    Verb.SEVERITY: {"text": "x", "data": {"to": "P2"}},
    Verb.ROLE: {"person": "ben", "data": {"role": "scribe"}},
    Verb.IMPACT: {"text": "x"},
    Verb.POSTMORTEM: {"data": {"root_cause": "x"}},
    Verb.ITEM: {"text": "x"},
    Verb.ETA: {"data": {"eta": "30m"}},
    Verb.MITIGATION: {"data": {"what": "rollback", "version": "v41"}},
    Verb.UPDATE: {"text": "x", "data": {"status": "investigating"}},
    Verb.MISTAP: {"page": "p"},
}
OF_FILES = (Verb.ACTION, Verb.CHECK)
"""Verbs about what operators wrote; there is nothing of it here."""


@pytest.mark.parametrize("phase", [Phase.DETECTED, Phase.TRIAGED, Phase.MONITORING, Phase.RESOLVED])
@pytest.mark.parametrize("verb", [verb for verb in Verb if verb not in (Verb.PHASE, Verb.LINK, Verb.MERGE, *OF_FILES)])
def test_each_verb_is_taken_in_its_phases_and_refused_in_words_in_the_others(verb: Verb, phase: Phase) -> None:
    stage = down()
    if phase is not Phase.DETECTED:
        ask(stage, Verb.ACKNOWLEDGE, "eve")
    if phase in (Phase.MONITORING, Phase.RESOLVED):
        stage.ends()
    if phase is Phase.RESOLVED:
        stage.advance(HOUR)
    assert stage.incident.phase is phase
    before = stage.incident
    answer = ask(stage, verb, **ARGUMENTS.get(verb, {}))
    if phase not in ALLOWED[verb]:
        assert answer.ending == "refused"
        assert "ended already" in answer.text or "page a person, write a note, or resolve it" in answer.text
        assert stage.incident == before
    elif verb is Verb.UNACKNOWLEDGE and phase is Phase.DETECTED:
        assert answer == Answer("refused", "nobody has it")
    else:
        assert answer.ending in ("done", "asks")


def test_every_verb_has_its_phases() -> None:
    assert set(ALLOWED) == set(Verb)


def test_snoozed_it_is_acknowledged_for_that_long_then_pages_the_snoozer_first() -> None:
    stage = down()
    answer = ask(stage, Verb.SNOOZE, "ben", duration=3 * HOUR)
    assert answer == Answer("done", "ben has it for 3h; then it pages again")
    stage.advance(3 * HOUR - 1)
    assert (stage.paged, stage.incident.acked_by) == (["ana"], "ben")
    stage.advance(1)
    assert stage.paged == ["ana", "ben"]
    assert stage.incident.acked_by == ""
    assert stage.pages[-1].facts["why"] == "Ben, snoozed it until now"
    stage.minutes(5)
    assert stage.paged == ["ana", "ben", "ana"]
    assert [what for what in whats(stage) if "snooze" in what] == ["snoozed", "snooze-over"]


def test_a_snooze_ends_when_somebody_takes_it_or_it_is_over() -> None:
    for verb, by in ((Verb.ACKNOWLEDGE, "ana"), (Verb.ACKNOWLEDGE, "ben"), (Verb.RESOLVE, "ben")):
        stage = down()
        ask(stage, Verb.SNOOZE, "ben", duration=10 * MINUTE)
        assert ask(stage, verb, by, confirm=True).ending == "done"
        assert stage.incident.snoozed_until is None
        stage.minutes(30)
        assert stage.paged == ["ana"]


def test_a_raise_to_p0_ends_a_snooze() -> None:
    stage = Stage()
    stage.fires()
    ask(stage, Verb.SNOOZE, "ben", duration=HOUR)
    stage.minutes(5)
    stage.fires("Worse", severity="outage")
    assert stage.incident.snoozed_until is None
    assert stage.paged == ["ana", "ana"]


@pytest.mark.parametrize("duration", [0, -5, MINUTE - 1, 7 * 24 * HOUR + 1])
def test_a_snooze_needs_a_sensible_duration(duration: int) -> None:
    answer = ask(down(), Verb.SNOOZE, duration=duration)
    assert answer == Answer("refused", "snooze for 1m to 7d, like 30m or 2h")


def test_snoozed_and_forgotten_is_not_forgotten_but_snoozed() -> None:
    stage = down()
    ask(stage, Verb.SNOOZE, "ben", duration=5 * HOUR)
    stage.advance(4 * HOUR)
    assert stage.paged == ["ana"]


def test_reassigned_the_other_is_paged_at_once_and_nobody_has_it_until_they_take_it() -> None:
    stage = down()
    ask(stage, Verb.ACKNOWLEDGE)
    answer = ask(stage, Verb.ASSIGN, person="ben", text="you know this one")
    assert answer == Answer("done", "ben is paged; nobody has it until they take it")
    assert (stage.paged, stage.incident.acked_by) == (["ana", "ben"], "")
    assert stage.pages[-1].facts["why"] == "Ben, ana gives it to you"
    assert [line.text for line in stage.lines(stage.incident.key) if line.what == "assigned"] == [
        "ana gives it to ben: you know this one"
    ]
    ask(stage, Verb.ACKNOWLEDGE, "ben")
    stage.minutes(40)
    assert stage.paged == ["ana", "ben"]
    assert stage.incident.responders == ("ana", "ben")


def test_reassigned_and_not_taken_the_policy_goes_on() -> None:
    stage = down()
    ask(stage, Verb.ACKNOWLEDGE)
    ask(stage, Verb.ASSIGN, person="eve")
    stage.minutes(5)
    assert stage.paged == ["ana", "eve", "ana"]
    stage.minutes(5)
    assert stage.paged == ["ana", "eve", "ana", "ben"]


def test_assigned_to_oneself_it_is_taken_and_to_who_has_it_nothing_changes() -> None:
    stage = down()
    assert ask(stage, Verb.ASSIGN, person="ana") == Answer("done", "ana has it")
    assert ask(stage, Verb.ASSIGN, "ben", person="ana") == Answer("done", "ana has it already")
    assert (stage.incident.acked_by, stage.paged) == ("ana", ["ana"])


@pytest.mark.parametrize("verb", [Verb.ASSIGN, Verb.PAGE])
def test_only_people_who_can_be_told_are_asked(verb: Verb) -> None:
    assert ask(down(), verb, person="bob").text == "oncall.yaml knows nobody called “bob”; there are ana, ben, eve"
    assert ask(down(), verb).text == "say whom: give a person of oncall.yaml"
    mute = FILES["oncall.yaml"].replace('{name: Ben, contact: ["terminal://ben"]}', "{name: Ben, contact: []}")
    stage = Stage(files={**FILES, "oncall.yaml": mute})
    stage.fires()
    assert ask(stage, verb, person="ben").text == "ben has no contact method in oncall.yaml"


def test_escalated_the_next_step_is_paged_now_and_spacing_starts_anew() -> None:
    stage = down()
    stage.minutes(1)
    assert ask(stage, Verb.ESCALATE) == Answer("done", "the next step is paged now")
    assert stage.paged == ["ana", "ben"]
    stage.minutes(9)
    assert stage.paged == ["ana", "ben"]
    stage.minutes(1)
    assert stage.paged == ["ana", "ben", "ana"]


def test_who_has_it_and_escalates_no_longer_has_it() -> None:
    stage = down()
    ask(stage, Verb.ACKNOWLEDGE)
    ask(stage, Verb.ESCALATE)
    assert (stage.paged, stage.incident.acked_by) == (["ana", "ben"], "")


def test_an_escalation_at_its_end_begins_anew() -> None:
    stage = down()
    stage.advance(3 * HOUR)
    assert stage.paged == ["ana", "ben", "ana", "ben", "eve"]
    ask(stage, Verb.ESCALATE)
    assert stage.paged == ["ana", "ben", "ana", "ben", "eve", "ana"]
    assert len({page.id for page in stage.pages}) == 6


def test_a_page_that_still_waits_is_sent_now() -> None:
    stage = Stage()
    stage.fires("Pod")
    assert stage.paged == []
    ask(stage, Verb.ESCALATE)
    assert stage.paged == ["ana"]


def test_what_pages_nobody_is_not_escalated_but_a_person_can_be_paged() -> None:
    stage = Stage()
    stage.fires(severity="minor")
    answer = ask(stage, Verb.ESCALATE)
    assert (answer.ending, answer.text) == ("refused", "the policy pages nobody for P3; page a person instead")
    assert ask(stage, Verb.PAGE, person="ben").ending == "done"
    ask(stage, Verb.ASSIGN, person="eve")
    assert stage.paged == ["ben", "eve"]
    ask(stage, Verb.SNOOZE, "eve", duration=HOUR)
    stage.advance(HOUR)
    assert stage.paged == ["ben", "eve", "eve"]
    stage.advance(HOUR)
    assert stage.paged == ["ben", "eve", "eve"]


def test_one_more_is_paged_beside_who_has_it_and_beside_the_escalation() -> None:
    stage = down()
    ask(stage, Verb.PAGE, person="eve")
    assert stage.paged == ["ana", "eve"]
    stage.minutes(5)
    assert stage.paged == ["ana", "eve", "ben"]
    ask(stage, Verb.ACKNOWLEDGE)
    assert ask(stage, Verb.PAGE, person="ana") == Answer("done", "ana has it already")
    ask(stage, Verb.PAGE, person="eve")
    assert (stage.paged, stage.incident.acked_by) == (["ana", "eve", "ben", "eve"], "ana")
    assert stage.incident.responders == ("eve", "ana")
    assert len({page.id for page in stage.pages}) == 4


def test_an_acknowledgement_does_not_call_off_who_was_asked_to_join() -> None:
    def silent(effect: Effect) -> Result:
        return accepts(effect) if len(tried) > 3 else Result(effect.id, effect.attempt, Ending.TRY_AGAIN)

    tried: list[Effect] = []

    def provider(effect: Effect) -> Result:
        tried.append(effect)
        return silent(effect)

    stage = Stage(provider)
    stage.fires()
    ask(stage, Verb.PAGE, person="eve")
    assert ask(stage, Verb.PAGE, person="eve") == Answer("done", "eve is being paged already")
    ask(stage, Verb.ACKNOWLEDGE)
    stage.minutes(30)
    assert stage.paged == ["eve"]


def test_who_was_asked_to_join_and_cannot_be_reached_does_not_hurry_the_escalation() -> None:
    def provider(effect: Effect) -> Result:
        return Result(effect.id, effect.attempt, Ending.GIVE_UP) if effect.person == "eve" else accepts(effect)

    stage = Stage(provider)
    stage.fires()
    ask(stage, Verb.PAGE, person="eve")
    assert stage.paged == ["ana"]
    stage.minutes(4)
    assert stage.paged == ["ana"]


def test_given_back_nobody_has_it_and_paging_begins_again() -> None:
    stage = down()
    ask(stage, Verb.ACKNOWLEDGE, "ben")
    stage.minutes(2)
    answer = ask(stage, Verb.UNACKNOWLEDGE, "ben")
    assert answer == Answer("done", "nobody has it now; paging begins again at step 1")
    assert (stage.paged, stage.incident.acked_by) == (["ana", "ana"], "")
    stage.minutes(5)
    assert stage.paged == ["ana", "ana", "ben"]


def by_link(stage: Stage, by: str, page: str, verb: Verb = Verb.ACKNOWLEDGE, tries: int = 0) -> Answer:
    return stage.answers[stage.append(Command(verb, stage.incident.key, by, "link", page=page, tries=tries))]


def test_a_link_works_once() -> None:
    stage = down()
    page = stage.pages[0].id
    assert by_link(stage, "ana", page) == Answer("done", "ana has it")
    ask(stage, Verb.UNACKNOWLEDGE)
    assert by_link(stage, "ana", page) == Answer("refused", "this link was used already; each works once")
    assert stage.incident.acked_by == ""
    assert by_link(stage, "ana", stage.pages[1].id).ending == "done"


def test_a_late_link_does_not_take_it_from_who_has_it() -> None:
    stage = down()
    ask(stage, Verb.ACKNOWLEDGE, "ben")
    answer = by_link(stage, "ana", stage.pages[0].id)
    assert answer == Answer("done", "ben has it already; it is noted that ana responds too")
    assert (stage.incident.acked_by, stage.incident.responders) == ("ben", ("ben", "ana"))


def test_three_wrong_numbers_end_a_link_and_change_nothing_else() -> None:
    stage = down()
    page = stage.pages[0].id
    said = [by_link(stage, "ana", page, Verb.MISTAP).text for _ in range(3)]
    assert said == [
        "that is not the number; 2 left",
        "that is not the number; 1 left",
        "that was the last try of this link",
    ]
    assert (stage.incident.acked_by, stage.incident.human_at) == ("", None)
    answer = by_link(stage, "ana", page)
    assert answer == Answer("refused", "3 wrong numbers were tapped: this link is no longer taken")
    assert stage.incident.acked_by == ""
    stage.minutes(5)
    assert stage.paged == ["ana", "ben"]
    assert by_link(stage, "ben", stage.pages[1].id).ending == "done"


def test_a_wrong_number_before_the_right_one_voids_nothing() -> None:
    stage = down()
    page = stage.pages[0].id
    by_link(stage, "ana", page, Verb.MISTAP)
    assert by_link(stage, "ana", page, tries=1).ending == "done"


def test_of_several_numbers_tapped_at_once_none_counts_after_a_wrong_one() -> None:
    stage = down()
    page = stage.pages[0].id
    by_link(stage, "ana", page, Verb.MISTAP)
    assert by_link(stage, "ana", page).text == "a wrong number was tapped meanwhile; open the link again"
    assert stage.incident.acked_by == ""
