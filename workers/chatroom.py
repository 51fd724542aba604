"""The shape of a chat service's rooms, and the one way in which a room is brought to what it should be.

Every step may be done twice: opening finds the room of that name, inviting finds those who are in, the status is
changed where it is known. Whatever dies between two steps is done again by the next attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from triage.model import EffectKind, Ending
from workers.channel import Delivery, Message


class ChatRoom(Protocol):
    """A chat service that can keep rooms. What fails is returned as a Delivery, and never raised."""

    def open(self, name: str, title: str) -> str | Delivery:
        """Return the id of the room of that name, made if there is none."""
        ...

    def restore(self, room: str) -> Delivery | None:
        """Bring a room back that was archived; none of its business if it was not."""
        ...

    def topic(self, room: str, text: str) -> Delivery | None:
        """Set the room's topic."""
        ...

    def invite(self, room: str, people: Sequence[str]) -> Delivery | None:
        """Invite people, who may be in it already."""
        ...

    def status(self, room: str, text: str, known: str) -> str | Delivery:
        """Post and pin the status, or change the message `known`. Return the message's id."""
        ...

    def say(self, room: str, text: str, post: str, repeat: bool) -> Delivery | None:
        """Post a text whose id is `post`. `repeat`: it may be there already, and then is not posted again."""
        ...

    def archive(self, room: str) -> Delivery | None:
        """Archive the room, which may be archived already."""
        ...


def send(chat: ChatRoom, message: Message) -> Delivery:
    """Tell an incident's room what happens where `message` is a post, else bring it to what `message` says."""
    return _tell(chat, message) if message.kind is EffectKind.POST else _keep(chat, message)


def _tell(chat: ChatRoom, message: Message) -> Delivery:
    fault = chat.say(message.thread.partition(":")[0], message.said, message.id, message.possible_repeat)
    return fault or Delivery(Ending.DELIVERED, "the room was told")


def _keep(chat: ChatRoom, message: Message) -> Delivery:
    """Bring the room to what it should be. The receipt is `<room>:<status message>`."""
    room, _, known = message.thread.partition(":")
    if not room:
        opened = chat.open(message.room, message.title)
        if isinstance(opened, Delivery):
            return opened
        room = opened
    if message.returns and (fault := chat.restore(room)):
        return msgspec.structs.replace(fault, receipt=message.thread)
    posted = chat.status(room, f"{message.title}\n{message.body}", known)
    if isinstance(posted, Delivery) and message.ends and known:
        posted = known  # it is archived already, and how it ended was shown before
    if isinstance(posted, Delivery):
        return msgspec.structs.replace(posted, receipt=f"{room}:{known}")
    if message.ends:
        fault = chat.archive(room)
    else:
        fault = chat.topic(room, message.topic) or (chat.invite(room, message.invite) if message.invite else None)
    if fault is not None:  # the room is there: what is missing is tried again, and the receipt keeps what is done
        return msgspec.structs.replace(fault, receipt=f"{room}:{posted}")
    return Delivery(Ending.DELIVERED, "the room is as it should be", receipt=f"{room}:{posted}")
