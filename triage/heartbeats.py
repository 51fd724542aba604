"""Heartbeats: what must be heard of again and again, and whose absence is an alert like any other.

A beat moves the time at which its heartbeat is missed; the timer `beat:<fingerprint>` looks whether that has come. What
is missed, or fails, becomes an event of the source `heartbeat`, which the rules decide; the next beat ends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, cast

import msgspec

from triage import incidents, telling
from triage.firing import decide_event
from triage.memory import ALERT, DETAILS, HEARTBEAT, THE_ROSTER, THE_RULES
from triage.model import (
    ENDED,
    HOUR,
    MINUTE,
    SECOND,
    AlertState,
    Decision,
    Details,
    Event,
    Kind,
    Millis,
    Outcome,
    Phase,
    Reason,
    Rules,
    Severity,
    Status,
)
from triage.roster import BeatState, Heartbeat, Roster
from triage.rulebook import Rulebook
from triage.rulebook.cron import next_after
from triage.rulebook.durations import show_duration
from triage.rulebook.types import FAILED, HEARTBEAT_SOURCE, MISSED, SILENT, Cadence
from triage.scene import Scene

MOST: Final = 1_000
"""How many heartbeats one rule makes at most; a label with a new value for each beat would make them without end."""
LOOK_AGAIN: Final[Millis] = HOUR
"""How often a missed heartbeat says that it still is, so that its alert does not go stale."""
LATE: Final[Millis] = MINUTE
"""A timer that fires later than this says that Tocsin was away itself, and could not be beaten to."""
LAST_CHANCE: Final[Millis] = 15 * MINUTE
"""How long a heartbeat that was due meanwhile is given at most to beat again."""
SETTLE: Final = "beat:"
"""The timer that compares the heartbeats with the rules."""
SUCCESS: Final = "success"
START: Final = "start"
FAIL: Final = "fail"
_DOWN: Final = frozenset({BeatState.MISSED, BeatState.FAILED})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


# --------------------------------------------------------------------------------------------------------------------
# What arrives.


def take(scene: Scene, source: str, event: Event, index: int) -> Decision | None:
    """Decide an event that is a beat, or return None for what is none."""
    if source == HEARTBEAT_SOURCE:
        return _ping(scene, event, index)
    rule = scene.rulebook.heartbeat_of(source, event)
    if not rule:
        return None
    if event.status is not Status.FIRING:
        known = scene.draft.alert(event.fingerprint)
        if known is not None and known.state is not AlertState.RESOLVED:
            return None  # it fired before it was a heartbeat, and this is its end
        return _noted(event.fingerprint, rule, "no beat: it does not fire")
    cadence = scene.rulebook.cadences[f"rule/{rule}"]
    labels = {name: event.labels[name] for name in cadence.by if event.labels.get(name)}
    return _beat(scene, cadence, labels, event.fingerprint, index)


def _ping(scene: Scene, event: Event, index: int) -> Decision | None:
    cadence = scene.rulebook.cadences.get(f"ping/{event.labels.get('heartbeat', '')}")
    if cadence is None:
        return None  # it has left the rules since it was taken: a failure is an alert all the same
    signal = event.labels.get("signal", SUCCESS)
    if signal == SUCCESS:
        return _beat(scene, cadence, {}, event.fingerprint, index)
    one = _editable(scene, cadence, {})
    if one is None:
        return _noted(event.fingerprint, cadence.name, _full(cadence))
    key = cadence.fingerprint({})
    if signal == START:
        one.started_at = scene.now
        if one.state not in _DOWN:
            _await(scene, cadence, key, one)
        return _noted(event.fingerprint, cadence.name, "started")
    _ran(scene, one)
    one.due = None
    _turn(scene, one, BeatState.FAILED)
    _look_at(scene, key, one, scene.now + LOOK_AGAIN)
    code = event.labels.get("exit_code", "")
    title = f"Heartbeat failed: {cadence.name}{f' (exit code {code})' if code else ''}"
    return decide_event(scene, HEARTBEAT_SOURCE, _alert(scene, cadence, one, FAILED, title, event.annotations), index)


def heard(scene: Scene, source: str) -> None:
    """Note that a source with `expect_every` said something, whatever it was."""
    cadence = scene.rulebook.cadences.get(f"source/{source}")
    if cadence is None or scene.draft.get((HEARTBEAT, cadence.fingerprint({}))) is None:
        return
    _beat(scene, cadence, {}, "", 0)


def _beat(scene: Scene, cadence: Cadence, labels: Mapping[str, str], of: str, index: int) -> Decision:
    """Let a heartbeat beat; what was missed or failed is over. `of` is the fingerprint of the event that beat."""
    one = _editable(scene, cadence, labels)
    if one is None:
        return _noted(of, cadence.name, _full(cadence))
    detail = _note_gap(scene, cadence, one)
    _ran(scene, one)
    one.beat_at = scene.now
    one.beats += 1
    was_down = one.state in _DOWN
    _turn(scene, one, BeatState.UP)
    key = cadence.fingerprint(labels)
    _await(scene, cadence, key, one)
    ended = _end(scene, key, "it beats again", index) if was_down else None
    if ended is None:
        return _noted(of, cadence.name, detail)
    return msgspec.structs.replace(ended, fingerprint=of)


def _noted(fingerprint: str, rule: str, detail: str) -> Decision:
    return Decision(Outcome.RECORDED, Reason.HEARTBEAT, Severity.P4, fingerprint, rule, detail=detail)


def _note_gap(scene: Scene, cadence: Cadence, one: Heartbeat) -> str:
    """Count a beat that came later than it should, though not too late. A little is only the way it took."""
    if not cadence.every or one.beat_at is None or one.state is not BeatState.UP:
        return ""
    gap = scene.now - one.beat_at
    if gap <= cadence.every + min(cadence.every // 20, 10 * SECOND):
        return ""
    one.slow += 1
    one.slow_at = scene.now
    one.gap = max(one.gap, gap)
    return f"{show_duration(gap)} after the one before, though it is to beat every {show_duration(cadence.every)}"


def _ran(scene: Scene, one: Heartbeat) -> None:
    if one.started_at is not None:
        one.took = scene.now - one.started_at
        one.started_at = None


# --------------------------------------------------------------------------------------------------------------------
# What does not arrive.


def fire(scene: Scene, key: str) -> None:
    """The timer `beat:<fingerprint>` is due: is the heartbeat missed? Without a fingerprint: are these the rules'?"""
    if not key:
        _settle(scene)
        return
    if scene.draft.get((HEARTBEAT, key)) is None:
        return
    one: Heartbeat = scene.draft.edit((HEARTBEAT, key))
    one.timer = None
    cadence = scene.rulebook.cadences.get(one.cadence)
    if cadence is None:
        _drop(scene, key, one, f"{_called(one)} is no longer in the rules")
    elif one.state in _DOWN:
        _still_down(scene, cadence, key, one)
    elif one.due is None or one.due > scene.now:
        _await(scene, cadence, key, one)
    elif scene.now - one.due > LATE and not one.excused:
        one.excused = True
        one.due = scene.now + min(cadence.every or LAST_CHANCE, LAST_CHANCE) + min(cadence.grace, LAST_CHANCE)
        _look_at(scene, key, one, one.due)
    else:
        _miss(scene, cadence, key, one)


