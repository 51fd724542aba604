"""Memory that is old: a backup was restored, or nobody decided for hours. It wakes without paging for what is past.

That it is old is in the journal: a gap of OLD_AFTER between two entries, and a timer that was due that long before the
gap ended. Until what was overdue has fired, nobody is paged or told one by one: what would have been told gathers, and
each person gets one digest. Incidents that would have paged are doubted; a sender that says again that they fire ends
the doubt, and they page from step 1.
"""

from __future__ import annotations

from typing import Final, cast

from triage.memory import THE_WOKEN
from triage.model import HOUR, Incident, Millis
from triage.scene import Scene
from triage.tray import Tray

OLD_AFTER: Final[Millis] = 6 * HOUR
"""A gap this long between two entries of the journal means that memory is old when it goes on."""
ITEMS_MAX: Final = 1_000
"""How many incidents the digests of one waking speak of; the others are counted, and on the board."""


def note_gap(scene: Scene) -> None:
    """Remember the end of a gap in the journal."""
    before = scene.draft.meta().now
    if before and scene.now - before > OLD_AFTER:
        scene.edit_meta().woke_at = scene.now


def begins(scene: Scene, oldest: Millis | None) -> None:
    """Wake, if the oldest timer that is due was due long before the journal went on."""
    meta = scene.draft.meta()
    if oldest is not None and not meta.waking and meta.woke_at - oldest > OLD_AFTER:
        edited = scene.edit_meta()
        edited.waking, edited.woke_from = True, oldest
    scene.old = scene.draft.meta().waking


def ends(scene: Scene, oldest: Millis | None) -> bool:
    """Tell whether all that was overdue had fired already when this tick came."""
    meta = scene.draft.meta()
    return meta.waking and (oldest is None or oldest >= meta.woke_at)


def gather(scene: Scene, incident: Incident) -> None:
    """Have an incident told in the digest of this waking."""
    known = cast("Tray | None", scene.draft.get(THE_WOKEN)) or Tray()
    if incident.key in known.items:
        return
    full = len(known.items) >= ITEMS_MAX
    tray = Tray(known.items, known.more + 1) if full else Tray((*known.items, incident.key), known.more)
    scene.draft.put(THE_WOKEN, tray)


def doubt(scene: Scene, incident: Incident) -> None:
    """Page nobody for an incident as old memory has it, until a sender says again that it fires."""
    gather(scene, incident)
    incident.page_at = None
    scene.draft.timer(f"page:{incident.key}", None)
    if not incident.doubted:
        incident.doubted = True
        scene.line(incident, "doubted", "memory was old: it pages when a sender says again that it fires")
