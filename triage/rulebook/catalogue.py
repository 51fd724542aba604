"""Compiles oncall.yaml, services.yaml and sources.yaml, those of the teams included."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError

from triage.model import Severity
from triage.model.roles import Role
from triage.rulebook import contacts, secrets, shapes
from triage.rulebook.calls import Calls
from triage.rulebook.metrics import Server
from triage.rulebook.problems import Problem, closest
from triage.rulebook.reading import Part
from triage.rulebook.rotations import Rotations, check_names
from triage.rulebook.types import (
    MAPPED,
    REPORT,
    REPORT_STALE_AFTER,
    Measure,
    Person,
    Policy,
    Schedule,
    Service,
    Source,
    Step,
    Verification,
)
from triage.rulebook.yaml import Path

_DIGEST_HINT: Final = "a SHA-256 has 64 hex digits; `tocsin token make` makes a token and tells its SHA-256"
_MEMBER: Final = re.compile(r"[UW][A-Z0-9]{2,30}\Z")
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_SOURCE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


class Catalogue(msgspec.Struct):
    """Everybody and everything that has a name in the folder. `places` tells in which file each name stands."""

    people: dict[str, Person] = msgspec.field(default_factory=dict)
    schedules: dict[str, Schedule] = msgspec.field(default_factory=dict)
    teams: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    policies: dict[str, Policy] = msgspec.field(default_factory=dict)
    services: dict[str, Service] = msgspec.field(default_factory=dict)
    sources: dict[str, Source] = msgspec.field(default_factory=dict)
    operators: tuple[str, ...] = ()
    last_resort: tuple[str, ...] = ()
    places: dict[tuple[str, str], tuple[Part, Path]] = msgspec.field(default_factory=dict)


def compile_catalogue(
    parts: list[Part],
    problems: list[Problem],
    adapters: Collection[str] = (),
    servers: Mapping[str, Server] | None = None,
) -> Catalogue:
    """Compile all files but the severity files. `adapters`, if any, are the only ones that a source may name;
    `servers` are those of metrics.yaml.
    """
    compiler = _Compiler(problems, adapters, Calls(problems, servers))
    for part in parts:
        if isinstance(part.shape, shapes.TeamOncallFile):
            compiler.oncall(part, part.shape)
        elif isinstance(part.shape, shapes.ServicesFile):
            compiler.services(part, part.shape)
        elif isinstance(part.shape, shapes.SourcesFile):
            compiler.sources(part, part.shape)
    check_names(parts, problems)
    return compiler.found


class _Compiler:
    def __init__(self, problems: list[Problem], adapters: Collection[str], calls: Calls) -> None:
        self.found = Catalogue()
        self.problems = problems
        self.adapters = adapters
        self.calls = calls

    def fault(self, part: Part, place: Path, message: str, hint: str = "", **where: Any) -> None:
        self.problems.append(part.document.problem(place, message, hint, **where))

    def _declare(self, part: Part, place: Path, what: str) -> None:
        """Note where a name is defined; report it when another file had it first."""
        key = (what, str(place[-1]))
        if key in self.found.places:
            other, there = self.found.places[key]
            line = other.document.place(there, key=True)[0]
            message = f'the {what} "{place[-1]}" is already in {other.document.path}, line {line}'
            self.fault(part, place, message, "names are shared by the whole folder: choose another", key=True)
        self.found.places.setdefault(key, (part, place))

    # ------------------------------------------------------------------------------------------------------- on call

    def oncall(self, part: Part, shape: shapes.TeamOncallFile) -> None:
        rotations = Rotations(part, self.problems)
        for name, person in shape.people.items():
            self._declare(part, ("people", name), "person")
            sha256 = person.token_sha256.lower()
            if sha256 and not _SHA256.match(sha256):
                self.fault(part, ("people", name, "token_sha256"), "this is no SHA-256 of a token", _DIGEST_HINT)
            display, quiet = person.name or name, rotations.quiet(name, person)
            methods, high, low = contacts.read(part, ("people", name), person, self.problems)
            self.found.people[name] = Person(
                name,
                display,
                methods,
                sha256,
                *quiet,
                high=high,
                low=low,
                role=Role(person.role),
                slack=person.slack,
                mattermost=person.mattermost,
            )
            self._member(part, name, person.slack)
        for name, people in shape.teams.items():
            self._declare(part, ("teams", name), "team")
            self.found.teams[name] = tuple(dict.fromkeys(people))
        for name, schedule in shape.schedules.items():
            self._declare(part, ("schedules", name), "schedule")
            self.found.schedules[name] = rotations.schedule(name, schedule)
        for name, policy in shape.policies.items():
            self._declare(part, ("policies", name), "policy")
            self.found.policies[name] = _policy(name, policy)
        if isinstance(shape, shapes.OncallFile):
            self.found.operators = tuple(shape.operators)
            self.found.last_resort = tuple(shape.last_resort)

    def _member(self, part: Part, name: str, slack: str) -> None:
        """Find what is no Slack member ID, and one that two people have: a press must be one person's."""
        place: Path = ("people", name, "slack")
        if slack and not _MEMBER.match(slack):
            hint = "in Slack: profile, ⋮, Copy member ID; it begins with U"
            self.fault(part, place, f'"{slack}" is no Slack member ID', hint)
        other = next((one.name for one in self.found.people.values() if slack and one.slack == slack), name)
        if other != name:
            self.fault(part, place, f'"{other}" has this Slack member ID already', "each person has an ID of their own")

    # ------------------------------------------------------------------------------------------------------ services

    def services(self, part: Part, shape: shapes.ServicesFile) -> None:
        for name, service in shape.services.items():
            place: Path = ("services", name)
            self._declare(part, place, "service")
            if part.team and service.team not in ("", part.team):
                message = f'the folder of team "{part.team}" can\'t describe a service of "{service.team}"'
                self.fault(part, (*place, "team"), message, "move it to that team's folder or to the top services.yaml")
            self.found.services[name] = Service(
                name,
                service.team or part.team,
                service.tier,
                tuple(service.depends_on),
                service.runbook,
                dict(service.dashboards),
                service.status_component,
                service.repository,
                Measure(service.metrics.query, service.metrics.prometheus) if service.metrics is not None else None,
                self._verify(part, (*place, "verify"), service.verify),
            )

    def _verify(self, part: Part, place: Path, given: list[shapes.VerifyShape]) -> tuple[Verification, ...]:
        found = (self.calls.verification(part, (*place, i), one, None) for i, one in enumerate(given))
        return tuple(one for one in found if one is not None)

    # ------------------------------------------------------------------------------------------------------- sources

    def sources(self, part: Part, shape: shapes.SourcesFile) -> None:
        for name, source in shape.sources.items():
            place: Path = ("sources", name)
            if not _SOURCE_NAME.match(name):
                self.fault(
                    part,
                    place,
                    f'"{name}" can\'t be a part of a web address',
                    "use letters, digits, dots, _ and -",
                    key=True,
                )
            if self.adapters and source.adapter not in self.adapters:
                hint = closest(source.adapter, self.adapters) or f"known: {', '.join(sorted(self.adapters))}"
                self.fault(part, (*place, "adapter"), f'there is no adapter "{source.adapter}"', hint)
            self._secrets(part, place, source)
            if source.items:
                self._expression(part, (*place, "items"), source.items)
            for field, expression in source.mapping.items():
                self._mapped(part, (*place, "mapping", field), field, expression)
            self.found.sources[name] = _source(name, source)

    def _secrets(self, part: Part, place: Path, source: shapes.SourceShape) -> None:
        for index, token in enumerate(source.token_sha256):
            if not _SHA256.match(token.lower()):
                self.fault(part, (*place, "token_sha256", index), "this is no SHA-256 of a token", _DIGEST_HINT)
        fault = secrets.secret_fault(source.secret) if source.secret else ""
        if fault:
            self.fault(part, (*place, "secret"), fault, "write ${NAME} or file:PATH")

    def _mapped(self, part: Part, place: Path, field: str, expression: str) -> None:
        top, dot, label = field.partition(".")
        if field not in MAPPED and not (dot and label and top in ("labels", "annotations")):
            known = f"known: {', '.join(MAPPED)}, labels.NAME, annotations.NAME"
            self.fault(part, place, f'an event has no field "{field}"', known, key=True)
        self._expression(part, place, expression)

    def _expression(self, part: Part, place: Path, expression: str) -> None:
        try:
            jmespath.compile(expression)
        except JMESPathError as error:
            offset = min(getattr(error, "lex_position", 0) or 0, len(expression))
            words = str(error).splitlines()[0].rstrip(":")
            self.fault(part, place, words, "syntax: https://jmespath.org/specification.html", offset=offset)


