"""Mattermost's websocket: what is said in the incident rooms comes over a connection that we open.

Several receivers may each hold one, and all of them hear everything: `triage.heard` takes each message once. What was
said while nobody listened is fetched when the connection is there again, or when the count of its events has a gap.

On aiohttp, whose websocket client we have: mattermostdriver is of 2022, and mattermostautodriver, which is kept up,
brings httpx along and neither counts events nor fetches what was missed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, WSMsgType

from desk import chat
from desk.context import Desk
from desk.mattermost import quoted
from triage.model import MINUTE, SECOND, Millis, Place

API: Final = "/api/v4"
AGAIN_S: Final = 1.0
"""How long to wait before the next connection, in seconds; doubled each time until one holds."""
AGAIN_MAX_S: Final = 60.0
ANSWER_S: Final = 10
PING_S: Final = 30.0
FRAME_MAX: Final = 1_048_576
"""Largest event, in bytes; Mattermost's posts have 16,383 characters at most."""
MISSED_MAX: Final = 32 * 1_048_576
"""How much is read of what was missed in one room, in bytes."""
PART: Final = 65_536
OVERLAP: Final[Millis] = MINUTE
"""How far before the last message that was taken is looked for others: receivers do not hear in the same order."""
NAMES_MAX: Final = 1_000
log: Final = structlog.get_logger("desk.mattermost")

Post = Mapping[str, Any]


GONE: Final = (403, 404)
"""Statuses that stand for one room or one member, not for Mattermost as a whole."""


