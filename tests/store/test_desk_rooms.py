"""What people say in an incident's room: commands and lines of the timeline, from Slack and from Mattermost."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from itertools import count
from typing import Any, cast
from urllib.parse import urlencode

import msgspec
import pytest

from desk import mattermost, slack_rooms
from desk.slack_socket import Socket
from tests.store.desk_support import DOWN, NOW, RULES, Town, town
from tests.store.test_desk_slack import SECRET, incident, until
from tests.unit.workers.slack_server import APP, BOT, Room, Slack, serving
from triage.memory import PLACE
from triage.model import Phase, Place, RulesLoaded, Severity, rules_digest
from triage.model.roles import Role
from triage.store import keys, queries

ROOM = "C0ROOM"
numbers = count(100)


@pytest.fixture(scope="module")
def workspace() -> Iterator[Slack]:
    with serving(Slack()) as one:
        yield one


@pytest.fixture
async def here(redis_url: str, workspace: Slack) -> AsyncIterator[Town]:
    workspace.rooms = {ROOM: Room("inc-room")}
    settings: dict[str, Any] = {
        "slack_secret": SECRET,
        "slack_api": workspace.api[:-1],
        "slack_bot_token": BOT,
        "slack_people": {"U0ANA": "ana", "U0BEN": "ben"},
        "mattermost_people": {"ana": "ana", "ben": "ben"},
        "mattermost_tokens": ("token-1", "token-2"),
    }
    async with town(redis_url, **settings, roles={"admin": Role.ADMIN, "ben": Role.VIEWER}) as one:
        await one.send(DOWN)
        key = (await incident(one)).key
        for place in (f"slack:{ROOM}", "mattermost:chan1"):
            await cast("Any", one.client).hset(keys.family(PLACE), place, msgspec.msgpack.encode(Place(key)))
        async with one.draining():
            yield one


def event(text: str, user: str = "U0ANA", place: str = ROOM, number: int = 1, **more: Any) -> dict[str, Any]:
    ts = f"{NOW // 1_000}.{number:06}"
    said = {"type": "message", "channel": place, "user": user, "text": text, "ts": ts, **more}
    return {"type": "event_callback", "event_id": f"Ev{number}", "event": said}


async def post(here: Town, payload: Any, secret: str = SECRET) -> tuple[int, str]:
    raw = json.dumps(payload).encode()
    at = NOW // 1_000
    mark = hmac.new(secret.encode(), f"v0:{at}:".encode() + raw, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": str(at), "X-Slack-Signature": f"v0={mark}"}
    async with here.session.post(here.url + slack_rooms.PATH, data=raw, headers=headers) as answer:
        return answer.status, await answer.text()


async def say(here: Town, workspace: Slack, text: str, user: str = "U0ANA", **more: Any) -> str:
    """Say something in the room, and return what is answered there, in the thread of it."""
    before = len(workspace.rooms[ROOM].messages)
    said = event(text, user, number=next(numbers), **more)
    assert (await post(here, said))[0] == 200
    answers = workspace.rooms[ROOM].messages[before:]
    assert all(one["thread_ts"] == said["event"]["ts"] for one in answers)
    return " ".join(one["text"] for one in answers)


async def lines(here: Town, what: str) -> list[tuple[str, str]]:
    found = (await queries.timeline(here.client, (await incident(here)).key)).items
    return [(line.by, line.text) for line in found if line.what == what]


async def test_commands_do_what_they_do_elsewhere_and_are_answered(here: Town, workspace: Slack) -> None:
    assert await say(here, workspace, "!ack") == "ana has it"
    assert await say(here, workspace, "!severity p2 a workaround exists") == "lowered from P0 to P2"
    assert await say(here, workspace, "!note the database is full") == "noted"
    assert await say(here, workspace, "!role scribe @ada") == "ada is scribe"
    assert await say(here, workspace, "!role scribe") == "nobody is scribe now"
    assert await say(here, workspace, "!impact nobody can pay") == "it is known whom it hurts"
    assert await say(here, workspace, "!eta 45m") == "should be over in 45 min"
    assert await say(here, workspace, "!eta unknown") == "no ETA any more"
    assert await say(here, workspace, "!phase mitigating a rollback") == "it is mitigating"
    preview = await say(here, workspace, "!update Identified next=45m the disk is full")
    assert "the disk is full" in preview
    assert "Say !update yes Identified next=45m the disk is full to mean it." in preview
    assert await say(here, workspace, "!next") == "No update is promised."
    sent = await say(here, workspace, "!update yes Identified next=45m the disk is full")
    assert sent == "sent to 1 place; the next one is due in 45m"
    assert await say(here, workspace, "!next") == "The next update is promised by 2026-01-01 00:45 UTC."
    assert await say(here, workspace, "!page ada please look") == "ada is paged"
    assert await say(here, workspace, "!runbook") == "There is no runbook for this incident."
    assert "Say !resolve yes to mean it." in await say(here, workspace, "!resolve")
    assert await say(here, workspace, "!resolve yes disk cleared") == "resolved"
    one = await incident(here)
    assert (one.acked_by, one.severity, one.phase) == ("ana", Severity.P2, Phase.RESOLVED)
    assert await lines(here, "note") == [("ana", "the database is full")]


async def test_the_runbook_is_shown_and_checked_off_by_its_numbers(here: Town, workspace: Slack) -> None:
    procedure = "# Detect\n\n- [ ] Look <!channel> on {{ instance }}\n- [ ] Mend\n"
    files = {**RULES, "procedures/1-detect.md": procedure}
    entry = await here.desk.appender.append(RulesLoaded(rules_digest(files), files), here.clock())
    assert await queries.wait_decided(here.client, entry, 5)
    told = await say(here, workspace, "!runbook")
    assert "[ ] p1  Look &lt;!channel&gt; on a" in told
    assert (await say(here, workspace, "!done p2 it was the disk"), await lines(here, "checked")) == (
        "checked off",
        [("ana", "Detect: Mend (it was the disk)")],
    )
    assert "[x] p2  Mend (ana)" in await say(here, workspace, "!runbook again")
    assert "as !runbook numbers it" in await say(here, workspace, "!done r1")


async def test_what_is_said_is_kept_whoever_says_it(here: Town, workspace: Slack) -> None:
    assert await say(here, workspace, "I see &lt;errors&gt; &amp; more") == ""
    assert await say(here, workspace, "me too", user="U0EVE") == ""
    assert sorted(await lines(here, "chat")) == [("ana", "I see <errors> & more"), ("slack:U0EVE", "me too")]


async def test_commands_are_taken_from_those_who_may(here: Town, workspace: Slack) -> None:
    assert "you are not known" in await say(here, workspace, "!ack", user="U0EVE")
    assert "ben (viewer) needs the scope respond" in await say(here, workspace, "!ack", user="U0BEN")
    assert (await incident(here)).acked_by == ""


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("!help", "Commands: !ack"),
        ("!explode", "Commands: !ack"),
        ("!severity high", "say !severity P0 to P4"),
        ("!severity", "P0 critical: complete outage or data loss\n"),
        ("!note", "say !note and the text"),
        ("!role", "one of commander, communications, scribe"),
        ("!eta", "say !eta and when"),
        ("!phase tired", "“tired” is no phase"),
        ("!update soon better", "one of investigating, identified, monitoring, resolved"),
        ("!update identified", "one of investigating, identified, monitoring, resolved"),
        ("!page", "say !page and whom"),
        ("!page nobody", "knows nobody called “nobody”"),
        ("!snooze soon", "soon"),
    ],
)
async def test_what_cannot_be_done_says_what_to_say(here: Town, workspace: Slack, text: str, answer: str) -> None:
    assert answer in await say(here, workspace, text)


async def test_bots_edits_other_channels_and_repeats_are_not_heard(here: Town, workspace: Slack) -> None:
    others = ({"bot_id": "B1"}, {"subtype": "message_changed"}, {"user": ""}, {"type": "reaction_added"})
    for number, more in enumerate(others):
        await post(here, {**event("!ack", number=number), "event": {**event("!ack")["event"], **more}})
    await post(here, event("!ack", place="C0OTHER", number=10))
    for _ in range(2):
        await post(here, event("only once", number=11))
    assert (await incident(here)).acked_by == ""
    assert await lines(here, "chat") == [("ana", "only once")]


async def test_slack_s_question_is_answered_and_strangers_are_not_heard(here: Town) -> None:
    assert await post(here, {"type": "url_verification", "challenge": "abc"}) == (200, "abc")
    assert (await post(here, event("!ack"), secret="other"))[0] == 401
    assert (await incident(here)).acked_by == ""


async def test_a_room_is_heard_by_socket_mode_too(here: Town, workspace: Slack) -> None:
    before = len(workspace.sockets)
    take = partial(slack_rooms.take_envelope, slack_rooms.Rooms(here.desk))
    task = asyncio.create_task(Socket(APP, workspace.api[:-1], take).watch())
    await until(lambda: len(workspace.sockets) > before)
    workspace.push("events_api", event("!ack", number=20), "e20")
    await until(lambda: any(one["envelope_id"] == "e20" for one in workspace.acked))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert (await incident(here)).acked_by == "ana"


async def ask(here: Town, text: str, **more: str) -> tuple[int, Any]:
    """Say something in Mattermost as it brings a slash command."""
    fields = {"token": "token-2", "channel_id": "chan1", "user_name": "ana", "command": "/tocsin", "text": text, **more}
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    async with here.session.post(here.url + mattermost.PATH, data=urlencode(fields), headers=headers) as answer:
        return answer.status, await answer.json() if answer.status == 200 else await answer.text()


async def test_a_slash_command_of_mattermost_is_a_command(here: Town) -> None:
    assert await ask(here, "ack") == (200, {"response_type": "in_channel", "text": "`ana has it`"})
    status, answer = await ask(here, "ack", channel_id="elsewhere")
    assert (status, answer["response_type"]) == (200, "ephemeral")
    assert "you are not known" in (await ask(here, "ack", user_name="eve"))[1]["text"]
    assert (await ask(here, "ack", token="other"))[0] == 401
    assert (await incident(here)).acked_by == "ana"


async def test_an_outgoing_webhook_of_mattermost_brings_what_is_said(here: Town) -> None:
    assert await ask(here, "the disk is full", command="") == (200, {})
    assert await lines(here, "chat") == [("ana", "the disk is full")]


ACTIONS = """
actions:
  restart:
    title: Restart the pods
    services: [checkout]
    parameters: {replicas: {type: integer, min: 1, max: 5, default: "2"}}
    request: {url: "https://ops.example.org/restart", json: {replicas: "{replicas}", note: "<!channel> {title}"}}
  fail-over:
    title: Fail over
    who: [ada]
    request: {url: "https://ops.example.org/failover"}
