"""`slack+room://${SLACK_BOT_TOKEN}@workspace`: a Slack channel for each incident.

docs/rooms.md says what the app needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from triage.model import Ending
from workers import chatroom, slack
from workers.channel import Delivery, Message

SCHEMES: Final = ("slack+room",)
TOPIC_MAX: Final = 250
PAGES_MAX: Final = 20
PAGE: Final = 200
_TARGET: Final = re.compile(r"(?P<token>[^@/]+)@(?P<workspace>[^@/?#]*)/?\Z")


def send(target: str, message: Message) -> Delivery:
    """Bring the incident's channel to what `message` says."""
    found = _TARGET.match(target.partition("://")[2])
    if found is None:
        return Delivery(Ending.GIVE_UP, "write slack+room://${SLACK_BOT_TOKEN}@workspace")
    return chatroom.send(_Workspace(found["token"]), message)


class _Workspace:
    """Slack's channels as rooms."""

    def __init__(self, token: str) -> None:
        self._token = token

    def _call(self, method: str, *fine: str, **arguments: Any) -> Mapping[str, Any] | Delivery:
        """Call a method; an error that is among `fine` says that there was nothing to do."""
        answer = slack.call(self._token, method, **arguments)
        return {} if slack.error_of(answer) in fine else answer

    def _done(self, method: str, *fine: str, **arguments: Any) -> Delivery | None:
        answer = self._call(method, *fine, **arguments)
        return answer if isinstance(answer, Delivery) else None

    def open(self, name: str, title: str) -> str | Delivery:
        """Return the channel's id."""
        answer = self._call("conversations_create", "name_taken", name=name)
        if isinstance(answer, Delivery):
            return answer
        return str(answer["channel"]["id"]) if answer else self._named(name)

    def _named(self, name: str) -> str | Delivery:
        """Return the id of a channel that exists already: an earlier attempt made it."""
        cursor = ""
        for _ in range(PAGES_MAX):
            answer = self._call("conversations_list", limit=PAGE, cursor=cursor, exclude_archived=True)
            if isinstance(answer, Delivery):
                return answer
            for one in answer.get("channels", ()):
                if one.get("name") == name:
                    return str(one["id"])
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                break
        return Delivery(Ending.GIVE_UP, f"a channel {name} exists, but the bot cannot see it")

    def restore(self, room: str) -> Delivery | None:
        """Bring an archived channel back."""
        return self._done("conversations_unarchive", "not_archived", channel=room)

    def topic(self, room: str, text: str) -> Delivery | None:
        """Set the topic."""
        return self._done("conversations_setTopic", channel=room, topic=slack.escaped(text)[:TOPIC_MAX])

    def invite(self, room: str, people: Sequence[str]) -> Delivery | None:
        """Invite members, one by one: one that is unknown does not keep the others out."""
        for one in people:
            fine = ("already_in_channel", "cant_invite_self", "user_not_found", "cant_invite")
            fault = self._done("conversations_invite", *fine, channel=room, users=one)
            if fault is not None:
                return fault
        return None

    def status(self, room: str, text: str, known: str) -> str | Delivery:
        """Post and pin the status, or change it."""
        title, _, body = text.partition("\n")
        shown: dict[str, Any] = {
            "text": slack.escaped(title),
            "blocks": [slack.header(title), slack.section(body)],
        }
        if known:
            fault = self._done("chat_update", channel=room, ts=known, **shown)
            return known if fault is None else fault
        answer = self._call("chat_postMessage", channel=room, **slack.QUIET, **shown)
        if isinstance(answer, Delivery):
            return answer
        ts = str(answer["ts"])
        self._call("pins_add", channel=room, timestamp=ts)  # a status that is not pinned is a status all the same
        return ts

    def say(self, room: str, text: str, post: str, repeat: bool) -> Delivery | None:
        """Post a text; its id is in the message's metadata."""
        if repeat and slack.earlier(self._token, room, "", post):
            return None
        shown: dict[str, Any] = {"text": slack.escaped(text), "blocks": [slack.section(text)]}
        return self._done(
            "chat_postMessage", "is_archived", channel=room, metadata=slack.metadata(post), **slack.QUIET, **shown
        )

    def archive(self, room: str) -> Delivery | None:
        """Archive the channel."""
        return self._done("conversations_archive", "already_archived", channel=room)