def _miss(scene: Scene, cadence: Cadence, key: str, one: Heartbeat) -> None:
    event = _missed(scene, cadence, one)
    one.due = None
    _turn(scene, one, BeatState.MISSED)
    _look_at(scene, key, one, scene.now + LOOK_AGAIN)
    decide_event(scene, HEARTBEAT_SOURCE, event, 0)


def _missed(scene: Scene, cadence: Cadence, one: Heartbeat) -> Event:
    """Return the event that says what is missed, since when, and when it should have been."""
    last = f"the last came at {_time(one.beat_at)}" if one.beat_at is not None else "none ever came"
    if cadence.key.startswith("source/"):
        said = f"It should say something every {show_duration(cadence.every)}; {last}."
        title = f"Nothing from {cadence.name} for {show_duration(cadence.every)}"
        return _alert(scene, cadence, one, SILENT, title, {"description": said})
    if one.started_at is not None and cadence.max_run:
        title = f"Heartbeat missed: {_called(one)} started and did not end within {show_duration(cadence.max_run)}"
        return _alert(scene, cadence, one, MISSED, title, {"description": f"It started at {_time(one.started_at)}."})
    when = f"at {cadence.cron} ({cadence.time_zone})" if cadence.cron else f"every {show_duration(cadence.every)}"
    late = f", {show_duration(cadence.grace)} late at most" if cadence.grace else ""
    away = " Tocsin was away itself when this was due, and has waited once more." if one.excused else ""
    said = f"It should beat {when}{late}; {last}.{away}"
    return _alert(scene, cadence, one, MISSED, f"Heartbeat missed: {_called(one)}", {"description": said})


