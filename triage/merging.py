"""Two incidents that are the same trouble become one: the merged one ends, and leads to the one that goes on.

What is remembered of alerts, groups and pages may name the merged incident for as long as it is kept, since
`Draft.incident` follows. So nothing has to be looked up here, however many alerts there are.

Nobody is paged twice for it: one escalation goes on, that of the more severe incident, and the other one ends. A page
that no provider has taken yet still goes out, unless that escalation has paged the same person already. Such a page is
left as it is: a worker may have it in hand, and writing it would end the worker's claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from triage import (
    figures,
    flapping,
    incidents,
    inheriting,
    learning,
    metrics,
    paging,
    pausing,
    promise,
    quiet,
    raises,
    recalling,
    responding,
    ringing,
    telling,
    verifying,
    woken,
)
from triage.memory import EFFECT, GROUP, TALLY
from triage.model import ENDED, Answer, Command, Effect, Group, Incident, Millis, Phase, Severity, short
from triage.scene import Scene
from triage.tally import Tally

MERGED_MAX: Final = 50
"""How many incidents can become part of one."""
TIMERS: Final = (
    "page",
    "notify",
    "joined",
    "remind",
    "snooze",
    "quiet",
    "after",
    "settle",
    "forget",
    "storm",
    "promise",
)
"""Kinds of timers that end with a merged incident."""
_ESCALATION: Final = (
    "policy", "wait", "page_at", "round", "step", "paged", "lead", "lead_why", "plan", "rounds", "raised_at", "late",
    "spared", "acked_by", "acked_at", "last_acker", "snoozed_until", "paused", "reached", "storm", "joined", "doubted",
)  # fmt: skip
"""The fields that say who is paged next, and who has it."""
_ORDER: Final = (Phase.DETECTED, Phase.TRIAGED, Phase.MITIGATING)

OnMerge = Callable[[Scene, Incident, Incident], None]
ON_MERGE: Final[tuple[OnMerge, ...]] = (
    flapping.hand_over,
    learning.hand_over,
    metrics.hand_over,
    verifying.hand_over,
    promise.hand_over,
    recalling.hand_over,
    inheriting.hand_over,
    ringing.hand_over,
)
"""Who else hands something over: called with the merged incident and the one that goes on, before the former ends."""
_T = TypeVar("_T")


def merge(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Let an incident become part of another one."""
    known = scene.draft.incident(command.data.get("other", ""))
    if known is None:
        return Answer(responding.REFUSED, "say into which incident: give its key")
    if known.key == incident.key:
        return Answer(responding.REFUSED, "that is this incident itself")
    if incident.stands_for or known.stands_for:
        return Answer(responding.REFUSED, "a storm page stands for other incidents; merge those")
    if known.phase in ENDED and incident.phase not in ENDED:
        why = f"incident {short(known.key)} has ended ({known.phase}); merge it into {short(incident.key)} instead"
        return Answer(responding.REFUSED, why)
    if len(known.merged) + len(incident.merged) >= MERGED_MAX:
        return Answer(responding.REFUSED, f"no more than {MERGED_MAX} incidents can become one")
    into = scene.draft.edit_incident(known.key)
    said = f": {command.text[: responding.TEXT_MAX]}" if command.text else ""
    scene.line(incident, "merged", f"into {short(into.key)} ({into.title}){said}", by=command.by)
    text = f"{short(incident.key)} is part of this: {incident.severity} {incident.title}{said}"
    scene.line(into, "merged", text, by=command.by)
    if not {incident.phase, into.phase} & ENDED:
        _one_escalation(scene, incident, into)
    _add_up(scene, incident, into)
    for hand_over in ON_MERGE:
        hand_over(scene, incident, into)
    into.roles = {**incident.roles, **into.roles}
    _end(scene, incident, into, command.by)
    return Answer(responding.DONE, f"it is part of {short(into.key)} now")


# --------------------------------------------------------------------------------------------------------------------
# Who is paged.


def _one_escalation(scene: Scene, gone: Incident, into: Incident) -> None:
    sure = any(not one.doubted and one.phase is not Phase.MONITORING for one in (gone, into))
    if into.phase is Phase.MONITORING and gone.phase is not Phase.MONITORING:
        incidents.reopen(scene, into, f"{short(gone.key)} is part of it, and is not over", 0)
    had = gone.severity == into.severity and bool(gone.acked_by) and not into.acked_by
    if gone.severity < into.severity or had:
        _its_goes_on(scene, gone, into)
    else:
        into.pending += _still_wanted(scene, gone, into, into)
    if into.acked_by:
        paging.cancel_pending(scene, into, keep_asked=True)
    if sure:  # old memory may be in doubt of one of both, but not of what the other is
        woken.heard(scene, into.key, f"memory was old, but one of {short(gone.key)} and this surely fires: so it pages")
    if into.paused:  # not all that fires now may be silenced
        scene.draft.timer(f"quiet:{into.key}", scene.now)


def _its_goes_on(scene: Scene, gone: Incident, into: Incident) -> None:
    """Let the escalation of the merged incident go on in the other. A new episode: no page has the id of another."""
    for kind in ("page", "notify", "joined", "remind", "snooze", "quiet"):
        scene.draft.timer(f"{kind}:{into.key}", None)
    into.pending = gone.pending + _still_wanted(scene, into, gone, into)
    for field in _ESCALATION:
        setattr(into, field, getattr(gone, field))
    into.episode = max(gone.episode, into.episode + 1)
    if gone.severity < into.severity:
        scene.line(into, "raised", f"{into.severity} → {gone.severity}: {short(gone.key)} is part of it")
        before, into.severity = into.severity, gone.severity
        promise.tighten(scene, into, before)
    if into.phase in _ORDER and gone.phase in _ORDER:
        into.phase = max(into.phase, gone.phase, key=_ORDER.index)
    _set_timers(scene, into)
    if into.phase is not Phase.MONITORING and not into.acked_by:
        _nobody_has_it(scene, gone, into)


