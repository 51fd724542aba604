"""An incident in Slack: one thread, whose first message stays true."""

from __future__ import annotations

from typing import Any

from tests.stories.town import SEVERITY, Town
from tests.unit.workers.slack_server import BOT, Room, Slack
from tests.unit.workers.test_slack_bot import labels, texts
from triage.model import Command, Effect, EffectKind, Verb
from triage.store.client import connect
from triage.store.journal import append
from workers.channel import Delivery, load
from workers.deliver import Deliver

ONCALL = """
people:
  ana: {name: Ana, contact: ['slack+bot://${SLACK}@acme/C0ALERTS']}
  ben: {name: Ben, contact: ['slack+bot://${SLACK}@acme/U0BEN']}
policies: {default: {steps: [{notify: [ana, ben], wait: 5m}]}}
operators: []
last_resort: [ana]
"""


async def told(town: Town) -> None:
    town.deliver = Deliver(connect(town.url), town.clock, load(), {"SLACK": BOT}.get)
    await town.loads({"severity.yaml": SEVERITY, "oncall.yaml": ONCALL})


def first(workspace: Slack, room: str = "C0ALERTS") -> dict[str, Any]:
    return workspace.rooms[room].messages[0]


async def test_the_first_message_shows_who_has_it_and_that_it_is_over(town: Town, workspace: Slack) -> None:
    await told(town)
    await town.fires("Down")
    assert texts(first(workspace))[-1] == "Nobody has it yet."
    await town.acks("ben")
    for room in ("C0ALERTS", "D0BEN"):
        assert texts(first(workspace, room))[-1] == "ben has it."
        assert labels(first(workspace, room))[0] == "Take over"
    await town.asks(Verb.RESOLVE, "ben", confirm=True)
    assert texts(first(workspace))[-1] == "It is over."
    assert labels(first(workspace)) == []
    later = workspace.rooms["C0ALERTS"].messages[1:]
    assert {one["thread_ts"] for one in later} == {first(workspace)["ts"]}


async def test_the_next_step_is_a_reply_that_shows_in_the_channel(town: Town, workspace: Slack) -> None:
    await told(town)
    await town.fires("Down")
    town.wait(minutes=5)
    root, page = workspace.rooms["C0ALERTS"].messages[:2]
    assert (page["thread_ts"], page["reply_broadcast"]) == (root["ts"], True)
    assert len(workspace.made("chat.update")) == 0
    await town.acks("ana")


async def test_an_update_that_fails_comes_again_and_shows_the_last_state_at_the_end(
    town: Town, workspace: Slack
) -> None:
    await told(town)
    await town.fires("Down")
    workspace.troubles["chat.update"] = (429, {"Retry-After": "20"})
    await town.acks("ben")
    await town.asks(Verb.UNACKNOWLEDGE, "ben")
    await town.acks("ana")
    del workspace.troubles["chat.update"]
    town.wait(minutes=1)
    assert texts(first(workspace))[-1] == "ana has it."
    assert texts(first(workspace, "D0BEN"))[-1] == "ana has it."


async def test_an_update_that_is_given_up_is_told_and_costs_nothing(town: Town, workspace: Slack) -> None:
    await told(town)
    await town.fires("Down")
    workspace.troubles["chat.update"] = "missing_scope"
    await town.acks("ben")
    assert any(
        "cannot be brought up to date: Slack says missing_scope" in one.text for one in town.timeline(town.incident)
    )
    del workspace.troubles["chat.update"]
    await town.asks(Verb.RESOLVE, "ben", confirm=True)
    assert texts(first(workspace))[-1] == "It is over."


async def test_a_page_that_arrives_while_somebody_takes_the_incident_is_kept_true_too(
    town: Town, workspace: Slack
) -> None:
    await told(town)
    attempt = town.deliver._attempt

    def overtaken(effect: Effect, repeat: bool) -> Delivery:
        """Send, and before the result is noted let ben take it."""
        ended = attempt(effect, repeat)
        if effect.kind is EffectKind.PAGE and effect.person == "ana":
            append(town.client, Command(Verb.ACKNOWLEDGE, effect.incident, "ben", "story"), town.now)
            town.drain.step()
        return ended

    town.deliver._attempt = overtaken  # type: ignore[method-assign]
    await town.fires("Down")
    assert any("was already on its way" in line.text for line in town.timeline(town.incident))
    shown = [texts(one)[-1] for room in ("C0ALERTS", "D0BEN") for one in workspace.rooms.get(room, Room("")).messages]
    assert shown
    assert set(shown) == {"ben has it."}
