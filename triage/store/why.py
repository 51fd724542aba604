"""For every page that was sent, or was not: why. Put together from the journal, the decisions, memory and the rules.

`why` answers for an event (`<entry id>` or `<entry id>/<index>`), an alert (fingerprint, eight digits or more) or an
incident (six characters or more), as sections of facts: for the terminal, the API and the views alike. The rules are
those in force now; where a decision was made under earlier ones, its own words (rule, severity) are shown beside them.

Raises queries.Unknown or Ambiguous, and one of queries.DOWN.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from triage import changes
from triage.model import (
    ChangesTold,
    Command,
    Decision,
    Declared,
    Details,
    Event,
    Flap,
    Incident,
    Line,
    Millis,
    OverrideAsked,
    Rules,
    SilenceAsked,
    short,
)
from triage.pausing import as_event
from triage.rulebook import EMPTY, Explanation, Rulebook, RulesError, compile_files
from triage.rulebook.durations import counted, show_duration
from triage.silence import Words
from triage.store import queries, standing

LINES_MAX: Final = 200
EVENTS_MAX: Final = 20
"""How many events of one entry are explained at once; give `<entry id>/<index>` for the others."""
TOLD: Final = frozenset(
    {
        "confirmed",
        "delivered",
        "digest",
        "doubted",
        "escalated",
        "exhausted",
        "failed",
        "forgotten",
        "given-up",
        "handed-over",
        "not-paged",
        "notification",
        "page",
        "paused",
        "promise-broken",
        "resumed",
        "rules",
        "shadowed",
        "too-old",
        "unacknowledged",
        "unanswered",
        "unreachable",
        "update",
        "waiting",
        "window",
        "withdrawn",
        "withheld",
    }
)
"""Kinds of timeline lines that say who was told, who was not, and what came of it."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EVENT: Final = re.compile(r"(\d+-\d+)(?:/(\d+))?")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{8,32}")


class Fact(msgspec.Struct, frozen=True):
    """One thing known, by name."""

    name: str
    text: str


class Section(msgspec.Struct, frozen=True):
    """Facts that belong together."""

    heading: str
    facts: list[Fact]


class Why(msgspec.Struct, frozen=True):
    """The answer: what it is about (`event`, `alert`, `incident` or `command`), of which, and the reasons."""

    what: str
    of: str
    sections: list[Section]


class Rulebooks:
    """The compiled rulebook of the rules last asked about: compiling thousands of rules for each question is waste."""

    def __init__(self) -> None:
        self._digest = EMPTY.digest
        self._rulebook = EMPTY

    def of(self, rules: Rules | None) -> Rulebook:
        """Return the rulebook of these rules; the empty one when there are none, or they no longer compile."""
        if rules is None:
            return EMPTY
        if rules.digest != self._digest:
            try:
                self._rulebook = compile_files(rules.files)
            except RulesError:
                return EMPTY
            self._digest = rules.digest
        return self._rulebook


async def why(client: queries.Client, what: str, rulebooks: Rulebooks | None = None) -> Why:
    """Return why Tocsin did with `what` what it did; see the module."""
    what = what.strip()
    rulebook = (rulebooks or Rulebooks()).of(await standing.rules(client))
    if found := _EVENT.fullmatch(what):
        return await _of_entry(client, rulebook, found[1], int(found[2]) if found[2] else None)
    if _FINGERPRINT.fullmatch(what.lower()):
        try:
            return await _of_alert(client, rulebook, what)
        except queries.Unknown as unknown:
            return await _of_incident_or(client, rulebook, what, unknown)
    return await _of_incident(client, rulebook, what)


def text(answer: Why) -> list[str]:
    """Return the answer as lines for a terminal."""
    lines = [f"{answer.what} {answer.of}"]
    for section in answer.sections:
        lines += ["", section.heading]
        width = min(max((len(fact.name) for fact in section.facts), default=0), 28)
        lines += [f"  {fact.name:<{width}}  {fact.text}".rstrip() for fact in section.facts]
    return lines


