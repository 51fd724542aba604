"""Incident rooms: a channel of a chat service for each incident that gets one by rooms.yaml.

One effect brings the room to what it should be: there, named, its topic set, the responders invited, the status pinned,
archived at the end. It is made anew whenever what the room shows has changed, and one is on its way at a time, as with
`threads`. Each step of it may be done twice without harm. A room is never waited for: its effects come after all pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from typing import Final

import msgspec

from triage import outlets, telling
from triage.memory import EFFECT, INCIDENT, PLACE, Changes
from triage.model import (
    ENDED,
    Effect,
    EffectKind,
    Ending,
    Incident,
    Line,
    Phase,
    Place,
    Result,
    Role,
    Room,
    Severity,
    short,
)
from triage.retries import again
from triage.rulebook import Rulebook
from triage.rulebook.rooms import NO_ROOM, RoomRule
from triage.scene import Scene

NAME_MAX: Final = 60
INVITED_MAX: Final = 50
_ODD: Final = re.compile(r"[^a-z0-9]+")
_ENDS: Final = {"closed": frozenset({Phase.CLOSED}), "resolved": ENDED}


def _rule(rulebook: Rulebook, incident: Incident) -> RoomRule | None:
    """Return the entry of rooms.yaml that opens the incident's room: the one that a rule asks for, else what fits."""
    if incident.wants_room == NO_ROOM:
        return None
    asked = (rule for rule in rulebook.rooms if rule.name == incident.wants_room)
    fits = (rule for rule in rulebook.rooms if rule.fits(incident.severity, incident.service))
    return next(chain(asked, fits), None)


def face_of(incident: Incident) -> str:
    """Return what a room shows; counts of alerts are not among it."""
    parts = (incident.severity.name, incident.phase.value, incident.acked_by, incident.impact, str(incident.eta or ""))
    commander = incident.roles.get(Role.COMMANDER, "")
    promised = [due] if (due := telling.promised(incident)) else []
    return " ".join((*parts, commander, *promised, *incident.responders, *incident.told))


def behind(changes: Changes, rulebook: Rulebook) -> list[str]:
    """Return the incidents among these changes for which there is something to do here: that need a room, whose room is
    no longer as it should be, or of which there is something to tell.
    """
    spoken = {key for key, line in changes.lines if line.what in outlets.TOLD}
    return [
        key
        for key, one in changes.incidents()
        if _wants(one, rulebook) or _behind(one) or (one.outlets and key in spoken) or outlets.behind(one)
    ]


def _wants(incident: Incident, rulebook: Rulebook) -> bool:
    """Tell whether rooms.yaml has something for an incident that is not there yet."""
    if incident.phase in ENDED or not (rulebook.rooms or rulebook.posts) or outlets.is_full(incident):
        return False
    known = {one.target for one in incident.outlets}
    fits = any(one.fits(incident.severity, incident.service) and one.target not in known for one in rulebook.posts)
    return fits or (incident.room is None and _rule(rulebook, incident) is not None)


def _behind(incident: Incident) -> bool:
    room = incident.room
    if room is None or room.effect or room.shown == face_of(incident):
        return False
    return not (_ends(incident, room) and outlets.room_is_busy(incident))  # it hears how it ended first


def _ends(incident: Incident, room: Room) -> bool:
    return incident.phase in _ENDS.get(room.archive, ENDED)


def follow(scene: Scene, incidents: Iterable[str], lines: Iterable[tuple[str, Line]], said_in: str = "") -> None:
    """Make the effects that these incidents' rooms need, and the posts of what is in these lines.

    `said_in` is the place of the room in which the command was said that made them, or "".
    """
    of: dict[str, list[Line]] = {}
    for key, line in lines:
        of.setdefault(key, []).append(line)
    for key in incidents:
        incident = scene.draft.edit((INCIDENT, key))  # itself: a merged one has a room of its own
        rule = _rule(scene.rulebook, incident) if incident.phase not in ENDED else None
        if incident.room is None and rule is not None:
            incident.room = Room(
                target=rule.target,
                name=name_of(incident),
                archive=rule.archive,
                invite=rule.invite,
                rule=rule.name,
            )
            scene.line(incident, "room", f"a room {incident.room.name} is asked for by “{rule.name}”", minor=True)
        outlets.begin(scene, incident)
        room = incident.room
        here = room is not None and bool(room.place) and _place(room.target, room.place) == said_in
        outlets.hear(incident, of.get(key, ()), here)
        outlets.follow(scene, incident)
        if incident.room is not None and _behind(incident):
            incident.room = _asked(scene, incident, incident.room)


