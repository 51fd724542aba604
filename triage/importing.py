"""Calendars that schedules import: a worker has read one, or could not, and says so in the journal.

Triage knows shifts only; what a calendar is made of stays outside (`workers/calendar_reader.py`). What cannot be read
keeps its last content, and the operators hear of it.
"""

from __future__ import annotations

from typing import Final, cast

from triage import telling
from triage.imported import Imported
from triage.memory import CALENDAR
from triage.model import CalendarRead
from triage.rulebook import Rulebook
from triage.scene import Scene
from triage.schedules import IMPORTED, Shift

SHIFTS_MAX: Final = 5_000
"""How many shifts of one calendar are remembered; the reader refuses a calendar with more."""
NAMED: Final = 5
"""How many unknown names a message lists."""


def of(scene: Scene, schedule: str) -> tuple[Shift, ...]:
    """Return the shifts that a schedule imports, in order of their beginnings."""
    known = scene.rulebook.schedules.get(schedule)
    if known is None or known.ical is None:
        return ()
    return shifts_of(cast("Imported | None", scene.draft.get((CALENDAR, schedule))))


def shifts_of(imported: Imported | None) -> tuple[Shift, ...]:
    """Return what is remembered of a calendar as shifts."""
    return tuple(Shift(*one, IMPORTED) for one in imported.shifts) if imported is not None else ()


def take(scene: Scene, read: CalendarRead) -> None:
    """Remember what a calendar holds, or that it cannot be read. Nobody is paged by it."""
    schedule = scene.rulebook.schedules.get(read.schedule)
    if schedule is None or schedule.ical is None:
        return  # its schedule is gone, or no longer imports
    known = cast("Imported | None", scene.draft.get((CALENDAR, read.schedule))) or Imported()
    if read.fault:
        _failed(scene, read, known)
        return
    shifts = tuple(read.shifts[:SHIFTS_MAX])
    fresh = Imported(read.source, shifts, read.start, read.end, scene.now, tuple(read.unknown))
    scene.draft.put((CALENDAR, read.schedule), fresh)
    if fresh.unknown and fresh.unknown != known.unknown:
        names = ", ".join(f"“{name}”" for name in fresh.unknown[:NAMED])
        more = f" and {len(fresh.unknown) - NAMED} more" if len(fresh.unknown) > NAMED else ""
        telling.tell_operator(
            scene,
            f"calendar-names:{read.schedule}",
            f"The calendar of schedule {read.schedule} names people whom oncall.yaml does not know",
            f"{names}{more}. Add them under ical: people: of the schedule; until then these shifts are nobody's.",
        )


def _failed(scene: Scene, read: CalendarRead, known: Imported) -> None:
    since = known.fault_at if known.fault else scene.now
    scene.draft.put((CALENDAR, read.schedule), _with_fault(known, read.fault, since))
    kept = "its last content stays in force" if known.read_at else "the layers alone say who is on call"
    telling.tell_operator(
        scene,
        f"calendar:{read.schedule}",
        f"The calendar of schedule {read.schedule} cannot be read",
        f"{read.fault} Meanwhile {kept}.",
    )


def _with_fault(known: Imported, fault: str, since: int) -> Imported:
    return Imported(known.source, known.shifts, known.start, known.end, known.read_at, known.unknown, fault, since)


def rules_changed(scene: Scene, rulebook: Rulebook) -> None:
    """Other rules are in force: forget the calendars of schedules that import none any more."""
    for name, schedule in scene.rulebook.schedules.items():
        new = rulebook.schedules.get(name)
        if schedule.ical is not None and (new is None or new.ical is None):
            scene.draft.put((CALENDAR, name), None)