async def _of_incident_or(client: queries.Client, rulebook: Rulebook, what: str, unknown: queries.Unknown) -> Why:
    """A text such as `ffeedd22` may begin either name; the first complaint stands when it begins neither."""
    try:
        return await _of_incident(client, rulebook, what)
    except queries.Ambiguous:
        raise
    except queries.Unknown:
        raise unknown from None


# --------------------------------------------------------------------------------------------------------------------
# Of an event.


async def _of_entry(client: queries.Client, rulebook: Rulebook, entry_id: str, index: int | None) -> Why:
    view = await queries.entry(client, entry_id)
    if isinstance(view.entry.body, Command):
        return Why("command", entry_id, [_command(view.entry.body, view)])
    if isinstance(view.entry.body, OverrideAsked):
        return Why("override", entry_id, [_override(view.entry.body, view)])
    if isinstance(view.entry.body, SilenceAsked):
        return Why("silence", entry_id, [_silence(view.entry.body, view)])
    if isinstance(view.entry.body, ChangesTold):
        return Why("changes", entry_id, [_changes(rulebook, view.entry.body, view)])
    if isinstance(view.entry.body, Declared):
        told = await _told_of(client, view.answer.incident) if view.answer else []
        return Why("declaration", entry_id, [_declared(view.entry.body, view), *told])
    events = queries.events_of(view)
    wanted = events if index is None else events[index : index + 1]
    if not wanted:
        raise queries.Unknown(f"entry {entry_id} has {len(events)} events, numbered from 0: there is no {index}")
    source = getattr(view.entry.body, "source", "")
    sections = [_arrival(view, source, len(events))]
    for number, event, decision in wanted[:EVENTS_MAX]:
        sections += _event(rulebook, source, number, event, decision, view.decided)
    if len(wanted) == 1 and wanted[0][2] is not None:
        sections += await _told_of(client, wanted[0][2].incident)
    if len(wanted) > EVENTS_MAX:
        sections.append(Section("More", [Fact("events", f"{len(wanted) - EVENTS_MAX} more: ask for {entry_id}/INDEX")]))
    return Why("event", entry_id if index is None else f"{entry_id}/{index}", sections)


def _changes(rulebook: Rulebook, body: ChangesTold, view: queries.EntryView) -> Section:
    facts = [Fact("arrived", _time(view.entry.at)), Fact("source", body.source)]
    for change in body.changes:
        service = changes.service_of(rulebook.services, change) or "no service"
        facts.append(Fact(service, " ".join(filter(None, (change.kind, change.version, change.summary)))))
    return Section("What changed: it pages nobody, and is told with incidents that begin after it", facts)


def _override(asked: OverrideAsked, view: queries.EntryView) -> Section:
    wanted = f"withdraw {asked.withdraw}"
    if not asked.withdraw:
        wanted = f"{asked.person} from {_time(asked.start)} to {_time(asked.end)}"
    facts = [
        Fact("at", _time(view.entry.at)),
        Fact("schedule", asked.schedule),
        Fact("asked", wanted),
        Fact("by", f"{asked.by} ({asked.via})"),
        Fact("answer", f"{view.answer.ending}: {view.answer.text}" if view.answer else "not decided yet"),
    ]
    return Section("Override", facts)


def _silence(asked: SilenceAsked, view: queries.EntryView) -> Section:
    wanted = "its end"
    if asked.words:
        words = msgspec.msgpack.decode(asked.words, type=Words)
        wanted = " or ".join(", ".join(texts) for texts in words.sets)
    facts = [
        Fact("at", _time(view.entry.at)),
        Fact("silence", asked.key),
        Fact("asked", wanted),
        Fact("by", f"{asked.by} ({asked.via})"),
        Fact("answer", f"{view.answer.ending}: {view.answer.text}" if view.answer else "not decided yet"),
    ]
    return Section("Silence", facts)


def _declared(asked: Declared, view: queries.EntryView) -> Section:
    facts = [
        Fact("at", _time(view.entry.at)),
        Fact("asked", f"declare {asked.severity}: {asked.title}"),
        Fact("service", asked.service or "none given"),
        Fact("by", f"{asked.by} ({asked.via})"),
        Fact("answer", f"{view.answer.ending}: {view.answer.text}" if view.answer else "not decided yet"),
    ]
    return Section("Declaration", facts)


