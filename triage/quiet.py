"""Is an alert silenced, muted or inhibited now, by what, and until when; and what waits for that to change.

What is held back is never lost: it has a timer at which it is looked at again, and is looked at at once when what holds
it back changes. Each thing that can hold back has an `owner`, under whose name those timers are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, cast

import msgspec

from triage.memory import GATE, SILENCE, THE_SILENCES, WAITING
from triage.model import ENDED, MINUTE, AlertState, Event, Incident, Millis, Phase, Reason, Severity, key_of, short
from triage.rulebook import Rulebook
from triage.rulebook.quiet import Inhibition, Mute, accepts
from triage.scene import Scene
from triage.schedules import quiet_until
from triage.silence import Gate, Silence, Silences, Waiting, Words

WAITING_MAX: Final = 1_000
"""How many things one owner sets going at once; what waits besides looks each minute."""
GATE_MAX: Final = 1_000
"""How many sources one inhibition remembers for one combination of labels; with more, those that fire no more go."""
LOOK_AGAIN: Final[Millis] = MINUTE
RECHECK: Final[Millis] = 5 * MINUTE
"""How often what waits for something without a known end is looked at, should no word of its end come."""
_SERVICE: Final = "service/"
_FIRES: Final = frozenset({AlertState.FIRING, AlertState.HELD})
_WORKING: Final = frozenset(Phase) - ENDED - {Phase.MONITORING}


class Quiet(msgspec.Struct, frozen=True):
    """Why an alert is not told now. `until` is the earliest time at which that can change by itself; None: unknown."""

    owner: str
    reason: Reason
    text: str
    until: Millis | None = None


def quieting(scene: Scene, labels: Mapping[str, str], fingerprint: str, severity: Severity) -> Quiet | None:
    """Return what holds back an alert with these labels (as rules see them) now, or None."""
    for check in (_silenced, _muted, _inhibited, _depending):
        found = check(scene, labels, fingerprint, severity)
        if found is not None:
            return found
    return None


def of_event(scene: Scene, source: str, event: Event, severity: Severity) -> Quiet | None:
    """Return what holds back an event that begins to fire, or None. Without anything quiet it costs next to nothing."""
    if not anything(scene):
        return None
    return quieting(scene, scene.rulebook.labels_of(source, event), event.fingerprint, severity)


def anything(scene: Scene) -> bool:
    """Tell whether anything at all could hold back an alert."""
    rules = scene.rulebook.quiet
    return bool(rules.silences or rules.mutes or rules.inhibitions or rules.depends_on or index_of(scene).keys)


# --------------------------------------------------------------------------------------------------------------------
# Silences and maintenance.


def index_of(scene: Scene) -> Silences:
    """Return the keys of the run-time silences that have not ended."""
    return cast("Silences | None", scene.draft.get(THE_SILENCES)) or Silences()


def file_key(name: str) -> str:
    """Return the key under which a silence of quiet.yaml is remembered, where it must be; nobody can ask for it."""
    return f"file/{name}"


def standing(scene: Scene) -> Iterator[tuple[str, Words, Silence | None]]:
    """Yield every silence: its key, its words, and what is remembered of it (None: nothing)."""
    for key in index_of(scene).keys:
        known = cast("Silence | None", scene.draft.get((SILENCE, key)))
        if known is not None:
            yield key, known.words, known
    for name, words in scene.rulebook.quiet.silences.items():
        known = None
        if words.after_resolve is not None:
            known = cast("Silence | None", scene.draft.get((SILENCE, file_key(name))))
        yield file_key(name), words, known if known is not None and known.words == words else None


def means(words: Words, labels: Mapping[str, str]) -> bool:
    """Tell whether a silence means an alert with these labels, whenever it holds."""
    return any(accepts(texts, labels) for texts in words.sets)


def holds(words: Words, known: Silence | None, at: Millis) -> bool:
    """Tell whether a silence holds at an instant."""
    if words.starts_at is not None and at < words.starts_at:
        return False
    if known is not None and known.ended_at is not None:
        return False
    ends_at = known.ends_at if known is not None else words.ends_at
    return ends_at is None or at < ends_at


def _silenced(scene: Scene, labels: Mapping[str, str], fingerprint: str, severity: Severity) -> Quiet | None:
    for key, words, known in standing(scene):
        if severity in words.spared or not holds(words, known, scene.now) or not means(words, labels):
            continue
        ends_at = known.ends_at if known is not None else words.ends_at
        reason = Reason.MAINTENANCE if words.kind == "maintenance" else Reason.SILENCED
        by = f" by {words.by}" if words.by else ""
        why = f": {words.comment}" if words.comment else ""
        return Quiet(f"silence/{key}", reason, f"{words.kind} “{key.removeprefix('file/')}”{by}{why}"[:300], ends_at)
    return None


# --------------------------------------------------------------------------------------------------------------------
# Mutes.


def _muted(scene: Scene, labels: Mapping[str, str], fingerprint: str, severity: Severity) -> Quiet | None:
    for name, mute in scene.rulebook.quiet.mutes.items():
        if severity in mute.spared or not any(accepts(texts, labels) for texts in mute.sets):
            continue
        if scene.rulebook.is_open(mute.during or mute.unless, scene.now) is bool(mute.unless):
            continue
        hours = f"during “{mute.during}”" if mute.during else f"outside “{mute.unless}”"
        return Quiet(f"mute/{name}", Reason.MUTED, f"mute “{name}” {hours}", _mute_ends(scene, mute))
    return None


def _mute_ends(scene: Scene, mute: Mute) -> Millis | None:
    if mute.unless:
        return scene.rulebook.opens_at(mute.unless, scene.now)
    return quiet_until(scene.rulebook.time_intervals.get(mute.during, ()), scene.now)


# --------------------------------------------------------------------------------------------------------------------
# Inhibitions: by alerts, and by incidents of services that are needed.


def _gate_key(name: str, rule: Inhibition, labels: Mapping[str, str], both: bool) -> str:
    """Return the id of a gate, or "" when a label of `equal` is missing: what is missing on both sides is not equal."""
    values = [labels.get(label, "") for label in rule.equal]
    if not all(values):
        return ""
    pairs = [part for pair in zip(rule.equal, values, strict=True) for part in pair]
    return f"inhibition/{name}/{key_of(*pairs)}{'+' if both else ''}"


def _inhibited(scene: Scene, labels: Mapping[str, str], fingerprint: str, severity: Severity) -> Quiet | None:
    """Look for a firing source. What is both source and target is not inhibited by its like, as in Alertmanager."""
    for name, rule in scene.rulebook.quiet.inhibitions.items():
        if not accepts(rule.targets, labels):
            continue
        alike = accepts(rule.sources, labels)
        for both in (False,) if alike else (False, True):
            gate = _gate_key(name, rule, labels, both)
            source = _firing_of(scene, gate, fingerprint) if gate else ""
            if source:
                return Quiet(gate, Reason.INHIBITED, f"inhibition “{name}”: alert {source[:8]} fires")
    return None


def _firing_of(scene: Scene, gate: str, but: str) -> str:
    """Return the fingerprint of a source behind a gate that fires, or ""."""
    known = cast("Gate | None", scene.draft.get((GATE, gate)))
    for one in known.members if known is not None else ():
        if one != but and _fires(scene, one):
            return one
    return ""


def source_begins(scene: Scene, labels: Mapping[str, str], fingerprint: str) -> None:
    """Note that an alert fires which may inhibit others. One that is inhibited itself must not: two could hold back
    each other for ever.
    """
    for gate in _gates(scene, labels):
        _enter(scene, gate, fingerprint)


def source_ends(scene: Scene, labels: Mapping[str, str], fingerprint: str) -> None:
    """Note that an alert no longer inhibits others; what it alone inhibited is decided again at once."""
    for gate in _gates(scene, labels):
        _leave(scene, gate, fingerprint)


def _gates(scene: Scene, labels: Mapping[str, str]) -> Iterator[str]:
    for name, rule in scene.rulebook.quiet.inhibitions.items():
        if accepts(rule.sources, labels):
            gate = _gate_key(name, rule, labels, accepts(rule.targets, labels))
            if gate:
                yield gate


def gates_of(rulebook: Rulebook, labels: Mapping[str, str]) -> Iterator[str]:
    """Yield the ids of all gates that an alert with these labels may open or wait at, whatever is known of them."""
    for name, rule in rulebook.quiet.inhibitions.items():
        if accepts(rule.sources, labels) or accepts(rule.targets, labels):
            yield from filter(None, (_gate_key(name, rule, labels, both) for both in (False, True)))
    service = labels.get("service", "")
    if service:
        yield service_gate(service)
    yield from map(service_gate, rulebook.quiet.upstream.get(service, ()))


def service_gate(service: str) -> str:
    """Return the id of the gate at which what needs a service waits."""
    return f"{_SERVICE}{service}"


def is_service_gate(gate: str) -> bool:
    """Tell whether incidents stand behind a gate, and not alerts."""
    return gate.startswith(_SERVICE)


def _enter(scene: Scene, gate: str, member: str) -> None:
    known = cast("Gate | None", scene.draft.get((GATE, gate)))
    members = known.members if known is not None else ()
    if member in members:
        return
    if len(members) >= GATE_MAX and not is_service_gate(gate):
        members = tuple(one for one in members if _fires(scene, one))
    if len(members) < GATE_MAX:
        scene.draft.put((GATE, gate), Gate((*members, member)))


def _fires(scene: Scene, fingerprint: str) -> bool:
    alert = scene.draft.alert(fingerprint)
    return alert is not None and alert.state in _FIRES


def _leave(scene: Scene, gate: str, member: str) -> None:
    known = cast("Gate | None", scene.draft.get((GATE, gate)))
    if known is None or member not in known.members:
        return
    left = tuple(one for one in known.members if one != member)
    scene.draft.put((GATE, gate), Gate(left) if left else None)
    if not left:
        wake(scene, gate)


def incident_changed(scene: Scene, incident: Incident) -> None:
    """Note whether an incident holds back alerts of what needs its service: P0 and P1, worked on, and itself told."""
    if not incident.service:
        return
    blocks = incident.severity <= Severity.P1 and incident.phase in _WORKING and not incident.paused
    (_enter if blocks else _leave)(scene, service_gate(incident.service), incident.key)


def _depending(scene: Scene, labels: Mapping[str, str], fingerprint: str, severity: Severity) -> Quiet | None:
    service = labels.get("service", "")
    for needed in scene.rulebook.quiet.upstream.get(service, ()):
        owner = service_gate(needed)
        gate = cast("Gate | None", scene.draft.get((GATE, owner)))
        if gate is not None and gate.members:
            text = f"“{service}” needs “{needed}”, which has incident {short(gate.members[0])} open"
            return Quiet(owner, Reason.DEPENDS_ON, text)
    return None


# --------------------------------------------------------------------------------------------------------------------
# What waits.


def wait_for(scene: Scene, found: Quiet, timer: str) -> Millis:
    """Look again when what holds it back ends, or changes. Return when at the latest."""
    listed = _list(scene, found, timer)
    again = scene.now + (RECHECK if listed else LOOK_AGAIN)
    if found.until is not None and found.until > scene.now:
        again = found.until if listed else min(found.until, again)
    scene.draft.timer(timer, again)
    return again


def _list(scene: Scene, found: Quiet, timer: str) -> bool:
    known = cast("Waiting | None", scene.draft.get((WAITING, found.owner)))
    over = known is None or (known.until is not None and known.until <= scene.now)
    names = known.names if known is not None and not over else ()
    if timer not in names:
        if len(names) >= WAITING_MAX:
            return False
        names = (*names, timer)
    waiting = Waiting(names, found.until)
    if waiting != known:
        scene.draft.put((WAITING, found.owner), waiting)
    return True


def waits(scene: Scene, owner: str) -> int:
    """Return how many things wait for an owner, as far as they are listed."""
    known = cast("Waiting | None", scene.draft.get((WAITING, owner)))
    return len(known.names) if known is not None else 0


def wake(scene: Scene, owner: str) -> None:
    """Decide at once on what an owner holds back: it ended, or changed."""
    known = cast("Waiting | None", scene.draft.get((WAITING, owner)))
    for name in known.names if known is not None else ():
        scene.draft.timer(name, scene.now)
    if known is not None:
        scene.draft.put((WAITING, owner), None)
