"""What every step of a decision has at hand: the draft, the rules, the entry, and the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from triage.memory import THE_META, Draft
from triage.model import Incident, Line, Meta, Millis
from triage.rulebook import Rulebook

LINES_MAX = 500
"""After so many lines a timeline takes only what people, pages and phases do, no longer each alert."""


@dataclass(slots=True)
class Scene:
    """One entry being decided. `now` is the journal's time, not the wall's: see design, "Time is in the journal".

    `old`: a timer fires that was overdue when old memory woke; see `triage.waking`.
    """

    draft: Draft
    rulebook: Rulebook
    entry: str
    now: Millis
    old: bool = False

    def line(self, incident: Incident, what: str, text: str, by: str = "", minor: bool = False) -> None:
        """Append a line to the incident's timeline; `minor` lines stop at LINES_MAX."""
        if minor and incident.lines >= LINES_MAX:
            return
        incident.lines += 1
        self.draft.line(incident.key, Line(at=self.now, what=what, text=text, by=by, entry=self.entry))

    def edit_meta(self) -> Meta:
        """Return the one Meta for changing; it begins empty."""
        if self.draft.get(THE_META) is None:
            self.draft.put(THE_META, Meta())
        return cast("Meta", self.draft.edit(THE_META))