def _command(command: Command, view: queries.EntryView) -> Section:
    answer = f"{view.answer.ending}: {view.answer.text}" if view.answer else "not decided yet"
    facts = [
        Fact("at", _time(view.entry.at)),
        Fact("asked", f"{command.verb} of incident {short(command.incident)} by {command.by} ({command.via})"),
        Fact("answer", answer if view.answer or not view.decided else "decided; the answer is no longer kept"),
    ]
    return Section("Command", facts)


def _arrival(view: queries.EntryView, source: str, count: int) -> Section:
    decided = "decided" if view.decided else "not decided yet"
    return Section(
        "Arrival",
        [Fact("at", _time(view.entry.at)), Fact("source", source), Fact("events", str(count)), Fact("state", decided)],
    )


def _event(
    rulebook: Rulebook, source: str, number: int, event: Event, decision: Decision | None, decided: bool
) -> list[Section]:
    return [
        Section(f"Event {number}: {event.title}", _facts_of(event)),
        Section("Decision", _decision(decision, decided)),
        *_rules(rulebook.explain(source, event)),
    ]


def _facts_of(event: Event) -> list[Fact]:
    facts = [
        Fact("status", event.status.value),
        Fact("kind", event.kind.value),
        Fact("fingerprint", event.fingerprint),
        Fact("raw severity", event.raw_severity or "none given"),
        Fact("labels", _labels(event.labels)),
    ]
    if event.starts_at is not None:
        facts.append(Fact("starts at", _time(event.starts_at)))
    if event.ends_at is not None:
        facts.append(Fact("ends at", _time(event.ends_at)))
    return facts


def _decision(decision: Decision | None, decided: bool) -> list[Fact]:
    if decision is None:
        return [Fact("outcome", "decided; the decision is no longer kept" if decided else "not decided yet")]
    return [
        Fact("outcome", decision.outcome.value),
        Fact("reason", f"{decision.reason.value}{f' ({decision.detail})' if decision.detail else ''}"),
        Fact("severity", f"{decision.severity.name}{f' by rule “{decision.rule}”' if decision.rule else ''}"),
        Fact("incident", short(decision.incident) or "none"),
    ]


# --------------------------------------------------------------------------------------------------------------------
# Of the rules.


def _rules(explanation: Explanation) -> list[Section]:
    verdict = explanation.verdict
    decided = [one for one in explanation.fields if one.rule or one.field == "severity"]
    facts = [Fact(one.field, _decided_by(one.rule, one.path, one.line, one.origin)) for one in decided]
    left = [one.field for one in explanation.fields if one not in decided]
    if left:
        facts.append(Fact("by default", ", ".join(left)))
    facts[:0] = [
        Fact("labels seen", _labels(explanation.labels)),
        Fact("verdict", f"{verdict.severity.name}{', dropped' if verdict.dropped else ''}, policy {verdict.policy}"),
        Fact("group key", verdict.group),
        Fact("matched", ", ".join(explanation.matched) or "no rule"),
    ]
    if explanation.ended_by:
        facts.append(Fact("reading ended", f"by “{explanation.ended_by}”, which has no `continue: true`"))
    if verdict.unknown_policy:
        facts.append(Fact("unknown policy", f"“{verdict.unknown_policy}” does not exist; “{verdict.policy}” is used"))
    sections = [Section("Rules in force now", facts)]
    if explanation.missed:
        missed = [
            Fact(
                f"“{one.rule}”",
                "; ".join(_failed(failed.label, failed.wanted, failed.actual) for failed in one.failed)
                or f"never read: “{one.ended_by}” ended the reading before it",
            )
            for one in explanation.missed
        ]
        sections.append(Section("Nearest rules missed", missed))
    return sections


def _decided_by(rule: str, path: str, line: int, origin: str) -> str:
    return f"“{rule}” ({path}:{line})" if rule else f"no rule: {origin}"


def _failed(label: str, wanted: str, actual: str) -> str:
    return f"wants {wanted}, but {label} is {actual!r}" if actual else f"wants {wanted}, but there is no label {label}"


# --------------------------------------------------------------------------------------------------------------------
# Of an alert, and of an incident.


