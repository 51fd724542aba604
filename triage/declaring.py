"""An incident that a person declares, without any alert: it pages by the policy that the rules name for its service."""

from __future__ import annotations

import json
from typing import Final

from triage import incidents, metrics, paging, responding
from triage.commanding import IMPACT_MAX
from triage.guarding import inform
from triage.memory import GROUP
from triage.model import (
    ENDED,
    Answer,
    Command,
    Declared,
    Event,
    Group,
    Incident,
    Kind,
    Phase,
    Status,
    Verb,
    fingerprint_of,
    key_of,
    short,
)
from triage.rulebook.types import Verdict
from triage.scene import Scene

SOURCE: Final = "declared"
"""The source that the rules see, and ALERTNAME the alert's name."""
ALERTNAME: Final = "Declared"
ASKS: Final = "asks"
TITLE_MAX: Final = 300


def obey(scene: Scene, asked: Declared) -> Answer:
    """Open the incident, and say which it is. Asks where one is open for the same group already."""
    title = " ".join(asked.title.split())[:TITLE_MAX]
    if not title:
        return Answer(responding.REFUSED, "say in one line what is wrong")
    verdict = scene.rulebook.verdict(SOURCE, _as_event(scene, asked, title))
    group: Group | None = scene.draft.get((GROUP, verdict.group))
    last = scene.draft.incident(group.incident) if group else None
    is_open = last is not None and last.phase not in ENDED
    if last is not None and is_open and not asked.confirm:
        what = f"incident {short(last.key)} is open for the same already ({last.severity}, {last.title})"
        return Answer(ASKS, f"{what}; declare another one all the same?", last.key)
    incident = _made(scene, asked, title, verdict, "" if last is None or is_open else last.key)
    if is_open:  # the alerts of the group go on to the one that was there
        incident.group = json.dumps([[SOURCE, scene.entry]], separators=(",", ":"))
    _begin(scene, incident, asked, verdict)
    return Answer(responding.DONE, f"incident {short(incident.key)} is open", incident.key)


def _as_event(scene: Scene, asked: Declared, title: str) -> Event:
    labels = {"alertname": ALERTNAME, "service": asked.service, "severity": asked.severity.name}
    return Event(
        status=Status.FIRING,
        fingerprint=fingerprint_of(SOURCE, scene.entry),
        title=title,
        labels={name: value for name, value in labels.items() if value},
        raw_severity=asked.severity.name,
        kind=Kind.REPORT,
    )


def _made(scene: Scene, asked: Declared, title: str, verdict: Verdict, earlier: str) -> Incident:
    return Incident(
        key=key_of("incident", verdict.group, scene.entry),
        group=verdict.group,
        title=title,
        service=verdict.service or asked.service,
        severity=asked.severity,
        phase=Phase.DETECTED,
        policy=verdict.policy,
        runbook=verdict.runbook,
        rule="",
        opened_at=scene.now,
        opened_by=scene.entry,
        changed_at=scene.now,
        human_at=scene.now,
        earlier=earlier,
        impact=asked.impact.strip()[:IMPACT_MAX],
    )


def _begin(scene: Scene, incident: Incident, asked: Declared, verdict: Verdict) -> None:
    said = f": {asked.text[: responding.TEXT_MAX]}" if asked.text else ""
    reported = f", from report {asked.report}" if asked.report else ""
    how = f"{incident.severity} declared by {asked.by} (by {asked.via}){reported}{said}"
    incidents.begin(scene, incident, verdict, how, by=asked.by)
    labels = {"service": asked.service} if asked.service else {}
    inform(scene, incident, "metrics", lambda inner, one: metrics.begin(inner, one, "", labels, verdict))
    if asked.take:
        responding.take(scene, incident, Command(Verb.ACKNOWLEDGE, incident.key, asked.by, asked.via))
    elif paging.pages_people(incident.severity):
        incident.spared = asked.by
