"""What the API answers: stable names, times as RFC 3339 in UTC, severities as P0 to P4."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from triage.rulebook import meanings

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
SeverityName = Annotated[Literal["P0", "P1", "P2", "P3", "P4"], Field(description=meanings.told().replace("\n", "; "))]
"""What each means stands in the API's document wherever one is chosen."""


class AlertCounts(BaseModel):
    """How many of an incident's alerts fire now (stale ones included), and how many ever joined."""

    firing: int
    stale: int
    total: int


class Incident(BaseModel):
    """An incident. `id` is the first six characters of `key`; `earlier` is the id of the one it continues, if any.

    `roles`: commander, communications or scribe → who. `links`, `merged` and `merged_into` are ids of other incidents;
    one that was merged is closed, and goes on as `merged_into`. `flapping` says how much one of its alerts flaps, ""
    where none does; `changed` is the change just before it that is nearest, `still_open` what was to be done after an
    earlier incident like it, and was not when it opened; `reopened` from where it came back last, and why.
    """

    id: str
    key: str
    title: str
    severity: str
    phase: str
    service: str
    alerts: AlertCounts
    opened_at: Time
    changed_at: Time
    acknowledged_by: str | None
    acknowledged_at: Time | None
    monitoring_at: Time | None
    resolved_at: Time | None
    resolved_by: str | None
    pages: int
    policy: str
    runbook: str
    rule: str
    earlier: str | None
    url: str
    snoozed_until: Time | None = None
    responders: list[str] = []
    impact: str = ""
    eta: Time | None = None
    roles: dict[str, str] = {}
    links: list[str] = []
    merged: list[str] = []
    merged_into: str | None = None
    mitigating_at: Time | None = None
    flapping: str = ""
    changed: str = ""
    still_open: str = ""
    reopened: str = ""
    next_update: Annotated[Time | None, Field(description="When the next status update was promised.")] = None


class TimelineLine(BaseModel):
    """One line of a timeline: when, what kind of thing, a sentence, who did it, the journal entry behind it.

    `incident` is the id of the one it was said of: this one, or one that became part of it.
    """

    at: Time
    what: str
    text: str
    by: str
    entry: str
    incident: str


class Timeline(BaseModel):
    """Lines, newest first; `next` is the `after` of the next page, null at the end."""

    items: list[TimelineLine]
    next: str | None


class Alert(BaseModel):
    """An alert with what is remembered of it. Labels are empty when only the short memory is kept.

    What is `flapping` counts as firing, whatever its sender said last, until it settles.
    """

    fingerprint: str
    state: str
    source: str
    severity: str
    raw_severity: str
    title: str
    labels: dict[str, str]
    annotations: dict[str, str]
    kind: str
    url: str
    rule: str
    starts_at: Time | None
    ends_at: Time | None
    first_at: Time
    seen_at: Time
    changed_at: Time
    events: int
    episodes: int
    incident: str | None
    flapping: bool


class AlertPage(BaseModel):
    """About `limit` alerts; `next` is the `after` of the next page, null at the end."""

    items: list[Alert]
    next: str | None


class IncidentDetail(Incident):
    """An incident with the first page of its timeline (newest first) and of its alerts.

    `verification`: how what must hold before it resolves stands while it is in monitoring; "" where nothing is named.
    """

    timeline: Timeline
    alert_page: AlertPage
    verification: str = ""


class IncidentPage(BaseModel):
    """Incidents, newest first; `next` is the `after` of the next page, null at the end.

    `shadow`: paging is in shadow, so nobody is told.
    """

    items: list[Incident]
    next: str | None
    shadow: bool = False


class DecidedEvent(BaseModel):
    """One normalised event with its decision; what is not decided yet is null."""

    index: int
    status: str
    severity: str | None
    raw_severity: str
    fingerprint: str
    title: str
    starts_at: Time | None
    ends_at: Time | None
    labels: dict[str, str]
    annotations: dict[str, str]
    source: str
    kind: str
    url: str
    outcome: str | None
    reason: str | None
    detail: str | None
    rule: str | None
    incident: str | None
    incident_key: str | None


class EntryEvents(BaseModel):
    """The events of one accepted request. `decided` is false while they wait for triage."""

    entry: str
    at: Time
    source: str
    decided: bool
    events: list[DecidedEvent]


class Ledger(BaseModel):
    """`accepted == sum(outcomes) + undecided`, always.

    `outcomes` counts by outcome, `reasons` by `outcome/reason`. `counted` is false when the backlog was too long to
    count for this answer, so that `undecided` was derived from the other two.
    """

    accepted: int
    undecided: int
    outcomes: dict[str, int]
    reasons: dict[str, int]
    sources: dict[str, int]
    deliveries: dict[str, int]
    dead_letters: dict[str, int]
    counted: bool


class RejectedItem(BaseModel):
    """One item of a body that could not become an event."""

    where: str
    field: str
    reason: str


class DeadLetter(BaseModel):
    """A body that could not be read. `preview` is its beginning; `tocsin dead-letters` shows and re-sends the whole."""

    id: str
    source: str
    reason: str
    field: str
    content_type: str
    length: int
    truncated: bool
    preview: str
    rejected: list[RejectedItem]


class DeadLetterPage(BaseModel):
    """Dead letters, newest first; `next` is the `after` of the next page, null at the end."""

    items: list[DeadLetter]
    next: str | None


class RuleFile(BaseModel):
    """One file of the rules in force."""

    path: str
    length: int


class Rules(BaseModel):
    """The rules in force; `refused` holds the errors of the last change, when it was refused."""

    digest: str
    loaded_at: Time
    files: list[RuleFile]
    refused: list[str]


class Fact(BaseModel):
    """One thing known, by name."""

    name: str
    text: str


class WhySection(BaseModel):
    """Facts that belong together."""

    heading: str
    facts: list[Fact]


class Why(BaseModel):
    """Why Tocsin did what it did: sections of facts, in the order in which they were decided."""

    what: str
    of: str
    sections: list[WhySection]


class CommandDone(BaseModel):
    """What became of a command: `done` with the incident as it is now, or `pending` with the entry to look at."""

    ending: Literal["done", "pending"]
    text: str
    entry: str
    incident: Incident
    look: str
