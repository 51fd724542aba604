"""What closing an incident asks for: DEMANDS is the one table. postmortems.yaml says which hold for which severity.

Whoever closes it fills in what is missing, in the same breath or before, or says why it is closed without; the timeline
keeps both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from triage import learning, publishing, verifying
from triage.memory import ACTION
from triage.model import Command, Incident
from triage.responding import TEXT_MAX
from triage.run import Run, RunState
from triage.scene import Scene
from triage.status import Standing

WORDS: Final = ("resolution", "root_cause", "public")
"""What can be said together with the move: how it ended, why it happened, and the last words on the status page."""
_UNDER_WAY: Final = frozenset({RunState.ASKED, RunState.STARTED})


def _verification(scene: Scene, incident: Incident, _given: Mapping[str, str]) -> str:
    for key in incident.runs:
        run: Run | None = scene.draft.get((ACTION, key))
        if run is not None and run.state in _UNDER_WAY:
            return f"{run.action} is still being run"
        if run is not None and run.verify_until is not None and run.helped is None:
            return f"whether {run.action} helped is not known yet"
    return ""


def _public(scene: Scene, incident: Incident, given: Mapping[str, str]) -> str:
    known = publishing.of(scene, incident.key)
    if known is None or given.get("public"):
        return ""
    if known.status is not Standing.RESOLVED:
        return "the status page does not say that it is over"
    return f"the status page says no more than “{publishing.OVER}”" if known.updates[-1].text == publishing.OVER else ""


def _resolution(_scene: Scene, incident: Incident, given: Mapping[str, str]) -> str:
    return "" if incident.resolution or given.get("resolution") else "no resolution note"


def _root_cause(_scene: Scene, incident: Incident, given: Mapping[str, str]) -> str:
    return "" if incident.root_cause or given.get("root_cause") else "no root cause"


def _postmortem(scene: Scene, incident: Incident, _given: Mapping[str, str]) -> str:
    found = learning.of(scene, incident)
    owed = found is not None and found.due_at is not None and found.published_at is None
    return "its postmortem is not published" if owed else ""


class Demand(NamedTuple):
    """One thing that closing asks for. `lacks` returns what is missing, in words, given what is said with the move."""

    name: str
    lacks: Callable[[Scene, Incident, Mapping[str, str]], str]


DEMANDS: Final = (
    Demand("verification", _verification),
    Demand("public", _public),
    Demand("resolution", _resolution),
    Demand("root_cause", _root_cause),
    Demand("postmortem", _postmortem),
)
"""All of it, in the order in which it is asked for. docs/incidents.md has the same table, and a test compares."""


def missing(scene: Scene, incident: Incident, given: Mapping[str, str]) -> list[str]:
    """Return, in words, what closing an incident of this severity asks for and is not there."""
    wanted = scene.rulebook.learning.closing.get(incident.severity.name, ())
    found = (one.lacks(scene, incident, given) for one in DEMANDS if one.name in wanted)
    return [words for words in found if words]


def unverified(scene: Scene, incident: Incident) -> str:
    """Return what is still to be verified, or fails to be, in words, or ""."""
    return verifying.missing(scene, incident) or _verification(scene, incident, {})


def given(command: Command) -> dict[str, str]:
    """Return what is said together with a move, without what is empty."""
    said = {name: command.data.get(name, "").strip()[:TEXT_MAX] for name in WORDS}
    return {name: text for name, text in said.items() if text}


def write_down(scene: Scene, incident: Incident, command: Command) -> None:
    """Keep what is said together with a move of how it ended and why it happened."""
    for field, name in learning.FIELDS.items():
        if text := given(command).get(field):
            setattr(incident, field, text)
            scene.line(incident, "postmortem", f"{name}: {text}", by=command.by)
