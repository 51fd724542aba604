"""The storm breaker: a budget of pages per person; past it one storm page stands for the others. Nothing is dropped.

A storm page is an incident of its own: it demands an acknowledgement and escalates by the policy of what it stands for.
Those incidents stay open and nobody's. They wait while its escalation runs and, once somebody took it, until the budget
has refilled; what nobody has by then pages again, whoever took the storm page first. A P0 always pages by itself.
"""

from __future__ import annotations

import json
from typing import Final, cast

from triage import telling
from triage.memory import BUDGET, INCIDENT, STORM
from triage.model import ENDED, SECOND, Incident, Millis, Phase, Severity, key_of, short
from triage.rulebook.durations import show_duration
from triage.scene import Scene
from triage.storm import Budget, Storm

GATHER: Final[Millis] = 5 * SECOND
"""How long what comes together gathers before it is told as a storm; pages this close to each other come at once."""
MEMBERS_MAX: Final = 1_000
"""How many incidents one storm page lists. What it stands for besides looks by itself whether it still does."""
COUNTS_MAX: Final = 500
"""How many different labels are counted."""
TOP: Final = 5
"""How many labels a storm page names, the most common ones."""
SHOWN: Final = 12
"""How many incidents a storm page names."""


def withholds(scene: Scene, incident: Incident, name: str, step: int) -> bool:
    """Count a page to a person against their budget. Return whether a storm page stands for it, since that is spent."""
    if incident.severity is Severity.P0 or incident.stands_for:
        return False
    limits = scene.rulebook.quiet.storm
    budget = cast("Budget | None", scene.draft.get((BUDGET, name))) or Budget()
    spent = tuple((at, key) for at, key in budget.spent if scene.now - at < limits.within)
    together = {key: None for at, key in spent if scene.now - at < GATHER}
    if incident.key in together:  # nobody could be reached, and its next step began at once: it is no storm
        return False
    if len(spent) < limits.pages and len(together) < limits.at_once:
        scene.draft.put((BUDGET, name), Budget((*spent, (scene.now, incident.key)), budget.storms))
        return False
    storm = _storm(scene, incident, name, step, Budget(spent, budget.storms))
    _stand_for(scene, storm, incident)
    why = f"{len(together)} others come at once"
    if len(spent) >= limits.pages:
        why = f"budget of {limits.pages} pages in {show_duration(limits.within)} spent"
    incident.storm = storm.key
    if incident.page_at is None and (storm.acked_by or storm.page_at is not None):
        # Its last resort is not reached as long as the storm page's is not.
        incident.page_at = scene.now + limits.within
        scene.draft.timer(f"page:{incident.key}", incident.page_at)
    scene.line(incident, "withheld", f"page to {name} withheld: {why}; storm page {short(storm.key)}")
    return True


def _storm(scene: Scene, incident: Incident, name: str, step: int, budget: Budget) -> Incident:
    """Return the storm page of this person and policy, and see to it that it is on its way to somebody, or taken."""
    key = budget.storms.get(incident.policy, "")
    known = scene.draft.incident(key) if key else None
    if known is None or known.phase in ENDED:
        storm = _open(scene, incident, name)
        scene.draft.put((BUDGET, name), Budget(budget.spent, {**budget.storms, incident.policy: storm.key}))
        _page(scene, storm, name, step, "more pages than you can read at once")
        return storm
    storm = scene.draft.edit_incident(key)
    if storm.acked_by and _until(scene, storm) > scene.now:
        telling.note_joined(scene, storm)
    elif storm.acked_by:
        scene.line(storm, "unacknowledged", f"{storm.acked_by} took it, and there is still more than the budget allows")
        _page(scene, storm, storm.acked_by, step, "you took it, and there is still more than your budget")
    elif storm.page_at is None and incident.page_at is not None:
        _page(scene, storm, name, step, "more pages than you can read at once")
    return storm


def _open(scene: Scene, incident: Incident, name: str) -> Incident:
    key = key_of("storm", name, incident.policy, scene.entry, incident.key)
    storm = Incident(
        key=key,
        group=json.dumps([["storm", name], ["policy", incident.policy]], separators=(",", ":")),
        title=f"Storm of pages to {name}",
        service="",
        severity=Severity.P1,
        phase=Phase.DETECTED,
        policy=incident.policy,
        runbook="",
        rule="",
        opened_at=scene.now,
        opened_by=scene.entry,
        changed_at=scene.now,
    )
    scene.draft.put((INCIDENT, key), storm)
    scene.draft.put((STORM, key), Storm(name))
    scene.line(storm, "opened", f"{storm.severity} storm page: the page budget of {name} is spent")
    scene.draft.timer(f"storm:{key}", scene.now + scene.rulebook.quiet.storm.within)
    return storm