async def _of_alert(client: queries.Client, rulebook: Rulebook, ref: str) -> Why:
    view = await queries.alert(client, ref)
    alert = view.alert
    facts = [
        Fact("state", alert.state.value),
        Fact("severity", f"{alert.severity.name}{_by_rule(view.details)}"),
        Fact("source", alert.source),
        Fact("first seen", _time(alert.first_at)),
        Fact("last seen", _time(alert.seen_at)),
        Fact("deduplicated", f"{counted(alert.count, 'event')} in {counted(alert.episodes, 'episode')}, one alert"),
        Fact("incident", short(alert.incident) or "none"),
        *([Fact("held back by", alert.quiet)] if alert.quiet else []),
        *_flapping(alert.flap),
    ]
    sections = [Section(f"Alert: {view.details.title}" if view.details else "Alert", facts)]
    if view.details is not None:
        sections += _rules(rulebook.explain(alert.source, as_event(view.fingerprint, view.details)))
    return Why("alert", view.fingerprint, sections + await _told_of(client, alert.incident))


def _flapping(flap: Flap | None) -> list[Fact]:
    """Return what is held back of an alert that flaps."""
    if flap is None or flap.since is None:
        return []
    rest = show_duration(flap.rest)
    says = "that it ended" if flap.down else "that it fires"
    text = f"since {_time(flap.since)}; it counts as firing until it has not changed for {rest}. Its sender says {says}"
    withheld = f"{flap.withheld} changes, the last at {_time(flap.times[-1])}"
    return [Fact("flapping", text), Fact("withheld", withheld)]


def _by_rule(details: Details | None) -> str:
    return f" by rule “{details.rule}”" if details and details.rule else ""


async def _of_incident(client: queries.Client, rulebook: Rulebook, ref: str) -> Why:
    incident = await queries.incident(client, ref)
    sections = [Section(f"Incident: {incident.title}", _standing(incident))]
    if incident.example:
        try:
            view = await queries.alert(client, incident.example)
        except queries.Unknown:
            view = None
        if view is not None and view.details is not None:
            sections += _rules(rulebook.explain(view.alert.source, as_event(view.fingerprint, view.details)))
    return Why("incident", incident.key, sections + await _told_of(client, incident.key))


def _standing(incident: Incident) -> list[Fact]:
    facts = [
        Fact("severity", f"{incident.severity.name}{f' by rule “{incident.rule}”' if incident.rule else ''}"),
        Fact("phase", incident.phase.value),
        Fact("opened", f"{_time(incident.opened_at)} by entry {incident.opened_by}"),
        Fact("group key", incident.group),
        Fact("alerts", f"{incident.firing} firing of {incident.alerts}"),
        Fact("policy", incident.policy),
        Fact("pages", f"{incident.pages}{f', paging began {incident.episode} times' if incident.episode > 1 else ''}"),
        Fact("has it", incident.acked_by or "nobody"),
        *([Fact("paging pauses", incident.paused)] if incident.paused else []),
    ]
    told = (("changed", incident.changed), ("still open", incident.still_open), ("flapping", incident.flaps))
    facts += [Fact(name, text) for name, text in told if text]
    if incident.earlier:
        facts.append(Fact("earlier", short(incident.earlier)))
    return facts


async def _told_of(client: queries.Client, incident: str) -> list[Section]:
    """Say whom an incident told and what the providers said; nothing when there is no incident."""
    if not incident:
        return []
    return [told(await lines_of(client, incident))]


async def lines_of(client: queries.Client, incident: str) -> list[Line]:
    """Return the newest lines of an incident's timeline, oldest first."""
    page = await queries.timeline(client, incident, LINES_MAX)
    return page.items[::-1]


def told(lines: list[Line]) -> Section:
    """Return who was told, who was not, and what came of it."""
    facts = [Fact(_time(line.at), f"{line.what}: {line.text}") for line in lines if line.what in TOLD]
    return Section("Whom it told", facts or [Fact("nobody", "nothing was sent for it yet")])


def _labels(labels: dict[str, str]) -> str:
    return ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) or "none"


def _time(at: Millis) -> str:
    try:
        return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return f"{at} ms"