def _still_down(scene: Scene, cadence: Cadence, key: str, one: Heartbeat) -> None:
    """Keep the alert from going stale. What a person resolved and nobody expects is over: a cluster taken down."""
    alert = scene.draft.alert(key)
    if alert is not None and alert.state is not AlertState.RESOLVED:
        incident = scene.draft.incident(alert.incident) if alert.incident else None
        by_hand = incident is not None and incident.phase in ENDED and bool(incident.resolved_by)
        if by_hand and not cadence.expects(one.labels):
            _drop(scene, key, one, f"{_called(one)} was resolved by hand, and nothing expects it")
            return
        scene.draft.edit((ALERT, key)).seen_at = scene.now
    _look_at(scene, key, one, scene.now + LOOK_AGAIN)


# --------------------------------------------------------------------------------------------------------------------
# What the rules say.


def rules_changed(scene: Scene, rulebook: Rulebook) -> None:
    """Have the heartbeats compared with new rules, once these decide."""
    if rulebook.cadences or scene.draft.get(THE_ROSTER) is not None:
        scene.draft.timer(SETTLE, scene.now)


def check_rules(scene: Scene, due: Sequence[str]) -> None:
    """Have the heartbeats compared with rules that were in force before this version knew of them."""
    if not scene.rulebook.cadences or SETTLE in due or scene.draft.get(THE_RULES) is None:
        return
    roster: Roster | None = scene.draft.get(THE_ROSTER)
    if roster is None or roster.digest != scene.rulebook.digest:
        scene.draft.timer(SETTLE, scene.now)


def _settle(scene: Scene) -> None:
    """Drop what the rules no longer name, and await what they expect from when they came into force."""
    cadences = scene.rulebook.cadences
    rules = cast("Rules | None", scene.draft.get(THE_RULES))
    since = rules.loaded_at if rules is not None else scene.now
    for key, of in _roster(scene).ids.items():
        one: Heartbeat = scene.draft.edit((HEARTBEAT, key))
        cadence = cadences.get(of)
        if cadence is None or (one.beat_at is None and not cadence.expects(one.labels)):
            _drop(scene, key, one, f"{_called(one)} is no longer in the rules")
        elif one.state not in _DOWN:
            _await(scene, cadence, key, one)
    for cadence in cadences.values():
        for labels in cadence.expected():
            key = cadence.fingerprint(labels)
            if scene.draft.get((HEARTBEAT, key)) is None:
                added = _editable(scene, cadence, labels)
                if added is not None:
                    added.since = added.changed_at = since
                    _await(scene, cadence, key, added)
    _roster(scene).digest = scene.rulebook.digest


def _drop(scene: Scene, key: str, one: Heartbeat, why: str) -> None:
    """Forget a heartbeat. Its alert ends; an incident that was about nothing else is resolved."""
    scene.draft.put((HEARTBEAT, key), None)
    scene.draft.timer(f"beat:{key}", None)
    roster = _roster(scene)
    roster.ids = {known: of for known, of in roster.ids.items() if known != key}
    ended = _end(scene, key, why, 0) if one.state in _DOWN else None
    if ended is None or not ended.incident or scene.draft.incident(ended.incident) is None:
        return
    incident = scene.draft.edit_incident(ended.incident)
    if incident.phase is Phase.MONITORING and incident.alerts == 1:
        incidents.resolve(scene, incident, why, "")


