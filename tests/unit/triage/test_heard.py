"""A message in a room is taken once, by whichever ways it comes and however much else is said."""

from __future__ import annotations

from tests.unit.triage.stage import Stage
from triage.heard import HEARD_MAX, REPEATED, message_of
from triage.memory import PLACE
from triage.model import Command, Place, Verb


def room() -> Stage:
    stage = Stage()
    stage.fires()
    stage.memory.values[PLACE, "mattermost:r1"] = Place(stage.incident.key)
    return stage


def says(stage: Stage, post: str, at: int) -> str:
    data = message_of("mattermost", "r1", post, at)
    return stage.answers[stage.append(Command(Verb.NOTE, stage.incident.key, "ana", "test", post, data=data))].ending


def test_what_comes_by_a_webhook_which_says_no_time_and_by_the_socket_is_taken_once() -> None:
    stage = room()
    for number in range(HEARD_MAX):
        assert says(stage, f"p{number}", stage.now + number) == "done"
    stage.minutes(1)
    assert says(stage, "by webhook", 0) == "done"
    assert says(stage, "by webhook", stage.now) == REPEATED
    assert says(stage, "p0", stage.now - 60_000) == REPEATED
