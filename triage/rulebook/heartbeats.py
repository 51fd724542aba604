"""What must be heard of again and again: heartbeats.yaml, rules with `heartbeat:`, and sources with `expect_every`.

Each becomes a `Cadence`, and a last rule, read after all others, which says how severe its absence is and that it is an
incident of its own. So whatever a rule of the operators says of `HeartbeatMissed` comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from pydantic import Field

from triage.model import MINUTE, SECOND, Millis, Severity
from triage.rulebook import intervals
from triage.rulebook.cron import check_cron
from triage.rulebook.matcher import Matcher
from triage.rulebook.problems import Problem, closest
from triage.rulebook.rule import Rule, Template, read_template
from triage.rulebook.shapes import (
    Duration,
    HeartbeatShape,
    SeverityName,
    Shape,
    SourcesFile,
    TeamSeverityFile,
    Text,
    Texts,
)
from triage.rulebook.types import FAILED, HEARTBEAT_SOURCE, MISSED, SILENT, Cadence, Policy, Source
from triage.rulebook.yaml import Path

if TYPE_CHECKING:  # which reads files by the shapes below
    from triage.rulebook.reading import Part

SHORTEST: Final[Millis] = SECOND
BY_MAX: Final = 10
RESERVED: Final = ("alertname", "heartbeat", "source")
"""Labels of the alert itself, which `by` cannot mean."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")


class PingShape(Shape):
    """One job that reports in. Exactly one of `every` and `cron` says when."""

    every: Duration | None = Field(None, description="How often it beats, like 1d.")
    cron: Text | None = Field(None, description='When it beats, as cron says it, like "0 3 * * *".')
    time_zone: str | None = Field(None, description="The clock that `cron` is read from, like Europe/Berlin; else UTC.")
    grace: Duration = Field(5 * MINUTE, description="How late it may be.")
    max_run: Duration | None = Field(None, description="After /start: how long until it must have ended.")
    severity: SeverityName = Field(Severity.P2, description="How severe its absence or failure is.")
    service: Text = Field("", description="The service it belongs to.")
    policy: Text = Field("", description="The escalation policy; else what the rules say.")
    runbook: Text = Field("", description="A file under runbooks/ or a link.")
    labels: dict[str, Text] = Field(default_factory=dict, description="Labels of its alert.")
    token_sha256: Texts = Field(default_factory=list, description="SHA-256 of each token that may beat, in hex.")


class HeartbeatsFile(Shape):
    """heartbeats.yaml: jobs that report in, and whose silence is an alert."""

    heartbeats: dict[str, PingShape] = Field(default_factory=dict, description="Name in the URL → when it must beat.")
    token_sha256: Texts = Field(default_factory=list, description="SHA-256 of tokens that may beat for all of them.")


class Heartbeats(msgspec.Struct):
    """All cadences by key, and the rules that come after all others."""

    cadences: dict[str, Cadence] = msgspec.field(default_factory=dict)
    rules: list[Rule] = msgspec.field(default_factory=list)


def compile_heartbeats(
    parts: list[Part],
    rules: list[Rule],
    sources: Mapping[str, Source],
    policies: Mapping[str, Policy],
    problems: list[Problem],
) -> Heartbeats:
    """Compile everything that must beat. `rules` are the compiled ones of all severity files, in reading order."""
    compiler = _Compiler(problems, policies)
    position = 0
    for part in parts:
        if isinstance(part.shape, HeartbeatsFile):
            compiler.pings(part, part.shape)
        elif isinstance(part.shape, TeamSeverityFile):
            for index, shape in enumerate(part.shape.rules):
                if shape.heartbeat is not None:
                    place: Path = ("rules", part.position("rules", index), "heartbeat")
                    compiler.watched(part, place, shape.heartbeat, rules[position])
                position += 1
        elif isinstance(part.shape, SourcesFile):
            compiler.silences(part, part.shape, sources)
    return compiler.found


