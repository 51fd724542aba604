"""Names ahead what telling loud from quiet will read, so that the shell loads it in one go and not key by key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from triage import changes, pausing, quiet
from triage.changed import Recorded
from triage.lesson import Lessons
from triage.memory import (
    ALERT,
    CHANGED,
    DETAILS,
    GATE,
    INCIDENT,
    STORM,
    THE_LESSONS,
    THE_RECORDED,
    THE_TRAY,
    Key,
    Memory,
    Missing,
)
from triage.model import Alert, ChangesTold, Details, Entry, Events, Incident
from triage.rulebook import Rulebook
from triage.silence import Crowd, Gate
from triage.storm import Storm
from triage.tray import Tray


def known_in(memory: Memory, key: Key) -> msgspec.Struct | None:
    """Return what is under a key; None when it does not exist, or is not loaded yet."""
    try:
        return memory.get(key)
    except Missing:
        return None


def of_crowds(family: str, due: Sequence[str], memory: Memory) -> Iterator[Key]:
    """Name what is looked at to tell whether the incidents of due timers are silenced."""
    for name in due:
        yield from ((family, one) for one in _crowd(name.partition(":")[2], memory))


def of_examples(family: str, due: Sequence[str], memory: Memory) -> Iterator[Key]:
    """Name the alerts that gave the titles of incidents that are about to be verified."""
    for name in due:
        kind, _, key = name.partition(":")
        incident = known_in(memory, (INCIDENT, key)) if kind in ("verifying", "settle") else None
        if isinstance(incident, Incident) and incident.example:
            yield family, incident.example


def parts_of(key: str, memory: Memory) -> Iterator[Key]:
    """Name the parts of an incident's firing alerts."""
    incident = known_in(memory, (INCIDENT, key))
    return pausing.parts_of(incident) if isinstance(incident, Incident) else iter(())


def _crowd(key: str, memory: Memory) -> Iterator[str]:
    for part in parts_of(key, memory):
        crowd = known_in(memory, part)
        if isinstance(crowd, Crowd):
            yield from crowd.members


def of_storms(due: Sequence[str], memory: Memory) -> Iterator[Key]:
    """Name what storm pages look at to tell whether they still stand for it."""
    for name in due:
        storm = known_in(memory, (STORM, name.partition(":")[2]))
        if isinstance(storm, Storm):
            yield from ((INCIDENT, one) for one in storm.members)


def of_tray(due: Sequence[str], memory: Memory) -> Iterator[Key]:
    """Name the incidents that a digest which is due speaks of."""
    tray = known_in(memory, THE_TRAY) if "digest:" in due else None
    if isinstance(tray, Tray):
        yield from ((INCIDENT, one) for one in tray.items)


def of_gates(family: str, entry: Entry, due: Sequence[str], rulebook: Rulebook, memory: Memory) -> Iterator[Key]:
    """Name what is looked at to tell what inhibits the alerts of an entry, and what these and their incidents inhibit:
    gates, what waits at them, and the alerts behind them.
    """
    gates = dict.fromkeys((*_of_events(entry, rulebook, memory), *_of_timers(due, rulebook, memory)))
    if family != ALERT:
        yield from ((family, gate) for gate in gates)
        return
    for gate in gates:
        known = known_in(memory, (GATE, gate))
        if isinstance(known, Gate) and not quiet.is_service_gate(gate):
            yield from ((ALERT, one) for one in known.members)


def _of_events(entry: Entry, rulebook: Rulebook, memory: Memory) -> Iterator[str]:
    if not isinstance(entry.body, Events):
        return
    for event in entry.body.events:
        yield from quiet.gates_of(rulebook, rulebook.labels_of(entry.body.source, event))
        alert = known_in(memory, (ALERT, event.fingerprint))
        if isinstance(alert, Alert):
            yield from _of_incident(alert.incident, memory)


def _of_timers(due: Sequence[str], rulebook: Rulebook, memory: Memory) -> Iterator[str]:
    for name in due:
        kind, _, what = name.partition(":")
        yield from _of_incident(what, memory)
        for fingerprint in (what,) if kind == "hold" else _crowd(what, memory):
            alert, details = known_in(memory, (ALERT, fingerprint)), known_in(memory, (DETAILS, fingerprint))
            if isinstance(alert, Alert) and isinstance(details, Details):
                event = pausing.as_event(fingerprint, details)
                yield from quiet.gates_of(rulebook, rulebook.labels_of(alert.source, event))


def _of_incident(key: str, memory: Memory) -> Iterator[str]:
    incident = known_in(memory, (INCIDENT, key)) if key else None
    if isinstance(incident, Incident) and incident.service:
        yield quiet.service_gate(incident.service)


def of_changes(entry: Entry, rulebook: Rulebook, memory: Memory) -> Iterator[Key]:
    """Name what is remembered of changes of the services that an entry speaks of, and of those that these need."""
    recorded = known_in(memory, THE_RECORDED)
    services: dict[str, None] = {}
    if isinstance(entry.body, Events):
        for name in dict.fromkeys(event.labels.get("service", "") for event in entry.body.events):
            services.update(dict.fromkeys(changes.related(rulebook, name)))
    elif isinstance(entry.body, ChangesTold):
        yield from ((CHANGED, changes.service_of(rulebook.services, one)) for one in entry.body.changes)
    if isinstance(recorded, Recorded):
        yield from ((CHANGED, name) for name in recorded.services if name in services)


def of_lessons(family: str, entry: Entry, rulebook: Rulebook, memory: Memory) -> Iterator[Key]:
    """Name what is looked at of earlier incidents with action items that the incidents of an entry may bring up."""
    known = known_in(memory, THE_LESSONS)
    if not isinstance(known, Lessons) or not isinstance(entry.body, Events):
        return
    verdicts = [rulebook.verdict(entry.body.source, event) for event in entry.body.events]
    services, groups = {one.service for one in verdicts if one.service}, {one.group for one in verdicts}
    yield from ((family, one.incident) for one in known.items if one.service in services or one.group in groups)