def _policy(name: str, shape: shapes.PolicyShape) -> Policy:
    steps = {"": _steps(shape.steps)}
    for severity in Severity.__members__:
        own = getattr(shape, severity)
        if own is not None:
            steps[severity] = _steps(own)
    return Policy(name, steps, shape.rounds)


def _steps(given: list[shapes.StepShape]) -> tuple[Step, ...]:
    return tuple(Step(tuple(dict.fromkeys(step.notify)), step.wait) for step in given)


def _source(name: str, shape: shapes.SourceShape) -> Source:
    """Return the source; what the operator left out keeps the default of `Source`."""
    given: dict[str, Callable[[], Any]] = {
        "token_sha256": lambda: tuple(token.lower() for token in shape.token_sha256),
        "stale_after": lambda: shape.stale_after,
        "ignore_labels": lambda: frozenset(shape.ignore_labels or ()),
        "labels": lambda: dict(shape.labels),
        "mapping": lambda: dict(shape.mapping),
    }
    values = {field: make() for field, make in given.items() if getattr(shape, field) is not None}
    if shape.adapter == REPORT:
        values.setdefault("stale_after", REPORT_STALE_AFTER)
    plain = ("secret", "signature_header", "timestamp_header", "severity", "items", "expect_every")
    return Source(name, shape.adapter, **values, **{field: getattr(shape, field) for field in plain})