class Refused(Exception):
    """Mattermost does not let us in, or not this far. The message says why; `status` is that of its answer, or 0."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class Socket:
    """Listens to the Mattermost at `url` as the bot whose token it is."""

    def __init__(self, desk: Desk, url: str, token: str, again_s: float = AGAIN_S) -> None:
        self._desk = desk
        self._base = url.rstrip("/") + API
        self._token = token
        self._again_s = again_s
        self._wait_s = again_s
        self._me = ""
        self._names: dict[str, str] = {}
        self._session: ClientSession

    async def watch(self) -> None:
        """Listen until cancelled, and connect again whenever the connection ends."""
        headers = {"Authorization": f"Bearer {self._token}"}
        async with ClientSession(headers=headers, timeout=ClientTimeout(ANSWER_S)) as self._session:
            while True:
                try:
                    await self._listen()
                    error = "it was closed"
                except Refused as refused:
                    error = str(refused)
                except chat.DOWN as down:
                    error = f"the store does not answer: {down}"
                except Exception as fault:  # noqa: BLE001  whatever Mattermost sent, it is listened to again
                    error = type(fault).__name__
                log.warning("not listening to Mattermost; trying again", error=error, in_s=self._wait_s)
                await asyncio.sleep(self._wait_s)
                self._wait_s = min(2 * self._wait_s, max(AGAIN_MAX_S, self._again_s))

    async def _listen(self) -> None:
        """Hold one connection until it ends. Raises Refused, one of `chat.DOWN`, or what aiohttp raises."""
        self._me = str((await self._ask("GET", "/users/me"))["id"])
        self._names.clear()  # people may be renamed
        challenge = {"seq": 1, "action": "authentication_challenge", "data": {"token": self._token}}
        address = f"{self._base}/websocket"
        async with self._session.ws_connect(address, heartbeat=PING_S, max_msg_size=FRAME_MAX) as socket:
            await socket.send_json(challenge)
            due = 0
            async for frame in socket:
                if frame.type is not WSMsgType.TEXT:
                    continue
                event = json.loads(frame.data)
                if event.get("status") == "FAIL":
                    raise Refused("Mattermost does not know the token: is --mattermost.bot-token right?")
                if "event" not in event:  # an answer, which is not counted
                    continue
                due = await self._counted(event, due)
                if event["event"] == "posted":
                    await self._take(json.loads(event["data"]["post"]))
                if (task := asyncio.current_task()) and task.cancelling():
                    raise asyncio.CancelledError  # wait_for of Python 3.11, which redis-py uses, may have swallowed it

    async def _counted(self, event: Mapping[str, Any], due: int) -> int:
        """Fetch what was missed where an event is not the one that is due. Return which is due next."""
        number = int(event.get("seq", due))
        if event["event"] == "hello":
            log.info("listening to Mattermost")
            await self._catch_up()
            self._wait_s = self._again_s
        elif number != due:
            log.warning("Mattermost dropped events; fetching what was said", due=due, came=number)
            await self._catch_up()
        return number + 1

    async def _catch_up(self) -> None:
        """Take what was said in each open room since the last that was taken there."""
        for room, place in (await chat.open_rooms(self._desk, chat.MATTERMOST)).items():
            try:
                found = await self._ask("GET", f"/channels/{room}/posts?since={_since(place)}")
            except Refused as refused:
                if refused.status not in GONE:
                    raise
                log.warning("what was said in a room cannot be fetched", room=room, error=str(refused))
                continue
            for post in sorted(found["posts"].values(), key=lambda one: (one["create_at"], one["id"])):
                await self._take(post)

    async def _take(self, post: Post) -> None:
        """Take one message. One that our own code stumbles over would come again with each connection: it is left."""
        try:
            await self._hear(post)
        except (*chat.DOWN, Refused, ClientError, OSError):
            raise
        except Exception:
            log.exception("a message in a room could not be taken", post=str(post.get("id", ""))[:40])

    async def _hear(self, post: Post) -> None:
        room = str(post.get("channel_id", ""))
        if not self._is_said(post) or await chat.place_of(self._desk, chat.MATTERMOST, room) is None:
            return
        user = await self._name(str(post["user_id"]))
        text, post_id = str(post.get("message", "")), str(post["id"])
        said = chat.Said(chat.MATTERMOST, room, user, text, post_id, int(post.get("create_at", 0)))
        try:
            answer = await chat.take(self._desk, said)
        except chat.DOWN:
            raise  # it is fetched again
        except Exception as fault:
            log.exception("a message in a room could not be taken", post=post_id, error=type(fault).__name__)
            return
        if answer:
            await self._say(room, str(post.get("root_id") or post_id), answer)

    def _is_said(self, post: Post) -> bool:
        """Tell a person's message from a bot's, ours included, and from joins, edits, and what was deleted."""
        props = post.get("props") or {}
        automatic = str(props.get("from_bot", "")) == "true" or str(props.get("from_webhook", "")) == "true"
        own = post.get("user_id") in (None, "", self._me)
        return not (own or automatic or post.get("type") or post.get("delete_at"))

    async def _name(self, user: str) -> str:
        """Return a member's user name."""
        if user not in self._names:
            if len(self._names) >= NAMES_MAX:
                self._names.clear()
            try:
                self._names[user] = str((await self._ask("GET", f"/users/{user}"))["username"])
            except Refused as refused:
                if refused.status not in GONE:
                    raise
                return user
        return self._names[user]

    async def _say(self, room: str, root: str, text: str) -> None:
        """Answer in the thread of what was said. What was done stands whether this arrives or not."""
        try:
            await self._ask("POST", "/posts", {"channel_id": room, "root_id": root, "message": quoted(text)})
        except (Refused, ClientError, OSError, ValueError) as error:
            log.warning("an answer did not arrive", error=str(error) or type(error).__name__)

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the API. Raises Refused for an answer that is none, and what aiohttp raises."""
        async with self._session.request(method, self._base + path, json=body, allow_redirects=False) as answer:
            if answer.status >= 300:
                hint = ": is --mattermost.bot-token right?" if answer.status == 401 else ""
                text = f"Mattermost answers {path.partition('?')[0]} with HTTP {answer.status}{hint}"
                raise Refused(text, answer.status)
            raw = bytearray()
            async for part in answer.content.iter_chunked(PART):
                raw += part
                if len(raw) > MISSED_MAX:
                    raise Refused(f"Mattermost's answer to {path.partition('?')[0]} is too long", GONE[0])
            return json.loads(raw)


def _since(place: Place) -> Millis:
    """Return since when to ask for messages of a room; Mattermost takes no 0."""
    return max(SECOND, place.heard[-1][0] - OVERLAP) if place.heard else SECOND
