"""Postmortems, action items and closing: what is owed, written, reviewed, published and reminded of."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import pytest

from tests.unit.triage.stage import FILES, Stage
from triage import account, figures, learning
from triage.memory import PAST, POSTMORTEM, VERSION
from triage.model import DAY, HOUR, MINUTE, Answer, Command, Line, Phase, Verb
from triage.postmortem import ItemState, Past, Postmortem, State, Version

RULES = {
    **FILES,
    "postmortems.yaml": """
within: {P0: 7d, P1: 7d}
publish: ["file:///wiki"]
items: ["file:///tracker"]
time_zone: Europe/Berlin
""",
}


def ask(stage: Stage, verb: Verb, by: str = "ana", **more: Any) -> Answer:
    return stage.answers[stage.append(Command(verb, stage.incident.key, by, "test", **more))]


def write(stage: Stage, by: str = "ana", confirm: bool = False, **data: str) -> Answer:
    return ask(stage, Verb.POSTMORTEM, by, confirm=confirm, data=data)


def over(severity: str = "critical") -> Stage:
    """An incident that ana had and resolved."""
    stage = Stage(files=RULES)
    stage.fires(severity=severity)
    ask(stage, Verb.ACKNOWLEDGE)
    ask(stage, Verb.RESOLVE, confirm=True, text="rolled back to 41")
    return stage


def of(stage: Stage) -> Postmortem:
    return cast("Postmortem", stage.memory.get((POSTMORTEM, stage.incident.key)))


def documents(stage: Stage) -> list[tuple[str, str]]:
    return [(one.kind.value, one.target) for _, one in stage.delivered if one.person == "postmortems.yaml"]


def test_a_p1_that_ended_owes_a_postmortem_and_a_p3_does_not() -> None:
    stage = over()
    assert (of(stage).due_at, of(stage).owner) == (stage.now + 7 * DAY, "ana")
    assert (POSTMORTEM, over("info").incident.key) not in over("info").memory.values


def test_its_owner_is_reminded_a_day_before_and_daily_until_it_is_published() -> None:
    stage = over()
    told = len(stage.told)
    stage.advance(6 * DAY)
    assert stage.told[told:] == [("ana", "Due: the postmortem of Down")]
    stage.advance(3 * DAY)
    assert len(stage.told) == told + 4
    write(stage, document="# It was the disk")
    write(stage, do="publish", confirm=True)
    told = len(stage.told)
    stage.advance(30 * DAY)
    assert [title for _, title in stage.told[told:] if title.startswith("Due")] == []


def test_nobody_is_reminded_for_ever() -> None:
    stage = over()
    stage.advance(60 * DAY)
    assert len([title for _, title in stage.told if title.startswith("Due")]) == learning.REMINDERS_MAX


def test_fields_are_written_and_texts_are_versions() -> None:
    stage = over()
    assert write(stage, root_cause="a full disk", whys="no alert\n\nno budget", well="quick").ending == "done"
    assert (stage.incident.root_cause, of(stage).whys) == ("a full disk", ("no alert", "no budget"))
    assert stage.incident.resolution == "rolled back to 41"
    for text in ("# One", "# Two", "# Two"):
        write(stage, "ben", document=text)
    assert (of(stage).versions, of(stage).edited_by) == (2, "ben")
    kept = cast("Version", stage.memory.get((VERSION, learning.version_key(stage.incident.key, 1))))
    assert (kept.text, kept.by) == ("# One", "ben")


def test_old_versions_go() -> None:
    stage = over()
    for number in range(learning.VERSIONS_MAX + 3):
        write(stage, document=f"# {number}")
    assert len([key for key in stage.memory.values if key[0] == VERSION]) == learning.VERSIONS_MAX


def test_somebody_else_reviews_it_before_it_is_published() -> None:
    stage = over()
    assert write(stage, do="review") == Answer(
        "refused", "save a text first: what is reviewed must not change any more"
    )
    write(stage, document="# It was the disk")
    assert write(stage, do="publish").ending == "asks"
    assert write(stage, do="review").ending == "asks"
    assert write(stage, "ben", do="review") == Answer("done", "reviewed")
    write(stage, document="# It was the other disk")
    assert of(stage).state is State.DRAFT
    write(stage, "ben", do="review")
    assert write(stage, "eve", do="publish") == Answer("done", "published, to 1 place")
    assert documents(stage) == [("document", "file:///wiki")]
    assert stage.delivered[-1][1].facts["text"] == "# It was the other disk"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "say what to write: badly, contributing, do"),
        ({"do": "burn"}, "“burn” is nothing to do with a postmortem"),
        ({"owner": "zoe"}, "nobody called “zoe”"),
        ({"document": "x" * (learning.TEXT_MAX + 1)}, "has up to 50000 characters"),
    ],
)
def test_what_cannot_be_written_is_refused(data: dict[str, str], words: str) -> None:
    answer = ask(over(), Verb.POSTMORTEM, data=data)
    assert answer.ending == "refused"
    assert words in answer.text


def test_items_are_added_changed_exported_and_reminded_of() -> None:
    stage = over()
    answer = ask(stage, Verb.ITEM, text="Alert on disks", person="ben", data={"due": "2026-03-09", "priority": "high"})
    (item,) = of(stage).items
    assert answer == Answer("done", f"item {item.id} is open")
    assert documents(stage) == [("item", "file:///tracker")]
    facts = stage.delivered[-1][1].facts
    assert (facts["item_text"], facts["owner"], facts["due"], facts["state"]) == (
        "Alert on disks",
        "ben",
        "2026-03-09",
        "open",
    )
    told = len(stage.told)
    stage.advance(7 * DAY)
    assert ("ben", "Due: Alert on disks") in stage.told[told:]
    ask(stage, Verb.ITEM, data={"id": item.id, "state": "done"})
    (item,) = of(stage).items
    assert (item.state, item.text, item.owner) == (ItemState.DONE, "Alert on disks", "ben")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "say what is to be done"),
        ({"text": "x", "data": {"id": "zzzzzz"}}, "there is no item zzzzzz"),
        ({"text": "x", "data": {"due": "soon"}}, "is no duration"),
        ({"text": "x", "data": {"priority": "urgent"}}, "“urgent” is no priority: there are high, medium, low"),
        ({"text": "x", "person": "zoe"}, "nobody called “zoe”"),
    ],
)
def test_an_item_that_makes_no_sense_is_refused(more: dict[str, Any], words: str) -> None:
    answer = ask(over(), Verb.ITEM, **more)
    assert answer.ending == "refused"
    assert words in answer.text


def test_closing_asks_for_what_is_missing() -> None:
    stage = over()
    closed = {"to": "closed"}
    assert ask(stage, Verb.PHASE, data=closed).text == (
        f"no root cause, its postmortem is not published; close incident {stage.incident.key[:6]} all the same, "
        "and say why?"
    )
    write(stage, root_cause="a full disk", document="# It was the disk")
    write(stage, "ben", do="review")
    write(stage, "ben", do="publish")
    assert ask(stage, Verb.PHASE, data=closed).ending == "done"
    assert stage.incident.phase is Phase.CLOSED


def test_what_is_still_to_be_done_is_not_forgotten() -> None:
    stage = over()
    ask(stage, Verb.ITEM, text="Alert on disks")
    stage.advance(200 * DAY)
    assert stage.incident.phase is Phase.RESOLVED
    ask(stage, Verb.ITEM, data={"id": of(stage).items[0].id, "state": "dropped"})
    stage.advance(60 * DAY)
    assert stage.incidents == []


def test_merged_what_was_written_goes_along() -> None:
    stage = Stage(files=RULES)
    stage.fires(service="shop")
    stage.fires(service="search")
    one, other = (incident.key for incident in stage.incidents)
    stage.append(Command(Verb.ITEM, one, "ana", "test", text="Alert on disks"))
    stage.append(Command(Verb.MERGE, one, "ana", "test", data={"other": other}))
    kept = cast("Postmortem", stage.memory.get((POSTMORTEM, other)))
    assert [item.text for item in kept.items] == ["Alert on disks"]
    assert stage.memory.get((POSTMORTEM, one)) is None


def test_merged_with_too_many_items_what_is_open_stays_and_the_timeline_says_what_does_not() -> None:
    stage = Stage(files=RULES)
    stage.fires(service="shop")
    stage.seconds(1)
    stage.fires(service="search")
    one, other = (incident.key for incident in stage.incidents)
    for number in range(learning.ITEMS_MAX):
        stage.append(Command(Verb.ITEM, other, "ana", "test", text=f"done {number}", data={"state": "done"}))
    stage.append(Command(Verb.ITEM, one, "ana", "test", text="still to do"))
    stage.append(Command(Verb.MERGE, one, "ana", "test", data={"other": other}))
    kept = cast("Postmortem", stage.memory.get((POSTMORTEM, other)))
    assert len(kept.items) == learning.ITEMS_MAX
    assert "still to do" in [item.text for item in kept.items]
    assert any("item" in line.what and "done 49" in line.text for line in stage.lines(other)[-5:])


def merged(first: str, second: str, *texts: str) -> tuple[Stage, str, str]:
    """Two incidents that ended, with a text each; the first one is part of the second."""
    stage = Stage(files=RULES)
    stage.fires(service="shop", severity=first)
    stage.seconds(1)
    stage.fires(service="search", severity=second)
    one, other = (incident.key for incident in stage.incidents)
    for key, text in zip((one, other), texts, strict=True):
        stage.command(Verb.RESOLVE, key, "ana", confirm=True)
        if text:
            stage.append(Command(Verb.POSTMORTEM, key, "ben", "test", data={"document": text}))
    stage.append(Command(Verb.MERGE, one, "ana", "test", data={"other": other}))
    return stage, one, other


def versions(stage: Stage) -> dict[str, str]:
    found = {name: cast("Version", one) for (family, name), one in stage.memory.values.items() if family == VERSION}
    return {name: one.text for name, one in found.items()}


def test_merged_the_text_goes_along_and_nothing_of_it_is_left_behind() -> None:
    stage, _, other = merged("critical", "critical", "# Of the first", "")
    assert versions(stage) == {f"{other}/1": "# Of the first"}
    kept = cast("Postmortem", stage.memory.get((POSTMORTEM, other)))
    assert (kept.versions, kept.edited_by) == (1, "ben")


def test_merged_with_a_text_of_its_own_the_last_text_stays_what_it_was() -> None:
    stage, _, other = merged("critical", "critical", "# Of the first", "# Of the second")
    kept = cast("Postmortem", stage.memory.get((POSTMORTEM, other)))
    assert versions(stage)[f"{other}/{kept.versions}"] == "# Of the second"
    assert sorted(versions(stage).values()) == ["# Of the first", "# Of the second", "# Of the second"]


def test_merged_after_both_ended_the_figures_count_both() -> None:
    stage, one, other = merged("critical", "critical", "", "")
    assert (PAST, one) not in stage.memory.values
    assert cast("Past", stage.memory.get((PAST, other))).pages == 2


def test_merged_into_a_lesser_one_the_postmortem_is_still_owed() -> None:
    stage, _, other = merged("critical", "info", "", "")
    assert cast("Postmortem", stage.memory.get((POSTMORTEM, other))).due_at == stage.now + 7 * DAY
    assert stage.memory.timers[f"learn:{other}"] == stage.now + 6 * DAY


# ------------------------------------------------------------ figures


def past(stage: Stage) -> Past:
    return cast("Past", stage.memory.get((PAST, stage.incident.key)))


def test_figures_are_kept_at_the_end_and_outlive_the_incident() -> None:
    stage = Stage()
    stage.fires()
    stage.minutes(6)
    ask(stage, Verb.ACKNOWLEDGE, "ben")
    stage.minutes(4)
    ask(stage, Verb.PHASE, "ben", data={"to": "mitigating"})
    ask(stage, Verb.RESOLVE, "ben", confirm=True)
    key, found = stage.incident.key, past(stage)
    assert (found.taken_at, found.mitigating_at) == (found.opened_at + 6 * 60_000, found.opened_at + 10 * 60_000)
    assert found.calls == {"ana": (1, 0), "ben": (1, 0)}
    stage.advance(100 * DAY)
    assert (stage.incidents, stage.memory.get((PAST, key))) == ([], found)
    stage.advance(figures.KEPT)
    assert stage.memory.get((PAST, key)) is None


def test_a_page_at_night_is_one_where_they_are() -> None:
    files = {**FILES, "oncall.yaml": FILES["oncall.yaml"].replace("ana: {", "ana: {time_zone: Asia/Tokyo, ")}
    stage = Stage(files=files)  # 10:00 UTC is 19:00 in Tokyo
    stage.advance(3 * HOUR)
    stage.fires()
    assert stage.incident.calls == {"ana": (1, 1)}
    assert stage.incident.by_night == {"ana": {"2026-03-02": 1}}
    stage.advance(15 * MINUTE)  # ana again, in the same night
    assert stage.incident.by_night == {"ana": {"2026-03-02": 2}}
    assert figures.night_of(datetime(2026, 3, 3, 6, 59)) == "2026-03-02"
    assert figures.night_of(datetime(2026, 3, 3, 7)) == ""


def test_opened_again_it_has_not_ended() -> None:
    stage = Stage()
    stage.fires()
    ask(stage, Verb.RESOLVE, confirm=True)
    stage.ends()
    stage.fires()
    assert stage.memory.get((PAST, stage.incident.key)) is None


# ------------------------------------------------------------ the text


def test_the_text_says_what_the_journal_says_in_utc_and_local_time() -> None:
    stage = over()
    write(stage, root_cause="a full disk", whys="no alert")
    text = account.markdown(stage.incident, stage.lines(stage.incident.key), of(stage), "Europe/Berlin")
    assert "- 2026-03-02 10:00:00 UTC (11:00 CET) · **page** · paging ana by terminal" in text
    assert "a full disk\n\n1. Why? no alert\n2. Why? _…_" in text
    assert "ana was paged first; it was acknowledged after 0 s." in text
    assert "## Resolution\n\nrolled back to 41" in text


def test_lines_of_what_was_merged_stand_in_the_order_of_time_and_say_whose_they_are() -> None:
    own = [Line(10, "opened", "checkout"), Line(30, "resolved", "all is well")]
    lines = account.read_as_one("p7onawkkpy6h", {"p7onawkkpy6h": own, "a6c27rsior63": [Line(20, "opened", "payments")]})
    assert [line.text for line in lines] == ["checkout", "a6c27r: payments", "all is well"]


def test_what_alerts_and_people_write_is_plain_text_in_it() -> None:
    stage = Stage(files=RULES)
    stage.fires("# <script>alert(1)</script> [x](javascript:x) | a\n## Impact")
    write(stage, root_cause="`rm -rf` *all* | of it")
    text = account.markdown(stage.incident, stage.lines(stage.incident.key), of(stage))
    assert "<script>" not in text
    assert "\n## Impact\n" in text
    assert text.count("\n## Impact") == 1
    assert "[x](" not in text
    assert "\\`rm -rf\\` \\*all\\* \\| of it" in text
