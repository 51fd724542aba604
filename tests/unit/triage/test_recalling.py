"""Seen before: what was to be done after an incident is brought up again when one like it comes."""

from __future__ import annotations

from typing import Any, cast

from tests.unit.triage.stage import FILES, Stage, report
from triage import account, items, lessons, recalling
from triage.lesson import Lessons
from triage.memory import POSTMORTEM, THE_LESSONS
from triage.model import DAY, HOUR, Answer, Command, Incident, Verb
from triage.postmortem import Item, ItemState, Postmortem


def ask(stage: Stage, verb: Verb, key: str, by: str = "ana", **more: Any) -> Answer:
    return stage.answers[stage.append(Command(verb, key, by, "test", **more))]


def over(stage: Stage, name: str = "Down", instance: str = "") -> Incident:
    """An incident that is over, and whose group will not open it again."""
    stage.fires(name, instance=instance)
    one = stage.incidents[-1]
    ask(stage, Verb.RESOLVE, one.key, confirm=True)
    stage.ends(name, instance=instance)
    stage.advance(HOUR)
    return one


def learned(state: str = "open", **more: Any) -> tuple[Stage, Incident]:
    """An incident with one action item of ben, some days ago."""
    stage = Stage()
    one = over(stage)
    ask(stage, Verb.ITEM, one.key, text="Alert on queue age", person="ben", data={"due": "2026-03-05", **more})
    if state != "open":
        ask(stage, Verb.ITEM, one.key, data={"id": item_of(stage, one).id, "state": state})
    stage.advance(2 * DAY)
    return stage, one


def item_of(stage: Stage, one: Incident) -> Item:
    (found,) = cast("Postmortem", stage.memory.get((POSTMORTEM, one.key))).items
    return found


def test_what_is_still_open_is_shown_with_the_next_incident_and_in_its_page() -> None:
    stage, before = learned()
    stage.fires()
    new, item = stage.incidents[-1], item_of(stage, before)
    assert new.recalled == ((before.key, item.id),)
    assert new.still_open == f"Alert on queue age (ben, due 2026-03-05; from {before.key[:6]})"
    assert stage.pages[-1].facts["still_open"] == new.still_open
    (line,) = [line for line in stage.lines(new.key) if line.what == "recalled"]
    short = before.key[:6]
    assert line.text == f"item {item.id} is still open, due 2026-03-05, of {short} (same alert): Alert on queue age"
    assert "## Seen before\n" in account.markdown(new, stage.lines(new.key), Postmortem("", "", new.severity, 0))
    (there,) = [line for line in stage.lines(before.key) if line.what == "recalled"]
    assert there.text == f"{new.key[:6]} (Down) opened while {item.id} is open"


def test_its_owner_hears_at_once_that_it_happened_again_and_once_a_day() -> None:
    stage, before = learned()
    stage.fires()
    (told,) = [one for _, one in stage.delivered if one.title == "Again: Down"]
    assert told.person == "ben"
    assert "Alert on queue age" in told.facts["text"]
    assert (item_of(stage, before).recurred, item_of(stage, before).recurred_at) == (1, stage.now)
    stage.fires("Slow", service="shop", severity="warning")  # joins the open one
    assert item_of(stage, before).recurred == 1
    over(stage, "Other", instance="1")
    stage.advance(2 * DAY)
    assert [title for _, title in stage.told if title.startswith("Again")] == ["Again: Down"]


def test_reminders_begin_anew_for_an_item_that_let_it_happen_again() -> None:
    stage, before = learned()
    stage.advance(40 * DAY)
    reminded = [title for _, title in stage.told if title == "Due: Alert on queue age"]
    stage.fires()
    assert cast("Postmortem", stage.memory.get((POSTMORTEM, before.key))).reminded == 0
    stage.advance(2 * DAY)
    assert len([title for _, title in stage.told if title == "Due: Alert on queue age"]) == len(reminded) + 2


