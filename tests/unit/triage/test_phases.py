"""The table of moves: what it allows is done, the rest is refused with what is possible, and the page shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.triage.stage import Stage
from triage.model import HOUR, MINUTE, Answer, Command, Phase, Verb
from triage.phases import MOVES

PAGE = (Path(__file__).parents[3] / "docs" / "incidents.md").read_text("utf-8")


def ask(stage: Stage, verb: Verb, by: str = "ana", **more: Any) -> Answer:
    return stage.answers[stage.append(Command(verb, stage.incident.key, by, "test", **more))]


def move(stage: Stage, to: Phase | str, by: str = "ana", **more: Any) -> Answer:
    return ask(stage, Verb.PHASE, by, data={"to": str(to)}, **more)


def standing(phase: Phase) -> Stage:
    """An incident in that phase, of which nothing fires from monitoring on."""
    stage = Stage()
    stage.fires()
    if phase in (Phase.TRIAGED, Phase.MITIGATING):
        ask(stage, Verb.ACKNOWLEDGE, "ben")
    if phase is Phase.MITIGATING:
        move(stage, phase, "ben")
    if phase not in (Phase.DETECTED, Phase.TRIAGED, Phase.MITIGATING):
        stage.ends()
    if phase in (Phase.RESOLVED, Phase.POSTMORTEM, Phase.CLOSED):
        ask(stage, Verb.RESOLVE, "ben")
    if phase in (Phase.POSTMORTEM, Phase.CLOSED):
        move(stage, Phase.POSTMORTEM)
    if phase is Phase.CLOSED:
        move(stage, Phase.CLOSED, confirm=True, text="nothing to learn")
    assert stage.incident.phase is phase
    return stage


@pytest.mark.parametrize("to", list(Phase))
@pytest.mark.parametrize("phase", list(Phase))
def test_every_pair_of_phases_is_moved_or_refused_as_the_table_says(phase: Phase, to: Phase) -> None:
    stage = standing(phase)
    if to is Phase.MONITORING:
        stage.ends()  # else something fires
        if stage.incident.phase is Phase.MONITORING:
            assert move(stage, to) == Answer("done", "it is monitoring already")
            return
    answer = move(stage, to, confirm=True, text="because")
    if phase is to:
        assert answer == Answer("done", f"it is {to} already")
    elif (phase, to) in MOVES:
        assert answer.ending == "done", answer
        assert stage.incident.phase is to
    else:
        assert answer.ending == "refused"
        ways = [after for before, after in MOVES if before is phase]
        assert ", ".join(ways) in answer.text
        assert stage.incident.phase is phase


def test_the_page_has_the_table() -> None:
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (.*) \|$", PAGE, re.MULTILINE)
    told = {(before, after): text for before, after, text in rows if before in list(Phase)}
    assert told == {(before.value, after.value): text for (before, after), text in MOVES.items()}


def test_whoever_mitigates_what_nobody_has_has_it_and_paging_ends() -> None:
    stage = standing(Phase.DETECTED)
    move(stage, Phase.MITIGATING, "ben", text="rolling back")
    assert (stage.incident.acked_by, stage.incident.mitigating_at) == ("ben", stage.now)
    stage.advance(HOUR)
    assert stage.paged == ["ana"]
    assert "triaged → mitigating: rolling back" in [line.text for line in stage.lines(stage.incident.key)]


def test_mitigating_is_not_forgotten_but_triaged_again_it_is() -> None:
    stage = standing(Phase.MITIGATING)
    stage.advance(2 * HOUR)
    assert stage.paged == ["ana"]
    move(stage, Phase.TRIAGED, "ben")
    stage.advance(2 * HOUR)
    assert stage.paged[1] == "ben"


def test_what_fires_does_not_go_to_monitoring_by_hand() -> None:
    stage = standing(Phase.TRIAGED)
    answer = move(stage, Phase.MONITORING)
    assert answer.ending == "refused"
    assert answer.text.startswith("1 alert still fires; it goes to monitoring by itself")


def test_what_is_only_stale_goes_to_monitoring_when_a_person_says_so() -> None:
    stage = standing(Phase.TRIAGED)
    stage.advance(7 * HOUR)
    assert stage.incident.stale == 1
    assert move(stage, Phase.MONITORING, text="host is gone") == Answer("done", "it is monitoring")
    stage.advance(HOUR)
    assert (stage.incident.phase, stage.incident.resolved_by) == (Phase.RESOLVED, "")


def test_back_from_monitoring_by_hand_whoever_says_so_has_it_and_nobody_is_paged() -> None:
    stage = standing(Phase.MONITORING)
    assert move(stage, Phase.TRIAGED, "eve", text="still slow") == Answer("done", "eve has it")
    stage.advance(45 * MINUTE)
    assert (stage.paged, stage.incident.phase) == (["ana"], Phase.TRIAGED)


def test_what_ended_long_ago_is_declared_anew() -> None:
    stage = standing(Phase.RESOLVED)
    stage.advance(HOUR)
    assert "declare a new incident" in move(stage, Phase.TRIAGED).text


@pytest.mark.parametrize("to", ["", "done", "Triaged"])
def test_what_is_no_phase_is_refused_with_those_there_are(to: str) -> None:
    answer = move(standing(Phase.DETECTED), to)
    assert answer == Answer(
        "refused",
        f"“{to}” is no phase: there are detected, triaged, mitigating, monitoring, resolved, postmortem, closed",
    )
