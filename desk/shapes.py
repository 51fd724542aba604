"""What the API answers: stable names, times as RFC 3339 in UTC, severities as P0 to P4."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import BaseModel, Field

from triage import model
from triage.model import Millis
from triage.store import queries, standing
from triage.store import why as reasons

SHOWN: Final = 6
"""How many characters of an incident's key people see."""
PREVIEW_MAX: Final = 400

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
SeverityName = Literal["P0", "P1", "P2", "P3", "P4"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def time_of(at: Millis) -> str:
    """Return milliseconds since the epoch as RFC 3339 in UTC; what no calendar holds becomes its nearest end."""
    try:
        moment = _EPOCH + timedelta(milliseconds=at)
    except OverflowError:
        return "9999-12-31T23:59:59.999Z" if at > 0 else "0001-01-01T00:00:00.000Z"
    return moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _time(at: Millis | None) -> str | None:
    return None if at is None else time_of(at)


class AlertCounts(BaseModel):
    """How many of an incident's alerts fire now (stale ones included), and how many ever joined."""

    firing: int
    stale: int
    total: int


class Incident(BaseModel):
    """An incident. `id` is the first six characters of `key`; `earlier` is the id of the one it continues, if any."""

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


class TimelineLine(BaseModel):
    """One line of a timeline: when, what kind of thing, a sentence, who did it, the journal entry behind it."""

    at: Time
    what: str
    text: str
    by: str
    entry: str


class Timeline(BaseModel):
    """Lines, newest first; `next` is the `after` of the next page, null at the end."""

    items: list[TimelineLine]
    next: str | None


class Alert(BaseModel):
    """An alert with what is remembered of it. Labels are empty when only the short memory is kept."""

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


class AlertPage(BaseModel):
    """About `limit` alerts; `next` is the `after` of the next page, null at the end."""

    items: list[Alert]
    next: str | None


class IncidentDetail(Incident):
    """An incident with the first page of its timeline (newest first) and of its alerts."""

    timeline: Timeline
    alert_page: AlertPage


class IncidentPage(BaseModel):
    """Incidents, newest first; `next` is the `after` of the next page, null at the end."""

    items: list[Incident]
    next: str | None


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


def incident(one: model.Incident, external_url: str = "") -> Incident:
    """Return an incident as the API shows it."""
    return Incident(
        id=one.key[:SHOWN],
        key=one.key,
        title=one.title,
        severity=one.severity.name,
        phase=one.phase.value,
        service=one.service,
        alerts=AlertCounts(firing=one.firing, stale=one.stale, total=one.alerts),
        opened_at=time_of(one.opened_at),
        changed_at=time_of(one.changed_at),
        acknowledged_by=one.acked_by or None,
        acknowledged_at=_time(one.acked_at),
        monitoring_at=_time(one.monitoring_at),
        resolved_at=_time(one.resolved_at),
        resolved_by=one.resolved_by or None,
        pages=one.pages,
        policy=one.policy,
        runbook=one.runbook,
        rule=one.rule,
        earlier=one.earlier[:SHOWN] or None,
        url=f"{external_url.rstrip('/')}/incidents/{one.key[:SHOWN]}",
    )


def incidents(page: queries.Page[model.Incident], external_url: str) -> IncidentPage:
    """Return a page of incidents."""
    return IncidentPage(items=[incident(one, external_url) for one in page.items], next=page.next)


def timeline(page: queries.Page[model.Line]) -> Timeline:
    """Return a page of a timeline."""
    items = [
        TimelineLine(at=time_of(line.at), what=line.what, text=line.text, by=line.by, entry=line.entry)
        for line in page.items
    ]
    return Timeline(items=items, next=page.next)


def alert(view: queries.AlertView) -> Alert:
    """Return an alert as the API shows it."""
    one, more = view.alert, view.details
    return Alert(
        fingerprint=view.fingerprint,
        state=one.state.value,
        source=one.source,
        severity=one.severity.name,
        raw_severity=more.raw_severity if more else "",
        title=more.title if more else "",
        labels=more.labels if more else {},
        annotations=more.annotations if more else {},
        kind=more.kind.value if more else "",
        url=more.url if more else "",
        rule=more.rule if more else "",
        starts_at=_time(one.starts_at),
        ends_at=_time(one.ends_at),
        first_at=time_of(one.first_at),
        seen_at=time_of(one.seen_at),
        changed_at=time_of(one.changed_at),
        events=one.count,
        episodes=one.episodes,
        incident=one.incident[:SHOWN] or None,
    )


def alerts(page: queries.Page[queries.AlertView]) -> AlertPage:
    """Return a page of alerts."""
    return AlertPage(items=[alert(view) for view in page.items], next=page.next)


def entry_events(view: queries.EntryView) -> EntryEvents:
    """Return the events of an entry with their decisions. Raises queries.Unknown when it holds none."""
    events = queries.events_of(view)
    source = view.entry.body.source if isinstance(view.entry.body, model.Events) else ""
    return EntryEvents(
        entry=view.entry.id,
        at=time_of(view.entry.at),
        source=source,
        decided=view.decided,
        events=[_event(index, source, event, decision) for index, event, decision in events],
    )


def _event(index: int, source: str, event: model.Event, decision: model.Decision | None) -> DecidedEvent:
    return DecidedEvent(
        index=index,
        status=event.status.value,
        severity=decision.severity.name if decision else None,
        raw_severity=event.raw_severity,
        fingerprint=event.fingerprint,
        title=event.title,
        starts_at=_time(event.starts_at),
        ends_at=_time(event.ends_at),
        labels=event.labels,
        annotations=event.annotations,
        source=source,
        kind=event.kind.value,
        url=event.url,
        outcome=decision.outcome.value if decision else None,
        reason=decision.reason.value if decision else None,
        detail=decision.detail if decision else None,
        rule=decision.rule if decision else None,
        incident=(decision.incident[:SHOWN] or None) if decision else None,
        incident_key=(decision.incident or None) if decision else None,
    )


def by_outcome(reasons: Mapping[str, int]) -> dict[str, int]:
    """Return `outcome/reason` counts summed by outcome."""
    totals: dict[str, int] = {}
    for name, count in sorted(reasons.items()):
        outcome = name.partition("/")[0]
        totals[outcome] = totals.get(outcome, 0) + count
    return totals


def ledger(view: standing.LedgerView) -> Ledger:
    """Return the ledger as the API shows it."""
    kept = view.ledger
    return Ledger(
        accepted=view.accepted,
        undecided=view.undecided,
        outcomes=by_outcome(kept.outcomes),
        reasons=kept.outcomes,
        sources=kept.sources,
        deliveries=kept.deliveries,
        dead_letters=kept.dead_letters,
        counted=view.counted,
    )


def dead_letters(page: queries.Page[standing.DeadLetterView]) -> DeadLetterPage:
    """Return a page of dead letters."""
    return DeadLetterPage(items=[_dead_letter(view) for view in page.items], next=page.next)


def _dead_letter(view: standing.DeadLetterView) -> DeadLetter:
    letter = view.letter
    return DeadLetter(
        id=view.id,
        source=letter.source,
        reason=letter.reason,
        field=letter.field,
        content_type=letter.content_type,
        length=letter.length,
        truncated=letter.truncated,
        preview=letter.body[: 4 * PREVIEW_MAX].decode("utf-8", "replace")[:PREVIEW_MAX],
        rejected=[RejectedItem(where=one.where, field=one.field, reason=one.reason) for one in letter.rejected],
    )


def rules(one: model.Rules) -> Rules:
    """Return the rules in force as the API shows them."""
    files = [RuleFile(path=path, length=len(text)) for path, text in sorted(one.files.items())]
    return Rules(digest=one.digest, loaded_at=time_of(one.loaded_at), files=files, refused=list(one.refused))


def why(found: reasons.Why) -> Why:
    """Return an explanation as the API shows it."""
    sections = [
        WhySection(heading=one.heading, facts=[Fact(name=fact.name, text=fact.text) for fact in one.facts])
        for one in found.sections
    ]
    return Why(what=found.what, of=found.of, sections=sections)
