"""Incidents: opened, joined, raised, all clear, resolved, and opened again.

Each function takes the scene and an incident that the scene's draft may change, and leaves a line in its timeline.
"""

from __future__ import annotations

from typing import Final

from triage import (
    changes,
    figures,
    learning,
    metrics,
    paging,
    pausing,
    promise,
    publishing,
    quiet,
    recalling,
    rooms,
    telling,
    verifying,
)
from triage.guarding import inform
from triage.memory import ACTION, CHECKLIST, DETAILS, GROUP, INCIDENT, STORM, TALLY, UPDATES
from triage.model import (
    ENDED,
    Alert,
    Event,
    Group,
    Incident,
    Kind,
    Millis,
    Outcome,
    Phase,
    Reason,
    Severity,
    Verified,
    key_of,
    short,
)
from triage.rulebook.rooms import NO_ROOM
from triage.rulebook.types import Verdict
from triage.scene import Scene
from triage.tally import Tally

REPORTER_MAX: Final = 60
"""How much of the name of whoever reports the timeline shows, in characters."""
_ROUND: Final = frozenset({2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 50, 100, 200, 500})


def place(scene: Scene, event: Event, alert: Alert, verdict: Verdict, index: int) -> tuple[Outcome, Reason]:
    """Put an alert that began to fire into the incident of its group: an open one, a recent one, or a new one."""
    draft, defaults = scene.draft, scene.rulebook.defaults
    group: Group | None = draft.get((GROUP, verdict.group))
    last = draft.incident(group.incident) if group else None
    again = alert.episodes > 1
    if last is not None and last.phase not in ENDED:
        incident = draft.edit_incident(last.key)
        if incident.phase is Phase.MONITORING:
            _join(scene, incident, event, alert, verdict)
            reopen(scene, incident, f"{event.title} fires again", verdict.wait)
            return Outcome.REOPENED, Reason.FIRES_AGAIN
        raised = _join(scene, incident, event, alert, verdict)
        if raised:
            return Outcome.ATTACHED, Reason.RAISED
        return Outcome.ATTACHED, Reason.FIRES_AGAIN if again else Reason.JOINED
    ended_at = last.resolved_at if last is not None else None
    recent = ended_at is not None and scene.now - ended_at <= defaults.reopen_within
    if last is not None and recent and not event.anonymous:  # which would page by opening it again
        incident = draft.edit_incident(last.key)
        _join(scene, incident, event, alert, verdict)
        within = f"within {defaults.reopen_within // 60_000} min of the end"
        reopen(scene, incident, f"{event.title} fires {within}", verdict.wait)
        return Outcome.REOPENED, Reason.FIRES_AGAIN
    _open(scene, event, alert, verdict, f"{scene.entry}/{index}", last.key if last is not None else "")
    return Outcome.OPENED, Reason.LINKED if last is not None else Reason.NEW_GROUP


def take_report(scene: Scene, event: Event, verdict: Verdict) -> str:
    """Let a user's report join the open incident of its group; return that incident's key, or "" without one.

    A report says that something hurts, and never that it stopped: it does not count among the alerts that fire, or
    the incident would wait for its end.
    """
    group: Group | None = scene.draft.get((GROUP, verdict.group))
    known = scene.draft.incident(group.incident) if group else None
    if known is None or known.phase in ENDED:
        return ""
    if known.phase is Phase.MONITORING and not event.anonymous and paging.pages_people(verdict.severity):
        return ""  # it is not over after all: as an alert of its own the report opens the incident again
    incident = scene.draft.edit_incident(known.key)
    incident.changed_at = scene.now
    note_report(scene, incident.key, event)
    _confirm(scene, incident, event, verdict)
    if not event.anonymous and verdict.severity < incident.severity:
        raise_to(scene, incident, verdict.severity, f"reported: {event.title}", verdict.wait)
    return incident.key


def _confirm(scene: Scene, incident: Incident, event: Event, verdict: Verdict) -> None:
    """Let anything but an anonymous report page for an incident that only such reports have made so far."""
    if incident.pageable or event.anonymous:
        return
    incident.pageable = True
    scene.line(incident, "confirmed", f"{event.title} confirms what was so far only reported")
    if incident.phase is not Phase.MONITORING and incident.phase not in ENDED:
        paging.begin(scene, incident, verdict.wait)


def note_report(scene: Scene, key: str, event: Event) -> None:
    """Put what a user reports on the timeline of an incident. What an anonymous one is signed with is only a word."""
    if key and scene.draft.incident(key) is not None:
        name = event.annotations.get("reporter", "")[:REPORTER_MAX]
        by = "somebody" if event.anonymous else name or "a user"
        signed = f" (signed “{name}”)" if event.anonymous and name else ""
        scene.line(scene.draft.edit_incident(key), "reported", f"{event.title}{signed}", by=by, minor=True)


