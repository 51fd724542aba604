"""What people say in an incident's room: a command where it begins with `!`, else a line of the timeline.

Every chat service brings its messages here, and gets back what to answer. A command is the same as by any other way; it
is taken from those whom oncall.yaml knows in that service. Whatever is brought twice is taken once (`triage.heard`).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final, cast

import msgspec
import structlog

from desk import commands, guides, saying, verbs
from desk.api import Office
from desk.context import Desk
from desk.people import Person
from desk.saying import MARK, Refused, checked_off
from desk.stream import Pulse
from triage import heard, telling
from triage.heard import REPEATED
from triage.memory import PLACE
from triage.model import MINUTE, Incident, Millis, Place, Severity, Verb, clean_text
from triage.model.roles import GRANTS, Scope
from triage.rulebook import meanings
from triage.sandbox import time_of
from triage.store import deeds, keys, queries, standing
from triage.store.appender import StoreUnavailable
from triage.store.deeds import Deed
from triage.store.why import Rulebooks

CHECKS_OFF: Final = "done"
SLACK: Final = "slack"
MATTERMOST: Final = "mattermost"
CHAT: Final = {"kind": "chat"}
USER_MAX: Final = 30
LATE_AFTER: Final[Millis] = 10 * MINUTE
"""A command that comes later than this is not obeyed: what was right then may be wrong now."""
TOO_LATE: Final = "Tocsin was away when you said this, and did not do it: say it again if you still mean it."
STORE_DOWN: Final = "Tocsin's store does not answer: nothing was done, say it again."
DOWN: Final = (StoreUnavailable, *queries.DOWN)
_PLACE: Final = msgspec.msgpack.Decoder(Place)
_rulebooks: Final = Rulebooks()
log: Final = structlog.get_logger("desk.chat")


@dataclass(frozen=True, slots=True)
class Said:
    """What a chat service brings: in which of its rooms, who by its own word for them, and what they said.

    `post` is what the service calls the message, the same however often it comes; `at` is when it was said (ms). A
    slash command has neither, and comes once.
    """

    service: str
    room: str
    user: str
    text: str
    post: str = ""
    at: Millis = 0

    @property
    def message(self) -> dict[str, str]:
        """Return what a command's data says of it."""
        return heard.message_of(self.service, self.room, self.post, self.at)


async def place_of(desk: Desk, service: str, room: str) -> Place | None:
    """Return what is known of a room, or None if it is no incident's. Raises one of `queries.DOWN`."""
    raw = cast("bytes | None", await desk.client.hget(keys.family(PLACE), f"{service}:{room}"))
    return None if raw is None else _PLACE.decode(raw)


async def open_rooms(desk: Desk, service: str) -> dict[str, Place]:
    """Return the rooms of a service in which something may be said. Raises one of `queries.DOWN`."""
    raws = cast("dict[bytes, bytes]", await desk.client.hgetall(keys.family(PLACE)))
    found = {key.decode().partition(":"): _PLACE.decode(raw) for key, raw in raws.items()}
    return {room: place for (of, _, room), place in found.items() if of == service and not place.over}


def person_of(desk: Desk, service: str, user: str) -> tuple[Person, bool]:
    """Return who a service means, and whether oncall.yaml knows them."""
    people = {SLACK: desk.settings.slack_people, MATTERMOST: desk.settings.mattermost_people}[service]
    name = people.get(user)
    if name is None:
        return Person(f"{service}:{user[:USER_MAX]}", service), False
    role = desk.settings.role_of(name)
    return Person(name, service, role=role.value, scopes=GRANTS[role]), True


async def take(desk: Desk, said: Said) -> str | None:
    """Take what somebody said. Return what to answer, "" for nothing, None where the room is no incident's.

    What others than oncall.yaml's people say is kept, and their commands are not taken. Raises one of `DOWN`, and then
    it may be brought again: it is taken once.
    """
    place = await place_of(desk, said.service, said.room)
    if place is None:
        return None
    with contextlib.suppress(LookupError):
        return await _heard(desk, await queries.incident(desk.client, place.incident), said)
    return None


