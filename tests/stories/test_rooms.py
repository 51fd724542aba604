"""An incident's room: opened, kept true, archived; and never waited for. In Slack and in Mattermost."""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec

from tests.stories.town import SEVERITY, Town, oncall
from tests.unit.workers.mattermost_server import TOKEN, Channel, Mattermost
from tests.unit.workers.slack_server import BOT, Room, Slack
from triage.memory import PLACE
from triage.model import Place, Verb
from triage.store import keys
from triage.store.client import connect
from workers.channel import load
from workers.deliver import Deliver

SLACK = "slack+room://${SLACK}@acme"


async def roomed(town: Town, contact: str, **more: object) -> None:
    """Open rooms at `contact` for P0 and P1; ana and ben are in both chat services."""
    known = {"ana": "slack: U0ANA, mattermost: ana, ", "ben": "slack: U0BEN, mattermost: ben, "}
    people = oncall(town.pages)
    for name, ids in known.items():
        people = people.replace(f"{name}: {{name", f"{name}: {{{ids}name")
    rooms = json.dumps({"rooms": [{"name": "incidents", "contact": contact, **more}]})
    town.deliver = Deliver(connect(town.url), town.clock, load(), {"SLACK": BOT, "MM": TOKEN}.get)
    await town.loads({"severity.yaml": SEVERITY, "oncall.yaml": people, "rooms.yaml": rooms})


def room(workspace: Slack) -> Room:
    (only,) = [one for one in workspace.rooms.values() if one.name.startswith("inc-")]
    return only


def places(town: Town) -> list[bytes]:
    return cast("list[bytes]", town.client.hkeys(keys.family(PLACE)))


def over(town: Town) -> list[bool]:
    """Tell of each room whether nothing is said there any more."""
    return [msgspec.msgpack.decode(raw, type=Place).over for raw in cast("Any", town.client.hvals(keys.family(PLACE)))]


def said(town: Town, what: str) -> list[str]:
    return [line.text for line in town.timeline(town.incident) if line.what == what]


async def test_a_room_is_opened_named_and_kept_true_until_it_is_archived(town: Town, workspace: Slack) -> None:
    await roomed(town, SLACK, archive="resolved")
    await town.fires("Checkout: it is DOWN!", service="checkout")
    here = room(workspace)
    key = town.incident.key[:6]
    assert here.name == f"inc-{key}-checkout-it-is-down"
    assert here.topic == "P1 · detected · Checkout: it is DOWN!"
    assert here.members == ["U0ANA"]  # who was paged
    status = here.messages[0]
    assert here.pins == [status["ts"]]
    assert f"Incident: {key} (detected)" in status["blocks"][1]["text"]["text"]
    await town.acks("ben")
    assert here.members == ["U0ANA", "U0BEN"]
    assert "Taken by: ben" in status["blocks"][1]["text"]["text"]
    assert here.pins == [status["ts"]]
    await town.asks(Verb.RESOLVE, "ben", confirm=True)
    assert not here.archived  # it hears first how it ended
    town.wait(minutes=0.1)
    assert here.archived
    assert over(town) == [True]
    assert "(resolved)" in status["blocks"][1]["text"]["text"]
    lines = said(town, "room")
    assert lines[1:] == [f"the room {here.name} is open", f"the room {here.name} is archived"]


async def test_only_incidents_of_the_rule_s_severities_and_services_get_a_room(town: Town, workspace: Slack) -> None:
    await roomed(town, SLACK, severities=["P0"], services=["checkout"])
    await town.fires("Slow", service="shop")
    assert len(workspace.rooms) == 2
    await town.asks(Verb.ACKNOWLEDGE, "ana")
    await town.fires("Down", service="checkout")
    assert room(workspace).topic == "P0 · detected · Down"


async def test_a_room_that_cannot_be_made_delays_no_page_and_is_told(town: Town, workspace: Slack) -> None:
    workspace.troubles["conversations.create"] = "missing_scope"
    await roomed(town, SLACK)
    await town.fires("Down")
    assert town.paged == ["ana"]
    text = said(town, "given-up")[0]
    assert "cannot be kept by slack+room: Slack says missing_scope" in text
    assert any("room by slack+room" in title for title in town.told)
    del workspace.troubles["conversations.create"]
    await town.acks("ben")
    assert room(workspace).topic == "P1 · triaged · commander ben · Down"


