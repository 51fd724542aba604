"""What is kept, put into the shapes of the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from desk import shapes
from triage import model
from triage.model import Millis, short
from triage.store import queries, standing
from triage.store import why as reasons

PREVIEW_MAX: Final = 400
"""How many characters of a dead letter are shown."""
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


def incident(one: model.Incident, external_url: str = "") -> shapes.Incident:
    """Return an incident as the API shows it."""
    return shapes.Incident(
        id=short(one.key),
        key=one.key,
        title=one.title,
        severity=one.severity.name,
        phase=one.phase.value,
        service=one.service,
        alerts=shapes.AlertCounts(firing=one.firing, stale=one.stale, total=one.alerts),
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
        earlier=short(one.earlier) or None,
        url=f"{external_url.rstrip('/')}/incidents/{short(one.key)}",
        snoozed_until=_time(one.snoozed_until),
        responders=list(one.responders),
        impact=one.impact,
        eta=_time(one.eta),
        roles={role.value: who for role, who in sorted(one.roles.items())},
        links=[short(key) for key in one.links],
        merged=[short(key) for key in one.merged],
        merged_into=short(one.merged_into) or None,
        mitigating_at=_time(one.mitigating_at),
        flapping=one.flaps,
        changed=one.changed,
        still_open=one.still_open,
        reopened=one.reopened,
        next_update=None if one.phase in model.ENDED else _time(one.next_update),
    )


def incidents(page: queries.Page[model.Incident], external_url: str, shadow: bool = False) -> shapes.IncidentPage:
    """Return a page of incidents."""
    items = [incident(one, external_url) for one in page.items]
    return shapes.IncidentPage(items=items, next=page.next, shadow=shadow)


def timeline(page: queries.Page[queries.Told]) -> shapes.Timeline:
    """Return a page of a timeline."""
    items = [
        shapes.TimelineLine(
            at=time_of(one.line.at),
            what=one.line.what,
            text=one.line.text,
            by=one.line.by,
            entry=one.line.entry,
            incident=short(one.incident),
        )
        for one in page.items
    ]
    return shapes.Timeline(items=items, next=page.next)


def alert(view: queries.AlertView) -> shapes.Alert:
    """Return an alert as the API shows it."""
    one, more = view.alert, view.details
    return shapes.Alert(
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
        incident=short(one.incident) or None,
        flapping=one.flap is not None and one.flap.since is not None,
    )


def alerts(page: queries.Page[queries.AlertView]) -> shapes.AlertPage:
    """Return a page of alerts."""
    return shapes.AlertPage(items=[alert(view) for view in page.items], next=page.next)


def entry_events(view: queries.EntryView) -> shapes.EntryEvents:
    """Return the events of an entry with their decisions. Raises queries.Unknown when it holds none."""
    events = queries.events_of(view)
    source = view.entry.body.source if isinstance(view.entry.body, model.Events) else ""
    return shapes.EntryEvents(
        entry=view.entry.id,
        at=time_of(view.entry.at),
        source=source,
        decided=view.decided,
        events=[_event(index, source, event, decision) for index, event, decision in events],
    )


def _event(index: int, source: str, event: model.Event, decision: model.Decision | None) -> shapes.DecidedEvent:
    return shapes.DecidedEvent(
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
        incident=(short(decision.incident) or None) if decision else None,
        incident_key=(decision.incident or None) if decision else None,
    )


def by_outcome(reasons: Mapping[str, int]) -> dict[str, int]:
    """Return `outcome/reason` counts summed by outcome."""
    totals: dict[str, int] = {}
    for name, count in sorted(reasons.items()):
        outcome = name.partition("/")[0]
        totals[outcome] = totals.get(outcome, 0) + count
    return totals


def ledger(view: standing.LedgerView) -> shapes.Ledger:
    """Return the ledger as the API shows it."""
    kept = view.ledger
    return shapes.Ledger(
        accepted=view.accepted,
        undecided=view.undecided,
        outcomes=by_outcome(kept.outcomes),
        reasons=kept.outcomes,
        sources=kept.sources,
        deliveries=kept.deliveries,
        dead_letters=kept.dead_letters,
        counted=view.counted,
    )


def dead_letters(page: queries.Page[standing.DeadLetterView]) -> shapes.DeadLetterPage:
    """Return a page of dead letters."""
    return shapes.DeadLetterPage(items=[_dead_letter(view) for view in page.items], next=page.next)


def _dead_letter(view: standing.DeadLetterView) -> shapes.DeadLetter:
    letter = view.letter
    return shapes.DeadLetter(
        id=view.id,
        source=letter.source,
        reason=letter.reason,
        field=letter.field,
        content_type=letter.content_type,
        length=letter.length,
        truncated=letter.truncated,
        preview=letter.body[: 4 * PREVIEW_MAX].decode("utf-8", "replace")[:PREVIEW_MAX],
        rejected=[shapes.RejectedItem(where=one.where, field=one.field, reason=one.reason) for one in letter.rejected],
    )


def rules(one: model.Rules) -> shapes.Rules:
    """Return the rules in force as the API shows them."""
    files = [shapes.RuleFile(path=path, length=len(text)) for path, text in sorted(one.files.items())]
    return shapes.Rules(digest=one.digest, loaded_at=time_of(one.loaded_at), files=files, refused=list(one.refused))


def why(found: reasons.Why) -> shapes.Why:
    """Return an explanation as the API shows it."""
    sections = [
        shapes.WhySection(
            heading=one.heading, facts=[shapes.Fact(name=fact.name, text=fact.text) for fact in one.facts]
        )
        for one in found.sections
    ]
    return shapes.Why(what=found.what, of=found.of, sections=sections)