def _open(scene: Scene, event: Event, alert: Alert, verdict: Verdict, opened_by: str, earlier: str) -> None:
    draft, now = scene.draft, scene.now
    key = key_of("incident", verdict.group, opened_by)
    incident = Incident(
        key=key,
        group=verdict.group,
        title=event.title,
        service=verdict.service,
        severity=verdict.severity,
        phase=Phase.DETECTED,
        policy=verdict.policy,
        runbook=verdict.runbook,
        rule=verdict.rule,
        opened_at=now,
        opened_by=opened_by,
        changed_at=now,
        alerts=1,
        firing=1,
        pageable=not event.anonymous,
        wait=verdict.wait,
        earlier=earlier,
        example=event.fingerprint,
    )
    alert.incident = key
    draft.member(key, event.fingerprint, True)
    by_rule = f"by rule “{verdict.rule}”" if verdict.rule else f"from “{event.raw_severity or 'no severity'}”"
    begin(scene, incident, verdict, f"{verdict.severity} {by_rule}: {event.title}")
    link = event.url if event.kind is not Kind.REPORT else ""  # anybody may send a report, and no query with it
    inform(scene, incident, "metrics", lambda inner, one: metrics.begin(inner, one, link, event.labels, verdict))
    pausing.joined(scene, incident, event.fingerprint)


def begin(scene: Scene, incident: Incident, verdict: Verdict, how: str, by: str = "") -> None:
    """Begin an incident that is made up already: its group leads to it, and it pages by its policy."""
    incident.wants_room = verdict.room
    scene.draft.put((INCIDENT, incident.key), incident)
    scene.draft.put((GROUP, incident.group), Group(incident.key))
    scene.line(incident, "opened", how, by=by)
    if incident.earlier:
        scene.line(incident, "linked", f"the same group had incident {short(incident.earlier)} before")
    if verdict.unknown_policy:
        scene.line(incident, "rules", f"policy “{verdict.unknown_policy}” does not exist; using “{verdict.policy}”")
        telling.tell_operator(
            scene,
            f"policy:{verdict.unknown_policy}",
            f"Unknown escalation policy “{verdict.unknown_policy}”",
            f"A rule names it for {incident.title}; “{verdict.policy}” is used. Mend severity.yaml or oncall.yaml.",
        )
    inform(scene, incident, "what changed before the beginning", changes.onset)
    inform(scene, incident, "what is still to be done from before the beginning", recalling.onset)
    paging.begin(scene, incident, verdict.wait)
    quiet.incident_changed(scene, incident)


def _enter(scene: Scene, incident: Incident, event: Event, alert: Alert) -> None:
    """Count an alert among those of an incident that fire."""
    known_here = alert.incident in (incident.key, *incident.merged)
    alert.incident = incident.key
    incident.firing += 1
    incident.changed_at = scene.now
    if not known_here:
        incident.alerts += 1
        scene.draft.member(incident.key, event.fingerprint, True)
    _note_join(scene, incident, event, known_here)


def join_quietly(scene: Scene, event: Event, alert: Alert, verdict: Verdict) -> bool:
    """Let a silenced alert join the incident that its group has open: it counts as firing, and tells nobody.

    Return whether there is one. None is opened, or opened again, for an alert that is silenced.
    """
    group: Group | None = scene.draft.get((GROUP, verdict.group))
    known = scene.draft.incident(group.incident) if group else None
    if known is None or known.phase in ENDED or known.phase is Phase.MONITORING:
        return False
    incident = scene.draft.edit_incident(known.key)
    _enter(scene, incident, event, alert)
    incident.quiet += 1
    return True


def _join(scene: Scene, incident: Incident, event: Event, alert: Alert, verdict: Verdict) -> bool:
    """Let an alert join an existing incident. Return whether it raised the severity."""
    _enter(scene, incident, event, alert)
    pausing.joined(scene, incident, event.fingerprint)
    return speak(scene, incident, event, verdict)


def speak(scene: Scene, incident: Incident, event: Event, verdict: Verdict) -> bool:
    """Let an alert that joined be told, and raise the severity if it is more severe. Return whether it did."""
    _confirm(scene, incident, event, verdict)
    telling.note_joined(scene, incident)
    if verdict.room and verdict.room != NO_ROOM and incident.room is None:
        incident.wants_room = verdict.room
    if verdict.severity >= incident.severity:
        if paging.pages_people(verdict.severity):
            paging.hasten(scene, incident, verdict.wait)
        return False
    why = f"rule “{verdict.rule}”" if verdict.rule else f"“{event.raw_severity}”"
    incident.title, incident.example = event.title, event.fingerprint
    incident.runbook = verdict.runbook or incident.runbook
    raise_to(scene, incident, verdict.severity, f"{event.title} ({why})", verdict.wait)
    return True


