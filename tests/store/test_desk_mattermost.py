"""Mattermost's websocket: each message lands once, whoever listens, and what was missed is fetched."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import msgspec
import pytest
import redis
from structlog.testing import capture_logs

from desk import chat
from desk.context import Desk
from desk.mattermost_socket import Socket
from tests.store.desk_support import DOWN, Town, town
from tests.store.test_desk_rooms import ask
from tests.store.test_desk_slack import incident, until
from tests.unit.workers.mattermost_server import TOKEN, Channel, Mattermost, serving
from triage.heard import HEARD_MAX
from triage.memory import PLACE
from triage.model import MINUTE, Place
from triage.model.roles import Role
from triage.store import keys, queries

ROOM = "chan1".ljust(26, "x")


@pytest.fixture
def server() -> Iterator[Mattermost]:
    with serving(Mattermost(channels={ROOM: Channel("inc-room", "Room"), "c0": Channel("town-square", "Town")})) as one:
        yield one


@pytest.fixture
async def here(redis_url: str, server: Mattermost) -> AsyncIterator[Town]:
    settings: dict[str, Any] = {
        "mattermost_people": {"ana": "ana", "ben": "ben"},
        "mattermost_tokens": ("token-2",),
        "roles": {"ben": Role.VIEWER},
    }
    async with town(redis_url, **settings) as one:
        await one.send(DOWN)
        server.clock = one.clock.now
        await put(one, Place((await incident(one)).key))
        async with one.draining():
            yield one


async def put(here: Town, place: Place) -> None:
    await cast("Any", here.client).hset(keys.family(PLACE), f"mattermost:{ROOM}", msgspec.msgpack.encode(place))


async def place(here: Town) -> Place:
    found = await chat.place_of(here.desk, "mattermost", ROOM)
    assert found is not None
    return found


@contextlib.asynccontextmanager
async def listening(here: Town, server: Mattermost, many: int = 1, token: str = TOKEN) -> AsyncIterator[None]:
    """Listen with `many` receivers."""
    before = len(server.listeners)
    tasks = [asyncio.create_task(Socket(here.desk, server.url, token, again_s=0.01).watch()) for _ in range(many)]
    try:
        if token == TOKEN:
            await until(lambda: len(server.listeners) >= before + many)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await until(lambda: len(server.listeners) <= before)


async def lines(here: Town, what: str = "chat") -> list[tuple[str, str]]:
    found = (await queries.timeline(here.client, (await incident(here)).key)).items
    return [(line.by, line.text) for line in reversed(found) if line.what == what]


def answers(server: Mattermost, root: dict[str, Any]) -> list[str]:
    return [one["message"] for one in server.channels[ROOM].said if one["root_id"] == root["id"]]


async def said(server: Mattermost, user: str, text: str, **more: Any) -> dict[str, Any]:
    return await asyncio.to_thread(server.say, user, ROOM, text, **more)


async def test_what_is_said_is_kept_and_commands_are_answered_in_their_thread(here: Town, server: Mattermost) -> None:
    async with listening(here, server):
        asked = await said(server, "ana", "!ack")
        await until(lambda: answers(server, asked) == ["`ana has it`"])
        await said(server, "ben", "I see `errors` <!channel> @all")
        refused = await said(server, "ben", "!resolve")
        await until(lambda: len(answers(server, refused)) == 1)
        assert "ben (viewer) needs the scope respond" in answers(server, refused)[0]
    assert await lines(here) == [("ben", "I see `errors` <!channel> @all")]
    assert (await incident(here)).acked_by == "ana"


async def test_bots_joins_deleted_messages_and_other_channels_are_not_heard(here: Town, server: Mattermost) -> None:
    async with listening(here, server):
        for more in ({"props": {"from_webhook": "true"}}, {"type": "system_join_channel"}, {"delete_at": 5}):
            await said(server, "ana", "!ack", **more)
        await said(server, "ana", "!ack", user_id="o" * 26)
        await asyncio.to_thread(server.say, "ana", "c0", "!ack")
        last = await said(server, "ana", "!help")
        await until(lambda: len(answers(server, last)) == 1)
    assert (await incident(here)).acked_by == ""
    assert await lines(here) == []
    assert len((await place(here)).heard) == 1


async def test_with_two_receivers_a_message_lands_once_and_is_answered_once(here: Town, server: Mattermost) -> None:
    async with listening(here, server, many=2):
        asked = [await said(server, "ana", text) for text in ("!ack", "hello", "!help", "!severity nine", "!page ada")]
        end = await said(server, "ana", "!note the end")
        await until(lambda: len(answers(server, end)) == 1)
        assert [len(answers(server, one)) for one in asked] == [1, 0, 1, 1, 1]
    assert await lines(here) == [("ana", "hello")]
    assert len(await lines(here, "note")) == 1
    assert len(await lines(here, "asked")) == 1


async def test_what_was_missed_is_fetched_after_a_reconnect_and_what_was_heard_is_not_taken_again(
    here: Town, server: Mattermost
) -> None:
    async with listening(here, server):
        await said(server, "ana", "first")
        await until_heard(here, 1)
        server.status = 503
        await asyncio.to_thread(server.hang_up)
        await until(lambda: server.listeners == [])
        for text in ("second", "!ack"):
            asked = server.written(server.users["ana"], ROOM, text)
        server.status = 0
        await until(lambda: answers(server, asked) == ["`ana has it`"])
    async with listening(here, server):
        await said(server, "ana", "third")
        await until_heard(here, 4)
    assert [text for _, text in await lines(here)] == ["first", "second", "third"]
    assert (await incident(here)).acked_by == "ana"
    assert answers(server, asked) == ["`ana has it`"]


async def test_a_gap_in_the_count_of_events_is_filled(here: Town, server: Mattermost) -> None:
    async with listening(here, server):
        await said(server, "ana", "lost", heard=False)
        await said(server, "ana", "found")
        await until_heard(here, 2)
    assert [text for _, text in await lines(here)] == ["lost", "found"]


async def test_a_command_that_comes_late_is_kept_and_not_obeyed(here: Town, server: Mattermost) -> None:
    asked = server.written(server.users["ana"], ROOM, "!escalate")
    here.clock.now += 11 * MINUTE
    async with listening(here, server):
        await until(lambda: len(answers(server, asked)) == 1)
    assert "say it again if you still mean it" in answers(server, asked)[0]
    assert await lines(here) == [("ana", "!escalate")]


async def test_an_outgoing_webhook_and_the_websocket_bring_the_same_message_once(
    here: Town, server: Mattermost
) -> None:
    async with listening(here, server):
        same = await said(server, "ana", "hello")
        await until_heard(here, 1)
        assert await ask(here, "hello", command="", channel_id=ROOM, post_id=same["id"]) == (200, {})
    assert await lines(here) == [("ana", "hello")]


async def test_a_wrong_token_is_said_and_tried_again(here: Town, server: Mattermost) -> None:
    with capture_logs() as logs:
        async with listening(here, server, token="wrong"):
            await until(lambda: len([one for one in logs if one["log_level"] == "warning"]) > 1)
    assert any("is --mattermost.bot-token right?" in one.get("error", "") for one in logs)


async def test_a_room_that_is_gone_does_not_keep_the_others_from_being_heard(here: Town, server: Mattermost) -> None:
    gone = msgspec.msgpack.encode(Place((await incident(here)).key))
    await cast("Any", here.client).hset(keys.family(PLACE), "mattermost:agone", gone)
    server.written(server.users["ana"], ROOM, "still heard")
    async with listening(here, server):
        await until_heard(here, 1)
    assert await lines(here) == [("ana", "still heard")]


@pytest.mark.parametrize("odd", ["half a sign: \ud83d", "what our own code stumbles over"])
async def test_a_message_that_cannot_be_taken_does_not_keep_later_ones_from_being_heard(
    here: Town, server: Mattermost, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    real = chat.take

    async def take(desk: Any, one: chat.Said) -> str | None:
        if one.text.startswith("what our own"):
            raise KeyError("a fault")
        return await real(desk, one)

    monkeypatch.setattr(chat, "take", take)
    server.written(server.users["ana"], ROOM, odd)
    server.written(server.users["ana"], ROOM, "still heard")
    async with listening(here, server):
        await until(lambda: ("GET", "/api/v4/users/me") in server.asked)
        await until_heard(here, 1 if odd.startswith("what") else 2)
    assert ("ana", "still heard") in await lines(here)


async def test_an_archived_room_is_not_asked_for(here: Town, server: Mattermost) -> None:
    await put(here, Place((await incident(here)).key, over=True))
    async with listening(here, server):
        await until(lambda: ("GET", "/api/v4/users/me") in server.asked)
    assert not [path for _, path in server.asked if "/posts?" in path]


async def test_a_message_is_taken_once_the_store_is_there_again(
    here: Town, server: Mattermost, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, down = chat.take, [True]

    async def take(*arguments: Any) -> str | None:
        if down:
            down.clear()
            raise redis.ConnectionError("gone")
        return await real(*arguments)

    monkeypatch.setattr(chat, "take", take)
    async with listening(here, server):
        await said(server, "ana", "!ack")
        await until_heard(here, 1)
    assert (await incident(here)).acked_by == "ana"


async def test_a_message_that_cannot_be_taken_keeps_no_other_out(
    here: Town, server: Mattermost, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = chat.take

    async def take(desk: Desk, said: chat.Said) -> str | None:
        if said.text == "odd":
            raise RuntimeError("nobody thought of this")
        return await real(desk, said)

    monkeypatch.setattr(chat, "take", take)
    async with listening(here, server):
        await said(server, "ana", "odd")
        await said(server, "ana", "fine")
        await until_heard(here, 1)
        await asyncio.to_thread(server.hang_up)
        await until(lambda: server.listeners == [])
        await until(lambda: len(server.listeners) == 1)
        await said(server, "ana", "fine again")
        await until_heard(here, 2)
    assert [text for _, text in await lines(here)] == ["fine", "fine again"]


async def test_only_so_many_messages_are_remembered_and_older_ones_count_as_taken(
    here: Town, server: Mattermost
) -> None:
    known = tuple((here.clock.now + number, f"known{number}") for number in range(HEARD_MAX))
    await put(here, Place((await incident(here)).key, known))
    server.written(server.users["ana"], ROOM, "of before", create_at=here.clock.now - 1)
    server.clock += HEARD_MAX
    async with listening(here, server):
        await said(server, "ana", "new")
        await until(lambda: True)
        await until_heard(here, HEARD_MAX, "new")
    assert await lines(here) == [("ana", "new")]
    assert len((await place(here)).heard) == HEARD_MAX


async def until_heard(here: Town, count: int, text: str = "") -> None:
    """Wait until so many messages of the room were taken, and (if given) one of them is in the timeline."""
    for _ in range(1_000):
        if len((await place(here)).heard) >= count and (not text or any(text == one for _, one in await lines(here))):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{(await place(here)).heard} were taken")
