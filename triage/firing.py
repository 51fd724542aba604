"""What happens to one event: deduplication, then the rules, then its incident. `decide_event` is the policy."""

from __future__ import annotations

from typing import Final

from triage import alerts, flapping, incidents, pausing, quiet, raises, silences, woken
from triage.alerts import Move
from triage.memory import ALERT, DETAILS, TALLY
from triage.model import (
    ENDED,
    Alert,
    AlertState,
    Decision,
    Details,
    Event,
    Incident,
    Kind,
    Outcome,
    Phase,
    Reason,
    Severity,
)
from triage.quiet import Quiet
from triage.rulebook.types import Verdict
from triage.scene import Scene


def decide_event(scene: Scene, source: str, event: Event, index: int) -> Decision:
    """Decide what becomes of event number `index` of an entry."""
    known = scene.draft.alert(event.fingerprint)
    move, reason = alerts.move_of(event, known, scene.now, scene.rulebook.defaults.late_grace)
    if move is Move.REPEATS and known is not None:
        return _repeat(scene, source, event, known, index)
    if move is Move.BEGINS:
        return _begin(scene, source, event, known, index)
    if move is Move.RETURNS:
        return _return(scene, source, event, index)
    if move is Move.ENDS:
        return _end(scene, event)
    return _nothing(scene, source, event, known, reason)


def _nothing(scene: Scene, source: str, event: Event, known: Alert | None, reason: Reason) -> Decision:
    verdict = scene.rulebook.verdict(source, event)
    if verdict.dropped:
        return _dropped(event, verdict)
    if reason is Reason.UNKNOWN_ALERT:
        _remember(scene, event, alerts.ended_unseen(event, source, verdict.severity, scene.now), verdict)
    known_incident = known.incident if known is not None else ""
    recorded = reason in (Reason.UNKNOWN_ALERT, Reason.INFORMATIONAL)
    outcome = Outcome.RECORDED if recorded else Outcome.DEDUPLICATED
    return Decision(outcome, reason, verdict.severity, event.fingerprint, verdict.rule, known_incident)


def _dropped(event: Event, verdict: Verdict) -> Decision:
    rule = verdict.rules.get("outcome", verdict.rule)
    return Decision(Outcome.DROPPED, Reason.DROPPED_BY_RULE, verdict.severity, event.fingerprint, rule)


def _repeat(scene: Scene, source: str, event: Event, known: Alert, index: int) -> Decision:
    """The same alert again never pages; only what changed is written."""
    if silences.follows(scene):
        silences.heard(scene, scene.rulebook.labels_of(source, event), event.fingerprint, True)
    if known.state is AlertState.HELD and alerts.labels_sum(event) != known.labels_sum:
        scene.draft.timer(f"hold:{event.fingerprint}", None)
        return _begin(scene, source, event, known, index)  # it says something else: it may not be held any more
    alert: Alert = scene.draft.edit((ALERT, event.fingerprint))
    woken.heard(scene, alert.incident)
    alert.seen_at = scene.now
    alert.count += 1
    flapped = _flaps_again(scene, source, event, alert)
    if event.starts_at is not None and (alert.starts_at is None or event.starts_at > alert.starts_at):
        alert.starts_at = event.starts_at
    outcome, reason = _held_as(known.quiet) if known.state is AlertState.HELD else (Outcome.DEDUPLICATED, Reason.REPEAT)
    rule = ""
    labels_sum, text_sum = alerts.labels_sum(event), alerts.text_sum(event)
    if labels_sum != known.labels_sum or text_sum != known.text_sum:
        verdict = scene.rulebook.verdict(source, event)
        rule, reason = verdict.rule, Reason.CHANGED if outcome is Outcome.DEDUPLICATED else reason
        before: Details | None = scene.draft.get((DETAILS, event.fingerprint))
        _write_details(scene, event, verdict.rule, before.counted if before is not None else ())
        if labels_sum != known.labels_sum:
            _reclassify(scene, event, alert, verdict)
        if event.kind is Kind.REPORT:
            incidents.note_report(scene, alert.incident, event)
        alert.labels_sum, alert.text_sum = labels_sum, text_sum
    if flapped:
        outcome, reason = Outcome.HELD, Reason.FLAPPING
    detail = flapping.detail_of(alert) if flapped else ""
    return Decision(outcome, reason, alert.severity, event.fingerprint, rule, alert.incident, detail)