def _note_join(scene: Scene, incident: Incident, event: Event, known_here: bool) -> None:
    if known_here:
        scene.line(incident, "fires-again", event.title, minor=True)
    elif incident.alerts in _ROUND or incident.alerts % 1_000 == 0:
        scene.line(incident, "joined", f"{event.title} ({incident.alerts} alerts so far)", minor=True)


def raise_to(scene: Scene, incident: Incident, severity: Severity, why: str, wait: Millis = 0, by: str = "") -> None:
    """Raise an incident's severity. Entering P1 or P0 voids the acknowledgement and pages; see `paging.raised`."""
    before = incident.severity
    incident.severity = severity
    incident.changed_at = scene.now
    scene.line(incident, "raised", f"{before} → {severity}: {why}", by=by)
    inform(scene, incident, "which version had trouble", changes.trouble)
    inform(scene, incident, "when an update is due", lambda inner, one: promise.tighten(inner, one, before))
    inform(scene, incident, "metrics", metrics.raised)
    if incident.phase is not Phase.MONITORING and incident.phase not in ENDED:
        paging.raised(scene, incident, before, wait)
        quiet.incident_changed(scene, incident)


def lower_to(scene: Scene, incident: Incident, severity: Severity, why: str, by: str) -> None:
    """Lower an incident's severity, as only people do. It stays until a later alert is more severe."""
    before = incident.severity
    incident.severity = severity
    incident.changed_at = scene.now
    scene.line(incident, "lowered", f"{before} → {severity}: {why}", by=by)
    if incident.tallied and scene.draft.get((TALLY, incident.key)) is not None:
        # What only waits for time to pass knows nothing new, and must not raise it again.
        tally: Tally = scene.draft.edit((TALLY, incident.key))
        tally.raised, tally.after = (*tally.raised, *sorted(set(tally.after) - set(tally.raised))), {}
        scene.draft.timer(f"after:{incident.key}", None)
    if incident.phase is not Phase.MONITORING and incident.phase not in ENDED:
        paging.lowered(scene, incident)
        quiet.incident_changed(scene, incident)


def may_reopen(scene: Scene, incident: Incident) -> bool:
    """Tell whether an incident that ended may still open again: it ended lately, and its group has no later one."""
    group: Group | None = scene.draft.get((GROUP, incident.group))
    lately = scene.now - (incident.resolved_at or 0) <= scene.rulebook.defaults.reopen_within
    return lately and group is not None and group.incident in (incident.key, *incident.merged)


def reopen(scene: Scene, incident: Incident, why: str, wait: Millis) -> None:
    """Bring an incident back from monitoring or from its end: `wait` from now it pages the last acknowledger first."""
    was = incident.phase
    incident.phase = Phase.TRIAGED if incident.last_acker else Phase.DETECTED
    incident.monitoring_at = incident.resolved_at = None
    incident.resolved_by = ""
    incident.acked_by = ""
    incident.acked_at = None
    incident.changed_at = scene.now
    incident.lead = incident.last_acker
    for timer in ("settle", "forget"):
        scene.draft.timer(f"{timer}:{incident.key}", None)
    incident.reopened = f"back from {was}: {why}"
    scene.line(incident, "reopened", incident.reopened)
    if was in ENDED:
        figures.goes_on(scene, incident.key)
    if incident.tallied:  # what its clauses wait for went on meanwhile
        scene.draft.timer(f"after:{incident.key}", scene.now)
    inform(scene, incident, "what the public is shown", publishing.opened_again)
    inform(scene, incident, "metrics", metrics.moved)
    verifying.end(scene, incident.key)
    paging.begin(scene, incident, wait)
    quiet.incident_changed(scene, incident)


def leave(scene: Scene, key: str, fingerprint: str, title: str, stale: bool, why: str = "") -> bool:
    """Note that one alert of an incident stopped firing; `why` says how, where that is worth a word.

    Return whether it was the last.
    """
    if scene.draft.incident(key) is None:
        return False
    incident = scene.draft.edit_incident(key)
    incident.firing = max(0, incident.firing - 1)
    pausing.left(scene, incident, fingerprint)
    if stale:
        incident.stale = max(0, incident.stale - 1)
    incident.changed_at = scene.now
    if incident.alerts <= 10 or incident.firing == 0:
        scene.line(incident, "ended", f"{title} ({incident.firing} still firing)", minor=True)
    if incident.firing > incident.stale or incident.phase in ENDED:
        return incident.firing == 0
    if incident.firing == 0:
        all_clear(scene, incident, why or "no alert fires any more")
    else:
        gone_quiet(scene, incident)
    return incident.firing == 0


