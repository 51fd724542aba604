"""Checking off the steps of a runbook or a procedure: who did what when, on the timeline."""

from __future__ import annotations

from typing import Final, cast

from triage import responding
from triage.checked import CheckedOff, Checklist
from triage.memory import CHECKLIST, DETAILS
from triage.model import Answer, Command, Details, Incident
from triage.rulebook import guides
from triage.scene import Scene

DONE: Final = responding.DONE
REFUSED: Final = responding.REFUSED
CHECKED_MAX: Final = 500
"""How many steps of one incident are remembered as checked off."""
SHOWN_MAX: Final = 200
"""How much of a step stands on the timeline, in characters."""


def check(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Check a step off, or take that back (`undo`)."""
    step = command.data.get("step", "")
    where = _where(scene, incident, step)
    if not where:
        return Answer(REFUSED, f"no runbook or procedure has a step {step[:40]} now; look again, it may have changed")
    known = cast("Checklist | None", scene.draft.get((CHECKLIST, incident.key))) or Checklist()
    done = known.steps.get(step)
    said = f" ({command.text[: responding.TEXT_MAX]})" if command.text else ""
    if command.data.get("undo"):
        if done is None:
            return Answer(DONE, "it was not checked off")
        rest = {key: one for key, one in known.steps.items() if key != step}
        scene.draft.put((CHECKLIST, incident.key), Checklist(rest))
        scene.line(incident, "unchecked", f"{where}{said}", by=command.by)
        return Answer(DONE, "it is open again")
    if done is not None:
        return Answer(DONE, f"{done.by} has checked it off already")
    if len(known.steps) >= CHECKED_MAX:
        return Answer(REFUSED, f"{CHECKED_MAX} steps of this incident are checked off; write a note instead")
    checked = CheckedOff(command.by, scene.now)
    scene.draft.put((CHECKLIST, incident.key), Checklist({**known.steps, step: checked}))
    scene.line(incident, "checked", f"{where}{said}", by=command.by)
    return Answer(DONE, "checked off")


def _where(scene: Scene, incident: Incident, step: str) -> str:
    """Return the words of a step with the document and section it stands in, or "" where there is none."""
    files = scene.rulebook.runbooks
    for path in guides.documents_of(incident.runbook, files):
        document = guides.parse(path, files[path])
        for section, part in document.steps():
            if part.step == step:
                place = f"{document.title}, {section.name}" if section.name else document.title
                text = guides.fill(f"{place}: {guides.words_of(part)}", _values(scene, incident))
                return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 1]}…"
    return ""


def _values(scene: Scene, incident: Incident) -> dict[str, str]:
    known = cast("Details | None", scene.draft.get((DETAILS, incident.example))) if incident.example else None
    return guides.values_of(incident, known)