def _end(scene: Scene, key: str, why: str, index: int) -> Decision | None:
    """End the alert about a heartbeat, if there is one, and say why in its incident."""
    alert = scene.draft.alert(key)
    if alert is None or alert.state is AlertState.RESOLVED:
        return None
    details: Details | None = scene.draft.get((DETAILS, key))
    title = details.title if details is not None else key[:8]
    known = scene.draft.incident(alert.incident) if alert.incident else None
    if known is not None and known.phase not in ENDED:
        scene.line(scene.draft.edit_incident(known.key), "heartbeat", f"{title}: {why}", minor=True)
    event = Event(Status.RESOLVED, key, title, details.labels if details is not None else {}, kind=Kind.CHECK)
    return decide_event(scene, HEARTBEAT_SOURCE, event, index)


# --------------------------------------------------------------------------------------------------------------------
# Memory.


def _editable(scene: Scene, cadence: Cadence, labels: Mapping[str, str]) -> Heartbeat | None:
    """Return a heartbeat for changing, a new one if it is not known yet; None when its cadence has too many."""
    key = cadence.fingerprint(labels)
    if scene.draft.get((HEARTBEAT, key)) is not None:
        return cast("Heartbeat", scene.draft.edit((HEARTBEAT, key)))
    roster = _roster(scene)
    if sum(of == cadence.key for of in roster.ids.values()) >= MOST:
        name = f"heartbeats:{cadence.name}"
        telling.tell_operator(scene, name, f"Too many heartbeats by the rule “{cadence.name}”", _full(cadence))
        return None
    roster.ids = {**roster.ids, key: cadence.key}
    one = Heartbeat(cadence.key, cadence.name, dict(labels), since=scene.now, changed_at=scene.now)
    scene.draft.put((HEARTBEAT, key), one)
    return one


def _full(cadence: Cadence) -> str:
    return (
        f"not watched: {MOST} heartbeats are there already; `by` of “{cadence.name}” has labels with too many values."
    )


def _roster(scene: Scene) -> Roster:
    if scene.draft.get(THE_ROSTER) is None:
        scene.draft.put(THE_ROSTER, Roster())
    return cast("Roster", scene.draft.edit(THE_ROSTER))


def _turn(scene: Scene, one: Heartbeat, state: BeatState) -> None:
    if one.state is not state:
        one.state, one.changed_at = state, scene.now


def _await(scene: Scene, cadence: Cadence, key: str, one: Heartbeat) -> None:
    """Set when the heartbeat is missed, by what is known of it now."""
    last = max(one.since, one.beat_at or 0)
    one.excused = False
    if one.started_at is not None and cadence.max_run:
        one.due = one.started_at + cadence.max_run
    elif cadence.cron:
        one.due = next_after(cadence.cron, cadence.time_zone, last) + cadence.grace
    else:
        one.due = last + cadence.every + cadence.grace
    _look_at(scene, key, one, one.due)


def _look_at(scene: Scene, key: str, one: Heartbeat, at: Millis) -> None:
    """Set the timer, unless one comes earlier: that one sees what is due then, and beats need not move it each time."""
    if one.timer is None or at < one.timer:
        one.timer = at
        scene.draft.timer(f"beat:{key}", at)


def _alert(
    scene: Scene, cadence: Cadence, one: Heartbeat, name: str, title: str, annotations: Mapping[str, str]
) -> Event:
    labels = {**cadence.labels, **one.labels, "alertname": name, "heartbeat": cadence.name}
    return Event(
        Status.FIRING,
        cadence.fingerprint(one.labels),
        title,
        labels,
        dict(annotations),
        raw_severity=cadence.severity.name,
        starts_at=scene.now,
        kind=Kind.CHECK,
    )


def _called(one: Heartbeat) -> str:
    values = ", ".join(f"{name}={value}" for name, value in sorted(one.labels.items()))
    return f"{one.name} ({values})" if values else one.name


def _time(at: Millis) -> str:
    return (_EPOCH + timedelta(milliseconds=at)).strftime("%Y-%m-%d %H:%M:%S UTC")