def _set_timers(scene: Scene, into: Incident) -> None:
    due: dict[str, Millis | None] = {"page": into.page_at, "snooze": into.snoozed_until}
    due["joined"] = scene.now + telling.JOINED_WAIT if into.joined else None
    for kind, at in due.items():
        if at is not None:
            scene.draft.timer(f"{kind}:{into.key}", at)
    if into.snoozed_until is None:
        responding.arm_reminder(scene, into)


def _nobody_has_it(scene: Scene, gone: Incident, into: Incident) -> None:
    """Begin to page or tell where the escalation that goes on did not: its incident was all clear, or waited."""
    waits = into.severity is Severity.P2 and not gone.told
    if waits or (paging.pages_people(into.severity) and gone.phase is Phase.MONITORING):
        paging.begin(scene, into)


def _still_wanted(scene: Scene, ends: Incident, goes_on: Incident, into: Incident) -> tuple[str, ...]:
    """Return the pages of the escalation that ends which still go out; the others are withdrawn."""
    wanted: list[str] = []
    for effect_id in ends.pending:
        effect: Effect | None = scene.draft.get((EFFECT, effect_id))
        if effect is None:
            continue
        if effect.person not in goes_on.told:
            wanted.append(effect_id)
            continue
        scene.draft.put((EFFECT, effect_id), None)
        text = f"page to {effect.person} withdrawn: paged for the other incident already"
        scene.line(into, "withdrawn", text, minor=True)
    return tuple(wanted)


# --------------------------------------------------------------------------------------------------------------------
# What both have.


def _add_up(scene: Scene, gone: Incident, into: Incident) -> None:
    into.firing += gone.firing
    into.stale += gone.stale
    into.quiet += gone.quiet
    into.alerts += gone.alerts
    into.pages += gone.pages
    into.pageable = into.pageable or gone.pageable
    into.told = _union(into.told, gone.told, telling.TOLD_MAX)
    into.responders = _union(into.responders, gone.responders, responding.RESPONDERS_MAX)
    into.links = tuple(one for one in _union(into.links, gone.links, len(into.links + gone.links)) if one != into.key)
    into.answered = _union(into.answered, gone.answered, responding.PAGES_MAX)
    into.mistaps = {**gone.mistaps, **into.mistaps}
    into.changed = into.changed or gone.changed
    into.impact, into.eta = into.impact or gone.impact, gone.eta if into.eta is None else into.eta
    into.runbook, into.service = into.runbook or gone.runbook, into.service or gone.service
    into.taken_at = _first(into.taken_at, gone.taken_at)
    into.mitigating_at = _first(into.mitigating_at, gone.mitigating_at)
    into.human_at = into.changed_at = scene.now
    into.resolution, into.root_cause = into.resolution or gone.resolution, into.root_cause or gone.root_cause
    for name, (pages, nights) in gone.calls.items():
        known = into.calls.get(name, (0, 0))
        into.calls = {**into.calls, name: (known[0] + pages, known[1] + nights)}
    figures.add_nights(into, gone)
    into.merged = (*into.merged, gone.key, *gone.merged)
    pausing.merge(scene, gone, into)
    _add_tallies(scene, gone, into)


def _union(one: Iterable[_T], other: Iterable[_T], most: int) -> tuple[_T, ...]:
    return tuple(dict.fromkeys((*one, *other)))[:most]


def _first(one: Millis | None, other: Millis | None) -> Millis | None:
    return min((at for at in (one, other) if at is not None), default=None)


def _add_tallies(scene: Scene, gone: Incident, into: Incident) -> None:
    theirs: Tally | None = scene.draft.get((TALLY, gone.key)) if gone.tallied else None
    if theirs is None:
        return
    ours: Tally = raises.tally_of(scene, into)
    for key, count in theirs.firing.items():
        ours.firing[key] = ours.firing.get(key, 0) + count
    for key, times in theirs.times.items():
        ours.times[key] = tuple(sorted((*ours.times.get(key, ()), *times)))[-raises.TIMES_MAX :]
    ours.raised = _union(ours.raised, theirs.raised, len(ours.raised + theirs.raised))
    after = {**theirs.after, **ours.after}
    ours.after = {key: due for key, due in after.items() if key not in ours.raised}
    raises.arm(scene, into, ours)


def _end(scene: Scene, gone: Incident, into: Incident, by: str) -> None:
    group: Group | None = scene.draft.get((GROUP, gone.group))
    if group is not None and group.incident in (gone.key, *gone.merged):
        scene.draft.put((GROUP, gone.group), Group(into.key))
    for kind in TIMERS:
        scene.draft.timer(f"{kind}:{gone.key}", None)
    scene.draft.merge(gone.key, into.key)
    scene.draft.put((TALLY, gone.key), None)
    figures.goes_on(scene, gone.key)
    if into.phase in ENDED:
        figures.ended(scene, into)
    gone.phase = Phase.CLOSED
    gone.resolved_at = scene.now if gone.resolved_at is None else gone.resolved_at
    gone.resolved_by = gone.resolved_by or by
    gone.changed_at = scene.now
    gone.firing = gone.stale = gone.quiet = gone.joined = 0
    gone.page_at, gone.pending, gone.snoozed_until, gone.paused = None, (), None, ""
    quiet.incident_changed(scene, gone)
    if into.phase not in ENDED:
        quiet.incident_changed(scene, into)
    gone.merged_into = into.key
