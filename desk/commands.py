"""What people ask for: appended to the journal like everything else, then waited for, to answer with the outcome."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from desk.context import Desk
from desk.people import Person
from triage.model import Command, Incident, Millis, Verb
from triage.store import queries

TEXT_MAX: Final = 4_000
"""Longest note, in characters."""

PENDING_TEXT: Final = "it is in the journal, but triage has not come to it yet"


class Outcome(msgspec.Struct, frozen=True):
    """What became of a command.

    `done`, `refused`, `asks` (say it again with `confirm`) and `repeated` (the message that it came with was taken
    before) come from triage; `pending`: not decided in time.
    """

    ending: Literal["done", "refused", "asks", "repeated", "pending"]
    text: str
    entry: str
    incident: Incident


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
    entry = await desk.appender.append(command, desk.clock())
    if not await queries.wait_decided(desk.client, entry, desk.settings.answer_wait_s):
        return Outcome("pending", PENDING_TEXT, entry, incident)
    answer = await queries.answer(desk.client, entry)
    incident = await queries.incident(desk.client, incident.key)
    if answer is None:
        return Outcome("pending", "it was decided; its answer is no longer kept", entry, incident)
    return Outcome(_ENDINGS.get(answer.ending, "refused"), answer.text, entry, incident)


_ENDINGS: Final[dict[str, Literal["done", "refused", "asks", "repeated"]]] = {
    "done": "done",
    "refused": "refused",
    "asks": "asks",
    "repeated": "repeated",
}