def _flaps_again(scene: Scene, source: str, event: Event, alert: Alert) -> bool:
    """Note that an alert which flaps fires again. Return whether that is a change: its sender had ended it."""
    if not flapping.again(scene, alert):
        return False
    flapping.rest(scene, event.fingerprint, alert)
    incident = _incident_of(scene, alert)
    if incident is not None and incident.phase not in ENDED:
        raises.count_again(scene, incident, scene.rulebook.verdict(source, event))
    return True


def settle(scene: Scene, fingerprint: str) -> None:
    """The timer `flap:<fingerprint>` is due: an alert that flapped is over, or fires on."""
    settled = flapping.settles(scene, fingerprint)
    details: Details | None = scene.draft.get((DETAILS, fingerprint))
    if settled is None or details is None:
        return
    alert: Alert = scene.draft.edit((ALERT, fingerprint))
    event = pausing.as_event(fingerprint, details)
    incident = _incident_of(scene, alert)
    if settled.down:
        _over(scene, event, alert, settled.account)
    elif settled.anew and incident is not None:
        incident.firing = max(0, incident.firing - 1)
        pausing.left(scene, incident, fingerprint)
        _begin_again(scene, alert.source, event, alert, 0)
        return
    if incident is not None:
        flapping.tell_settled(scene, incident, settled)


def _reclassify(scene: Scene, event: Event, alert: Alert, verdict: Verdict) -> None:
    """A repeat says other labels than before: it can raise its incident, never lower it."""
    alert.severity = verdict.severity
    if alert.quiet:
        scene.draft.timer(f"hold:{event.fingerprint}", scene.now)  # it may not be silenced any more
        return
    incident = scene.draft.incident(alert.incident) if alert.incident else None
    if incident is None or incident.phase in ENDED or verdict.severity >= incident.severity:
        return
    if quiet.of_event(scene, alert.source, event, verdict.severity) is not None:
        return
    editable = scene.draft.edit_incident(incident.key)
    why = f"rule “{verdict.rule}”" if verdict.rule else f"“{event.raw_severity}”"
    incidents.raise_to(scene, editable, verdict.severity, f"{event.title} ({why})")


def _begin(scene: Scene, source: str, event: Event, known: Alert | None, index: int) -> Decision:
    """A new episode: the rules decide whether it counts, then it finds its incident."""
    verdict = scene.rulebook.verdict(source, event)
    if verdict.dropped:
        return _dropped(event, verdict)
    if event.kind is Kind.REPORT:
        joined = incidents.take_report(scene, event, verdict)
        if joined:
            reason = Reason.JOINED
            return Decision(Outcome.ATTACHED, reason, verdict.severity, event.fingerprint, verdict.rule, joined)
        if verdict.severity is Severity.P4:
            return Decision(Outcome.RECORDED, Reason.LOW_REPORT, verdict.severity, event.fingerprint, verdict.rule)
    alert = alerts.begun(event, known, source, verdict.severity, scene.now)
    alert.flap = flapping.begins(scene, source, event, known)
    if verdict.during and not scene.rulebook.is_open(verdict.during, scene.now):
        return _hold(scene, event, alert, verdict)
    found = _begins_quiet(scene, source, event, verdict)
    if found is not None:
        return _quieten(scene, event, alert, verdict, found, known.incident if known is not None else "")
    alert.incident = known.incident if known is not None else ""
    outcome, reason = incidents.place(scene, event, alert, verdict, index)
    flapping.began(scene, event.fingerprint, alert, event.title)
    counted = raises.count(scene, scene.draft.edit_incident(alert.incident), event, verdict)
    _remember(scene, event, alert, verdict, counted)
    return Decision(outcome, reason, verdict.severity, event.fingerprint, verdict.rule, alert.incident)


