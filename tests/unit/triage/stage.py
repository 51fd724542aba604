"""A rehearsal with a small cast: the rules, the people and the words that the unit tests of triage share."""

from __future__ import annotations

from typing import Final

from triage.model import MINUTE, SECOND, Decision, Event, Incident, Kind, Millis, Status, fingerprint_of_labels
from triage.rehearsal import Provider, Rehearsal, accepts
from triage.rulebook import compile_files

START: Final[Millis] = 1_772_445_600_000  # Monday 2026-03-02, 10:00 UTC

FILES: Final = {
    "severity.yaml": """
time_intervals:
  office: [{weekdays: ["monday:friday"], times: [{start_time: "09:00", end_time: "18:00"}], location: Etc/UTC}]
rules:
  - name: by word
    matchers: ['alertname=~".+"']
    group_by: [service]
    continue: true
  - name: noise
    matchers: ['alertname="Noise"']
    outcome: drop
  - name: slow start
    matchers: ['alertname="Pod"']
    severity: P1
    wait: 60s
  - name: replicas
    matchers: ['alertname="ReplicaDown"']
    severity: P3
    group_by: [service]
    raise: [{firing: 3, distinct: instance, to: P1}, {times: 5, within: 10m, to: P2}, {after: 30m, to: P2}]
  - name: batch
    matchers: ['alertname="BatchLate"']
    severity: P1
    during: office
  - name: team policy
    matchers: ['team=~".+"']
    policy: "{team}"
    continue: true
  - name: outage
    matchers: ['severity="outage"']
    severity: P0
defaults: {severity: P3}
""",
    "oncall.yaml": """
people:
  ana: {name: Ana, contact: ["terminal://ana", "file:///ana"]}
  ben: {name: Ben, contact: ["terminal://ben"]}
  eve: {name: Eve, contact: ["terminal://eve"]}
policies:
  default:
    rounds: 2
    steps:
      - {notify: [ana], wait: 5m}
      - {notify: [ben], wait: 10m}
operators: [eve]
last_resort: [eve]
""",
}


def alert(name: str = "Down", status: Status = Status.FIRING, at: Millis | None = None, **labels: str) -> Event:
    """An alert of the source `am`: identified by its labels, critical and of service `shop` unless said otherwise."""
    known = {"alertname": name, "service": "shop", "severity": "critical", **labels}
    known = {key: value for key, value in known.items() if value}
    return Event(
        status=status,
        fingerprint=fingerprint_of_labels("am", known),
        title=f"{name} {labels.get('instance', '')}".strip(),
        labels=known,
        raw_severity=known.get("severity", ""),
        starts_at=at if status is Status.FIRING else None,
        ends_at=at if status is Status.RESOLVED else None,
    )


def report(text: str, severity: str, anonymous: bool = False, service: str = "shop") -> Event:
    """A user's report about a service."""
    return Event(
        status=Status.FIRING,
        fingerprint=fingerprint_of_labels("report", {"service": service, "text": text}),
        title=text,
        labels={"alertname": "UserReport", "service": service},
        raw_severity=severity,
        kind=Kind.REPORT,
        anonymous=anonymous,
    )


class Stage(Rehearsal):
    """The rehearsal, with short words for what the tests do."""

    def __init__(
        self, provider: Provider = accepts, files: dict[str, str] | None = None, start: Millis = START
    ) -> None:
        super().__init__(compile_files(files or FILES), start, provider)

    def fires(self, name: str = "Down", at: Millis | None = None, **labels: str) -> Decision:
        return self.events("am", [alert(name, Status.FIRING, at, **labels)])[0]

    def ends(self, name: str = "Down", at: Millis | None = None, **labels: str) -> Decision:
        return self.events("am", [alert(name, Status.RESOLVED, at=at, **labels)])[0]

    def minutes(self, number: float) -> None:
        self.advance(int(number * MINUTE))

    def seconds(self, number: float) -> None:
        self.advance(int(number * SECOND))

    @property
    def paged(self) -> list[str]:
        return [effect.person for effect in self.pages]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Who was told what, pages aside."""
        return [(one.person, one.title) for _, one in self.delivered if one.kind.value != "page"]

    @property
    def incident(self) -> Incident:
        (only,) = self.incidents
        return only

    def whats(self, incident: Incident) -> list[str]:
        return [line.what for line in self.lines(incident.key)]
