"""What people say in an incident's room: a command where it begins with `!`, else a line of the timeline.

Every chat service brings its messages here, and gets back what to answer. A command is the same as by any other way; it
is taken from those whom oncall.yaml knows in that service.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

import msgspec
import structlog

from desk import commands, guides, verbs
from desk.api import Office
from desk.context import Desk
from desk.people import Person
from desk.stream import Pulse
from triage.memory import PLACE
from triage.model import Incident, Millis, Place, Severity, Verb
from triage.model.roles import Scope
from triage.rulebook.durations import parse_duration
from triage.status import Audience, Standing
from triage.store import deeds, keys, queries, standing
from triage.store.appender import StoreUnavailable
from triage.store.deeds import Deed
from triage.store.why import Rulebooks

MARK: Final = "!"
HELP: Final = (
    "Commands: !ack · !severity P1 why · !note text · !update investigating|identified|monitoring|resolved text · "
    "!page PERSON · !snooze 1h · !escalate · !resolve · !runbook · !done r2. "
    "Everything else that is said here is kept in the timeline."
)
CHAT: Final = {"kind": "chat"}
CHECKS_OFF: Final = "done"
_rulebooks: Final = Rulebooks()
log: Final = structlog.get_logger("desk.chat")


class Refused(Exception):
    """Words that ask for nothing that can be done. The message is the answer."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it was read."""

    verb: Verb
    text: str = ""
    confirm: bool = False
    whom: str = ""
    duration: Millis = 0
    data: Mapping[str, str] = field(default_factory=dict)


async def incident_at(desk: Desk, service: str, place: str) -> Incident | None:
    """Return the incident whose room this is, or None. Raises one of `queries.DOWN`."""
    raw = cast("bytes | None", await desk.client.hget(keys.family(PLACE), f"{service}:{place}"))
    if raw is None:
        return None
    with contextlib.suppress(LookupError):
        return await queries.incident(desk.client, msgspec.msgpack.decode(raw, type=Place).incident)
    return None


async def hear(desk: Desk, incident: Incident, person: Person, known: bool, text: str) -> str:
    """Take what `person` said in the incident's room. Return what to answer, or "".

    `known` tells whether oncall.yaml knows them; what others say is kept, and their commands are not taken.
    """
    words = text.strip()
    if not words:
        return ""
    try:
        if not words.startswith(MARK):
            await commands.perform(desk, Verb.NOTE, incident.key, person, text=words, data=CHAT)
            return ""
        return await _obey(desk, incident, person, known, words.removeprefix(MARK).strip())
    except Refused as refused:
        return str(refused)
    except (StoreUnavailable, *queries.DOWN) as error:
        log.warning("what was said in a room could not be noted", error=str(error))
        return "Tocsin's store does not answer: nothing was done, say it again."


async def _obey(desk: Desk, incident: Incident, person: Person, known: bool, words: str) -> str:
    name, _, rest = words.partition(" ")
    name, rest = name.lower(), rest.strip()
    if name == "runbook":
        return guides.in_chat(await _guide(desk, incident))
    if name not in _READ and name != CHECKS_OFF:
        raise Refused(HELP)
    asked = _READ[name](rest) if name in _READ else _checked_off(await _guide(desk, incident), rest)
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
        data={**asked.data, **more},
    )
    await _note(desk, person, name, incident.key, 409 if outcome.ending in ("refused", "asks") else 200)
    again = f" Say {MARK}{name} yes to mean it." if outcome.ending == "asks" else ""
    return f"{outcome.text}{again}"


async def _note(desk: Desk, person: Person, name: str, incident: str, status: int) -> None:
    deed = Deed(person.name, person.role, person.via, "", f"chat:{name}", incident, status)
    with contextlib.suppress(*queries.DOWN):
        await deeds.note(desk.client, deed, desk.clock(), desk.settings.audit_ms, status == 403)


async def _guide(desk: Desk, incident: Incident) -> guides.Guide:
    return await guides.of(desk.client, _rulebooks.of(await standing.rules(desk.client)), incident)


def _checked_off(guide: guides.Guide, rest: str) -> Asked:
    number, _, text = rest.partition(" ")
    step = guides.step_of(guide, number.lower())
    if not step:
        raise Refused("say !done and a step as !runbook numbers it, like !done r2 rolled back to v41")
    return Asked(Verb.CHECK, text.strip(), data={"step": step})


def _severity(rest: str) -> Asked:
    to, _, why = rest.partition(" ")
    if to.upper() not in Severity.__members__:
        raise Refused("say !severity P0 to P4 and why, like !severity P1 checkout is slow for everybody")
    return Asked(Verb.SEVERITY, why.strip(), data={"to": to.upper()})


def _update(rest: str) -> Asked:
    """Read a status update for the responders: by the templates in force, without another look at it."""
    status, _, text = rest.partition(" ")
    if status.lower() not in list(Standing) or not text.strip():
        raise Refused(
            f"say !update, one of {', '.join(Standing)}, and what is known, like !update identified disk full"
        )
    data = {"audience": Audience.RESPONDERS.value, "status": status.lower()}
    return Asked(Verb.UPDATE, text.strip(), confirm=True, data=data)


def _note_text(rest: str) -> Asked:
    if not rest:
        raise Refused("say !note and the text")
    return Asked(Verb.NOTE, rest)


def _page(rest: str) -> Asked:
    whom, _, why = rest.partition(" ")
    if not whom:
        raise Refused("say !page and whom: a person of oncall.yaml")
    return Asked(Verb.PAGE, why.strip(), whom=whom.lstrip("@"))


def _snooze(rest: str) -> Asked:
    try:
        return Asked(Verb.SNOOZE, duration=parse_duration(rest or "1h"))
    except ValueError as error:
        raise Refused(str(error)) from None


def _resolve(rest: str) -> Asked:
    yes, _, why = rest.partition(" ")
    sure = yes.lower() in ("yes", "confirm")
    return Asked(Verb.RESOLVE, why.strip() if sure else rest, confirm=sure)


_READ: Final[dict[str, Callable[[str], Asked]]] = {
    "ack": lambda rest: Asked(Verb.ACKNOWLEDGE, rest),
    "escalate": lambda rest: Asked(Verb.ESCALATE, rest),
    "severity": _severity,
    "note": _note_text,
    "update": _update,
    "page": _page,
    "snooze": _snooze,
    "resolve": _resolve,
}