def _begins_quiet(scene: Scene, source: str, event: Event, verdict: Verdict) -> Quiet | None:
    """Return what silences or inhibits an event that begins to fire; what is not inhibited may inhibit others."""
    if not quiet.anything(scene):
        return None
    labels = scene.rulebook.labels_of(source, event)
    if silences.follows(scene):
        silences.heard(scene, labels, event.fingerprint, True)
    found = quiet.quieting(scene, labels, event.fingerprint, verdict.severity)
    if found is None or found.reason not in _INHIBITED:
        quiet.source_begins(scene, labels, event.fingerprint)
    return found


def _quieten(scene: Scene, event: Event, alert: Alert, verdict: Verdict, found: Quiet, incident: str) -> Decision:
    """Remember a silenced alert as firing: in the incident that its group has open, or by itself."""
    alert.quiet = found.owner
    alert.incident = incident
    if not incidents.join_quietly(scene, event, alert, verdict):
        alert.state, alert.incident = AlertState.HELD, ""
    _remember(scene, event, alert, verdict)
    silences.count(scene, found.owner)
    _wait_quietly(scene, event.fingerprint, alert, found)
    outcome, _ = _held_as(found.owner)
    fingerprint, rule = event.fingerprint, verdict.rule
    return Decision(outcome, found.reason, verdict.severity, fingerprint, rule, alert.incident, found.text)


def _wait_quietly(scene: Scene, fingerprint: str, alert: Alert, found: Quiet) -> None:
    again = quiet.wait_for(scene, found, f"hold:{fingerprint}")
    if alert.state is AlertState.HELD:  # some senders speak only once
        scene.draft.timer(f"alert:{fingerprint}", again + scene.rulebook.stale_after(alert.source))


def _held_as(owner: str) -> tuple[Outcome, Reason]:
    """Return what a repeat of a held alert is called, by what holds it."""
    return _HELD_AS.get(owner.partition("/")[0], (Outcome.HELD, Reason.OUTSIDE_WINDOW))


_INHIBITED: Final = frozenset({Reason.INHIBITED, Reason.DEPENDS_ON})
_HELD_AS: Final = {
    "silence": (Outcome.SILENCED, Reason.SILENCED),
    "mute": (Outcome.SILENCED, Reason.MUTED),
    "inhibition": (Outcome.INHIBITED, Reason.INHIBITED),
    "service": (Outcome.INHIBITED, Reason.DEPENDS_ON),
}


def _hold(scene: Scene, event: Event, alert: Alert, verdict: Verdict) -> Decision:
    alert.state = AlertState.HELD
    _remember(scene, event, alert, verdict)
    _wait_for_window(scene, event.fingerprint, alert.source, verdict.during)
    return Decision(
        Outcome.HELD,
        Reason.OUTSIDE_WINDOW,
        verdict.severity,
        event.fingerprint,
        verdict.rules.get("during", verdict.rule),
        detail=f"until “{verdict.during}” opens",
    )


def _wait_for_window(scene: Scene, fingerprint: str, source: str, during: str) -> None:
    """Decide a held alert again when its window opens, however long its sender says nothing: some speak only once."""
    opens = scene.rulebook.opens_at(during, scene.now)
    if opens is not None:
        scene.draft.timer(f"hold:{fingerprint}", opens)
        scene.draft.timer(f"alert:{fingerprint}", opens + scene.rulebook.stale_after(source))


