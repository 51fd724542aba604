"""Compiles severity.yaml and the teams' severity files: rules, time intervals, defaults, words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from triage.model import Millis, Severity
from triage.rulebook import intervals, shapes, words
from triage.rulebook.calls import Calls
from triage.rulebook.intervals import Piece
from triage.rulebook.matcher import Matcher, MatcherError, parse_matchers
from triage.rulebook.metrics import Server
from triage.rulebook.pieces import read_piece
from triage.rulebook.problems import Problem, closest
from triage.rulebook.reading import Part
from triage.rulebook.rule import Rule, Template, read_template
from triage.rulebook.types import FIELDS, Defaults, Measure, Raise, Verification
from triage.rulebook.yaml import Path

MAX_GROUP_BY: Final = 20


class Severities(msgspec.Struct):
    """What all severity files say together."""

    rules: list[Rule] = msgspec.field(default_factory=list)
    intervals: dict[str, tuple[Piece, ...]] = msgspec.field(default_factory=dict)
    defaults: Defaults = msgspec.field(default_factory=Defaults)
    words: dict[str, Severity] = msgspec.field(default_factory=lambda: dict(words.BUILT_IN))


def compile_severities(
    parts: list[Part], problems: list[Problem], servers: Mapping[str, Server] | None = None
) -> Severities:
    """Compile all severity files: the top one's rules come first, then the teams' in the order of their names.

    `servers` are those of metrics.yaml.
    """
    found = Severities()
    mine = [part for part in parts if isinstance(part.shape, shapes.TeamSeverityFile)]
    declared = {(part.team, name) for part in mine for name in part.names("time_intervals")}
    for part in mine:
        compiler = _Compiler(part, found, declared, Calls(problems, servers))
        compiler.intervals()
        compiler.rules()
        if isinstance(part.shape, shapes.SeverityFile):
            compiler.defaults(part.shape.defaults)
            compiler.words(part.shape.raw_severity)
    return found


def _qualified(team: str, name: str) -> str:
    return f"{team}/{name}" if team else name


class _Compiler:
    """Compiles one severity file into `found`."""

    def __init__(self, part: Part, found: Severities, declared: set[tuple[str, str]], calls: Calls) -> None:
        self.part = part
        self.shape = cast("shapes.TeamSeverityFile", part.shape)
        self.document = part.document
        self.found = found
        self.declared = declared
        self.problems = calls.problems
        self.calls = calls

    def fault(self, place: Path, message: str, hint: str = "", offset: int | None = None, key: bool = False) -> None:
        self.problems.append(self.document.problem(place, message, hint, "error", offset, key))

    # ------------------------------------------------------------------------------------------------ time intervals

    def intervals(self) -> None:
        for name, pieces in self.shape.time_intervals.items():
            place: Path = ("time_intervals", name)
            compiled = tuple(self._piece((*place, index), piece) for index, piece in enumerate(pieces))
            if not compiled:
                self.fault(place, f'the time interval "{name}" is empty', "give it at least one item")
            self.found.intervals[_qualified(self.part.team, name)] = compiled

    def _piece(self, place: Path, piece: shapes.Interval) -> Piece:
        try:
            intervals.zone(piece.location)
        except ValueError as error:
            self.fault((*place, "location"), str(error))
        return read_piece(self.fault, place, piece, piece.location)

    # --------------------------------------------------------------------------------------------------------- rules

    def rules(self) -> None:
        seen: dict[str, int] = {}
        for index, shape in enumerate(self.shape.rules):
            place: Path = ("rules", self.part.position("rules", index))
            line = self.document.place((*place, "name"))[0]
            if shape.name in seen:
                message = f'the rule "{shape.name}" is already on line {seen[shape.name]}'
                self.fault((*place, "name"), message, "give each rule a name of its own")
            seen.setdefault(shape.name, line)
            self.found.rules.append(self._rule(place, line, shape))

    def _rule(self, place: Path, line: int, shape: shapes.RuleShape) -> Rule:
        given = shape.model_fields_set
        named = tuple(field for field in FIELDS if _attribute(field) in given and _given(shape, field))
        return Rule(
            name=_qualified(self.part.team, shape.name),
            path=self.document.path,
            line=line,
            matchers=self._matchers((*place, "matchers"), shape.matchers),
            fields=named,
            continues=shape.continue_,
            team=self.part.team,
            severity=shape.severity if shape.severity is not None else Severity.P4,
            max_severity=shape.max_severity if shape.max_severity is not None else Severity.P0,
            policy=self._template((*place, "policy"), shape.policy),
            runbook=self._template((*place, "runbook"), shape.runbook),
            group_by=self._group_by((*place, "group_by"), shape.group_by),
            wait=shape.wait or 0,
            raises=tuple(self._raise((*place, "raise", i), clause) for i, clause in enumerate(shape.raise_ or ())),
            during=self._during((*place, "during"), shape.during),
            verify=self._verify((*place, "verify"), shape.verify),
            room=shape.room or "",
            metrics=Measure(shape.metrics.query, shape.metrics.prometheus) if shape.metrics is not None else None,
        )

    def _matchers(self, place: Path, texts: list[str]) -> tuple[Matcher, ...]:
        matchers = [Matcher("team", "=", self.part.team)] if self.part.team else []
        for index, text in enumerate(texts):
            try:
                matchers += parse_matchers(text)
            except MatcherError as error:
                self.fault((*place, index), error.message, error.hint, error.offset)
        return tuple(matchers)

    def _template(self, place: Path, text: str | None) -> Template | None:
        if text is None:
            return None
        try:
            return read_template(text)
        except ValueError as error:
            self.fault(place, str(error))
            return None

    def _group_by(self, place: Path, names: list[str] | None) -> tuple[str, ...]:
        if names is not None and not names:
            self.fault(place, "group_by is empty", "name at least one label; everything would be one incident")
        if len(names or ()) > MAX_GROUP_BY:
            self.fault(place, f"group_by has more than {MAX_GROUP_BY} labels")
        if names and len(set(names)) != len(names):
            self.fault(place, "group_by names a label twice")
        return tuple(names or ())

    def _verify(self, place: Path, given: list[shapes.VerifyShape] | None) -> tuple[Verification, ...]:
        found = (self.calls.verification(self.part, (*place, i), one, None) for i, one in enumerate(given or ()))
        return tuple(one for one in found if one is not None)

    def _raise(self, place: Path, clause: shapes.RaiseShape) -> Raise:
        reasons = [name for name in ("after", "firing", "times") if getattr(clause, name) is not None]
        if len(reasons) != 1:
            found = " and ".join(reasons) or "none of them"
            self.fault(
                place, f"raise takes exactly one of after, firing, times; found {found}", "write one item for each"
            )
        if clause.distinct is not None and clause.firing is None:
            self.fault((*place, "distinct"), "distinct belongs to firing", "add firing: and how many", key=True)
        if (clause.within is None) != (clause.times is None):
            self.fault(place, "times and within belong together", "for example {times: 5, within: 10m, to: P1}")
        return Raise(
            to=clause.to,
            after=clause.after or 0,
            firing=clause.firing or 0,
            distinct=clause.distinct or "",
            times=clause.times or 0,
            within=clause.within or 0,
        )

    def _during(self, place: Path, name: str | None) -> str:
        if name is None:
            return ""
        for team in (self.part.team, ""):
            if (team, name) in self.declared:
                return _qualified(team, name)
        known = [known for team, known in sorted(self.declared) if team in ("", self.part.team)]
        hint = closest(name, known) or "name it under time_intervals:"
        self.fault(place, f'there is no time interval "{name}"', hint)
        return ""

    # --------------------------------------------------------------------------------------------- defaults and words

    def defaults(self, shape: shapes.DefaultsShape) -> None:
        place: Path = ("defaults",)
        values: dict[str, Any] = {
            field: getattr(shape, field) for field in shape.model_fields_set if getattr(shape, field) is not None
        }
        if "group_by" in values:
            values["group_by"] = self._group_by((*place, "group_by"), values["group_by"])
        if "policy" in values and not (self._template((*place, "policy"), values["policy"]) or Template("", ())).fixed:
            self.fault((*place, "policy"), "the default policy can't depend on a label", "name one policy")
        for field in ("settle", "remind_after"):
            if field in values:
                built_in: dict[str, Millis] = getattr(self.found.defaults, field)
                values[field] = {**built_in, **self._by_severity((*place, field), values[field])}
        self.found.defaults = msgspec.structs.replace(self.found.defaults, **values)

    def _by_severity(self, place: Path, values: Mapping[str, Millis]) -> dict[str, Millis]:
        for name in values:
            if name not in Severity.__members__:
                hint = closest(name, Severity.__members__) or "P0 to P4"
                self.fault((*place, name), f'"{name}" is no severity', hint, key=True)
        return dict(values)

    def words(self, given: Mapping[str, Severity]) -> None:
        self.found.words.update({words.fold(word): severity for word, severity in given.items()})


def _attribute(field: str) -> str:
    return {"raise": "raise_"}.get(field, field)


def _given(shape: shapes.RuleShape, field: str) -> bool:
    """Tell whether a field holds more than the empty value that YAML writes as `severity:`."""
    return getattr(shape, _attribute(field)) is not None
