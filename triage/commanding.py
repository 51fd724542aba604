"""What people decide about an incident: how severe it is, whom it hurts, until when, who does what, what belongs to it.

Each function does what one command asks and answers it. Whether the incident's phase allows it was looked at before.
"""

from __future__ import annotations

from typing import Final

from triage import incidents, promise, responding, telling
from triage.model import DAY, Answer, Command, Incident, Millis, Role, Severity, short
from triage.rulebook.durations import parse_duration
from triage.rulebook.quiet import parse_instant
from triage.scene import Scene

DONE: Final = responding.DONE
REFUSED: Final = responding.REFUSED
NOTE_MAX: Final = 4_000
"""Longest note, in characters; the rest is cut, and the note says so."""
IMPACT_MAX: Final = 500
ETA_MAX: Final[Millis] = 30 * DAY
LINKS_MAX: Final = 50
CHAT: Final = "chat"
NOTES: Final = ("note", "finding", "hypothesis", CHAT)
"""Kinds of notes: what happened, what was seen, what is believed until it is seen, and what was said in the room."""


def note(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Write into the timeline: a note, a finding, or a hypothesis."""
    kind = command.data.get("kind", "note")
    if kind not in NOTES:
        return Answer(REFUSED, f"“{kind[:40]}” is no kind of note: there are {', '.join(NOTES)}")
    text = command.text.strip()
    if not text:
        return Answer(REFUSED, f"a {kind} needs text")
    if len(text) > NOTE_MAX:
        text = f"{text[:NOTE_MAX]}… (cut at {NOTE_MAX} characters)"
    scene.line(incident, kind, text, by=command.by, minor=kind == CHAT)
    return Answer(DONE, "noted")


def severity(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Raise or lower it, with a reason. Raised into P1 or P0 it pages, but never whoever raised it."""
    wanted, why = command.data.get("to", ""), command.text.strip()
    if wanted not in Severity.__members__:
        return Answer(REFUSED, f"“{wanted[:40]}” is no severity: there are {', '.join(Severity.__members__)}")
    to, was = Severity[wanted], incident.severity
    if to is was:
        return Answer(DONE, f"it is {to} already")
    if not why:
        return Answer(REFUSED, f"say why it is {to} and not {was}")
    said = f"{command.by}: {why[: responding.TEXT_MAX]}"
    if to < was:
        incidents.raise_to(scene, incident, to, said, by=command.by)
        incident.spared = command.by
        return Answer(DONE, f"raised from {was} to {to}")
    incidents.lower_to(scene, incident, to, said, command.by)
    return Answer(DONE, f"lowered from {was} to {to}")


def role(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Give a role to somebody, hand it over, or (without a person) leave it to nobody."""
    wanted, name = command.data.get("role", ""), command.person
    if wanted not in [one.value for one in Role]:
        return Answer(REFUSED, f"“{wanted[:40]}” is no role: there are {', '.join(Role)}")
    which = Role(wanted)
    before = incident.roles.get(which, "")
    if name == before:
        return Answer(DONE, f"{name} is {which} already" if name else f"nobody is {which}")
    if name and name != command.by and name not in scene.rulebook.people:
        return Answer(REFUSED, responding.stranger(scene, name))
    rest = {key: who for key, who in incident.roles.items() if key is not which}
    incident.roles = {**rest, which: name} if name else rest
    text = _handed(which, before, name, command)
    scene.line(incident, "role", text, by=command.by)
    if name:
        responding.responds(incident, name)
    if name and which is Role.COMMUNICATIONS:
        promise.begin(scene, incident)
    if name not in ("", command.by):
        why = f"{command.by} made you {which}"
        telling.notify(scene, incident, name, "role", f"You are {which}: {incident.title}", text, why)
    return Answer(DONE, f"{name} is {which}" if name else f"nobody is {which} now")


def _handed(which: Role, before: str, name: str, command: Command) -> str:
    said = f": {command.text[: responding.TEXT_MAX]}" if command.text else ""
    if not name:
        return f"{before} is no longer {which}{said}"
    if not before:
        return f"{name} is {which}{said}"
    if name == command.by:
        return f"{name} takes over as {which} from {before}{said}"
    whose = f"{before} hands" if before == command.by else f"{command.by} hands"
    return f"{whose} {which} over{'' if before == command.by else f' from {before}'} to {name}{said}"


def impact(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Say whom it hurts, and how."""
    text = command.text.strip()
    if not text:
        return Answer(REFUSED, "say whom it hurts, and how")
    if len(text) > IMPACT_MAX:
        return Answer(REFUSED, f"say it in {IMPACT_MAX} characters; the rest belongs into a note")
    incident.impact = text
    scene.line(incident, "impact", text, by=command.by)
    return Answer(DONE, "it is known whom it hurts")


def eta(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Say when it should be over: so long from now, at a time, or (nothing) that nobody knows any more."""
    wanted = command.data.get("eta", "").strip()
    said = f": {command.text[: responding.TEXT_MAX]}" if command.text else ""
    if not wanted:
        incident.eta = None
        scene.line(incident, "eta", f"nobody can say when it will be over{said}", by=command.by)
        return Answer(DONE, "no ETA any more")
    try:
        at = parse_instant(wanted) if "T" in wanted else scene.now + parse_duration(wanted)
    except ValueError as error:
        return Answer(REFUSED, str(error))
    if not scene.now < at <= scene.now + ETA_MAX:
        return Answer(REFUSED, "it should be over between now and 30 days from now")
    incident.eta = at
    minutes = -(-(at - scene.now) // 60_000)
    scene.line(incident, "eta", f"should be over in {minutes} min{said}", by=command.by)
    return Answer(DONE, f"should be over in {minutes} min")


def link(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Note on two incidents that they have to do with each other."""
    known = scene.draft.incident(command.data.get("other", ""))
    if known is None:
        return Answer(REFUSED, "say which other incident: give its key")
    if known.key == incident.key:
        return Answer(REFUSED, "that is this incident itself")
    if known.key in incident.links:
        return Answer(DONE, f"linked with {short(known.key)} already")
    if max(len(incident.links), len(known.links)) >= LINKS_MAX:
        return Answer(REFUSED, f"one of the two has {LINKS_MAX} links; merge what is the same trouble")
    other = scene.draft.edit_incident(known.key)
    said = f": {command.text[: responding.TEXT_MAX]}" if command.text else ""
    for one, its in ((incident, other), (other, incident)):
        one.links = (*one.links, its.key)
        scene.line(one, "linked", f"with {short(its.key)} ({its.severity}, {its.title}){said}", by=command.by)
    return Answer(DONE, f"linked with {short(other.key)}")