async def _heard(desk: Desk, incident: Incident, said: Said) -> str:
    person, known = person_of(desk, said.service, said.user)
    words = clean_text(said.text).strip()
    if not words:
        return ""
    late = bool(said.at) and desk.clock() - said.at > LATE_AFTER
    if late or not words.startswith(MARK):
        data = {**CHAT, **said.message}
        outcome = await commands.perform(desk, Verb.NOTE, incident.key, person, text=words, data=data)
        return TOO_LATE if words.startswith(MARK) and outcome.ending != REPEATED else ""
    try:
        return await _obey(desk, incident, person, known, said, words.removeprefix(MARK).strip())
    except Refused as refused:
        return await _answered_once(desk, incident, person, said, str(refused))


async def _answered_once(desk: Desk, incident: Incident, person: Person, said: Said, answer: str) -> str:
    """Return the answer to what changes nothing, unless it was answered before."""
    if not said.post:
        return answer
    outcome = await commands.perform(desk, Verb.HEARD, incident.key, person, data=said.message)
    return "" if outcome.ending == REPEATED else answer


async def _obey(desk: Desk, incident: Incident, person: Person, known: bool, said: Said, words: str) -> str:
    name, _, rest = words.partition(" ")
    name, rest = name.lower(), rest.strip()
    if (told := await _told(desk, incident, person, name, rest)) is not None:
        return await _answered_once(desk, incident, person, said, told)
    if name not in saying.READ and name != CHECKS_OFF:
        raise Refused(saying.HELP)
    if name == Verb.SEVERITY and rest.partition(" ")[0].upper() not in Severity.__members__:
        meant = meanings.told(_rulebooks.of(await standing.rules(desk.client)).meanings)
        raise Refused(f"say !severity P0 to P4 and why, like !severity P1 checkout is slow for everybody\n{meant}")
    asked = saying.READ[name](rest) if name in saying.READ else checked_off(await _guide(desk, incident), rest)
    if not known or not person.may(Scope.RESPOND):
        await _note(desk, person, name, incident.key, 403)
        why = f"{person.name} ({person.role}) needs the scope {Scope.RESPOND.value}" if known else "you are not known"
        raise Refused(f"{why}: oncall.yaml says who is who, under people: with slack: or mattermost:")
    prepare = verbs.PREPARE.get(asked.verb)
    more = (
        await prepare(Office(desk, Pulse(desk)), incident.key, person, asked.text, dict(asked.data)) if prepare else {}
    )
    outcome = await commands.perform(
        desk,
        asked.verb,
        incident.key,
        person,
        text=asked.text,
        confirm=asked.confirm,
        whom=asked.whom,
        duration=asked.duration,
        data={**asked.data, **more, **said.message},
    )
    if outcome.ending == REPEATED:
        return ""
    await _note(desk, person, name, incident.key, 409 if outcome.ending in ("refused", "asks") else 200)
    again = f" Say {f'{MARK}{name} yes {rest}'.strip()} to mean it." if outcome.ending == "asks" else ""
    return f"{outcome.text}{again}"


async def _told(desk: Desk, incident: Incident, person: Person, name: str, rest: str) -> str | None:
    """Return what somebody asks to be told, or None where they ask for something to be done."""
    if name == "runbook":
        return guides.in_chat(await _guide(desk, incident))
    if name == "next":
        due = time_of(telling.promised(incident))
        return f"The next update is promised by {due}." if due else "No update is promised."
    if name == Verb.ACTION and saying.names_no_action(rest):
        return saying.actions_of(_rulebooks.of(await standing.rules(desk.client)), incident, person.name)
    return None


async def _note(desk: Desk, person: Person, name: str, incident: str, status: int) -> None:
    deed = Deed(person.name, person.role, person.via, "", f"chat:{name}", incident, status)
    with contextlib.suppress(*queries.DOWN):
        await deeds.note(desk.client, deed, desk.clock(), desk.settings.audit_ms, status == 403)


async def _guide(desk: Desk, incident: Incident) -> guides.Guide:
    return await guides.of(desk.client, _rulebooks.of(await standing.rules(desk.client)), incident)