def name_of(incident: Incident) -> str:
    """Return the room's name: one that no other incident's room has, in the letters that every service takes."""
    words = _ODD.sub("-", incident.title.lower()).strip("-")
    return f"inc-{short(incident.key)}-{words}"[:NAME_MAX].strip("-")


def _asked(scene: Scene, incident: Incident, room: Room) -> Room:
    ends = _ends(incident, room)
    facts = {
        "room": room.name,
        telling.THREAD: room.place,
        "invite": ",".join(_invited(scene, incident, room)),
        "archive": "yes" if ends else "",
        "restore": "yes" if room.archived and not ends else "",
        "commander": incident.roles.get(Role.COMMANDER, ""),
        "impact": incident.impact,
        "eta": str(incident.eta) if incident.eta is not None else "",
        "responders": ", ".join(incident.responders),
    }
    last = Severity.P4  # after all pages
    effect = telling.send_out(scene, incident, EffectKind.ROOM, room.target, facts, person="", severity=last)
    return msgspec.structs.replace(room, shown=face_of(incident), effect=effect)


def _invited(scene: Scene, incident: Incident, room: Room) -> list[str]:
    """Return what the chat service calls those who are invited, as far as oncall.yaml says it."""
    names = dict.fromkeys((incident.acked_by, *incident.responders, *incident.told, *room.invite))
    people = [scene.rulebook.people[name] for name in names if name in scene.rulebook.people]
    slack = room.target.startswith("slack")
    found = [one.slack if slack else one.mattermost for one in people]
    return [one for one in found if one][:INVITED_MAX]


def kept(scene: Scene, incident: Incident | None, effect: Effect, result: Result) -> None:
    """Apply the result of a room's effect: as it should be, again later, or given up, which costs nobody a page."""
    if result.receipt and incident is not None and incident.room is not None:
        _found(scene, incident, incident.room, effect, result.receipt)
    if again(effect, result, scene.now):
        return
    scene.draft.put((EFFECT, effect.id), None)
    if incident is None or incident.room is None:
        return
    room = incident.room = msgspec.structs.replace(incident.room, effect="")
    if result.ending is Ending.TOO_OLD:  # it was not sent, since memory was old: it is made anew
        incident.room = msgspec.structs.replace(room, shown="")
        return
    scheme = effect.target.partition(":")[0]
    if not result.ending.told:
        text = f"the room {room.name} cannot be kept by {scheme}: {result.reason or result.ending.value}"
        scene.line(incident, "given-up", text, minor=True)
        telling.tell_operator(scene, f"room:{scheme}", f"An incident room by {scheme} is not as it should be", text)
        return
    if not room.place:  # paging is in shadow: there is none
        return
    ends = bool(effect.facts.get("archive"))
    incident.room = msgspec.structs.replace(room, archived=ends)
    _over(scene, room, ends)
    if ends and not room.archived:
        scene.line(incident, "room", f"the room {room.name} is archived")


def forget(scene: Scene, incident: Incident) -> None:
    """The incident is forgotten: what is said in its room is nobody's any more."""
    if incident.room is not None and incident.room.place:
        scene.draft.put((PLACE, _place(incident.room.target, incident.room.place)), None)


def _over(scene: Scene, room: Room, over: bool) -> None:
    """Nothing is said in an archived room, so that nobody asks for what was."""
    key = (PLACE, _place(room.target, room.place))
    place: Place | None = scene.draft.get(key)
    if place is not None and place.over is not over:
        scene.draft.put(key, msgspec.structs.replace(place, over=over))


def _place(target: str, receipt: str) -> str:
    return f"{target.partition('+')[0]}:{receipt.partition(':')[0]}"


def _found(scene: Scene, incident: Incident, room: Room, effect: Effect, receipt: str) -> None:
    """Remember where the room is, as soon as it is there, for the next attempt and for what is said in it."""
    if not room.place:
        scene.line(incident, "room", f"the room {room.name} is open")
        scene.draft.put((PLACE, _place(effect.target, receipt)), Place(incident.key))
    effect.facts = {**effect.facts, telling.THREAD: receipt}
    incident.room = msgspec.structs.replace(room, place=receipt)
