"""A Mattermost for tests: the parts of REST API v4 that rooms need, as its documentation has them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "bot1token"
TEAM = "t" * 26


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


@dataclass
class Mattermost:
    """One server with the team `ops`. `users`: user name → id."""

    channels: dict[str, Channel] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=lambda: {"ana": "a" * 26, "ben": "b" * 26})
    asked: list[tuple[str, str]] = field(default_factory=list)
    status: int = 0
    port: int = 0

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, Any]:
        self.asked.append((method, path))
        if self.status:
            return self.status, {"id": "api.error", "message": "out of order"}
        if token != f"Bearer {TOKEN}":
            return 401, {"id": "api.context.session_expired.app_error"}
        path = path.removeprefix("/api/v4").partition("?")[0]
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
        posts = self.channels[body["channel_id"]].posts
        key = f"post{len(posts)}".ljust(26, "x")
        posts[key] = body["message"]
        return 201, {"id": key}

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


_ROUTES: list[tuple[str, str, Any]] = [
    (r"/teams/name/([a-z0-9_-]+)", "GET", Mattermost.team),
    (r"/channels", "POST", Mattermost.create),
    (rf"/teams/{TEAM}/channels/name/([a-z0-9_-]+)", "GET", Mattermost.named),
    (r"/channels/([a-z0-9]+)/patch", "PUT", Mattermost.patch),
    (r"/channels/([a-z0-9]+)/members", "POST", Mattermost.join),
    (r"/channels/([a-z0-9]+)/restore", "POST", Mattermost.restore),
    (r"/channels/([a-z0-9]+)", "DELETE", Mattermost.archive),
    (r"/users/username/([a-z0-9._-]+)", "GET", Mattermost.user),
    (r"/posts", "POST", Mattermost.post),
    (r"/posts/([a-z0-9]+)/patch", "PUT", Mattermost.edit),
    (r"/posts/([a-z0-9]+)/pin", "POST", Mattermost.pin),
]


@contextmanager
def serving(one: Mattermost) -> Iterator[Mattermost]:
    """Serve on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            given = self.headers.get("Authorization", "")
            status, answer = one.answer(self.command, self.path, given, json.loads(raw) if raw else None)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = _any

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    one.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield one
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
