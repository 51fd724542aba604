"""Calls that ring for nothing any more are hung up, and no others."""

from __future__ import annotations

import pytest

from tests.unit.triage.stage import Stage
from tests.unit.triage.test_handed_over import RINGS, provider
from triage import telling
from triage.decide import alike
from triage.memory import HANDED, INCIDENT, DictMemory
from triage.model import LATER, Command, Effect, EffectKind, Ending, Entry, Result, Tick, Verb
from triage.rulebook import EMPTY


def known(effect: Effect) -> Result:
    """Let each call be known by its effect's id."""
    result = provider(effect)
    if result.ending is Ending.HANDED_OVER:
        result.receipt = f"call-{effect.id}"
    return result


def ringing() -> tuple[Stage, str]:
    """A stage on which Ana's phone rings, and that page."""
    stage = Stage(known, RINGS)
    stage.fires()
    (page,) = stage.incident.ringing
    return stage, page


def hung_up(stage: Stage) -> list[str]:
    found = [effect for _, effect in stage.delivered if effect.kind is EffectKind.UPDATE]
    assert all(one.target == "ring://ana" for one in found)
    return [one.facts[telling.THREAD].removeprefix("call-") for one in found]


@pytest.mark.parametrize("by", ["ben", "ana"])
def test_once_somebody_has_it_the_call_is_hung_up_and_once(by: str) -> None:
    stage, page = ringing()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, by)
    stage.command(Verb.NOTE, stage.incident.key, by, "looking")
    assert hung_up(stage) == [page]
    assert "hung-up" in stage.whats(stage.incident)


def test_who_pressed_a_key_hears_the_call_out() -> None:
    stage, page = ringing()
    stage.append(Command(Verb.ACKNOWLEDGE, stage.incident.key, "ana", "phone", page=page))
    assert (hung_up(stage), stage.incident.ringing) == ([], ())


def test_what_is_all_clear_or_over_rings_no_more() -> None:
    stage, page = ringing()
    stage.ends()
    assert hung_up(stage) == [page]


def test_a_note_or_another_alert_hangs_nothing_up() -> None:
    stage, page = ringing()
    stage.command(Verb.NOTE, stage.incident.key, "ben", "I am asleep")
    stage.fires(instance="2")
    assert (hung_up(stage), stage.incident.ringing) == ([], (page,))


def test_the_word_of_the_provider_ends_it() -> None:
    stage, page = ringing()
    stage.append(Result(page, LATER, Ending.UNANSWERED, "busy", incident=stage.incident.key, person="ana"))
    assert stage.incident.ringing == ()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ben")
    assert hung_up(stage) == []


def test_who_was_asked_to_join_is_rung_on_although_somebody_has_it() -> None:
    stage, first = ringing()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ben")
    stage.append(Command(Verb.PAGE, stage.incident.key, "ben", "test", person="ana"))
    stage.command(Verb.NOTE, stage.incident.key, "ben", "come")
    (second,) = stage.incident.ringing
    assert hung_up(stage) == [first]
    stage.command(Verb.RESOLVE, stage.incident.key, "ben", confirm=True)
    assert hung_up(stage) == [first, second]


def test_a_call_for_a_merged_incident_is_hung_up_once_the_other_is_taken() -> None:
    stage, page = ringing()
    gone = stage.incident.key
    stage.fires(service="other")
    into = next(one.key for one in stage.incidents if one.key != gone)
    second = next(one.ringing for one in stage.incidents if one.key == into)
    stage.append(Command(Verb.MERGE, gone, "ben", "test", data={"other": into}))
    assert hung_up(stage) == []
    stage.command(Verb.ACKNOWLEDGE, into, "ben")
    assert sorted(hung_up(stage)) == sorted((page, *second))


def test_the_calls_of_many_incidents_are_named_together() -> None:
    stage, page = ringing()
    memory = DictMemory()
    memory.values = {key: one for key, one in stage.memory.values.items() if key[0] == INCIDENT}
    entry = Entry("1-0", 1, Tick())
    due = [f"settle:{stage.incident.key}"]
    assert (HANDED, page) in set(alike((HANDED, "another"), entry, due, EMPTY, memory))
