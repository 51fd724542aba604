"""Requests that name themselves are done once, for a day, in bounded memory."""

from __future__ import annotations

from typing import cast

from tests.unit.triage.stage import Stage
from triage import repeats
from triage.memory import REPEATS
from triage.model import DAY, Answer, Command, Severity, Verb
from triage.model.entries import Declared
from triage.repeat import Repeats


def noted(stage: Stage, name: str, text: str = "deployed", who: str = "api:ana") -> Answer:
    request = repeats.identity(who, name, text.encode())
    command = Command(Verb.NOTE, stage.incident.key, "ana", "api", text=text, request=request)
    return stage.answers[stage.append(command)]


def notes(stage: Stage) -> int:
    return len([line for line in stage.lines(stage.incident.key) if line.what == "note"])


def ready() -> Stage:
    stage = Stage()
    stage.fires()
    return stage


def test_a_repeat_changes_nothing_and_is_answered_with_the_first_entry() -> None:
    stage = ready()
    first, again = noted(stage, "a"), noted(stage, "a")
    assert (first.ending, first.first) == ("done", "")
    assert (again.ending, again.text) == ("done", first.text)
    assert stage.answers[again.first] == first
    assert notes(stage) == 1


def test_a_name_is_somebodys_own_and_of_one_request() -> None:
    stage = ready()
    noted(stage, "a")
    assert noted(stage, "a", "something else").ending == repeats.REUSED
    assert noted(stage, "a", who="api:ben").first == ""
    assert notes(stage) == 2


def test_a_name_stands_for_a_day() -> None:
    stage = ready()
    noted(stage, "a")
    stage.advance(DAY - 1)
    assert noted(stage, "a").first
    stage.advance(1)
    assert noted(stage, "a").first == ""


def test_what_was_refused_may_be_asked_again_and_without_a_name_nothing_is_remembered() -> None:
    stage = Stage()
    request = repeats.identity("api:ana", "a", b"")
    for _ in range(2):
        refused = Declared(title="", severity=Severity.P3, by="ana", via="api", request=request)
        assert stage.answers[stage.append(refused)].first == ""
    stage.fires()
    for _ in range(2):
        stage.append(Command(Verb.NOTE, stage.incident.key, "ana", "api", text="x", request="trace-1"))
    assert notes(stage) == 2
    assert [key for key in stage.memory.values if key[0] == REPEATS] == []


def test_a_bucket_keeps_the_last_few_and_drops_what_is_a_day_old() -> None:
    stage = ready()
    names = ["a"]
    bucket = repeats.bucket_of(repeats.identity("api:ana", "a", b""))
    number = 0
    while len(names) <= repeats.BUCKET_MAX:
        number += 1
        if repeats.bucket_of(repeats.identity("api:ana", str(number), b"")) == bucket:
            names.append(str(number))
    for name in names:
        noted(stage, name)
    assert len(cast("Repeats", stage.memory.get(bucket)).items) == repeats.BUCKET_MAX
    assert noted(stage, names[1]).first
    assert noted(stage, names[0]).first == "", "the oldest made room"
    stage.advance(DAY)
    noted(stage, names[5])
    assert len(cast("Repeats", stage.memory.get(bucket)).items) == 1