async def test_what_dies_half_way_is_done_again_in_the_same_room(town: Town, workspace: Slack) -> None:
    workspace.troubles["conversations.setTopic"] = (503, {})
    await roomed(town, SLACK)
    await town.fires("Down")
    here = room(workspace)
    assert (here.topic, len(here.pins)) == ("", 1)
    workspace.troubles.clear()
    town.wait(minutes=1)
    assert here.topic == "P1 · detected · Down"
    assert len(here.pins) == 1
    assert said(town, "room")[1:] == [f"the room {here.name} is open"]
    await town.acks("ana")


async def test_a_room_whose_creation_was_not_noted_is_found_by_its_name(town: Town, workspace: Slack) -> None:
    workspace.troubles["chat.postMessage"] = "cut"
    await roomed(town, SLACK)
    await town.fires("Down")
    place = next(key for key, one in workspace.rooms.items() if one.name.startswith("inc-"))
    assert town.incident.room is not None
    assert town.incident.room.place == f"{place}:"
    workspace.troubles.clear()
    workspace.troubles["conversations.create"] = "name_taken"
    town.wait(minutes=1)
    assert len(room(workspace).pins) == 1
    await town.acks("ana")


async def test_an_incident_that_opens_again_gets_its_room_back(town: Town, workspace: Slack) -> None:
    await roomed(town, SLACK, archive="resolved")
    await town.fires("Down")
    await town.acks("ana")
    await town.ends("Down")
    town.wait(minutes=70)
    assert room(workspace).archived
    await town.fires("Down")
    assert not room(workspace).archived
    assert over(town) == [False]
    assert len(workspace.made("conversations.unarchive")) == 1
    await town.acks("ana")


async def test_with_the_incident_its_room_is_forgotten_and_others_keep_theirs(town: Town, workspace: Slack) -> None:
    await roomed(town, SLACK)
    await town.fires("Down")
    await town.acks("ana")
    await town.ends("Down")
    assert len(places(town)) == 1
    town.wait(hours=24 * 91)
    assert town.incidents == []
    assert places(town) == []


async def test_a_room_in_mattermost(town: Town, server: Mattermost) -> None:
    await roomed(town, f"mattermost+room+http://${{MM}}@127.0.0.1:{server.port}/ops", archive="resolved")
    await town.fires("Down")
    (here,) = server.channels.values()
    assert isinstance(here, Channel)
    assert here.name == f"inc-{town.incident.key[:6]}-down"
    assert (here.display_name, here.header) == ("P1 Down", "`P1 · detected · Down`")
    assert here.members == ["a" * 26]
    (status,) = here.pinned
    assert here.posts[status].startswith("```\nP1 Down\n")
    await town.acks("ben")
    assert "Taken by: ben" in here.posts[status]
    assert here.members == ["a" * 26, "b" * 26]
    await town.asks(Verb.RESOLVE, "ben", confirm=True)
    assert not here.archived  # it hears first how it ended
    town.wait(minutes=0.1)
    assert here.archived
    assert "(resolved)" in here.posts[status]


async def test_a_mattermost_that_is_down_is_tried_again_and_one_that_refuses_is_told(
    town: Town, server: Mattermost
) -> None:
    server.status = 503
    await roomed(town, f"mattermost+room+http://${{MM}}@127.0.0.1:{server.port}/ops")
    await town.fires("Down")
    assert town.paged == ["ana"]
    server.status = 403
    town.wait(minutes=1)
    assert "Mattermost: HTTP 403" in said(town, "given-up")[0]
    server.status = 0
    await town.acks("ana")
    assert len(server.channels) == 1


async def test_a_room_that_was_archived_before_its_result_was_noted_ends_all_the_same(
    town: Town, workspace: Slack
) -> None:
    await roomed(town, SLACK, archive="resolved")
    await town.fires("Down")
    await town.acks("ana")
    workspace.troubles["conversations.archive"] = "cut"
    await town.asks(Verb.RESOLVE, "ana", confirm=True)
    town.wait(minutes=0.05)
    del workspace.troubles["conversations.archive"]
    room(workspace).archived = True  # it had been, before the connection broke
    town.wait(minutes=1)
    assert said(town, "room")[-1].endswith("is archived")
    assert said(town, "given-up") == []


async def test_in_shadow_no_room_is_opened_and_nothing_is_tried_again(town: Town, workspace: Slack) -> None:
    await roomed(town, SLACK, archive="resolved")
    town.deliver = Deliver(connect(town.url), town.clock, load(), {"SLACK": BOT}.get, shadow=True)
    await town.fires("Down")
    assert (workspace.calls, town.incident.room is not None and town.incident.room.effect) == ([], "")
    await town.acks("ana")
    await town.asks(Verb.RESOLVE, "ana", confirm=True)
    town.wait(hours=2)
    assert workspace.calls == []
    assert said(town, "given-up") == []
    assert len(said(town, "room")) == 1