class _Compiler:
    def __init__(self, problems: list[Problem], policies: Mapping[str, Policy]) -> None:
        self.found = Heartbeats()
        self.problems = problems
        self.policies = policies

    def fault(self, part: Part, place: Path, message: str, hint: str = "", key: bool = False) -> None:
        self.problems.append(part.document.problem(place, message, hint, key=key))

    def _add(self, part: Part, place: Path, cadence: Cadence, rule: Rule) -> None:
        twin = f"{'ping' if cadence.key.startswith('rule/') else 'rule'}/{cadence.name}"
        if twin in self.found.cadences and not cadence.key.startswith("source/"):
            message = f'there is another heartbeat "{cadence.name}"'
            self.fault(part, place, message, "heartbeats of rules and of heartbeats.yaml share their names", key=True)
        self.found.cadences[cadence.key] = cadence
        self.found.rules.append(rule)

    def _long_enough(self, part: Part, place: Path, every: Millis) -> None:
        if every < SHORTEST:
            self.fault(part, place, "this must be a second or longer", "for example 5m")

    # ------------------------------------------------------------------------------------------------ heartbeats.yaml

    def pings(self, part: Part, shape: HeartbeatsFile) -> None:
        shared = self._tokens(part, ("token_sha256",), shape.token_sha256)
        for name, ping in shape.heartbeats.items():
            place: Path = ("heartbeats", name)
            if not _NAME.match(name):
                hint = "use letters, digits, dots, _ and -"
                self.fault(part, place, f'"{name}" can\'t be a part of a web address', hint, key=True)
            self._times(part, place, ping)
            tokens = self._tokens(part, (*place, "token_sha256"), ping.token_sha256)
            cadence = Cadence(
                key=f"ping/{name}",
                name=name,
                every=ping.every or 0,
                grace=ping.grace,
                cron=ping.cron or "",
                time_zone=ping.time_zone or "UTC",
                max_run=ping.max_run or 0,
                severity=ping.severity,
                labels={**ping.labels, **({"service": ping.service} if ping.service else {})},
                token_sha256=(*tokens, *shared),
            )
            self._add(part, place, cadence, self._ping_rule(part, place, ping, cadence))

    def _times(self, part: Part, place: Path, ping: PingShape) -> None:
        if (ping.every is None) == (ping.cron is None):
            found = "neither" if ping.every is None else "both"
            self.fault(part, place, f"a heartbeat has either every or cron; found {found}", "for example every: 1d")
        if ping.every is not None:
            self._long_enough(part, (*place, "every"), ping.every)
        if ping.cron is not None:
            try:
                check_cron(ping.cron)
            except ValueError as error:
                self.fault(part, (*place, "cron"), str(error))
        if ping.time_zone is not None and ping.cron is None:
            self.fault(part, (*place, "time_zone"), "time_zone belongs to cron", "leave it out", key=True)
        if ping.time_zone is not None:
            try:
                intervals.zone(ping.time_zone)
            except ValueError as error:
                self.fault(part, (*place, "time_zone"), str(error))

    def _tokens(self, part: Part, place: Path, given: list[str]) -> tuple[str, ...]:
        digests = tuple(token.lower() for token in given)
        for index, digest in enumerate(digests):
            if not _SHA256.match(digest):
                hint = "a SHA-256 has 64 hex digits; `tocsin token make` makes a token and tells its SHA-256"
                self.fault(part, (*place, index), "this is no SHA-256 of a token", hint)
        return digests

    def _ping_rule(self, part: Part, place: Path, ping: PingShape, cadence: Cadence) -> Rule:
        if ping.policy and "{" not in ping.policy and ping.policy not in self.policies:
            hint = closest(ping.policy, self.policies) or "define it in oncall.yaml under policies:"
            message = f'there is no policy "{ping.policy}"; the default one would be used'
            self.problems.append(part.document.problem((*place, "policy"), message, hint, "warning"))
        return _last_rule(
            cadence,
            f"heartbeat {cadence.name}",
            part.document.path,
            part.document.place(place, key=True)[0],
            self._template(part, (*place, "policy"), ping.policy),
            self._template(part, (*place, "runbook"), ping.runbook),
        )

    def _template(self, part: Part, place: Path, text: str) -> Template | None:
        try:
            return read_template(text) if text else None
        except ValueError as error:
            self.fault(part, place, str(error))
            return None

    # --------------------------------------------------------------------------------------------- rules and sources

    def watched(self, part: Part, place: Path, shape: HeartbeatShape, rule: Rule) -> None:
        self._long_enough(part, (*place, "every"), shape.every)
        if shape.expect and len(shape.by) != 1:
            message = "expect lists values of the one label in by"
            self.fault(part, (*place, "expect"), message, "name exactly one label in by", key=True)
        if len(shape.by) > BY_MAX or len(set(shape.by)) != len(shape.by):
            self.fault(part, (*place, "by"), f"by takes at most {BY_MAX} labels, each once", key=True)
        for name in shape.by:
            if name in RESERVED:
                self.fault(part, (*place, "by"), f'by can\'t be "{name}"', "name a label such as cluster", key=True)
        cadence = Cadence(
            key=f"rule/{rule.name}",
            name=rule.name,
            every=shape.every,
            grace=shape.grace,
            severity=shape.severity,
            by=tuple(shape.by),
            expect=tuple(dict.fromkeys(shape.expect)),
        )
        last = _last_rule(cadence, rule.name, rule.path, rule.line, rule.policy, rule.runbook)
        self._add(part, place, cadence, last)

    def silences(self, part: Part, shape: SourcesFile, sources: Mapping[str, Source]) -> None:
        for name in shape.sources:
            place: Path = ("sources", name)
            if name == HEARTBEAT_SOURCE:
                self.fault(part, place, f'"{name}" is the source of heartbeats', "choose another name", key=True)
            every = sources[name].expect_every
            if every is None:
                continue
            self._long_enough(part, (*place, "expect_every"), every)
            cadence = Cadence(key=f"source/{name}", name=name, every=every, labels=sources[name].labels)
            line = part.document.place((*place, "expect_every"), key=True)[0]
            self._add(part, place, cadence, _last_rule(cadence, f"silence of {name}", part.document.path, line))


def _last_rule(
    cadence: Cadence,
    name: str,
    path: str,
    line: int,
    policy: Template | None = None,
    runbook: Template | None = None,
) -> Rule:
    """Return the rule that decides about an absence what no rule of the operators has decided."""
    names = SILENT if cadence.key.startswith("source/") else f"{MISSED}|{FAILED}"
    given = {"severity": True, "policy": policy is not None, "runbook": runbook is not None, "group_by": True}
    return Rule(
        name=name,
        path=path,
        line=line,
        matchers=(Matcher("heartbeat", "=", cadence.name), Matcher("alertname", "=~", names)),
        fields=tuple(field for field, said in given.items() if said),
        severity=cadence.severity,
        policy=policy,
        runbook=runbook,
        group_by=("alertname", "heartbeat", *cadence.by),
    )


def watched_names(rules: list[Rule]) -> frozenset[str] | None:
    """Return the alertnames to which rules with `heartbeat:` can hold; None when they do not tell."""
    names: list[str] = []
    for rule in rules:
        if "heartbeat" in rule.fields:
            told = next(_told(rule), None)
            if told is None:
                return None
            names += told
    return frozenset(names)


def _told(rule: Rule) -> Iterator[tuple[str, ...]]:
    for matcher in rule.matchers:
        if matcher.name == "alertname" and not matcher.negative and matcher.values is not None:
            yield tuple(matcher.values)
