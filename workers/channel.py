"""What a channel is: one small file in `workers/channels/`, found by its name.

The name of the file is the scheme of the contact methods it serves: `terminal.py` takes `terminal://`. A file for
several schemes, or for one that is no name in Python, lists them as SCHEMES. A scheme without
a file of its own goes to `apprise.py`. A channel module has one function, `send(target, message) -> Delivery`: it tries
once, never retries, never sleeps, and says what happened. docs/add-a-channel.md shows how to write one.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Final, Protocol, cast

import msgspec

from triage.model import Effect, EffectKind, Ending, Millis, Severity
from workers import channels

FALLBACK: Final = "apprise"
"""The channel for every scheme that has no file of its own."""


class Message(msgspec.Struct, frozen=True):
    """What a person is to read: plain text whose mark-up was neutralised, whatever the alerts said.

    `id` is stable over retries: it belongs into the provider's idempotency field, and `body` names it anyway.
    `title` is one line. `url` is a link to the incident, or "". `possible_repeat`: an earlier copy may have arrived.
    `person` is whom oncall.yaml calls so. `incident` is its full key and `phase` where it stands ("" where there is
    none). `answer_url` is the link that acknowledges this page, where `number` is to be tapped; both "" without one.
    `taken_by` is who has the incident, or "". `thread` is the receipt of the incident's first message by this contact
    method: the one to reply to, or to change where this is an update; "" where there is none. `word` is what a
    button sends to `<answer_url>/tap` to acknowledge. Where it is for the incident's
    room (`workers.chatroom`), `room` is its name, `invite` whom to invite, `ends` whether the room is archived,
    `returns` whether it was and is wanted again, `topic` its topic. `said` is what a post tells, without all else that
    `body` has.
    """

    id: str
    kind: EffectKind
    title: str
    body: str
    severity: Severity
    url: str = ""
    possible_repeat: bool = False
    person: str = ""
    incident: str = ""
    phase: str = ""
    answer_url: str = ""
    number: str = ""
    taken_by: str = ""
    thread: str = ""
    word: str = ""
    room: str = ""
    invite: tuple[str, ...] = ()
    ends: bool = False
    returns: bool = False
    said: str = ""
    topic: str = ""


class Delivery(msgspec.Struct, frozen=True):
    """How one attempt ended: delivered, try again, or give up; and why, as a sentence a person can act on.

    `ambiguous`: the provider may have taken the message all the same. `retry_after` is its own wish (milliseconds).
    `receipt` is what the provider calls the message, where a later one may refer to it; `remark` is what the operators
    should hear of besides.
    """

    ending: Ending
    reason: str = ""
    ambiguous: bool = False
    retry_after: Millis = 0
    receipt: str = ""
    remark: str = ""


class Channel(Protocol):
    """A way of reaching people."""

    def send(self, target: str, message: Message) -> Delivery:
        """Hand `message` over to `target`, a URL with its secrets filled in. Raises nothing for a provider's faults."""
        ...


def load() -> dict[str, Channel]:
    """Return all channels by scheme: every module in `workers/channels/`, by its name or by the SCHEMES it lists."""
    names = [module.name for module in pkgutil.iter_modules(channels.__path__)]
    modules = {name: importlib.import_module(f"{channels.__name__}.{name}") for name in names}
    return {
        scheme: cast("Channel", module)
        for name, module in modules.items()
        for scheme in getattr(module, "SCHEMES", (name,))
    }


def choose(known: Mapping[str, Channel], target: str) -> Channel:
    """Return the channel for a contact method, by its scheme."""
    return known.get(scheme_of(target)) or known[FALLBACK]


def scheme_of(target: str) -> str:
    """Return the scheme of a contact method in lower case: `mailto` for `mailto://…`. Safe to show."""
    scheme, mark, _ = target.partition("://")
    return scheme.lower() if mark else ""


def place_of(target: str) -> str:
    """Return what stands for the provider's machine: scheme and host. It may hold a secret: compare, never show."""
    rest = target.partition("://")[2]
    host = rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
    return f"{scheme_of(target)}://{host}"


def seat_of(effect: Effect) -> str:
    """Return the row in which an effect waits for its provider. What nobody waits for keeps nobody from a seat."""
    place = place_of(effect.target)
    return f"beside {place}" if effect.kind in (EffectKind.ROOM, EffectKind.POST) else place
