"""A provider that takes a page and says later what became of it: a call that rings."""

from __future__ import annotations

import pytest

from tests.unit.triage.stage import FILES, Stage
from triage.memory import HANDED
from triage.model import LATER, Command, Effect, EffectKind, Ending, Result, Verb
from triage.rehearsal import accepts

RINGS = {**FILES, "oncall.yaml": FILES["oncall.yaml"].replace('"terminal://ana"', '"ring://ana"')}


def provider(effect: Effect) -> Result:
    if effect.target.startswith("ring:") and effect.kind is EffectKind.PAGE:
        return Result(effect.id, effect.attempt, Ending.HANDED_OVER, "it rings", incident=effect.incident)
    return accepts(effect)


def ringing() -> tuple[Stage, Effect]:
    """A stage on which Ana's phone rings, and that page."""
    stage = Stage(provider, RINGS)
    stage.fires()
    (page,) = [one for key, one in stage.memory.values.items() if key[0] == HANDED]
    assert isinstance(page, Effect)
    assert stage.paged == []
    return stage, page


def word(stage: Stage, page: Effect, ending: Ending, reason: str = "busy") -> None:
    stage.append(Result(page.id, LATER, ending, reason, incident=page.incident, person=page.person))


def ways(stage: Stage) -> list[str]:
    return [page.target for page in stage.pages]


def handed(stage: Stage) -> list[str]:
    return [key[1] for key in stage.memory.values if key[0] == HANDED]


@pytest.mark.parametrize("ending", [Ending.UNANSWERED, Ending.GIVE_UP])
def test_a_call_that_nobody_answers_begins_the_next_way_at_once(ending: Ending) -> None:
    stage, page = ringing()
    before = stage.now
    word(stage, page, ending)
    assert (ways(stage), stage.now, handed(stage)) == (["file:///ana"], before, [])
    told = [title for name, title in stage.told if name == "eve"]
    assert told == (["Cannot reach ana by ring"] if ending is Ending.GIVE_UP else [])
    word(stage, page, ending)
    assert ways(stage) == ["file:///ana"], "the same word once more changes nothing"


def test_silence_of_the_provider_begins_the_next_way_and_no_second_call_is_made() -> None:
    stage, page = ringing()
    stage.minutes(2.9)
    assert ways(stage) == []
    stage.minutes(0.2)
    assert ways(stage)[:1] == ["file:///ana"]
    assert handed(stage) == []
    assert any("no word of the provider within 3m" in line.text for line in stage.lines(page.incident))


def test_who_has_it_is_reached_by_no_other_way() -> None:
    stage, page = ringing()
    stage.command(Verb.ACKNOWLEDGE, page.incident, "ben")
    word(stage, page, Ending.UNANSWERED)
    stage.minutes(10)
    assert ways(stage) == []


def test_a_person_who_was_asked_to_join_is_reached_by_the_next_way_though_somebody_has_it() -> None:
    stage, page = ringing()
    stage.command(Verb.ACKNOWLEDGE, page.incident, "ben")
    word(stage, page, Ending.UNANSWERED)
    entry = stage.append(Command(Verb.PAGE, page.incident, "ben", "test", person="ana"))
    assert stage.answers[entry].ending == "done"
    (second,) = handed(stage)
    stage.append(Result(second, LATER, Ending.UNANSWERED, "busy", incident=page.incident, person="ana"))
    assert ways(stage) == ["file:///ana"]


def test_a_delivered_text_is_delivered_and_nothing_follows() -> None:
    stage, page = ringing()
    word(stage, page, Ending.DELIVERED, "the phone has it")
    stage.minutes(2)
    assert (ways(stage), handed(stage)) == ([], [])
    assert any(line.what == "delivered" and "the phone has it" in line.text for line in stage.lines(page.incident))


def test_the_word_may_come_before_the_workers_report() -> None:
    stage = Stage(accepts, RINGS)
    quick: list[Effect] = []

    def first_the_word(effect: Effect) -> Result:
        if effect.target.startswith("ring:") and not quick:
            quick.append(effect)
            return Result(effect.id, LATER, Ending.UNANSWERED, "busy", incident=effect.incident, person="ana")
        return accepts(effect)

    stage.provider = first_the_word
    stage.fires()
    assert ways(stage) == ["file:///ana"]
    stage.append(Result(quick[0].id, 0, Ending.HANDED_OVER, "it rings", incident=quick[0].incident))
    stage.minutes(2)
    assert (ways(stage), handed(stage)) == (["file:///ana"], [])


def test_a_busy_line_after_a_resolved_incident_changes_nothing() -> None:
    stage, page = ringing()
    stage.command(Verb.RESOLVE, page.incident, "ana", confirm=True)
    word(stage, page, Ending.UNANSWERED)
    stage.minutes(20)
    assert ways(stage) == []
