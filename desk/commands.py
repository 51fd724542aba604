"""What people ask for: appended to the journal like everything else, then waited for, to answer with the outcome."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from desk.context import Desk
from desk.people import Person
from desk.problems import Problem
from triage import repeats
from triage.model import Answer, Body, Command, Incident, Millis, Verb
from triage.store import queries

TEXT_MAX: Final = 4_000
"""Longest note, in characters."""

PENDING_TEXT: Final = "it is in the journal, but triage has not come to it yet"


class Heard(msgspec.Struct, frozen=True):
    """What came of an entry: triage's answer, or None: it was not decided in time, or is no longer kept (`decided`).

    `entry` is the one that was answered so first, where this one repeats it (`again`).
    """

    entry: str
    answer: Answer | None
    decided: bool
    again: bool = False

    @property
    def text(self) -> str:
        """Return what to say where nothing was refused."""
        if self.answer is not None:
            return self.answer.text
        return "it was decided; its answer is no longer kept" if self.decided else PENDING_TEXT


async def ask(desk: Desk, body: Body) -> Heard:
    """Append what is asked for, and wait for the answer. Raises DOWN, StoreUnavailable, or Problem 422 for a key that
    another request has.
    """
    entry = await desk.appender.append(body, desk.clock())
    if not await queries.wait_decided(desk.client, entry, desk.settings.answer_wait_s):
        return Heard(entry, None, False)
    answer = await queries.answer(desk.client, entry)
    if answer is not None and answer.ending == repeats.REUSED:
        raise Problem(422, "key-reused", "The key is taken", answer.text)
    first = answer.first if answer is not None else ""
    return Heard(first or entry, answer, True, bool(first))


class Outcome(msgspec.Struct, frozen=True):
    """What became of a command.

    `done`, `refused`, `asks` (say it again with `confirm`) and `repeated` (the message that it came with was taken
    before) come from triage; `pending`: not decided in time.
    """

    ending: Literal["done", "refused", "asks", "repeated", "pending"]
    text: str
    entry: str
    incident: Incident
    again: bool = False


async def perform(
    desk: Desk,
    verb: Verb,
    ref: str,
    person: Person,
    text: str = "",
    confirm: bool = False,
    request: str = "",
    *,
    whom: str = "",
    duration: Millis = 0,
    page: str = "",
    tries: int = 0,
    data: Mapping[str, str] | None = None,
) -> Outcome:
    """Append the command and wait for its answer. Raises queries.Unknown, Ambiguous, DOWN, or StoreUnavailable.

    `whom` is the person it is about, `duration` for how long, `page` and `tries` belong to links, `data` to the verb;
    see model.Command.
    """
    incident = await queries.incident(desk.client, ref)
    command = Command(
        verb=verb,
        incident=incident.key,
        by=person.name,
        via=person.via,
        text=text,
        confirm=confirm,
        request=request or secrets.token_hex(8),
        person=whom,
        duration=duration,
        page=page,
        tries=tries,
        data=dict(data or {}),
    )
    heard = await ask(desk, command)
    if heard.decided:
        incident = await queries.incident(desk.client, incident.key)
    if heard.answer is None:
        return Outcome("pending", heard.text, heard.entry, incident)
    ending = _ENDINGS.get(heard.answer.ending, "refused")
    return Outcome(ending, heard.text, heard.entry, incident, heard.again)


_ENDINGS: Final[dict[str, Literal["done", "refused", "asks", "repeated"]]] = {
    "done": "done",
    "refused": "refused",
    "asks": "asks",
    "repeated": "repeated",
}