def look_again(scene: Scene, fingerprint: str) -> None:
    """The timer `hold:<fingerprint>` is due: what still fires is decided again, as if it began now."""
    alert: Alert = scene.draft.edit((ALERT, fingerprint))
    details: Details | None = scene.draft.get((DETAILS, fingerprint))
    if details is None:
        return
    event = pausing.as_event(fingerprint, details)
    event.starts_at = alert.starts_at
    verdict = scene.rulebook.verdict(alert.source, event)
    if alert.state is AlertState.HELD:
        _place_held(scene, event, alert, verdict)
    elif alert.quiet and alert.state is not AlertState.RESOLVED:
        _speak(scene, event, alert, verdict)


def _place_held(scene: Scene, event: Event, alert: Alert, verdict: Verdict) -> None:
    fingerprint = event.fingerprint
    if verdict.dropped:
        alert.state, alert.changed_at, alert.quiet = AlertState.RESOLVED, scene.now, ""
        return
    if verdict.during and not scene.rulebook.is_open(verdict.during, scene.now):
        alert.quiet = ""
        _wait_for_window(scene, fingerprint, alert.source, verdict.during)
        return
    found = _begins_quiet(scene, alert.source, event, verdict)
    if found is not None:
        alert.quiet = found.owner
        _wait_quietly(scene, fingerprint, alert, found)
        return
    because = "nothing silences or inhibits it any more"
    if not alert.quiet:
        because = f"“{verdict.during or 'its window'}” is open"
    alert.state, alert.severity, alert.changed_at, alert.quiet = AlertState.FIRING, verdict.severity, scene.now, ""
    incidents.place(scene, event, alert, verdict, 0)
    incident = scene.draft.edit_incident(alert.incident)
    scene.line(incident, "window", f"{event.title} still fires now that {because}", minor=True)
    counted = raises.count(scene, incident, event, verdict)
    _write_details(scene, event, verdict.rule, counted)


def _speak(scene: Scene, event: Event, alert: Alert, verdict: Verdict) -> None:
    """An alert that joined silenced is looked at again: when nothing silences it any more, it is told like others."""
    found = _begins_quiet(scene, alert.source, event, verdict)
    if found is not None:
        alert.quiet = found.owner
        _wait_quietly(scene, event.fingerprint, alert, found)
        return
    incident = _incident_of(scene, alert)
    if incident is None:
        alert.quiet = ""
        return
    pausing.unmark(scene, incident, event.fingerprint)
    pausing.joined(scene, incident, event.fingerprint)
    if incident.phase in ENDED or incident.phase is Phase.MONITORING:
        return
    scene.line(incident, "window", f"{event.title} still fires now that nothing silences it any more", minor=True)
    incidents.speak(scene, incident, event, verdict)
    _write_details(scene, event, verdict.rule, raises.count(scene, incident, event, verdict))


def _return(scene: Scene, source: str, event: Event, index: int) -> Decision:
    """A stale alert speaks again: if its incident settled for want of words, that was wrong."""
    verdict = scene.rulebook.verdict(source, event)
    alert: Alert = scene.draft.edit((ALERT, event.fingerprint))
    alert.state = AlertState.FIRING
    alert.seen_at = alert.changed_at = scene.now
    alert.count += 1
    scene.draft.timer(f"alert:{event.fingerprint}", scene.now + scene.rulebook.stale_after(source))
    woken.heard(scene, alert.incident)
    incident = _incident_of(scene, alert)
    if incident is None:
        return _begin_again(scene, source, event, alert, index)
    incident.stale = max(0, incident.stale - 1)
    ended = incident.phase in ENDED
    if (ended and incident.resolved_by) or not (ended or incident.phase is Phase.MONITORING):
        scene.line(incident, "returned", f"{event.title}: word again from {source}", minor=True)
        outcome, reason = Outcome.DEDUPLICATED, Reason.REPEAT
    elif ended and not incidents.may_reopen(scene, incident):
        incident.firing = max(0, incident.firing - 1)
        flapping.forgotten(incident, alert)
        pausing.left(scene, incident, event.fingerprint)
        return _begin_again(scene, source, event, alert, index)
    else:
        incidents.reopen(scene, incident, f"{event.title} was only stale, and fires", verdict.wait)
        outcome, reason = Outcome.REOPENED, Reason.FIRES_AGAIN
    return Decision(outcome, reason, verdict.severity, event.fingerprint, verdict.rule, alert.incident)


