"""The compiled rulebook: what it says of an event, and of time.

Asking changes nothing but a memo of answers, whose size is bounded and which no answer depends on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from triage.model import Event, Kind, Millis, Severity
from triage.rulebook import intervals, words
from triage.rulebook.actions import Action
from triage.rulebook.checks import Check
from triage.rulebook.drills import DrillPlan
from triage.rulebook.explaining import Explanation, explain
from triage.rulebook.heartbeats import watched_names
from triage.rulebook.intervals import Piece
from triage.rulebook.meanings import Meaning
from triage.rulebook.metrics import MetricRules
from triage.rulebook.postmortems import Learning
from triage.rulebook.problems import Problem
from triage.rulebook.quiet import QuietRules
from triage.rulebook.rooms import Rooms
from triage.rulebook.rule import Index, Rule
from triage.rulebook.status import StatusRules
from triage.rulebook.types import (
    REPORT,
    REPORT_STALE_AFTER,
    Cadence,
    Defaults,
    Measure,
    Person,
    Policy,
    Raise,
    Schedule,
    Service,
    Source,
    Verdict,
    Verification,
)
from triage.rulebook.updates import UpdateRules

MEMO_MAX: Final = 32_768
"""How many answers are remembered at most, in two generations."""
ASKED_MAX: Final = 4_096
"""How many events of late are known by themselves: each is asked about twice, before and while it is decided."""
STALE_AFTER: Final = Source("", "").stale_after
_LINKS: Final = ("http://", "https://")
_ENCODER: Final = msgspec.json.Encoder()

Found = dict[str, Rule]


class _Memo:
    """Remembers answers in two generations: when the younger one is full, the older one is forgotten whole."""

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._young: dict[Any, Verdict] = {}
        self._old: dict[Any, Verdict] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, key: Any) -> Verdict | None:
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: Any, verdict: Verdict) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = verdict


class _Ruling(msgspec.Struct, frozen=True):
    """What a list of matching rules says, as far as it depends on these rules alone; `severity` None: not a word."""

    names: dict[str, str]
    severity: Severity | None
    cap: Severity
    group_by: tuple[str, ...]
    policy: Rule | None
    runbook: Rule | None
    dropped: bool
    wait: Millis
    raises: tuple[Raise, ...]
    during: str
    heartbeat: str
    metrics: Measure | None
    room: str
    verify: tuple[Verification, ...]


class Rulebook:
    """The rules in force. Made by `compile_files`; two made of the same files give the same answers."""

    def __init__(
        self,
        digest: str,
        rules: list[Rule],
        *,
        runbooks: Mapping[str, str],
        time_intervals: Mapping[str, tuple[Piece, ...]],
        severity_words: Mapping[str, Severity],
        policies: Mapping[str, Policy],
        people: Mapping[str, Person],
        schedules: Mapping[str, Schedule],
        teams: Mapping[str, tuple[str, ...]],
        services: Mapping[str, Service],
        sources: Mapping[str, Source],
        operators: tuple[str, ...],
        last_resort: tuple[str, ...],
        defaults: Defaults,
        problems: list[Problem],
        cadences: Mapping[str, Cadence],
        quiet: QuietRules,
        checks: Mapping[str, Check],
        updates: UpdateRules,
        actions: Mapping[str, Action],
        rooms: Rooms = Rooms(),  # noqa: B008  it never changes
        meanings: Mapping[Severity, Meaning],
        drills: Mapping[str, DrillPlan],
        status: StatusRules,
        learning: Learning,
        metrics: MetricRules,
    ) -> None:
        self.digest = digest
        self.rules = rules
        self.runbooks = runbooks
        self.time_intervals = time_intervals
        self.severity_words = severity_words
        self.policies = policies
        self.people = people
        self.schedules = schedules
        self.teams = teams
        self.services = services
        self.sources = sources
        self.operators = operators
        self.last_resort = last_resort
        self.defaults = defaults
        self.problems = problems
        self.cadences = cadences
        self.quiet = quiet
        self.checks = checks
        self.updates = updates
        self.actions = actions
        self.rooms, self.posts = rooms
        self.meanings = meanings
        self.drills = drills
        self.status = status
        self.learning = learning
        self.metrics = metrics
        self.verifies = any(rule.verify for rule in rules) or any(one.verify for one in services.values())
        self._watched = watched_names(rules)
        self._index = Index(rules)
        self._memo = _Memo(MEMO_MAX)
        self._asked: dict[int, tuple[Event, str, Verdict]] = {}
        self._rulings: dict[tuple[int, ...], _Ruling] = {}
        self._looked_at = _looked_at(rules, defaults)

    # -------------------------------------------------------------------------------------------------------- verdicts

    def verdict(self, source: str, event: Event) -> Verdict:
        """Return what the rules say of an event. The same labels from the same source get an equal verdict,
        except for the runbook, which may come from an annotation, and a group of alerts that have no name.
        """
        asked = self._asked.get(id(event))
        if asked is not None and asked[0] is event and asked[1] == source:
            return asked[2]
        verdict = self._verdict(source, event)
        if len(self._asked) >= ASKED_MAX:
            self._asked.clear()
        self._asked[id(event)] = (event, source, verdict)
        return verdict

    def _verdict(self, source: str, event: Event) -> Verdict:
        link = event.annotations.get("runbook_url", "")
        key = (source, event.raw_severity, event.kind, link, self._seen_of(event.labels))
        verdict = self._memo.get(key)
        if verdict is None:
            verdict = self._judge(source, event, link if link.startswith(_LINKS) else "")
            self._memo.put(key, verdict)
        if not verdict.group:
            return msgspec.structs.replace(verdict, group=_lone_group(source, event))
        return verdict

    def _seen_of(self, labels: Mapping[str, str]) -> tuple[Any, ...]:
        """Return what the rules can see of a label set, so that alerts that differ elsewhere share one answer."""
        seen = self._looked_at
        if len(seen) <= 2 * len(labels):
            return tuple(map(labels.get, seen))
        return tuple([item for item in labels.items() if item[0] in seen])

    def labels_of(self, source: str, event: Event) -> dict[str, str]:
        """Return the labels that the rules see: the event's, what the catalogue knows of its service, and, where the
        event has no label of that name, `source`, `kind`, `team` (of the service) and `severity` (the sender's word).
        """
        labels = dict(event.labels)
        if self.services and (service := self.services.get(labels.get("service", ""))) is not None:
            labels.update(catalogue_labels(service))
            if service.team and not labels.get("team"):
                labels["team"] = service.team
        if not labels.get("source"):
            labels["source"] = source
        if not labels.get("kind"):
            labels["kind"] = str(event.kind)
        if event.raw_severity and not labels.get("severity"):
            labels["severity"] = event.raw_severity
        return labels

    def read(self, labels: Mapping[str, str]) -> tuple[Found, Rule | None]:
        """Return the deciding rule of each field, and the rule that ended the reading (None: all were read)."""
        matched = self._matched(labels)
        last = self.rules[matched[-1]] if matched else None
        return self._found(matched), last if last is not None and not last.continues else None

    def _matched(self, labels: Mapping[str, str]) -> tuple[int, ...]:
        """Return the positions of the rules that hold, up to the one that ends the reading."""
        matched: list[int] = []
        for position in self._index.candidates(labels):
            rule = self.rules[position]
            if rule.matches(labels):
                matched.append(position)
                if not rule.continues:
                    break
        return tuple(matched)

    def _found(self, matched: tuple[int, ...]) -> Found:
        found: Found = {}
        for position in matched:
            rule = self.rules[position]
            for field in rule.fields:
                found.setdefault(field, rule)
        return found

    def _judge(self, source: str, event: Event, link: str) -> Verdict:
        """Return the verdict on what is not remembered; `link` is the runbook where rules and services name none."""
        labels = self.labels_of(source, event)
        matched = self._matched(labels)
        ruling = self._rulings.get(matched)
        if ruling is None:
            if len(self._rulings) >= MEMO_MAX:
                self._rulings.clear()
            ruling = self._rulings[matched] = self._ruling(self._found(matched))
        severity = self.severity_of(source, event) if ruling.severity is None else ruling.severity
        policy, unknown = self._policy(ruling.policy, labels)
        service = event.labels.get("service", "")
        return Verdict(
            severity=max(severity, ruling.cap),
            rule=ruling.names.get("severity", ""),
            rules=ruling.names,
            group=_group(ruling.group_by, source, labels, event),
            policy=policy,
            service=service,
            runbook=self._runbook(ruling.runbook, labels) or link or self._service_runbook(service),
            dropped=ruling.dropped,
            wait=ruling.wait,
            raises=ruling.raises,
            during=ruling.during,
            unknown_policy=unknown,
            heartbeat=ruling.heartbeat,
            metrics=ruling.metrics,
            room=ruling.room,
            verify=ruling.verify,
        )

    def _ruling(self, found: Found) -> _Ruling:
        cap = found["max_severity"].max_severity if "max_severity" in found else Severity.P0
        return _Ruling(
            names={field: rule.name for field, rule in sorted(found.items())},
            severity=found["severity"].severity if "severity" in found else None,
            cap=cap,
            group_by=found["group_by"].group_by if "group_by" in found else self.defaults.group_by,
            policy=found.get("policy"),
            runbook=found.get("runbook"),
            dropped="outcome" in found,
            wait=found["wait"].wait if "wait" in found else self.defaults.wait,
            raises=_capped(found["raise"].raises, cap) if "raise" in found else (),
            during=found["during"].during if "during" in found else "",
            heartbeat=found["heartbeat"].name if "heartbeat" in found else "",
            room=found["room"].room if "room" in found else "",
            metrics=found["metrics"].metrics if "metrics" in found else None,
            verify=found["verify"].verify if "verify" in found else (),
        )

    def heartbeat_of(self, source: str, event: Event) -> str:
        """Return the rule by which an event is a beat, or "". What no such rule can mean costs one look-up."""
        if self._watched is not None and event.labels.get("alertname", "") not in self._watched:
            return ""
        return self.verdict(source, event).heartbeat

    def explain(self, source: str, event: Event) -> Explanation:
        """Return the verdict with its reasons: the deciding rule per field, and the nearest rules that were missed."""
        labels = self.labels_of(source, event)
        found, ended = self.read(labels)
        word = self._word(source, event)
        origin = f'the word "{word}"' if words.fold(word) in self.severity_words else "default"
        return explain(self.verdict(source, event), labels, self.rules, found, ended, origin)

    def severity_of(self, source: str, event: Event) -> Severity:
        """Return what the sender's own word means, where no rule speaks. A report without a known word is P4."""
        word = self._word(source, event)
        meant = self.severity_words.get(word)
        if meant is None:
            meant = self.severity_words.get(words.fold(word))
        if meant is None:
            return Severity.P4 if event.kind is Kind.REPORT else self.defaults.severity
        return meant

    def _word(self, source: str, event: Event) -> str:
        """Return the sender's severity word: its own field, else a label, else what the source is configured for."""
        given = event.raw_severity or event.labels.get("severity") or event.labels.get("priority")
        if given:
            return given
        configured = self.sources.get(source)
        return configured.severity if configured is not None else ""

    def _policy(self, rule: Rule | None, labels: Mapping[str, str]) -> tuple[str, str]:
        """Return a policy that exists, and the name that was meant if there is none of it."""
        if rule is None or rule.policy is None:
            return self.defaults.policy, ""
        wanted = rule.policy.fill(labels)
        if wanted in self.policies:
            return wanted, ""
        return self.defaults.policy, wanted or rule.policy.source

    def _runbook(self, rule: Rule | None, labels: Mapping[str, str]) -> str:
        """Return the runbook that a rule names, if it exists; a link is taken as it is."""
        if rule is None or rule.runbook is None:
            return ""
        link = rule.runbook.source.startswith(_LINKS)
        runbook = rule.runbook.fill(labels, link)
        return runbook if link or runbook in self.runbooks else ""

    def _service_runbook(self, name: str) -> str:
        service = self.services.get(name)
        runbook = service.runbook if service is not None else ""
        return runbook if runbook.startswith(_LINKS) or runbook in self.runbooks else ""

    # ------------------------------------------------------------------------------------------------ sources and time

    def source(self, name: str) -> Source | None:
        """Return a source that the operators configured, or None."""
        return self.sources.get(name)

    def target(self, text: str) -> tuple[str, str]:
        """Return what a target of an escalation step means, and its name: `person`, `schedule`, `team`, or "" for none.

        `schedule:NAME` and `team:NAME` mean what they say; a name alone is a person, else a schedule, else a team.
        """
        known = {"person": self.people, "schedule": self.schedules, "team": self.teams}
        kind, mark, name = text.partition(":")
        if mark and kind in known:
            return (kind, name) if name in known[kind] else ("", text)
        return next(((kind, text) for kind, names in known.items() if text in names), ("", text))

    def stale_after(self, source: str) -> Millis:
        """Return after how long without a word (ms) a firing alert of this source is stale."""
        configured = self.sources.get(source)
        if configured is not None:
            return configured.stale_after
        return REPORT_STALE_AFTER if source == REPORT else STALE_AFTER

    def is_open(self, interval: str, at: Millis) -> bool:
        """Tell whether a time interval is open. One that no longer exists counts as open: better told than missed."""
        pieces = self.time_intervals.get(interval)
        return pieces is None or intervals.is_open(pieces, at)

    def opens_at(self, interval: str, after: Millis) -> Millis | None:
        """Return the first instant from `after` on at which an interval is open; None when it never opens again."""
        pieces = self.time_intervals.get(interval)
        return after if pieces is None else intervals.opens_at(pieces, after)


def catalogue_labels(service: Service) -> dict[str, str]:
    """Return the labels that a service adds to its alerts: its scalar fields that are not empty."""
    fields = {
        "service_team": service.team,
        "service_tier": service.tier,
        "service_runbook": service.runbook,
        "service_status_component": service.status_component,
    }
    return {name: value for name, value in fields.items() if value}


def _looked_at(rules: list[Rule], defaults: Defaults) -> dict[str, None]:
    """Return the names of all labels that a verdict may depend on, as an ordered set."""
    names = dict.fromkeys(
        ("service", "alertname", "severity", "priority", "source", "kind", "team", *defaults.group_by)
    )
    for rule in rules:
        names.update(dict.fromkeys(matcher.name for matcher in rule.matchers))
        names.update(dict.fromkeys(rule.group_by))
        for template in (rule.policy, rule.runbook):
            names.update(dict.fromkeys(template.labels if template is not None else ()))
    return names


def _capped(raises: tuple[Raise, ...], cap: Severity) -> tuple[Raise, ...]:
    """Return the clauses with none of them going past `max_severity`."""
    return tuple(msgspec.structs.replace(clause, to=max(clause.to, cap)) for clause in raises)


def _group(group_by: tuple[str, ...], source: str, labels: Mapping[str, str], event: Event) -> str:
    """Return the group key, or "" when it depends on the fingerprint."""
    values = [labels.get(name, "") for name in group_by]
    if all(values):
        return _as_text(list(zip(group_by, values, strict=True)))
    name = event.labels.get("alertname", "")
    return _as_text([("source", source), ("alertname", name)]) if name else ""


def _lone_group(source: str, event: Event) -> str:
    return _as_text([("source", source), ("fingerprint", event.fingerprint)])


def _as_text(pairs: list[tuple[str, str]]) -> str:
    return _ENCODER.encode(pairs).decode()
