"""What was done about an incident that becomes part of another is at hand there; its rooms and messages end well."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, cast

import pytest

from tests.unit.triage.stage import FILES, Stage
from triage.checked import Checklist
from triage.memory import CHECKLIST, PUBLICATION, THE_PUBLICATIONS, UPDATES
from triage.model import (
    MINUTE,
    Acted,
    ActStep,
    Answer,
    Command,
    Effect,
    EffectKind,
    Ending,
    Incident,
    Phase,
    Result,
    Verb,
)
from triage.public import Publication, Publications, public_id
from triage.rulebook import guides
from triage.status import Standing, StatusUpdates

BOOK = "# Shop\n\n## Mitigation\n\n- [ ] Restart it\n- [ ] Look at the queue\n"
RULES = {
    **FILES,
    "severity.yaml": FILES["severity.yaml"].replace(
        "    group_by: [service]\n", "    group_by: [service]\n    runbook: runbooks/shop.md\n", 1
    ),
    "runbooks/shop.md": BOOK,
    "actions.yaml": "actions: {restart: {title: Restart, request: {url: 'https://deploy.example.org/restart'}}}",
    "services.yaml": "services: {shop: {status_component: Shop}, search: {status_component: Search}}",
}
ROOMS = {"rooms.yaml": json.dumps({"rooms": [{"name": "all", "contact": "slack+room://${SLACK}@acme"}]})}


def two(files: dict[str, str] | None = None) -> tuple[Stage, str, str]:
    """A stage with an incident of shop and one of search; both keys."""
    stage = Stage(files=RULES if files is None else files)
    stage.provider = provider
    stage.fires(service="shop")
    stage.seconds(1)
    stage.fires(service="search")
    shop, search = stage.incidents
    return stage, shop.key, search.key


def provider(effect: Effect) -> Result:
    """Everything is taken; a room is called by its name, a message by its id."""
    names = {EffectKind.ROOM: f"{effect.facts.get('room')}:1"}
    receipt = names.get(effect.kind, effect.id[:8])
    return Result(effect.id, effect.attempt, Ending.DELIVERED, incident=effect.incident, receipt=receipt)


def ask(stage: Stage, verb: Verb, key: str, by: str = "ana", **more: Any) -> Answer:
    return stage.answers[stage.append(Command(verb, key, by, "test", **more))]


def merge(stage: Stage, gone: str, into: str) -> None:
    assert ask(stage, Verb.MERGE, gone, data={"other": into}).ending == "done"


def incident(stage: Stage, key: str) -> Incident:
    (found,) = [one for one in stage.incidents if one.key == key]
    return found


def texts(stage: Stage, key: str, what: str) -> list[str]:
    return [line.text for line in stage.lines(key) if line.what == what]


def test_steps_that_were_checked_off_are_not_done_twice() -> None:
    stage, shop, search = two()
    restart, queue = [part.step for _, part in guides.parse("runbooks/shop.md", BOOK).steps()]
    ask(stage, Verb.CHECK, search, "ben", data={"step": restart})
    for key in (shop, search):
        ask(stage, Verb.CHECK, key, data={"step": queue})
    merge(stage, search, shop)
    steps = cast("Checklist", stage.memory.get((CHECKLIST, shop))).steps
    assert {step: one.by for step, one in steps.items()} == {restart: "ben", queue: "ana"}
    assert ask(stage, Verb.CHECK, shop, data={"step": restart}).text == "ben has checked it off already"
    assert texts(stage, shop, "checked")[-1] == f"1 steps that were checked off for {search[:6]} are so here too"
    assert stage.memory.get((CHECKLIST, search)) is None


def test_an_action_that_runs_comes_back_to_the_one_that_goes_on_and_is_not_run_beside() -> None:
    stage, shop, search = two()
    data = {"action": "restart", "parameters": "{}"}
    ask(stage, Verb.ACTION, search, "ben", confirm=True, data=data)
    (run,) = incident(stage, search).runs
    stage.append(Acted(run, "t", ActStep.STARTED, search))
    merge(stage, search, shop)
    assert (incident(stage, shop).runs, incident(stage, search).runs) == ((run,), ())
    answer = ask(stage, Verb.ACTION, shop, confirm=True, data=data)
    assert answer.text == "ben runs it already; the timeline says what comes of it"
    stage.append(Acted(run, "t", ActStep.ENDED, search, True, False, "restarted"))
    assert "restarted" in texts(stage, shop, "action")[-1]


def test_who_had_a_role_and_who_has_it_now_is_said() -> None:
    stage, shop, search = two()
    for key, role, who in ((shop, "commander", "ana"), (search, "commander", "ben"), (search, "scribe", "eve")):
        ask(stage, Verb.ROLE, key, data={"role": role}, person=who)
    merge(stage, search, shop)
    assert {role.value: who for role, who in incident(stage, shop).roles.items()} == {
        "commander": "ana",
        "scribe": "eve",
    }
    short = search[:6]
    assert texts(stage, shop, "role")[-2:] == [
        f"ben was commander of {short}; ana goes on as commander",
        f"eve was scribe of {short}, and is now of this",
    ]


def say(stage: Stage, key: str, text: str, component: str) -> None:
    data = {"audience": "public", "status": "investigating", "title": f"{component} is slow", "components": component}
    assert ask(stage, Verb.UPDATE, key, text=text, confirm=True, data=data).ending == "done"


def test_what_is_public_keeps_its_address_and_goes_on() -> None:
    stage, shop, search = two()
    say(stage, search, "We look into it.", "Search")
    merge(stage, search, shop)
    moved = cast("Publication", stage.memory.get((PUBLICATION, shop)))
    assert (moved.address, moved.title) == (public_id(search), "Search is slow")
    assert cast("Publications", stage.memory.get(THE_PUBLICATIONS)).keys == (shop,)
    assert cast("StatusUpdates", stage.memory.get((UPDATES, shop))).items[0].text == "We look into it."
    say(stage, shop, "It is mended.", "Search")
    moved = cast("Publication", stage.memory.get((PUBLICATION, shop)))
    assert (moved.address, len(moved.updates)) == (public_id(search), 2)


def test_where_both_are_public_the_page_says_where_it_goes_on_and_nothing_of_inside() -> None:
    stage, shop, search = two()
    say(stage, search, "Search is slow for some.", "Search")
    stage.seconds(1)
    say(stage, shop, "Orders are slow.", "Shop")
    merge(stage, search, shop)
    gone = cast("Publication", stage.memory.get((PUBLICATION, search)))
    assert (gone.status, gone.updates[-1].text) == (Standing.RESOLVED, "This goes on as “Shop is slow”.")
    assert cast("Publication", stage.memory.get((PUBLICATION, shop))).status is Standing.INVESTIGATING
    said = cast("StatusUpdates", stage.memory.get((UPDATES, shop)))
    assert ([one.text for one in said.items], said.total) == (["Search is slow for some.", "Orders are slow."], 2)


def test_a_second_room_is_archived_and_the_other_one_is_not() -> None:
    stage, shop, search = two({**RULES, **ROOMS})
    rooms = {key: incident(stage, key).room for key in (shop, search)}
    assert all(room is not None and room.place for room in rooms.values())
    merge(stage, search, shop)
    stage.advance(MINUTE)
    gone, into = incident(stage, search), incident(stage, shop)
    assert gone.room is not None
    assert into.room is not None
    assert (gone.room.archived, gone.room.effect, into.room.archived) == (True, "", False)
    posts = [one for _, one in stage.delivered if one.kind is EffectKind.POST and one.incident == search]
    assert f"into {shop[:6]}" in posts[-1].facts["text"]
    assert texts(stage, shop, "room")[-1].endswith(f"ends; it goes on in {into.room.name}")
    ask(stage, Verb.RESOLVE, shop, confirm=True)
    ask(stage, Verb.PHASE, shop, confirm=True, text="over", data={"to": "closed"})
    stage.advance(MINUTE)
    assert incident(stage, shop).phase is Phase.CLOSED
    room = incident(stage, shop).room
    assert room is not None
    assert room.archived


@pytest.mark.parametrize("in_flight", [False, True])
def test_the_only_room_goes_along_with_what_it_still_has_to_hear(in_flight: bool) -> None:
    files = {
        **RULES,
        "rooms.yaml": ROOMS["rooms.yaml"].replace('"name": "all"', '"name": "all", "services": ["search"]'),
    }
    stage, shop, search = two(files)
    room = incident(stage, search).room
    assert room is not None
    held: list[Effect] = []
    if in_flight:
        stage.provider = lambda effect: Result(effect.id, effect.attempt, Ending.TRY_AGAIN, incident=effect.incident)
        ask(stage, Verb.IMPACT, search, text="nobody finds anything")
        stage.provider = provider
        held = [one for one in stage.memory.values.values() if isinstance(one, Effect) and one.kind is EffectKind.ROOM]
        assert len(held) == 1
    merge(stage, search, shop)
    stage.advance(10 * MINUTE)
    into = incident(stage, shop)
    assert into.room is not None
    assert (into.room.name, into.room.effect, into.room.archived) == (room.name, "", False)
    assert incident(stage, search).room is None
    ask(stage, Verb.NOTE, shop, "ben", text="it is the index")
    stage.advance(MINUTE)
    posts = [one for _, one in stage.delivered if one.kind is EffectKind.POST and one.incident == shop]
    assert "it is the index" in posts[-1].facts["text"]


def test_first_messages_of_the_merged_one_are_brought_up_to_date_once() -> None:
    stage, shop, search = two()
    merge(stage, search, shop)
    stage.advance(MINUTE)
    (thread,) = incident(stage, search).threads
    assert thread.shown.startswith("P1 closed")
    assert thread.update == ""
    updates = Counter(one.incident for _, one in stage.delivered if one.kind is EffectKind.UPDATE)
    assert updates[search] == 1
