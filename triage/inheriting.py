"""What people did about an incident that becomes part of another stays at hand there: nothing is lost, or done twice.

Check-offs, runs of actions, status updates and what is public are the other's from then on, and so is its room where
the other has none; a second room says where it goes on, and is archived. Timelines stay apart, and are read as one.
"""

from __future__ import annotations

from typing import Final, cast

import msgspec

from triage import publishing, updates
from triage.actions import RUNS_MAX
from triage.checked import Checklist
from triage.checking import CHECKED_MAX
from triage.memory import ACTION, CHECKLIST, PUBLICATION, THE_PUBLICATIONS, UPDATES
from triage.model import Incident, short
from triage.outlets import OUTLETS_MAX
from triage.public import Publication, Publications, PublicUpdate, address_of
from triage.run import Run
from triage.scene import Scene
from triage.status import Standing, StatusUpdates

GOES_ON: Final = "This goes on as “{title}”."
"""What the status page says last of an incident that became part of another public one."""


def hand_over(scene: Scene, gone: Incident, into: Incident) -> None:
    """Let one incident have what was done about the other."""
    _checklist(scene, gone, into)
    _runs(scene, gone, into)
    _roles(scene, gone, into)
    _updates(scene, gone, into)
    _public(scene, gone, into)
    _room(scene, gone, into)


def _checklist(scene: Scene, gone: Incident, into: Incident) -> None:
    theirs = cast("Checklist | None", scene.draft.get((CHECKLIST, gone.key)))
    if theirs is None:
        return
    ours = cast("Checklist | None", scene.draft.get((CHECKLIST, into.key))) or Checklist()
    steps = dict(list({**theirs.steps, **ours.steps}.items())[:CHECKED_MAX])
    scene.draft.put((CHECKLIST, into.key), Checklist(steps))
    scene.draft.put((CHECKLIST, gone.key), None)
    added = len(steps) - len(ours.steps)
    if added:
        scene.line(into, "checked", f"{added} steps that were checked off for {short(gone.key)} are so here too")


def _runs(scene: Scene, gone: Incident, into: Incident) -> None:
    """Runs that go on come back to the incident that goes on: what is told of one follows where it became part of."""
    known = {run: cast("Run | None", scene.draft.get((ACTION, run))) for run in (*gone.runs, *into.runs)}
    found = sorted((run.asked_at, key) for key, run in known.items() if run is not None)
    into.runs, gone.runs = tuple(key for _, key in found)[-RUNS_MAX:], ()
    for key in (key for key in known if key not in into.runs):
        scene.draft.put((ACTION, key), None)


def _roles(scene: Scene, gone: Incident, into: Incident) -> None:
    for role, who in sorted(gone.roles.items()):
        now = into.roles.get(role, who)
        words = f"{who} was {role} of {short(gone.key)}"
        scene.line(into, "role", f"{words}, and is now of this" if now == who else f"{words}; {now} goes on as {role}")


def _updates(scene: Scene, gone: Incident, into: Incident) -> None:
    theirs = cast("StatusUpdates | None", scene.draft.get((UPDATES, gone.key)))
    if theirs is None:
        return
    ours = cast("StatusUpdates | None", scene.draft.get((UPDATES, into.key))) or StatusUpdates()
    both = sorted((*theirs.items, *ours.items), key=lambda one: one.at)
    scene.draft.put((UPDATES, into.key), StatusUpdates(tuple(both[-updates.KEPT :]), theirs.total + ours.total))
    scene.draft.put((UPDATES, gone.key), None)


def _public(scene: Scene, gone: Incident, into: Incident) -> None:
    """What is public keeps its address. Where both are, the page says of one that it goes on as the other."""
    theirs, ours = publishing.of(scene, gone.key), publishing.of(scene, into.key)
    if theirs is None:
        return
    if ours is None:
        moved: Publication = msgspec.structs.replace(theirs, address=address_of(gone.key, theirs))
        scene.draft.put((PUBLICATION, into.key), moved)
        scene.draft.put((PUBLICATION, gone.key), None)
        book = cast("Publications | None", scene.draft.get(THE_PUBLICATIONS)) or Publications()
        keys = tuple(into.key if key == gone.key else key for key in book.keys)
        scene.draft.put(THE_PUBLICATIONS, Publications(keys))
    elif theirs.status is not Standing.RESOLVED:
        text = GOES_ON.replace("{title}", ours.title)
        last = PublicUpdate(scene.now, Standing.RESOLVED, theirs.effects, text)
        publishing.put(scene, gone.key, theirs, theirs.title, theirs.components, last, theirs.rule)
        scene.line(into, "published", f"on the status page, of what was public of {short(gone.key)}: {text}")


def _room(scene: Scene, gone: Incident, into: Incident) -> None:
    room = gone.room
    if room is None or room.archived:
        return
    if into.room is not None:
        scene.line(into, "room", f"the room {room.name} of {short(gone.key)} ends; it goes on in {into.room.name}")
        return
    into.room, gone.room = room, None
    into.outlets = (*into.outlets, *(one for one in gone.outlets if one.room))[:OUTLETS_MAX]
    gone.outlets = tuple(one for one in gone.outlets if not one.room)
    scene.line(into, "room", f"the room {room.name} of {short(gone.key)} is now of this")
