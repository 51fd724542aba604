"""`tocsin test`: the operators' cases played through `decide` under a virtual clock, and every difference told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import msgspec

from triage.model import ENDED, Effect, EffectKind, Incident
from triage.rehearsal import Rehearsal
from triage.rulebook import Rulebook
from triage.rulebook.cases import Case, Expected, Given, IncidentWanted, Request
from triage.rulebook.problems import Problem

_FIELDS: Final = ("service", "title", "policy", "runbook", "rule", "alerts", "firing", "pages")


class Played(msgspec.Struct):
    """How one case went: `problems` holds every difference, at the line that expected otherwise."""

    name: str
    problems: list[Problem]

    @property
    def passed(self) -> bool:
        """Tell whether everything was as expected."""
        return not self.problems


def run_cases(rulebook: Rulebook, cases: Sequence[Case]) -> list[Played]:
    """Play each case on a fresh memory. It never fails on a case: what goes wrong is among its problems."""
    return [_Player(rulebook, case).play() for case in cases]


class _Player:
    def __init__(self, rulebook: Rulebook, case: Case) -> None:
        self.case = case
        self.stage = Rehearsal(rulebook, case.start)
        self.problems: list[Problem] = []
        self.looked_at = 0
        self.outcome = ""

    def play(self) -> Played:
        waiting = list(self.case.given)
        for expected in self.case.expect:
            while waiting and waiting[0].at <= expected.at:
                self._do(waiting.pop(0))
            self.stage.advance_to(self.case.start + expected.at)
            self._look(expected)
        return Played(self.case.name, self.problems)

    def _do(self, given: Given) -> None:
        self.stage.advance_to(self.case.start + given.at)
        if given.events:
            self.outcome = self.stage.events(given.source, given.events)[-1].outcome.value
        elif given.request is not None:
            self._ask(given, given.request)

    def _ask(self, given: Given, request: Request) -> None:
        found = [one for one in self._open() if _is_meant(one, request.selector)]
        if len(found) != 1:
            known = ", ".join(one.service or one.group for one in self._open()) or "none"
            self.problems.append(
                given.where.problem(f"{len(found)} open incidents are meant by “{request.selector}”", f"open: {known}")
            )
            return
        answer = self.stage.command(request.verb, found[0].key, request.by, request.text, request.confirm)
        if answer.ending != "done":
            self.problems.append(given.where.problem(f"{request.verb.value} was not done: {answer.text}"))

    def _open(self) -> list[Incident]:
        return [one for one in self.stage.incidents if one.phase not in ENDED]

    def _look(self, expected: Expected) -> None:
        new = [effect for _, effect in self.stage.delivered[self.looked_at :]]
        self.looked_at = len(self.stage.delivered)
        if expected.pages is not None:
            self._same(expected, "pages", _names(new, EffectKind.PAGE), list(expected.pages))
        if expected.notified is not None:
            self._same(expected, "notified", _names(new, EffectKind.NOTIFICATION), list(expected.notified))
        if expected.pages_total is not None:
            self._same(expected, "pages_total", len(self.stage.pages), expected.pages_total)
        if expected.incidents is not None:
            self._same(expected, "incidents", len(self._open()), expected.incidents)
        if expected.outcome is not None:
            self._same(expected, "outcome", self.outcome or "nothing yet", expected.outcome)
        if expected.incident is not None:
            self._incident(expected, expected.incident)

    def _same(self, expected: Expected, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.problems.append(expected.where.problem(f"{what}: expected {_show(wanted)}, found {_show(found)}"))

    def _incident(self, expected: Expected, wanted: IncidentWanted) -> None:
        """Exactly one incident must look like this; when none does, the nearest one's differences are told."""
        differences = [_differences(one, wanted) for one in self.stage.incidents]
        matching = sum(1 for one in differences if not one)
        if matching == 1:
            return
        if matching > 1:
            self.problems.append(
                expected.where.problem(f"incident: {matching} incidents look like this", "say more of it")
            )
        elif not differences:
            self.problems.append(expected.where.problem("incident: there is none"))
        else:
            nearest = min(differences, key=len)
            self.problems.append(expected.where.problem("incident: " + "; ".join(nearest)))


def _names(effects: list[Effect], kind: EffectKind) -> list[str]:
    return [effect.person for effect in effects if effect.kind is kind]


def _show(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _is_meant(incident: Incident, selector: str) -> bool:
    values = [value for _, value in json.loads(incident.group)]
    return selector == incident.service or selector in values or incident.key.startswith(selector)


def _differences(incident: Incident, wanted: IncidentWanted) -> list[str]:
    """Return in what an incident differs from what was expected, as `field expected x, found y`."""
    pairs = [(field, getattr(incident, field), getattr(wanted, field)) for field in _FIELDS]
    severity = wanted.severity.name if wanted.severity is not None else None
    pairs.append(("severity", incident.severity.name, severity))
    pairs.append(("phase", incident.phase.value, wanted.phase))
    pairs.append(("acknowledged_by", incident.acked_by, wanted.acknowledged_by))
    pairs.append(("room", incident.room.rule if incident.room is not None else "", wanted.room))
    if wanted.group is not None:
        group = dict(json.loads(incident.group))
        pairs += [(f"group {name}", group.get(name, ""), value) for name, value in sorted(wanted.group.items())]
    return [
        f"{field} expected {_show(value)}, found {_show(found)}"
        for field, found, value in pairs
        if value is not None and found != value
    ]
