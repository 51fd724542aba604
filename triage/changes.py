"""What changed just before: deploys and other changes by service, and the version of each that is known to be good.

A change never opens an incident and pages nobody. When an incident opens, the change before it that is nearest, of its
service or of one that this needs, is told with the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, cast

import msgspec

from triage.changed import Happened, Record, Recorded
from triage.memory import CHANGED, GATE, THE_RECORDED, Memory
from triage.model import DAY, HOUR, MINUTE, Change, ChangesTold, Incident, Millis, Severity
from triage.quiet import service_gate
from triage.rulebook import Rulebook
from triage.rulebook.types import Service
from triage.scene import Scene
from triage.silence import Gate

ITEMS_MAX: Final = 30
"""How many changes of one service are remembered."""
SERVICES_MAX: Final = 2_000
"""Of how many services; beyond, the one that changed longest ago is forgotten."""
RELATED_MAX: Final = 50
"""How many services that are needed, directly or through others, are looked at."""
TOLD_WITHIN: Final[Millis] = 2 * HOUR
"""How long before an incident a change may be to be told with its page."""
GOOD_AFTER: Final[Millis] = DAY
"""How long a version runs without an incident of P0 to P2 until it is known to be good."""
LATE_MAX: Final[Millis] = DAY
"""How long ago a change may be by its sender's word; what claims more happened when we heard of it."""
_REHEARSAL: Final = frozenset({"dev", "development", "test", "testing", "staging", "stage", "qa", "review", "preview"})
_replace: Final = msgspec.structs.replace


def take(scene: Scene, body: ChangesTold) -> None:
    """Remember changes, and put them on the timelines of incidents that are worked on."""
    for change in body.changes:
        service = service_of(scene.rulebook.services, change)
        record = record_of(scene.draft, service) or Record()
        known = next((one for one in record.items if change.id and one.id == change.id), None)
        if known is None and not (change.verified and _has(record, change.version)):
            happened = _happened(scene, body.source, change)
            record = _with(record, happened, scene.now)
            _tell(scene, service, happened)
        if change.verified:
            record = _verified(record, change.version)
        scene.draft.put((CHANGED, service), record)
        _index(scene, service)


def service_of(services: Mapping[str, Service], change: Change) -> str:
    """Return which service changed: the one that the change names, that has its repository, or is called like it."""
    if change.service:
        return change.service
    repository = change.repository
    owner = next((name for name, one in services.items() if repository and one.repository == repository), "")
    return owner or repository.rpartition("/")[2]


def _happened(scene: Scene, source: str, change: Change) -> Happened:
    claimed = scene.now if change.at is None else min(change.at, scene.now)
    return Happened(
        at=claimed if scene.now - claimed <= LATE_MAX else scene.now,
        heard_at=scene.now,
        kind=change.kind,
        summary=change.summary,
        version=change.version,
        environment=change.environment,
        by=change.by,
        url=change.url,
        source=source,
        id=change.id,
    )


def _with(record: Record, happened: Happened, now: Millis) -> Record:
    items = tuple(sorted((*record.items, happened), key=lambda one: one.at))
    return Record(items[-ITEMS_MAX:], _good_of(record, now) if len(items) > ITEMS_MAX else record.good)


def passed(scene: Scene, incident: Incident, version: str = "") -> None:
    """A verification of the incident's service passed: `version`, or else what runs now, has been found good.

    What runs counts only if no incident began while it did: that one is over says nothing good of the version that it
    began with, which may not even run any more.
    """
    service = incident.service
    if not service or service not in _of(cast("Recorded | None", scene.draft.get(THE_RECORDED))):
        return
    record = record_of(scene.draft, service) or Record()
    runs = running(record)
    if not _has(record, version):
        version = runs.version if runs is not None and runs.trouble_at is None else ""
    if not version or all(one.verified for one in record.items if one.version == version):
        return
    scene.draft.put((CHANGED, service), _verified(record, version))
    scene.line(incident, "verified", f"{service} {version} passed its verification: it is last known good now")


def _has(record: Record, version: str) -> bool:
    return bool(version) and any(one.version == version for one in record.items)


def _verified(record: Record, version: str) -> Record:
    items = tuple(_replace(one, verified=True) if version and one.version == version else one for one in record.items)
    return Record(items, record.good)


def _index(scene: Scene, service: str) -> None:
    known = cast("Recorded | None", scene.draft.get(THE_RECORDED)) or Recorded()
    if known.services[-1:] == (service,):
        return
    services = (*(one for one in known.services if one != service), service)
    for forgotten in services[:-SERVICES_MAX]:
        scene.draft.put((CHANGED, forgotten), None)
    scene.draft.put(THE_RECORDED, Recorded(services[-SERVICES_MAX:]))