def gone_quiet(scene: Scene, incident: Incident) -> None:
    """Act when all that still fires is stale: low severities settle by themselves, high ones ask a person."""
    if incident.phase is Phase.MONITORING or incident.phase in ENDED:
        return
    if incident.severity >= Severity.P2:
        all_clear(scene, incident, "its alerts are stale: their sources have gone quiet")
        return
    scene.line(incident, "stale", "every firing alert is stale; asking whether it still holds")
    telling.tell(
        scene,
        incident,
        "stale",
        f"Still broken? {incident.title}",
        "No source has said anything about it for long. Resolve it if it is over.",
    )


def all_clear(scene: Scene, incident: Incident, why: str, by: str = "") -> None:
    """Nothing fires, or somebody says that it is over: stop paging, watch for the settle time, then resolve."""
    if incident.phase is Phase.MONITORING or incident.phase in ENDED:
        return
    settle = scene.rulebook.defaults.settle.get(incident.severity.name, 0)
    verified_first = verifying.begin(scene, incident)
    if settle <= 0 and not verified_first:
        resolve(scene, incident, f"{why}; {incident.severity} settles at once", by)
        return
    paging.stop(scene, incident)
    incident.phase = Phase.MONITORING
    incident.monitoring_at = incident.changed_at = scene.now
    quiet.incident_changed(scene, incident)
    how_long = f"for {settle // 60_000} min" if settle > 0 else "until it is verified"
    scene.line(incident, "all-clear", f"{why}; monitoring {how_long}", by=by)
    scene.draft.timer(f"settle:{incident.key}", scene.now + settle)
    metrics.moved(scene, incident)
    telling.tell(scene, incident, "all-clear", f"All clear: {incident.title}", f"{why[:1].upper()}{why[1:]}.")


def settle(scene: Scene, incident: Incident) -> None:
    """The timer `settle:<incident>` is due: it ends, unless something that is named for it must be seen first."""
    if incident.phase is Phase.MONITORING and verifying.may_end(scene, incident):
        resolve(scene, incident, "quiet for its settle time", "")


def look(scene: Scene, incident: Incident) -> None:
    """The timer `verifying:<incident>` is due. It ends where nothing is named any more that must be seen first."""
    if verifying.fire(scene, incident):
        resolve(scene, incident, "quiet for its settle time", "")


def verified(scene: Scene, body: Verified) -> None:
    """A worker looked whether an incident is well again. When it is, and its settle time is over, it ends."""
    if scene.draft.incident(body.incident) is None:
        return
    incident = scene.draft.edit_incident(body.incident)
    if incident.key == body.incident and verifying.take(scene, incident, body):
        resolve(scene, incident, "quiet for its settle time, and verified", "")


def resolve(scene: Scene, incident: Incident, why: str, by: str) -> None:
    """End an incident, by itself or by hand; alerts that still fire do not open it again by repeating."""
    paging.stop(scene, incident)
    was_clear = incident.phase is Phase.MONITORING
    incident.phase = Phase.RESOLVED
    incident.resolved_at = incident.changed_at = scene.now
    incident.resolved_by = by
    publishing.resolved(scene, incident)
    quiet.incident_changed(scene, incident)
    scene.draft.timer(f"settle:{incident.key}", None)
    scene.draft.timer(f"forget:{incident.key}", scene.now + scene.rulebook.defaults.forget_incident_after)
    if incident.tallied:
        scene.draft.timer(f"after:{incident.key}", None)
    scene.line(incident, "resolved", why, by=by)
    metrics.moved(scene, incident)
    verifying.end(scene, incident.key)
    figures.ended(scene, incident)
    learning.ended(scene, incident)
    if not was_clear:
        telling.tell(scene, incident, "resolved", f"Resolved: {incident.title}", why, but=by)


def forget(scene: Scene, incident: Incident) -> None:
    """Drop an incident that ended long ago with what was merged into it, and groups that still lead there."""
    for key in (incident.key, *incident.merged):
        known: Incident | None = scene.draft.get((INCIDENT, key))
        if known is None:
            continue
        group: Group | None = scene.draft.get((GROUP, known.group))
        if group is not None and group.incident in (incident.key, *incident.merged):
            scene.draft.put((GROUP, known.group), None)
        scene.draft.put((INCIDENT, key), None)
        scene.draft.put((TALLY, key), None)
        scene.draft.put((CHECKLIST, key), None)
        for run in known.runs:
            scene.draft.put((ACTION, run), None)
        for part in pausing.parts_of(known):
            scene.draft.put(part, None)
        if known.stands_for:
            scene.draft.put((STORM, key), None)
        scene.draft.put((UPDATES, key), None)
        rooms.forget(scene, known)
        metrics.forget(scene, key)
        verifying.end(scene, key)


def title_of(scene: Scene, fingerprint: str) -> str:
    """Return the title of an alert as people know it."""
    details = scene.draft.get((DETAILS, fingerprint))
    return details.title if details is not None else fingerprint[:8]
