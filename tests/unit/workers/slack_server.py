"""A Slack for tests: its Web API, Socket Mode and response URLs as documented, on a loop and thread of its own."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.unit.workers.own_loop import on, served

BOT = "xoxb-1-bot"
APP = "xapp-1-app"
FORMS = {"conversations.history", "conversations.replies", "conversations.list", "conversations.info"}
"""Methods that do not take JSON."""


@dataclass
class Room:
    """A channel or direct message: its messages are what anybody in it would see."""

    name: str
    members: list[str] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    topic: str = ""
    archived: bool = False
    pins: list[str] = field(default_factory=list)


@dataclass
class Slack:
    """One workspace. `troubles`: method → what it answers instead: an error, a status with headers, or "cut";
    "lost": it is done, and the answer does not arrive.
    """

    rooms: dict[str, Room] = field(default_factory=lambda: {"C0ALERTS": Room("alerts"), "D0ANA": Room("U0ANA")})
    people: tuple[str, ...] = ("U0ANA", "U0BEN", "U0EVE")
    troubles: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    acked: list[dict[str, Any]] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    port: int = 0
    clock: int = 1_700_000_000
    loop: asyncio.AbstractEventLoop | None = None

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/"

    def made(self, method: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == method]

    # ------------------------------------------------------------------------------------------------------- web api

    async def api_call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        trouble = self.troubles.get(method)
        if isinstance(trouble, tuple):
            status, headers = trouble
            return web.Response(status=status, headers=headers, text="{}" if status == 429 else "upstream")
        arguments = await self._arguments(request, method)
        self.calls.append((method, arguments))
        if trouble == "cut":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        wanted = APP if method == "apps.connections.open" else BOT
        if request.headers.get("Authorization") != f"Bearer {wanted}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        if trouble and trouble != "lost":
            return web.json_response({"ok": False, "error": trouble, "needed": "chat:write"})
        done: Callable[[dict[str, Any]], Any] = getattr(self, method.replace(".", "_"))
        result = done(arguments)
        if trouble == "lost":
            del self.troubles[method]
            assert request.transport is not None
            request.transport.abort()
        if isinstance(result, str):
            return web.json_response({"ok": False, "error": result})
        return web.json_response({"ok": True, **result})

    async def _arguments(self, request: web.Request, method: str) -> dict[str, Any]:
        if request.content_type == "application/json":
            assert method not in FORMS, f"{method} takes no JSON"
            found: dict[str, Any] = await request.json()
            return found
        given = {**request.query, **(await request.post())}
        return {name: value for name, value in given.items() if isinstance(value, str)}

    def _room(self, place: str) -> tuple[str, Room] | str:
        if place in self.people:
            place = "D" + place[1:]
            self.rooms.setdefault(place, Room(place))
        if place not in self.rooms:
            return "channel_not_found"
        return "is_archived" if self.rooms[place].archived else (place, self.rooms[place])

    def chat_postMessage(self, asked: dict[str, Any]) -> dict[str, Any] | str:
        found = self._room(asked["channel"])
        if isinstance(found, str):
            return found
        fault = faults_of(asked)
        if fault:
            return fault
        place, room = found
        self.clock += 1
        message = {**asked, "ts": f"{self.clock}.000100", "bot_id": "B0TOCSIN"}
        room.messages.append(message)
        return {"channel": place, "ts": message["ts"], "message": message}

    def chat_update(self, asked: dict[str, Any]) -> dict[str, Any] | str:
        room = self.rooms.get(asked["channel"])
        message = next((one for one in room.messages if one["ts"] == asked["ts"]), None) if room else None
        if message is None:
            return "message_not_found"
        fault = "is_archived" if room is not None and room.archived else faults_of(asked)
        if fault:
            return fault
        message.update(asked)
        return {"channel": asked["channel"], "ts": asked["ts"]}

    def conversations_history(self, asked: dict[str, Any]) -> dict[str, Any] | str:
        if asked["channel"] not in self.rooms:
            return "channel_not_found"
        top = [one for one in self.rooms[asked["channel"]].messages if not one.get("thread_ts")]
        return {"messages": [_seen(one, asked) for one in reversed(top)]}

    def conversations_replies(self, asked: dict[str, Any]) -> dict[str, Any] | str:
        room = self.rooms.get(asked["channel"])
        if room is None:
            return "channel_not_found"
        return {"messages": [_seen(one, asked) for one in room.messages if one.get("thread_ts", "") == asked["ts"]]}

    def conversations_open(self, asked: dict[str, Any]) -> dict[str, Any] | str:
        found = self._room(asked["users"])
        return found if isinstance(found, str) else {"channel": {"id": found[0]}}

    def apps_connections_open(self, _asked: dict[str, Any]) -> dict[str, Any]:
        return {"url": f"ws://127.0.0.1:{self.port}/link/?ticket=1"}

    # --------------------------------------------------------------------------------------------------------- rooms

    def conversations_create(self, asked: dict[str, Any]) -> dict[str, Any] | str:
        if not re.fullmatch(r"[a-z0-9_-]{1,80}", asked["name"]):
            return "invalid_name_specials"
        if any(room.name == asked["name"] for room in self.rooms.values()):
            return "name_taken"
        place = f"C0ROOM{len(self.rooms)}"
        self.rooms[place] = Room(asked["name"])
        return {"channel": {"id": place, "name": asked["name"]}}

    def conversations_list(self, asked: dict[str, Any]) -> dict[str, Any]:
        known = [{"id": place, "name": room.name} for place, room in self.rooms.items() if not room.archived]
        start = int(asked.get("cursor") or 0)
        part = known[start : start + 2]
        after = str(start + 2) if start + 2 < len(known) else ""
        return {"channels": part, "response_metadata": {"next_cursor": after}}

    def conversations_setTopic(self, asked: dict[str, Any]) -> dict[str, Any] | str:
        found = self._room(asked["channel"])
        if isinstance(found, str):
            return found
        if len(asked["topic"]) > 250:
            return "too_long"
        found[1].topic = asked["topic"]
        return {}

    def conversations_invite(self, asked: dict[str, Any]) -> dict[str, Any] | str:
        found = self._room(asked["channel"])
        if isinstance(found, str):
            return found
        for user in asked["users"].split(","):
            if user not in self.people:
                return "user_not_found"
            if user in found[1].members:
                return "already_in_channel"
            found[1].members.append(user)
        return {}

    def conversations_archive(self, asked: dict[str, Any]) -> dict[str, Any] | str:
        room = self.rooms.get(asked["channel"])
        if room is None:
            return "channel_not_found"
        if room.archived:
            return "already_archived"
        room.archived = True
        return {}

    def conversations_unarchive(self, asked: dict[str, Any]) -> dict[str, Any] | str:
        room = self.rooms.get(asked["channel"])
        if room is None or not room.archived:
            return "not_archived"
        room.archived = False
        return {}

    def pins_add(self, asked: dict[str, Any]) -> dict[str, Any] | str:
        room = self.rooms[asked["channel"]]
        if asked["timestamp"] in room.pins:
            return "already_pinned"
        room.pins.append(asked["timestamp"])
        return {}

    # ----------------------------------------------------------------------------------------------- what people do

    async def response_url(self, request: web.Request) -> web.Response:
        self.answers.append(await request.json())
        return web.json_response({"ok": True})

    async def link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        await socket.send_json({"type": "hello", "num_connections": 1})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.acked.append(json.loads(message.data))
        return socket

    def press(self, user: str, message: dict[str, Any], label: str) -> dict[str, Any]:
        """Return what Slack sends when `user` presses the button with that label of a message."""
        buttons = [one for block in message["blocks"] if block["type"] == "actions" for one in block["elements"]]
        button = next(one for one in buttons if one["text"]["text"] == label)
        return {
            "type": "block_actions",
            "user": {"id": user, "username": user.lower(), "team_id": "T1"},
            "api_app_id": "A1",
            "trigger_id": f"13.{self.clock}",
            "team": {"id": "T1", "domain": "acme"},
            "container": {"type": "message", "message_ts": message["ts"], "channel_id": message["channel"]},
            "channel": {"id": message["channel"], "name": "alerts"},
            "response_url": f"http://127.0.0.1:{self.port}/actions/1",
            "actions": [{**button, "block_id": "b", "action_ts": "1.2"}],
        }

    def push(self, kind: str, payload: dict[str, Any], envelope: str = "e1") -> None:
        """Send an envelope over Socket Mode."""
        body = {"type": kind, "envelope_id": envelope, "payload": payload, "accepts_response_payload": True}
        on(self.loop, self.sockets[-1].send_json(body))

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/api/{method}", self.api_call)
        app.router.add_get("/api/{method}", self.api_call)
        app.router.add_post("/actions/1", self.response_url)
        app.router.add_get("/link/", self.link)
        return app


def _seen(message: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    with_metadata = asked.get("include_all_metadata") in ("1", "true", "True", True)
    return {name: value for name, value in message.items() if name != "metadata" or with_metadata}


def faults_of(asked: dict[str, Any]) -> str:
    """Return Slack's word for a message that it would refuse, or ""."""
    if not asked.get("text") and not asked.get("blocks"):
        return "no_text"
    limits = {"header": 150, "section": 3_000}
    for block in asked.get("blocks", ()):
        if block["type"] in limits and not 1 <= len(block["text"]["text"]) <= limits[block["type"]]:
            return "invalid_blocks"
        elements = block.get("elements", ())
        if len(elements) > 25 or any(len(one.get("value", "")) > 2_000 for one in elements):
            return "invalid_blocks"
        ids = [one["action_id"] for one in elements if "action_id" in one]
        if len(ids) != len(set(ids)):
            return "invalid_blocks"
    return ""


@contextmanager
def serving(slack: Slack) -> Iterator[Slack]:
    """Serve a workspace on a free port, from a thread of its own."""
    with served(slack.application()) as (slack.port, slack.loop):
        yield slack