def _page(scene: Scene, storm: Incident, name: str, step: int, why: str) -> None:
    """Begin an episode of paging in a moment: this person first, then the policy from the step after `step`."""
    storm.episode += 1
    storm.round, storm.step, storm.paged = 0, step, False
    storm.acked_by, storm.acked_at, storm.snoozed_until = "", None, None
    scene.draft.timer(f"snooze:{storm.key}", None)
    storm.lead, storm.lead_why = name, why
    storm.page_at = scene.now + GATHER
    scene.draft.timer(f"page:{storm.key}", storm.page_at)


def _stand_for(scene: Scene, storm: Incident, incident: Incident) -> None:
    known = cast("Storm | None", scene.draft.get((STORM, storm.key))) or Storm("")
    if incident.key in known.members:
        return
    storm.stands_for += 1
    counts = dict(known.counts)
    for name, value in json.loads(incident.group):
        label = f"{name}={value}"
        if label in counts or len(counts) < COUNTS_MAX:
            counts[label] = counts.get(label, 0) + 1
    members = (*known.members, incident.key)[:MEMBERS_MAX]
    scene.draft.put((STORM, storm.key), Storm(known.person, members, counts))
    storm.changed_at = scene.now
    storm.title = f"Storm: {_pages(storm)} more than the budget of {known.person}"
    scene.line(storm, "withheld", f"stands for {short(incident.key)}: {incident.title}", minor=True)


def stands(scene: Scene, incident: Incident) -> bool:
    """Tell whether a storm page stands for the next page of an incident; if so, look again later.

    If it no longer does, because it was taken and the budget has refilled, whoever took it is paged first. A storm page
    itself is not sent when all that it stood for is taken or over.
    """
    if incident.stands_for:
        return _stands_for_nothing(scene, incident)
    if not incident.storm:
        return False
    storm, known = scene.draft.incident(incident.storm), incident.storm
    incident.storm = ""
    if incident.severity is Severity.P0 or storm is None or storm.phase in ENDED:
        return False
    if not storm.acked_by and storm.page_at is None:
        incident.storm, incident.page_at = known, None
        scene.line(incident, "exhausted", f"the storm page {short(known)} came to the last resort for it")
        return True
    until = _until(scene, storm)
    if until <= scene.now:
        incident.lead, incident.lead_why = storm.acked_by, f"took the storm page {short(known)}"
        return False
    incident.storm, incident.page_at = known, until
    scene.draft.timer(f"page:{incident.key}", until)
    return True


def _stands_for_nothing(scene: Scene, storm: Incident) -> bool:
    known = cast("Storm | None", scene.draft.get((STORM, storm.key))) or Storm("")
    if any(_waits(scene, scene.draft.incident(one), storm.key) for one in known.members):
        return False
    storm.page_at = None
    scene.draft.timer(f"storm:{storm.key}", scene.now)
    return True


def _until(scene: Scene, storm: Incident) -> Millis:
    """Return when what an open storm page stands for looks whether it still does, or (taken) when it no longer does."""
    within = scene.rulebook.quiet.storm.within
    if not storm.acked_by:
        return scene.now + within
    return max((storm.human_at or 0) + within, storm.snoozed_until or 0)


def is_over(scene: Scene, storm: Incident) -> bool:
    """The timer `storm:<incident>` is due: tell whether all that the page lists is taken or over; else look again."""
    known = cast("Storm | None", scene.draft.get((STORM, storm.key)))
    if storm.phase in ENDED or known is None:
        return False
    left = tuple(one for one in known.members if _waits(scene, scene.draft.incident(one), storm.key))
    scene.draft.put((STORM, storm.key), Storm(known.person, left, known.counts))
    if left:
        scene.draft.timer(f"storm:{storm.key}", scene.now + scene.rulebook.quiet.storm.within)
    return not left


def _waits(scene: Scene, incident: Incident | None, storm: str) -> bool:
    """Tell whether an incident is nobody's and waits for this storm page."""
    if incident is None or incident.phase in ENDED or incident.phase is Phase.MONITORING:
        return False
    return not incident.acked_by and incident.storm == storm


def words(scene: Scene, storm: Incident) -> str:
    """Return what a storm page says: how many, what they have most in common, and the first of them."""
    known = cast("Storm | None", scene.draft.get((STORM, storm.key))) or Storm("")
    waiting = [one for one in known.members if _waits(scene, scene.draft.incident(one), storm.key)]
    shown = [cast("Incident", scene.draft.incident(one)) for one in waiting[:SHOWN]]
    common = sorted(known.counts.items(), key=lambda one: (-one[1], one[0]))[:TOP]
    lines = [
        f"It stands for {_pages(storm)}. Taking it takes none of the incidents: tocsin ack ID for each.",
        f"Most of them: {', '.join(f'{label} ({count})' for label, count in common)}",
        *(f"{short(one.key)} {one.severity} {one.title[:80]}" for one in shown),
    ]
    if len(waiting) > SHOWN:
        lines.append(f"and {len(waiting) - SHOWN} more: tocsin incidents")
    return "\n".join(lines)


def _pages(storm: Incident) -> str:
    return "1 page" if storm.stands_for == 1 else f"{storm.stands_for} pages"
