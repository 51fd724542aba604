"""The operators' own tests, `tests/*.yaml`: given these events at these times, expect severity, incident, pages.

Here they are read and checked; playing them against `decide` under a virtual clock is the rehearsal's work.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, cast

import msgspec
from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from triage.model import Event, Kind, Millis, Severity, Status, Verb, fingerprint_of_labels
from triage.rulebook import yaml
from triage.rulebook.book import Rulebook
from triage.rulebook.problems import Problem, RulesError, closest, errors_of
from triage.rulebook.reading import Part, read_part
from triage.rulebook.shapes import Duration, Name, SeverityName, Shape, Text, Texts
from triage.rulebook.types import Source

FOLDER: Final = "tests/"
DEFAULT_SOURCE: Final = "alertmanager"
DEFAULT_START: Final = "2026-01-05T10:00:00Z"
"""A Monday morning, so that office hours hold unless a case says otherwise."""
DOINGS: Final = ("firing", "resolved", "report", "acknowledge", "resolve", "note", "wait")
PHASES: Final = ("detected", "triaged", "mitigating", "monitoring", "resolved", "postmortem", "closed")


def _instant(value: Any) -> Millis:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise PydanticCustomError("instant", "expected a time like 2026-03-02T10:00:00Z") from None
    if moment.tzinfo is None:
        raise PydanticCustomError("instant", "the time lacks its zone: end it with Z or +01:00")
    return int(moment.timestamp() * 1000)


def _phase(value: Any) -> str:
    if value not in PHASES:
        raise PydanticCustomError("phase", "expected a phase: {phases}", {"phases": ", ".join(PHASES)})
    return str(value)


Instant = Annotated[Millis, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
Phase = Annotated[str, BeforeValidator(_phase), WithJsonSchema({"type": "string", "enum": list(PHASES)})]


class GivenShape(Shape):
    """One thing that happens: exactly one of firing, resolved, report, acknowledge, resolve, note, wait."""

    at: Duration = Field(description="When, counted from the start of the test.")
    firing: dict[str, Text] | None = Field(None, description="An alert with these labels fires.")
    resolved: dict[str, Text] | None = Field(None, description="An alert with these labels is resolved.")
    report: dict[str, Text] | None = Field(None, description="Somebody reports trouble, with these labels.")
    acknowledge: Name | None = Field(None, description="Somebody acknowledges the incident of this service or group.")
    resolve: Name | None = Field(None, description="Somebody resolves the incident of this service or group.")
    note: Name | None = Field(None, description="Somebody writes a note on the incident of this service or group.")
    wait: bool | None = Field(None, description="Nothing happens, but time passes.")
    by: Name = Field("somebody", description="Who acknowledges, resolves or writes.")
    text: Text = Field("", description="What the note says.")
    confirm: bool = Field(False, description="Resolve even while something still fires.")
    source: Name = Field(DEFAULT_SOURCE, description="Which source sends it.")
    severity: Text = Field("", description="The sender's severity word, if not the label severity.")
    annotations: dict[str, Text] = Field(default_factory=dict, description="Annotations of the alert.")
    title: Text = Field("", description="The title, if not the label alertname.")
    anonymous: bool = Field(False, description="The report is from somebody unknown.")
    copies: int = Field(1, ge=1, le=100_000, description="So many alerts, told apart by a label `copy` from 1 on.")


class IncidentShape(Shape):
    """What one incident must look like; what is left out is not compared."""

    service: Text | None = Field(None, description="Its service.")
    group: dict[str, Text] | None = Field(None, description="Labels of its group key; those named must agree.")
    severity: SeverityName | None = Field(None, description="Its severity.")
    phase: Phase | None = Field(None, description="Where it stands.")
    title: Text | None = Field(None, description="Its title.")
    policy: Name | None = Field(None, description="Its escalation policy.")
    runbook: Text | None = Field(None, description="Its runbook.")
    rule: Text | None = Field(None, description="The rule that decided its severity.")
    alerts: int | None = Field(None, ge=0, description="How many alerts joined it.")
    firing: int | None = Field(None, ge=0, description="How many of them fire.")
    acknowledged_by: Text | None = Field(None, description='Who acknowledged it; "" for nobody.')
    pages: int | None = Field(None, ge=0, description="How many pages it sent.")
    room: Text | None = Field(None, description='The entry of rooms.yaml that opens its room; "" for none.')


class ExpectShape(Shape):
    """What must be true at a time."""

    at: Duration = Field(description="When, counted from the start of the test.")
    incident: IncidentShape | None = Field(None, description="Exactly one incident looks like this.")
    incidents: int | None = Field(None, ge=0, description="How many incidents are open.")
    pages: Texts | None = Field(None, description="Who was paged since the previous expectation, in order.")
    pages_total: int | None = Field(None, ge=0, description="How many pages there were since the start.")
    notified: Texts | None = Field(None, description="Who was notified (not paged) since the previous expectation.")
    outcome: Name | None = Field(None, description="What the last event before this became, like dropped.")


class CaseShape(Shape):
    """One test."""

    name: Name = Field(description="What it claims, as a sentence.")
    start: Instant = Field(default_factory=lambda: _instant(DEFAULT_START), description="When it begins.")
    given: list[GivenShape] = Field(description="What happens, in order of time.")
    expect: list[ExpectShape] = Field(description="What must be true, in order of time.")


class CasesFile(Shape):
    """tests/*.yaml: what the rules must make of given events."""

    tests: list[CaseShape] = Field(description="The tests.")


# --------------------------------------------------------------------------------------------------------------------
# What the rehearsal gets.


class Where(msgspec.Struct, frozen=True):
    """A place in a file, for messages; `excerpt` is its line."""

    path: str
    line: int
    column: int
    excerpt: str = ""

    def problem(self, message: str, hint: str = "") -> Problem:
        """Return a problem at this place."""
        return Problem(self.path, self.line, self.column, message, hint, "error", self.excerpt)


class Request(msgspec.Struct, frozen=True):
    """What a person does. `selector` is the service of the incident meant, or a value of its group key."""

    verb: Verb
    selector: str
    by: str
    text: str = ""
    confirm: bool = False


class Given(msgspec.Struct, frozen=True):
    """One thing that happens `at` (ms after the start): events of a source, or a request; neither: time passes."""

    at: Millis
    where: Where
    source: str = ""
    events: tuple[Event, ...] = ()
    request: Request | None = None


class IncidentWanted(msgspec.Struct, frozen=True):
    """How exactly one incident must look; None is not compared. `group` names labels of its group key."""

    service: str | None = None
    group: dict[str, str] | None = None
    severity: Severity | None = None
    phase: str | None = None
    title: str | None = None
    policy: str | None = None
    runbook: str | None = None
    rule: str | None = None
    alerts: int | None = None
    firing: int | None = None
    acknowledged_by: str | None = None
    pages: int | None = None
    room: str | None = None


class Expected(msgspec.Struct, frozen=True):
    """What must be true `at` (ms after the start), after all that was given up to then; None is not compared."""

    at: Millis
    where: Where
    incident: IncidentWanted | None = None
    incidents: int | None = None
    pages: tuple[str, ...] | None = None
    pages_total: int | None = None
    notified: tuple[str, ...] | None = None
    outcome: str | None = None


class Case(msgspec.Struct, frozen=True):
    """One test: it begins at `start` (ms since the epoch); `given` and `expect` are each in order of time."""

    name: str
    start: Millis
    given: tuple[Given, ...]
    expect: tuple[Expected, ...]
    where: Where


def parse_cases(files: Mapping[str, str], rulebook: Rulebook) -> list[Case]:
    """Read all `tests/*.yaml` of a folder. Raises RulesError with all problems at once.

    The rulebook is asked for the sources' `ignore_labels`, and for the names that are hinted at.
    """
    problems: list[Problem] = []
    cases: list[Case] = []
    for path in sorted(files):
        if path.startswith(FOLDER) and path.endswith((".yaml", ".yml")):
            document = yaml.parse(path, files[path], problems)
            part = read_part(document, CasesFile, problems) if document is not None else None
            if part is not None:
                cases += _Reader(part, rulebook, problems).cases()
    if errors_of(problems):
        raise RulesError(problems)
    return cases


class _Reader:
    """Turns one well-formed file into cases."""

    def __init__(self, part: Part, rulebook: Rulebook, problems: list[Problem]) -> None:
        self.part = part
        self.document = part.document
        self.rulebook = rulebook
        self.problems = problems

    def cases(self) -> list[Case]:
        tests = cast("CasesFile", self.part.shape).tests
        cases = []
        seen: dict[str, int] = {}
        for index, shape in enumerate(tests):
            place: yaml.Path = ("tests", self.part.position("tests", index))
            where = self._where((*place, "name"))
            if shape.name in seen:
                message = f'the test "{shape.name}" is already on line {seen[shape.name]}'
                self.problems.append(where.problem(message, "give each test a name of its own"))
            seen.setdefault(shape.name, where.line)
            given = tuple(self._given((*place, "given", i), item, shape.start) for i, item in enumerate(shape.given))
            expect = tuple(self._expected((*place, "expect", i), item) for i, item in enumerate(shape.expect))
            self._in_order((*place, "given"), [item.at for item in given])
            self._in_order((*place, "expect"), [item.at for item in expect])
            cases.append(Case(shape.name, shape.start, given, expect, where))
        return cases

    def _where(self, place: yaml.Path) -> Where:
        line, column = self.document.place(place)
        return Where(self.document.path, line, column, self.document.excerpt(line))

    def _in_order(self, place: yaml.Path, times: list[Millis]) -> None:
        for index in range(1, len(times)):
            if times[index] < times[index - 1]:
                message = "at: earlier than the item before it"
                self.problems.append(self.document.problem((*place, index, "at"), message, "sort them by time"))

    def _given(self, place: yaml.Path, shape: GivenShape, start: Millis) -> Given:
        where = self._where(place)
        doings = [name for name in DOINGS if getattr(shape, name) is not None]
        if len(doings) != 1:
            found = " and ".join(doings) or "none of them"
            self.problems.append(where.problem(f"expected exactly one of {', '.join(DOINGS)}; found {found}"))
            return Given(shape.at, where)
        doing = doings[0]
        if doing in ("acknowledge", "resolve", "note"):
            selector = cast("str", getattr(shape, doing))
            return Given(shape.at, where, request=Request(Verb(doing), selector, shape.by, shape.text, shape.confirm))
        if doing == "wait":
            return Given(shape.at, where)
        events = tuple(self._events(doing, shape, start + shape.at))
        return Given(shape.at, where, shape.source if doing != "report" else "report", events)

    def _events(self, doing: str, shape: GivenShape, now: Millis) -> list[Event]:
        labels = cast("dict[str, str]", getattr(shape, doing))
        if shape.copies == 1:
            return [self._event(doing, labels, shape, now)]
        return [self._event(doing, {**labels, "copy": str(n)}, shape, now) for n in range(1, shape.copies + 1)]

    def _event(self, doing: str, labels: dict[str, str], shape: GivenShape, now: Millis) -> Event:
        """Return the event as the adapter of an ordinary source would make it; a report has no end."""
        source = "report" if doing == "report" else shape.source
        configured = self.rulebook.source(source) or Source(source, source)
        labels = {**configured.labels, **labels}
        identity = (source, labels, configured.ignore_labels)
        if doing == "report":
            # as the adapter has it: reports of one service are one, whatever else they say
            labels.setdefault("alertname", "UserReport")
            identity = (source, {"service": labels["service"]} if "service" in labels else labels, frozenset())
        return Event(
            status=Status.RESOLVED if doing == "resolved" else Status.FIRING,
            fingerprint=fingerprint_of_labels(*identity),
            title=shape.title or shape.annotations.get("summary") or labels.get("alertname") or "alert without a name",
            labels=labels,
            annotations=dict(shape.annotations),
            raw_severity=shape.severity or labels.get("severity", ""),
            ends_at=now if doing == "resolved" else None,
            kind=Kind.REPORT if doing == "report" else Kind.ALERT,
            anonymous=shape.anonymous,
        )

    def _expected(self, place: yaml.Path, shape: ExpectShape) -> Expected:
        where = self._where(place)
        if shape.model_fields_set <= {"at"}:
            self.problems.append(where.problem("nothing is expected here", "add incident:, incidents:, pages: …"))
        for field in ("pages", "notified"):
            for index, name in enumerate(getattr(shape, field) or ()):
                self._person((*place, field, index), name)
        return Expected(
            shape.at,
            where,
            _incident(shape.incident),
            shape.incidents,
            _tuple(shape.pages),
            shape.pages_total,
            _tuple(shape.notified),
            shape.outcome,
        )

    def _person(self, place: yaml.Path, name: str) -> None:
        if name not in self.rulebook.people:
            hint = closest(name, self.rulebook.people)
            self.problems.append(self.document.problem(place, f'there is no person "{name}" in oncall.yaml', hint))


def _tuple(texts: list[str] | None) -> tuple[str, ...] | None:
    return None if texts is None else tuple(texts)


def _incident(shape: IncidentShape | None) -> IncidentWanted | None:
    return (
        None if shape is None else IncidentWanted(**{field: getattr(shape, field) for field in shape.model_fields_set})
    )