def test_another_incident_of_the_service_shows_what_is_open_and_not_what_is_done() -> None:
    files = {**FILES, "severity.yaml": FILES["severity.yaml"].replace("group_by: [service]\n    continue", "continue")}
    for state, shown in (("open", 1), ("done", 0)):
        stage = Stage(files=files)
        one = over(stage)
        ask(stage, Verb.ITEM, one.key, text="Alert on queue age", data={"state": state})
        stage.fires("Slow", severity="outage")
        new = stage.incidents[-1]
        assert len(new.recalled) == shown
        assert ("(same service)" in stage.lines(new.key)[1].text) == (state == "open")
        stage.minutes(1)
        stage.fires("Elsewhere", service="search", severity="outage")
        assert stage.incidents[-1].recalled == ()


def test_what_was_done_and_did_not_help_is_shown_and_opened_again_by_one_press() -> None:
    stage, before = learned("done")
    stage.fires()
    new, item = stage.incidents[-1], item_of(stage, before)
    assert (new.recalled, new.still_open, item.recurred) == (((before.key, item.id),), "", 0)
    assert [title for _, title in stage.told if title.startswith("Again")] == []
    stage.advance(30 * DAY)
    again = ask(stage, Verb.ITEM, before.key, data={"id": item.id, "state": "open", "other": new.key})
    item = item_of(stage, before)
    assert again == Answer("done", f"item {item.id} is open")
    assert (item.state, item.recurred, item.due) == (ItemState.OPEN, 1, stage.now + items.AGAIN_WITHIN)
    (line,) = [one for one in stage.lines(before.key) if one.what == "item" and "again" in one.text]
    assert line.text.startswith(f"{item.id} open again: it came back as {new.key[:6]} (medium")
    assert stage.told[-1] == ("ben", "To do again: Alert on queue age")


def test_dropped_items_and_those_done_long_ago_are_not_brought_up() -> None:
    stage, _ = learned("dropped")
    stage.fires()
    assert stage.incidents[-1].recalled == ()
    stage, before = learned("done")
    stage.advance(lessons.DONE_WITHIN)
    assert stage.memory.get((POSTMORTEM, before.key)) is not None
    stage.fires()
    assert stage.incidents[-1].recalled == ()


def test_an_anonymous_report_shows_them_and_bothers_nobody() -> None:
    stage, before = learned()
    declared = item_of(stage, before)
    stage.events("report", [report("it is broken", "P1", anonymous=True)])
    new = stage.incidents[-1]
    assert new.recalled == ((before.key, declared.id),)
    assert item_of(stage, before).recurred == 0
    assert [title for _, title in stage.told if title.startswith("Again")] == []


def test_how_many_incidents_and_items_are_looked_at_is_bounded() -> None:
    stage = Stage()
    for number in range(recalling.LOOKED_AT + 2):
        one = over(stage, instance=str(number))
        for text in ("a", "b"):
            ask(stage, Verb.ITEM, one.key, text=text)
    stage.fires()
    assert len(stage.incidents[-1].recalled) == recalling.RECALLED_MAX
    assert stage.incidents[-1].still_open.endswith(f"; {recalling.RECALLED_MAX - 1} more")


def test_a_refused_item_leaves_nothing_behind() -> None:
    stage = Stage()
    stage.fires("Small", severity="info")
    assert ask(stage, Verb.ITEM, stage.incident.key, text=" ").ending == "refused"
    assert stage.memory.get((POSTMORTEM, stage.incident.key)) is None


def test_merged_and_forgotten_they_lead_nowhere() -> None:
    stage, before = learned()
    stage.fires("Down", service="search")
    other = stage.incidents[-1]
    ask(stage, Verb.MERGE, before.key, data={"other": other.key})
    known = cast("Lessons", stage.memory.get(THE_LESSONS))
    assert [one.incident for one in known.items] == [other.key]
    item = cast("Postmortem", stage.memory.get((POSTMORTEM, other.key))).items[0]
    ask(stage, Verb.ITEM, other.key, data={"id": item.id, "state": "dropped"})
    assert cast("Lessons", stage.memory.get(THE_LESSONS)).items == ()