def _tell(scene: Scene, service: str, happened: Happened) -> None:
    gate = cast("Gate | None", scene.draft.get((GATE, service_gate(service)))) if service else None
    for key in gate.members if gate is not None else ():
        incident = scene.draft.incident(key)
        if incident is not None:
            text = f"{words_of(service, happened)}{_after(happened, incident)}"
            scene.line(scene.draft.edit_incident(incident.key), "changed", text, by=happened.by, minor=True)


def _after(happened: Happened, incident: Incident) -> str:
    minutes = (happened.at - incident.opened_at) // MINUTE
    return f", {minutes} min after it began" if minutes > 0 else ""


def words_of(service: str, happened: Happened) -> str:
    """Return a change as a phrase: `deploy of shop 4.18.2 to production: fix cart`."""
    what = f"{happened.kind} of {service}" if service else happened.kind
    version = f" {happened.version}" if happened.version else ""
    where = f" to {happened.environment}" if happened.environment else ""
    summary = f": {happened.summary}" if happened.summary else ""
    return f"{what}{version}{where}{summary}"[:300]


# --------------------------------------------------------------------------------------------------------------------
# At the onset of an incident.


def onset(scene: Scene, incident: Incident) -> None:
    """An incident opens: note what changed before it, and that the version which runs has had trouble."""
    trouble(scene, incident)
    found = max(_before(scene, incident), key=lambda one: (bool(one[0]), one[1].at), default=None)
    if found is not None:  # of no service only where no other is known: most have nothing to do with it
        service, happened = found
        minutes = (scene.now - happened.at) // MINUTE
        incident.changed = f"{words_of(service, happened)}, {minutes} min before"
        scene.line(incident, "changed", incident.changed, by=happened.by)


def _before(scene: Scene, incident: Incident) -> Iterator[tuple[str, Happened]]:
    recorded = cast("Recorded | None", scene.draft.get(THE_RECORDED))
    for service in related(scene.rulebook, incident.service) if recorded is not None else ():
        record = record_of(scene.draft, service) if service in _of(recorded) else None
        for one in record.items if record is not None else ():
            if scene.now - TOLD_WITHIN <= one.at <= scene.now:
                yield service, one


def _of(recorded: Recorded | None) -> tuple[str, ...]:
    return recorded.services if recorded is not None else ()


def trouble(scene: Scene, incident: Incident) -> None:
    """Note that the version of a service which runs now has had an incident of P0 to P2."""
    recorded = cast("Recorded | None", scene.draft.get(THE_RECORDED))
    if incident.severity > Severity.P2 or incident.service not in _of(recorded) or not incident.service:
        return
    record = record_of(scene.draft, incident.service)
    runs = running(record)
    if record is not None and runs is not None and runs.trouble_at is None:
        items = tuple(_replace(one, trouble_at=scene.now) if one is runs else one for one in record.items)
        scene.draft.put((CHANGED, incident.service), Record(items, record.good))


def related(rulebook: Rulebook, service: str) -> Iterator[str]:
    """Yield a service, those that it needs (nearest first), and "", under which changes of no service are kept."""
    seen = dict.fromkeys((service,)) if service else {}
    ahead = list(seen)
    while ahead and len(seen) < RELATED_MAX:
        known = rulebook.services.get(ahead.pop(0))
        for other in known.depends_on if known is not None else ():
            if other not in seen:
                seen[other] = None
                ahead.append(other)
    yield from seen
    yield ""


# --------------------------------------------------------------------------------------------------------------------
# The version that is known to be good.


def record_of(memory: Memory, service: str) -> Record | None:
    """Return what is remembered of a service's changes, or None. Raises Missing."""
    return cast("Record | None", memory.get((CHANGED, service)))


def running(record: Record | None) -> Happened | None:
    """Return the change that brought the version which runs, or None when none is known. Rehearsals do not count."""
    return next(_versions(record), None)


def _versions(record: Record | None) -> Iterator[Happened]:
    """Yield the changes that brought a version to where users are, newest first."""
    for one in reversed(record.items if record is not None else ()):
        if one.version and one.environment.lower().partition("/")[0] not in _REHEARSAL:
            yield one


def last_known_good(memory: Memory, service: str, now: Millis) -> Happened | None:
    """Return the change that brought the last version of a service which is known to be good, or None.

    A version is that once it was verified, or ran for GOOD_AFTER without an incident of P0 to P2. It may be the one
    that runs now. Raises Missing.
    """
    record = record_of(memory, service)
    return _good_of(record, now) if record is not None else None


def _good_of(record: Record, now: Millis) -> Happened | None:
    until = now
    for one in _versions(record):
        if one.verified or min(until, one.trouble_at or until) - one.at >= GOOD_AFTER:
            return one
        until = one.at
    return record.good