"""


async def test_actions_are_listed_shown_asked_back_and_run_by_those_who_may(here: Town, workspace: Slack) -> None:
    files = {**RULES, "actions.yaml": ACTIONS}
    entry = await here.desk.appender.append(RulesLoaded(rules_digest(files), files), here.clock())
    assert await queries.wait_decided(here.client, entry, 5)
    listed = await say(here, workspace, "!action")
    assert listed.startswith("restart replicas=2  Restart the pods\nSay !action restart")
    assert "fail-over" not in listed
    assert "what would be sent" not in await say(here, workspace, "!action dry restart replicas=9")
    dry = await say(here, workspace, "!action dry restart replicas=3")
    assert dry.startswith("nothing was sent; it would be: POST https://ops.example.org/restart")
    assert "<!channel>" not in dry
    asked = await say(here, workspace, '!action restart replicas=3 "the pods hang"')
    assert asked.endswith('Run it now? Say !action yes restart replicas=3 "the pods hang" to mean it.')
    assert "ana may not run fail-over" in await say(here, workspace, "!action yes fail-over")
    assert "needs the scope respond" in await say(here, workspace, "!action yes restart", user="U0BEN")
    assert "you are not known" in await say(here, workspace, "!action yes restart", user="U0EVE")
    assert (await incident(here)).runs == ()
    assert "restart is run now" in await say(here, workspace, '!action yes restart replicas=3 "the pods hang"')
    one = await incident(here)
    assert len(one.runs) == 1
    assert ("ana", "ana runs restart (replicas=3): the pods hang") in await lines(here, "action")


HOSTILE = "<!channel> <@U0BEN> @channel [bank](https://evil.example) <https://evil.example|bank> `x`"


async def test_answers_mention_nobody_and_link_nothing(here: Town, workspace: Slack) -> None:
    shown = await say(here, workspace, f"!update identified {HOSTILE}")
    last = workspace.rooms[ROOM].messages[-1]
    assert "&lt;!channel&gt;" in shown
    assert not [mark for mark in ("<!", "<@", "<http") if mark in shown]
    assert (last["parse"], last["link_names"], last["mrkdwn"], last["unfurl_links"]) == ("none", False, False, False)
    _, answer = await ask(here, f"update identified {HOSTILE}")
    inner = answer["text"].removeprefix("```text").removesuffix("```")
    assert answer["text"] == f"```text{inner}```"
    assert "`" not in inner
