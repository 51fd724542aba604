"""A Mattermost for tests: what rooms need of REST API v4 and of its websocket, as its documentation has them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.unit.workers.own_loop import on, served

TOKEN = "bot1token"
TEAM = "t" * 26
BOT = "o" * 26
"""The id of the bot."""


@dataclass
class Channel:
    """One channel and what is in it."""

    name: str
    display_name: str
    header: str = ""
    members: list[str] = field(default_factory=list)
    posts: dict[str, str] = field(default_factory=dict)
    pinned: list[str] = field(default_factory=list)
    archived: bool = False
    said: list[dict[str, Any]] = field(default_factory=list)
    """Every post, whole; `posts` are their texts."""


@dataclass
class Socket:
    """One connection: who it is, once that is known, and the number of its next event."""

    web: web.WebSocketResponse
    known: bool = False
    number: int = 0


@dataclass
class Mattermost:
    """One server with the team `ops`. `users`: user name → id. `clock` is what posts are stamped with (ms)."""

    channels: dict[str, Channel] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=lambda: {"ana": "a" * 26, "ben": "b" * 26})
    asked: list[tuple[str, str]] = field(default_factory=list)
    status: int = 0
    port: int = 0
    clock: int = 1_772_445_600_000
    sockets: list[Socket] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, Any]:
        self.asked.append((method, path))
        if self.status:
            return self.status, {"id": "api.error", "message": "out of order"}
        if token != f"Bearer {TOKEN}":
            return 401, {"id": "api.context.session_expired.app_error"}
        path, _, query = path.removeprefix("/api/v4").partition("?")
        if "since=" in query:
            body = int(query.partition("since=")[2])
        for pattern, verb, take in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found and verb == method:
                result: tuple[int, Any] = take(self, found, body)
                return result
        return 404, {"id": "api.context.404.app_error"}

    def team(self, found: re.Match[str], _body: Any) -> tuple[int, Any]:
        return (200, {"id": TEAM, "name": "ops"}) if found[1] == "ops" else (404, {"id": "store.sql_team.get_by_name"})

    def create(self, _found: re.Match[str], body: Any) -> tuple[int, Any]:
        assert body["team_id"] == TEAM
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", body["name"]) or not 1 <= len(body["display_name"]) <= 64:
            return 400, {"id": "model.channel.is_valid.app_error"}
        if any(one.name == body["name"] for one in self.channels.values()):
            return 400, {"id": "store.sql_channel.save_channel.exists.app_error"}
        key = f"chan{len(self.channels)}".ljust(26, "x")
        self.channels[key] = Channel(body["name"], body["display_name"])
        return 201, {"id": key, "padding": "p" * 6_000, "name": body["name"]}

    def named(self, found: re.Match[str], _body: Any) -> tuple[int, Any]:
        key = next((key for key, one in self.channels.items() if one.name == found[1]), "")
        return (200, {"id": key}) if key else (404, {"id": "app.channel.get_by_name.missing.app_error"})

    def patch(self, found: re.Match[str], body: Any) -> tuple[int, Any]:
        self.channels[found[1]].header = body["header"]
        return 200, {"id": found[1]}

    def join(self, found: re.Match[str], body: Any) -> tuple[int, Any]:
        members = self.channels[found[1]].members
        members += [body["user_id"]] if body["user_id"] not in members else []
        return 201, {"channel_id": found[1]}

    def user(self, found: re.Match[str], _body: Any) -> tuple[int, Any]:
        key = self.users.get(found[1])
        return (200, {"id": key}) if key else (404, {"id": "app.user.missing_account.const"})

    def post(self, _found: re.Match[str], body: Any) -> tuple[int, Any]:
        if len(body["message"]) > 16_383:
            return 400, {"id": "model.post.is_valid.message_length.app_error"}
        made = self.written(BOT, body["channel_id"], body["message"], root_id=body.get("root_id", ""))
        made["props"] |= body.get("props", {})
        return 201, {"id": made["id"]}

    def written(self, user: str, channel: str, text: str, **more: Any) -> dict[str, Any]:
        """Keep a post, and let nobody hear of it."""
        here = self.channels[channel]
        self.clock += 1
        made = {
            "id": f"post{len(here.said)}".ljust(26, channel[-1]),
            "create_at": self.clock,
            "update_at": self.clock,
            "delete_at": 0,
            "user_id": user,
            "channel_id": channel,
            "root_id": "",
            "message": text,
            "type": "",
            "props": {"from_bot": "true"} if user == BOT else {},
            **more,
        }
        here.said.append(made)
        here.posts[str(made["id"])] = text
        return made

    def since(self, found: re.Match[str], since: Any) -> tuple[int, Any]:
        if found[1] not in self.channels:
            return 403, {"id": "api.context.permissions.app_error"}
        posts = [one for one in self.channels[found[1]].said if one["update_at"] > since]
        return 200, {"order": [one["id"] for one in reversed(posts)], "posts": {one["id"]: one for one in posts}}

    def by_id(self, found: re.Match[str], _body: Any) -> tuple[int, Any]:
        names = {"me": "tocsin", **{key: name for name, key in self.users.items()}}
        if found[1] not in names:
            return 404, {"id": "app.user.missing_account.const"}
        return 200, {"id": BOT if found[1] == "me" else found[1], "username": names[found[1]]}

    # ------------------------------------------------------------------------------------------------- the websocket

    async def link(self, request: web.Request) -> web.WebSocketResponse:
        socket = Socket(web.WebSocketResponse())
        await socket.web.prepare(request)
        self.sockets.append(socket)
        async for frame in socket.web:
            if frame.type is not WSMsgType.TEXT:
                continue
            asked = json.loads(frame.data)
            assert (asked["action"], asked["seq"]) == ("authentication_challenge", 1)
            if asked["data"]["token"] != TOKEN:
                fault = {"id": "api.web_socket_router.not_authenticated.app_error"}
                await socket.web.send_json({"status": "FAIL", "error": fault, "seq_reply": 1})
                break
            await socket.web.send_json({"status": "OK", "seq_reply": 1})
            await self.event(socket, "hello", {"connection_id": "c" * 26, "server_version": "11.1.0"})
            socket.known = True
        self.sockets.remove(socket)
        return socket.web

    async def event(self, socket: Socket, name: str, data: dict[str, Any]) -> None:
        broadcast = {"omit_users": None, "user_id": "", "channel_id": "", "team_id": ""}
        number, socket.number = socket.number, socket.number + 1
        await socket.web.send_json({"event": name, "data": data, "broadcast": broadcast, "seq": number})

    @property
    def listeners(self) -> list[Socket]:
        return [one for one in self.sockets if one.known]

    def say(self, user: str, channel: str, text: str, heard: bool = True, **more: Any) -> dict[str, Any]:
        """Let somebody say something. Not `heard`: its event is lost on the way, and its number with it."""
        made = self.written(self.users[user], channel, text, **more)
        for socket in self.listeners:
            if heard:
                data = {"channel_type": "O", "sender_name": f"@{user}", "post": json.dumps(made)}
                on(self.loop, self.event(socket, "posted", data))
            else:
                socket.number += 1
        return made

    def hang_up(self) -> None:
        """Close every connection."""
        for socket in self.listeners:
            on(self.loop, socket.web.close())

    def _of(self, post: str) -> Channel:
        return next(one for one in self.channels.values() if post in one.posts)

    def edit(self, found: re.Match[str], body: Any) -> tuple[int, Any]:
        self._of(found[1]).posts[found[1]] = body["message"]
        return 200, {"id": found[1]}

    def pin(self, found: re.Match[str], _body: Any) -> tuple[int, Any]:
        self._of(found[1]).pinned.append(found[1])
        return 200, {"status": "OK"}

    def archive(self, found: re.Match[str], _body: Any) -> tuple[int, Any]:
        self.channels[found[1]].archived = True
        return 200, {"status": "OK"}

    def restore(self, found: re.Match[str], _body: Any) -> tuple[int, Any]:
        if not self.channels[found[1]].archived:
            return 400, {"id": "api.channel.restore_channel.restored.app_error"}
        self.channels[found[1]].archived = False
        return 200, {"id": found[1]}

    async def api(self, request: web.Request) -> web.Response:
        raw = await request.read()
        given = request.headers.get("Authorization", "")
        status, found = self.answer(request.method, request.path_qs, given, json.loads(raw) if raw else None)
        return web.json_response(found, status=status)

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/v4/websocket", self.link)
        app.router.add_route("*", "/{rest:.*}", self.api)
        return app


_ROUTES: list[tuple[str, str, Any]] = [
    (r"/teams/name/([a-z0-9_-]+)", "GET", Mattermost.team),
    (r"/channels", "POST", Mattermost.create),
    (rf"/teams/{TEAM}/channels/name/([a-z0-9_-]+)", "GET", Mattermost.named),
    (r"/channels/([a-z0-9]+)/patch", "PUT", Mattermost.patch),
    (r"/channels/([a-z0-9]+)/members", "POST", Mattermost.join),
    (r"/channels/([a-z0-9]+)/restore", "POST", Mattermost.restore),
    (r"/channels/([a-z0-9]+)", "DELETE", Mattermost.archive),
    (r"/channels/([a-z0-9]+)/posts", "GET", Mattermost.since),
    (r"/users/([a-z0-9]+)", "GET", Mattermost.by_id),
    (r"/users/username/([a-z0-9._-]+)", "GET", Mattermost.user),
    (r"/posts", "POST", Mattermost.post),
    (r"/posts/([a-z0-9]+)/patch", "PUT", Mattermost.edit),
    (r"/posts/([a-z0-9]+)/pin", "POST", Mattermost.pin),
]


@contextmanager
def serving(one: Mattermost) -> Iterator[Mattermost]:
    """Serve on a free port."""
    with served(one.application()) as (one.port, one.loop):
        yield one
