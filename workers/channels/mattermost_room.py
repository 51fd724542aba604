"""`mattermost+room://${TOKEN}@chat.example.org/team`: a Mattermost channel for each incident (`+http` without TLS).

Speaks REST API v4 as a bot account. docs/rooms.md says what the bot needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from triage.model import Ending
from workers import chatroom
from workers.channel import Delivery, Message, scheme_of
from workers.outbound import Answer, call, judge

SCHEMES: Final = ("mattermost+room", "mattermost+room+http")
HEADER_MAX: Final = 1_000
DISPLAY_MAX: Final = 64
PROP: Final = "tocsin_message"
LOOKED_AT: Final = 30
"""How many of the newest posts are looked at for an earlier copy."""
LOOKED_MAX: Final = 2_097_152
_TARGET: Final = re.compile(r"(?P<token>[^@/]+)@(?P<host>[^@/?#]+)/(?P<team>[a-z0-9_-]+)/?\Z")
_ID: Final = re.compile(rb'"id"\s*:\s*"([a-z0-9]{1,40})"')
_ENCODER: Final = msgspec.json.Encoder()


def send(target: str, message: Message) -> Delivery:
    """Bring the incident's channel to what `message` says."""
    found = _TARGET.match(target.partition("://")[2])
    if found is None:
        return Delivery(Ending.GIVE_UP, "write mattermost+room://${TOKEN}@chat.example.org/team")
    scheme = "http" if scheme_of(target).endswith("+http") else "https"
    server = _Server(f"{scheme}://{found['host']}/api/v4", found["token"], found["team"])
    return chatroom.send(server, message)


class _Server:
    """Mattermost's channels as rooms."""

    def __init__(self, base: str, token: str, team: str) -> None:
        self._base = base
        self._token = token
        self._team = team

    def _ask(
        self, method: str, path: str, body: Any = None, fine: tuple[int, ...] = ()
    ) -> Mapping[str, Any] | Delivery:
        """Ask once; a status that is among `fine` says that there was nothing to do."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        raw = _ENCODER.encode(body) if body is not None else b""
        answer = call(method, f"{self._base}{path}", raw, headers)
        if isinstance(answer, Answer) and answer.status in fine:
            return {}
        ended = judge(answer, "Mattermost took it")
        if ended.ending is not Ending.DELIVERED or not isinstance(answer, Answer):
            return msgspec.structs.replace(ended, reason=f"Mattermost: {ended.reason}")
        found = _ID.search(answer.body)  # the only thing that is used; the rest may be cut off
        return {"id": found[1].decode()} if found else {}

    def _done(self, method: str, path: str, body: Any = None, fine: tuple[int, ...] = ()) -> Delivery | None:
        answer = self._ask(method, path, body, fine)
        return answer if isinstance(answer, Delivery) else None

    def _id(self, method: str, path: str, body: Any = None, fine: tuple[int, ...] = ()) -> str | Delivery:
        answer = self._ask(method, path, body, fine)
        return answer if isinstance(answer, Delivery) else str(answer.get("id", ""))

    def open(self, name: str, title: str) -> str | Delivery:
        """Return the channel's id."""
        team = self._id("GET", f"/teams/name/{quote(self._team)}")
        if isinstance(team, Delivery):
            return team
        wanted = {"team_id": team, "name": name, "display_name": title[:DISPLAY_MAX], "type": "O"}
        made = self._id("POST", "/channels", wanted, fine=(400,))  # 400: an earlier attempt made one of that name
        return made or self._id("GET", f"/teams/{team}/channels/name/{quote(name)}?include_deleted=true")

    def restore(self, room: str) -> Delivery | None:
        """Bring an archived channel back."""
        return self._done("POST", f"/channels/{room}/restore", fine=(400,))

    def topic(self, room: str, text: str) -> Delivery | None:
        """Set the header, which is Mattermost's topic."""
        return self._done("PUT", f"/channels/{room}/patch", {"header": _quoted(text[:HEADER_MAX])})

    def invite(self, room: str, people: Sequence[str]) -> Delivery | None:
        """Add members by user name; one that is unknown does not keep the others out."""
        for one in people:
            user = self._id("GET", f"/users/username/{quote(one)}", fine=(404,))
            if isinstance(user, Delivery):
                return user
            fault = self._done("POST", f"/channels/{room}/members", {"user_id": user}) if user else None
            if fault is not None:
                return fault
        return None

    def status(self, room: str, text: str, known: str) -> str | Delivery:
        """Post and pin the status, or change it."""
        shown = _quoted(text)
        if known:
            fault = self._done("PUT", f"/posts/{known}/patch", {"message": shown})
            return known if fault is None else fault
        made = self._id("POST", "/posts", {"channel_id": room, "message": shown})
        if not isinstance(made, Delivery):
            self._ask("POST", f"/posts/{made}/pin")  # a status that is not pinned is a status all the same
        return made

    def say(self, room: str, text: str, post: str, repeat: bool) -> Delivery | None:
        """Post a text; its id is in the post's `props`."""
        if repeat and self._has(room, post):
            return None
        return self._done("POST", "/posts", {"channel_id": room, "message": _quoted(text), "props": {PROP: post}})

    def _has(self, room: str, post: str) -> bool:
        """Tell whether one of the newest posts of a channel is ours with that id."""
        headers = {"Authorization": f"Bearer {self._token}"}
        url = f"{self._base}/channels/{room}/posts?per_page={LOOKED_AT}"
        answer = call("GET", url, b"", headers, answer_max=LOOKED_MAX)
        return isinstance(answer, Answer) and answer.status == 200 and f'"{post}"'.encode() in answer.body

    def archive(self, room: str) -> Delivery | None:
        """Archive the channel."""
        return self._done("DELETE", f"/channels/{room}", fine=(400, 404))


def _quoted(text: str) -> str:
    """Return text as code: in it Mattermost reads no mention, link or mark-up. It holds no back-tick of its own."""
    mark = "```\n{}\n```" if "\n" in text else "`{}`"
    return mark.format(text.replace("`", "'"))
