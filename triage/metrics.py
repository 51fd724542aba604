"""The metrics behind an incident: what is read of Prometheus around its onset and its recovery, and kept with it.

Nothing is asked here. A reading that is wanted waits in memory for a worker, which answers by a journal entry; paging
never waits for it. The timer `measure:<incident>` is set for what comes next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import msgspec

from triage import curves
from triage.measured import Asked, Measures, Query, Snapshot
from triage.memory import METRICS
from triage.model import HOUR, MINUTE, SECOND, Around, Incident, Measured, Millis
from triage.promql import expression_of, split
from triage.rulebook.actions import fill_query
from triage.rulebook.calls import holes
from triage.rulebook.metrics import Server
from triage.rulebook.types import Measure, Verdict
from triage.scene import Scene

BEFORE: Final[Millis] = HOUR
"""How long before onset, and before a late recovery, a reading begins."""
AFTER_ONSET: Final[Millis] = 30 * MINUTE
"""How long after onset it is read again: what the first reading, made at once, could not see."""
AFTER_RECOVERY: Final[Millis] = 10 * MINUTE
WHOLE_MAX: Final[Millis] = 6 * HOUR
"""An incident that is over within this time is read whole, from before its onset until after its recovery."""
POINTS_MAX: Final = 240
"""How many steps one reading has at most."""
STEP_MIN: Final[Millis] = 15 * SECOND
CURVES_MAX: Final = 10
"""How many series of a reading are kept."""
AGAIN: Final[Millis] = 2 * MINUTE
"""When a reading that failed is made again: whoever was asked may be part of the trouble."""
TRIES_MAX: Final = 3
"""How often, before it is left at that."""
TAKEN_WITHIN: Final[Millis] = 10 * MINUTE
"""A reading that no worker has made by then is given up."""


def begin(scene: Scene, incident: Incident, link: str, labels: Mapping[str, str], verdict: Verdict) -> None:
    """An incident begins, by an alert with this link and these labels, or by hand: read what is behind it at once."""
    if not scene.rulebook.metrics.servers:
        return
    found = _query(scene, incident, link, labels, verdict)
    if isinstance(found, str):
        if found and _matters(scene, incident):
            scene.line(incident, "metrics", found, minor=True)
    elif found is not None:
        scene.draft.put((METRICS, incident.key), Measures(found))
        raised(scene, incident)


def raised(scene: Scene, incident: Incident) -> None:
    """Its severity is now what it is: if that is one whose metrics are read, and nobody has yet, begin."""
    if not _matters(scene, incident):
        return
    known = _of(scene, incident.key)
    if known is not None and not known.until:
        _go_on(scene, incident, scene.draft.edit((METRICS, incident.key)))


def _matters(scene: Scene, incident: Incident) -> bool:
    rules = scene.rulebook.metrics
    return bool(rules.servers) and incident.severity in rules.severities


def _of(scene: Scene, key: str) -> Measures | None:
    return cast("Measures | None", scene.draft.get((METRICS, key)))


# --------------------------------------------------------------------------------------------------------------------
# What is asked.


def _query(
    scene: Scene, incident: Incident, link: str, labels: Mapping[str, str], verdict: Verdict
) -> Query | str | None:
    """Return what is asked: what a rule names, else the alert's own expression, else what its service names.

    Return why it cannot be asked as a sentence, or None where nobody says what to ask.
    """
    rules = scene.rulebook.metrics
    service = scene.rulebook.services.get(incident.service)
    if verdict.metrics is not None:
        rule = verdict.rules.get("metrics", "")
        return _named(rules.named(verdict.metrics.server), verdict.metrics, labels, f"rule “{rule}”")
    expression, server = expression_of(link), rules.of_link(link)
    if expression and server is not None:
        return _made(server, expression, labels, "the alert")
    if service is not None and service.metrics is not None:
        origin = f"service “{service.name}”"
        return _named(rules.named(service.metrics.server), service.metrics, labels, origin)
    return None


def _named(server: Server | None, measure: Measure, labels: Mapping[str, str], origin: str) -> Query | str | None:
    lacking = [name for name in holes(measure.query) if not labels.get(name)]
    if lacking:
        return f"not read: {origin} has {{{lacking[0]}}} in its query, and the alert has no such label"
    return _made(server, fill_query(measure.query, labels), labels, origin) if server is not None else None


def _made(server: Server, expression: str, labels: Mapping[str, str], origin: str) -> Query:
    curve, sign, threshold = split(expression)
    return Query(
        server.name, server.url, dict(server.headers), expression, curve, sign, threshold, dict(labels), origin
    )


def _cleared_at(incident: Incident) -> Millis | None:
    return incident.monitoring_at if incident.monitoring_at is not None else incident.resolved_at


def _asked(around: Around, start: Millis, end: Millis, now: Millis) -> Asked:
    """Return a reading whose last step is at its end: what is newest matters most."""
    step = max(STEP_MIN, -(-(end - start) // POINTS_MAX // SECOND) * SECOND)
    steps = min(POINTS_MAX, -(-(end - start) // step))
    return Asked(around, end - steps * step, end, step, now)


def _go_on(scene: Scene, incident: Incident, measures: Measures, again: bool = False) -> None:
    """Ask for the reading that is due now (`again`: the last one once more), or set the timer for the next one."""
    now, cleared = scene.now, _cleared_at(incident)
    opened = incident.opened_at
    if cleared is not None:
        due, around = cleared + AFTER_RECOVERY, Around.RECOVERY
        start = opened - BEFORE if due - opened <= WHOLE_MAX else cleared - BEFORE
    else:
        due, around, start = opened + AFTER_ONSET, Around.ONSET, opened - BEFORE
    at_once = around is Around.ONSET and not measures.until
    if measures.until >= due and not again:
        scene.draft.timer(f"measure:{incident.key}", None)
    elif now >= due or at_once or again:
        measures.until = min(now, due)
        measures.wanted = _asked(around, start, measures.until, now)
        scene.draft.timer(f"measure:{incident.key}", now + TAKEN_WITHIN)
    else:
        scene.draft.timer(f"measure:{incident.key}", due)


# --------------------------------------------------------------------------------------------------------------------
# What happens meanwhile.


def moved(scene: Scene, incident: Incident) -> None:
    """It is over, or it is not over after all: what is read next is another thing now."""
    if not _matters(scene, incident) or _of(scene, incident.key) is None:
        return
    measures: Measures = scene.draft.edit((METRICS, incident.key))
    measures.tries = 0
    if measures.wanted is None:
        _go_on(scene, incident, measures)


def fire(scene: Scene, incident: Incident) -> None:
    """The timer `measure:<incident>` is due: a reading is, or nobody made the last one."""
    if _of(scene, incident.key) is None:
        return
    measures: Measures = scene.draft.edit((METRICS, incident.key))
    if measures.wanted is not None:
        _keep(scene, incident, measures, _not_taken(measures.wanted, scene.now))
        measures.tries = 0
    _go_on(scene, incident, measures, again=measures.tries > 0)


def _not_taken(wanted: Asked, now: Millis) -> Snapshot:
    fault = f"no worker read it within {TAKEN_WITHIN // MINUTE} min; does a probe worker run?"
    return Snapshot(wanted.around, wanted.start, wanted.end, wanted.step, now, fault=fault)


def take(scene: Scene, body: Measured) -> None:
    """Keep what a worker has read. What nobody waits for any more is dropped."""
    known = _of(scene, body.incident)
    incident = scene.draft.incident(body.incident)
    if known is None or incident is None or known.wanted is None or known.wanted.at != body.asked:
        return
    measures: Measures = scene.draft.edit((METRICS, body.incident))
    wanted = known.wanted
    read = Snapshot(
        wanted.around,
        body.start if body.curves else wanted.start,
        wanted.end,
        body.step if body.curves else wanted.step,
        scene.now,
        tuple(body.curves[:CURVES_MAX]),
        body.left_out + len(body.curves[CURVES_MAX:]),
        body.whole,
        body.fault,
    )
    editable = scene.draft.edit_incident(incident.key)
    _keep(scene, editable, measures, read)
    measures.tries = measures.tries + 1 if read.fault and measures.tries < TRIES_MAX else 0
    if measures.tries:
        scene.draft.timer(f"measure:{body.incident}", scene.now + AGAIN)
    else:
        _go_on(scene, editable, measures)


def _keep(scene: Scene, incident: Incident, measures: Measures, read: Snapshot) -> None:
    """Note a reading. One that failed does not replace one that is there."""
    before = measures.onset if read.around is Around.ONSET else measures.recovery
    if before is None or before.fault or read.fault:
        scene.line(incident, "metrics", curves.sentence(measures.query, read), minor=before is not None)
    measures.wanted = None
    if read.fault and before is not None and not before.fault:
        return
    if read.around is Around.ONSET:
        measures.onset = read
    else:
        measures.recovery = read


def hand_over(scene: Scene, gone: Incident, into: Incident) -> None:
    """An incident became part of another: what was read of it goes along where the other has nothing."""
    theirs = _of(scene, gone.key)
    if theirs is None:
        return
    forget(scene, gone.key)
    ours = _of(scene, into.key)
    if ours is None or (not ours.until and theirs.until):
        scene.draft.put((METRICS, into.key), msgspec.structs.replace(theirs, wanted=None))
        moved(scene, into)


def forget(scene: Scene, key: str) -> None:
    """Drop what was read of an incident that is forgotten, or part of another one."""
    scene.draft.put((METRICS, key), None)
    scene.draft.timer(f"measure:{key}", None)
