"""The promise of the next update: said in every message, moved nearer by a raise, and never further away."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triage.stage import Stage
from tests.unit.triage.test_updates import role, says, staged, taken
from triage.model import HOUR, MINUTE, Command, Millis, Severity, Verb


def changes_to(stage: Stage, severity: str, by: str = "ana") -> str:
    key = stage.incident.key
    command = Command(Verb.SEVERITY, key, by, "test", "everybody is hit", data={"to": severity})
    return stage.answers[stage.append(command)].ending


def due_in(stage: Stage) -> Millis | None:
    due = stage.incident.next_update
    return None if due is None else due - stage.now


def overdue(stage: Stage) -> list[str]:
    return [one.person for one in stage.pages if "overdue" in one.facts["why"]]


def promises(stage: Stage) -> list[str]:
    return [line.text for line in stage.lines(stage.incident.key) if line.what == "promise"]


def test_every_message_of_an_incident_says_what_is_promised() -> None:
    stage = taken()
    assert stage.pages[-1].facts["next_update"] == ""
    says(stage)
    due = str(stage.now + HOUR)
    changes_to(stage, "P0")  # pages again: the raise voids the acknowledgement
    stage.minutes(1)
    assert stage.pages[-1].facts["next_update"] == str(stage.incident.next_update) != due
    stage.append(Command(Verb.PAGE, stage.incident.key, "ana", "test", person="ben"))
    stage.minutes(1)
    assert (stage.pages[-1].person, stage.pages[-1].facts["next_update"]) == ("ben", str(stage.incident.next_update))


def test_a_page_knows_the_clock_of_whoever_gets_it() -> None:
    oncall = """
people: {ana: {name: Ana, contact: ["terminal://ana"], time_zone: Europe/Berlin}}
policies: {default: {steps: [{notify: [ana], wait: 5m}]}}
operators: [ana]
last_resort: [ana]
"""
    stage = staged(oncall=oncall)
    stage.fires()
    assert stage.pages[-1].facts["zone"] == "Europe/Berlin"


def test_a_raise_moves_the_promise_to_the_new_interval_counted_from_the_last_update() -> None:
    stage = taken()
    says(stage)
    stage.minutes(5)
    assert changes_to(stage, "P0") == "done"
    assert due_in(stage) == 25 * MINUTE
    assert promises(stage) == ["P0 is told of every 30m: the next update is due by 10:30 UTC, no longer by 11:00 UTC"]
    stage.minutes(14)
    assert ("ana", "Update due in 10 min: Down") not in stage.told
    stage.minutes(1)
    assert ("ana", "Update due in 10 min: Down") in stage.told
    stage.minutes(10)
    assert overdue(stage) == ["ana"]


def test_what_would_be_overdue_at_once_is_reminded_of_at_once_and_due_ten_minutes_later() -> None:
    stage = taken()
    says(stage)
    stage.minutes(45)
    changes_to(stage, "P0")
    assert due_in(stage) == 10 * MINUTE
    stage.seconds(1)
    assert ("ana", "Update due in 9 min: Down") in stage.told or ("ana", "Update due in 10 min: Down") in stage.told
    assert overdue(stage) == []
    stage.minutes(10)
    assert overdue(stage) == ["ana"]


def test_a_promise_that_is_sooner_stays() -> None:
    stage = taken()
    says(stage)
    stage.minutes(52)
    changes_to(stage, "P0")
    assert due_in(stage) == 8 * MINUTE
    assert promises(stage) == []


def test_a_broken_promise_is_not_mended_by_a_raise() -> None:
    stage = taken()
    says(stage)
    stage.minutes(61)
    changes_to(stage, "P0")
    assert due_in(stage) == -MINUTE
    assert promises(stage) == []


def test_lowering_leaves_what_was_promised() -> None:
    stage = taken()
    says(stage)
    changes_to(stage, "P3")
    assert due_in(stage) == HOUR
    changes_to(stage, "P2")
    assert due_in(stage) == HOUR
    stage.minutes(61)
    assert overdue(stage) == ["ana"]


def test_where_nothing_was_promised_on_purpose_a_raise_promises_nothing() -> None:
    stage = taken()
    says(stage, next="none")
    changes_to(stage, "P0")
    assert due_in(stage) is None


def test_where_the_severity_promised_nothing_a_raise_begins_it_for_who_communicates() -> None:
    stage = staged()
    stage.fires(severity="warning")
    changes_to(stage, "P1")
    assert due_in(stage) is None  # nobody has told anybody of it
    stage = staged()
    stage.fires(severity="warning")
    role(stage, "ben")
    assert due_in(stage) is None
    changes_to(stage, "P1")
    assert due_in(stage) == HOUR
    assert promises(stage) == ["P1 promises an update by 11:00 UTC"]


def test_an_alert_that_raises_tightens_as_a_person_does() -> None:
    stage = taken()
    says(stage)
    stage.fires("Out", severity="outage")
    assert due_in(stage) == 30 * MINUTE


@settings(max_examples=50, deadline=None)
@given(
    asked=st.sampled_from(("", "11m", "45m", "3h", "7d")),
    waits=st.lists(st.tuples(st.integers(0, 60), st.sampled_from(list(Severity))), max_size=5),
)
def test_a_change_of_severity_never_moves_a_promise_away_nor_nearer_than_ten_minutes(
    asked: str, waits: list[tuple[int, Severity]]
) -> None:
    stage = taken()
    says(stage, next=asked)
    for minutes, severity in waits:
        stage.minutes(minutes)
        before = stage.incident.next_update
        changes_to(stage, severity.name)
        after = stage.incident.next_update
        assert before is not None
        assert after is not None
        assert after == before or (stage.now + 10 * MINUTE <= after < before)


def test_a_merge_keeps_the_sooner_of_both_promises() -> None:
    stage = taken()
    stage.fires("Slow", service="db")
    shop, db = stage.incidents
    says(stage, incident=shop)
    stage.minutes(20)
    says(stage, incident=db)
    stage.append(Command(Verb.MERGE, shop.key, "ana", "test", data={"other": db.key}))
    into = next(one for one in stage.incidents if one.key == db.key)
    assert into.next_update == stage.now + 40 * MINUTE
    stage.minutes(25)
    assert not [title for _, title in stage.told if title.startswith("Update due")]
    stage.minutes(5)
    (told,) = [title for _, title in stage.told if title.startswith("Update due")]
    assert told == f"Update due in 10 min: {into.title}"


def test_an_incident_that_is_over_hands_over_no_promise() -> None:
    stage = taken()
    stage.fires("Slow", service="db")
    shop, db = stage.incidents
    says(stage, incident=shop)
    stage.append(Command(Verb.RESOLVE, shop.key, "ana", "test", confirm=True))
    stage.append(Command(Verb.MERGE, shop.key, "ana", "test", data={"other": db.key}))
    assert next(one for one in stage.incidents if one.key == db.key).next_update is None


@pytest.mark.parametrize("later", [0, 40])
def test_a_merge_does_not_remind_of_a_promise_before_its_time(later: int) -> None:
    stage = taken()
    stage.fires("Slow", service="db")
    shop, db = stage.incidents
    says(stage, incident=shop, next="15m")
    says(stage, incident=db, next="2h")
    stage.append(Command(Verb.MERGE, db.key, "ana", "test", data={"other": shop.key}))
    stage.minutes(4)
    assert not [title for _, title in stage.told if title.startswith("Update due")]
    stage.minutes(2 + later)
    assert len([title for _, title in stage.told if title.startswith("Update due")]) == 1
