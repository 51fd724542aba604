"""The `raise` clauses: a severity that grows with how many alerts fire, how often they began, or how long they last."""

from __future__ import annotations

from typing import Final

from triage import incidents
from triage.memory import TALLY
from triage.model import ENDED, Event, Incident, Millis, Phase, Severity
from triage.rulebook.types import Raise, Verdict
from triage.scene import Scene
from triage.tally import Tally

VALUES_MAX: Final = 1_000
"""How many distinct values one clause counts in one incident; a clause cannot ask for more."""
TIMES_MAX: Final = 100
"""How many beginnings one clause remembers; a clause cannot ask for more."""


def count(scene: Scene, incident: Incident, event: Event, verdict: Verdict) -> tuple[str, ...]:
    """Count an alert that began to fire under its rule's clauses, and raise what is due. Return the keys counted."""
    if not verdict.raises:
        return ()
    tally = tally_of(scene, incident)
    counted: list[str] = []
    for index, clause in enumerate(verdict.raises):
        key = f"{verdict.rules.get('raise', verdict.rule)}/{index}"
        if clause.firing:
            counted.append(_count_firing(scene, incident, tally, key, clause, event))
        elif clause.times:
            _count_times(scene, incident, tally, key, clause)
        elif clause.after:
            counted.append(_count_after(scene, incident, tally, key, clause))
    return tuple(one for one in counted if one)


def count_again(scene: Scene, incident: Incident, verdict: Verdict) -> None:
    """Count that an alert which flaps began to fire again, though it was counted as firing all along."""
    for index, clause in enumerate(verdict.raises):
        if clause.times:
            key = f"{verdict.rules.get('raise', verdict.rule)}/{index}"
            _count_times(scene, incident, tally_of(scene, incident), key, clause)


def tally_of(scene: Scene, incident: Incident) -> Tally:
    """Return what is counted for an incident, for changing."""
    if not incident.tallied or scene.draft.get((TALLY, incident.key)) is None:
        incident.tallied = True  # asking for what cannot be there would cost the shell a round trip each time
        scene.draft.put((TALLY, incident.key), Tally())
    tally: Tally = scene.draft.edit((TALLY, incident.key))
    tally.firing, tally.times, tally.after = dict(tally.firing), dict(tally.times), dict(tally.after)
    return tally


def _count_firing(scene: Scene, incident: Incident, tally: Tally, key: str, clause: Raise, event: Event) -> str:
    counted = f"{key}/{event.labels.get(clause.distinct, '')}" if clause.distinct else key
    values = sum(name.startswith(f"{key}/") for name in tally.firing) if clause.distinct else 0
    if counted not in tally.firing:
        if values >= VALUES_MAX:
            return ""
        values += 1
    tally.firing[counted] = tally.firing.get(counted, 0) + 1
    number = values if clause.distinct else tally.firing[key]
    if number >= clause.firing:
        of = f" with distinct {clause.distinct}" if clause.distinct else ""
        _raise(scene, incident, tally, key, clause.to, f"{number} fire at once{of}")
    return counted


def _count_times(scene: Scene, incident: Incident, tally: Tally, key: str, clause: Raise) -> None:
    since = scene.now - clause.within if clause.within else 0
    times = (*(at for at in tally.times.get(key, ()) if at >= since), scene.now)[-TIMES_MAX:]
    tally.times[key] = times
    if len(times) >= clause.times:
        within = f" within {clause.within // 60_000} min" if clause.within else ""
        _raise(scene, incident, tally, key, clause.to, f"began to fire {len(times)} times{within}")


def _count_after(scene: Scene, incident: Incident, tally: Tally, key: str, clause: Raise) -> str:
    tally.firing[key] = tally.firing.get(key, 0) + 1
    if key not in tally.after and key not in tally.raised:
        tally.after[key] = (scene.now + clause.after, clause.to)
        arm(scene, incident, tally)
    return key


def uncount(scene: Scene, incident: Incident, counted: tuple[str, ...]) -> None:
    """An alert stopped firing: take it out of what the clauses count."""
    if not counted:
        return
    tally = tally_of(scene, incident)
    for key in counted:
        left = tally.firing.get(key, 0) - 1
        if left > 0:
            tally.firing[key] = left
            continue
        tally.firing.pop(key, None)
        if tally.after.pop(key, None) is not None:
            arm(scene, incident, tally)


def fire(scene: Scene, incident: Incident) -> None:
    """The timer `after:<incident>` is due: raise what has been firing for long enough."""
    if incident.phase is Phase.MONITORING or incident.phase in ENDED or not incident.tallied:
        return  # should it open again, the timer is set again
    tally = tally_of(scene, incident)
    for key in sorted(tally.after):
        due, severity = tally.after[key]
        if due <= scene.now:
            del tally.after[key]
            _raise(scene, incident, tally, key, severity, "has been firing for too long")
    arm(scene, incident, tally)


def arm(scene: Scene, incident: Incident, tally: Tally) -> None:
    """Set the timer for the first clause that is due by time alone."""
    due: Millis | None = min((at for at, _ in tally.after.values()), default=None)
    scene.draft.timer(f"after:{incident.key}", due)


def _raise(scene: Scene, incident: Incident, tally: Tally, key: str, severity: Severity, why: str) -> None:
    if key in tally.raised:
        return
    tally.raised = (*tally.raised, key)
    if severity < incident.severity and incident.phase is not Phase.MONITORING:
        incidents.raise_to(scene, incident, severity, f"rule “{key.rpartition('/')[0]}”: {why}")