def _begin_again(scene: Scene, source: str, event: Event, alert: Alert, index: int) -> Decision:
    """What went stale is over: that it fires is a new episode, which the rules of today decide."""
    alert.state, alert.ends_at = AlertState.RESOLVED, scene.now
    return _begin(scene, source, event, alert, index)


def _incident_of(scene: Scene, alert: Alert) -> Incident | None:
    """Return the alert's incident for changing, or None when it has none or that is forgotten."""
    if not alert.incident or scene.draft.incident(alert.incident) is None:
        return None
    return scene.draft.edit_incident(alert.incident)


def _end(scene: Scene, event: Event) -> Decision:
    """The episode is over; the incident loses an alert, perhaps its last."""
    alert: Alert = scene.draft.edit((ALERT, event.fingerprint))
    held = flapping.ends(scene, event, alert)
    if held is not None:
        return held
    alert.ends_at = scene.now if event.ends_at is None else event.ends_at
    alert.seen_at = scene.now
    reason = _over(scene, event, alert)
    return Decision(Outcome.RESOLVED, reason, alert.severity, event.fingerprint, "", alert.incident)


def _over(scene: Scene, event: Event, alert: Alert, why: str = "") -> Reason:
    """Let an alert be over; `why` is for those who hear that all is clear. Return whether it was the last of many."""
    was = alert.state
    alert.state, alert.changed_at = AlertState.RESOLVED, scene.now
    _no_longer_heard(scene, event, alert)
    if was is AlertState.HELD:
        alert.quiet = ""
        scene.draft.timer(f"hold:{event.fingerprint}", None)
    elif alert.incident:
        incident = scene.draft.incident(alert.incident)
        if incident is not None and incident.tallied and scene.draft.get((TALLY, incident.key)) is not None:
            details: Details | None = scene.draft.get((DETAILS, event.fingerprint))
            raises.uncount(scene, scene.draft.edit_incident(incident.key), details.counted if details else ())
        stale = was is AlertState.STALE
        if incidents.leave(scene, alert.incident, event.fingerprint, event.title, stale, why):
            return Reason.LAST_ENDED
    return Reason.EPISODE_ENDED


def _no_longer_heard(scene: Scene, event: Event, alert: Alert) -> None:
    """Let what the alert inhibited be decided again, and silences that follow it come to their end."""
    follows = silences.follows(scene)
    if not follows and not scene.rulebook.quiet.inhibitions:
        return
    details: Details | None = scene.draft.get((DETAILS, event.fingerprint))
    known = pausing.as_event(event.fingerprint, details) if details is not None else event
    labels = scene.rulebook.labels_of(alert.source, known)
    quiet.source_ends(scene, labels, event.fingerprint)
    if follows:
        silences.heard(scene, labels, event.fingerprint, False)


def _remember(scene: Scene, event: Event, alert: Alert, verdict: Verdict, counted: tuple[str, ...] = ()) -> None:
    scene.draft.put((ALERT, event.fingerprint), alert)
    _write_details(scene, event, verdict.rule, counted)
    if alert.state is AlertState.RESOLVED:
        due = scene.now + scene.rulebook.defaults.forget_alert_after
    else:
        due = scene.now + scene.rulebook.stale_after(alert.source)
    scene.draft.timer(f"alert:{event.fingerprint}", due)


def _write_details(scene: Scene, event: Event, rule: str, counted: tuple[str, ...]) -> None:
    details = Details(
        title=event.title,
        labels=event.labels,
        annotations=event.annotations,
        raw_severity=event.raw_severity,
        url=event.url,
        kind=event.kind,
        rule=rule,
        anonymous=event.anonymous,
        counted=counted,
    )
    scene.draft.put((DETAILS, event.fingerprint), details)
