"""Advice on files that are correct but hardly mean what they say: run only when nothing is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from triage.rulebook import reviewing, shapes
from triage.rulebook.actions import ActionsFile
from triage.rulebook.catalogue import Catalogue
from triage.rulebook.guides import RUNBOOKS
from triage.rulebook.matcher import Matcher
from triage.rulebook.problems import Problem, Weight, closest
from triage.rulebook.reading import Part
from triage.rulebook.rooms import NO_ROOM, RoomsFile
from triage.rulebook.rule import Index, Rule, indexable
from triage.rulebook.rules import Severities
from triage.rulebook.types import Policy
from triage.rulebook.yaml import Path

MANY_RULES: Final = 50
"""From this many rules on, a rule that is looked at for every event is worth a word."""
MOST_COMPARED: Final = 200
"""With how many rules that match anything every rule is compared, so that checking stays quick."""
CATALOGUE_LABELS: Final = ("service_team", "service_tier", "service_runbook", "service_status_component")
_LINKS: Final = ("http://", "https://")


def advice(parts: list[Part], severities: Severities, catalogue: Catalogue, files: Mapping[str, str]) -> list[Problem]:
    """Return warnings and lint of a folder that has no errors."""
    checker = _Checker(parts, severities, catalogue, files)
    return [
        *checker.rules(),
        *checker.unreachable(),
        *checker.oncall(),
        *checker.services(),
        *checker.actions(),
        *checker.unguided(),
        *checker.rooms(),
        *reviewing.documents(files),
    ]


class _Checker:
    def __init__(
        self, parts: list[Part], severities: Severities, catalogue: Catalogue, files: Mapping[str, str]
    ) -> None:
        self.parts = parts
        self.severities = severities
        self.catalogue = catalogue
        self.files = files
        self.places = [
            (part, ("rules", index))
            for part in parts
            if isinstance(part.shape, shapes.TeamSeverityFile)
            for index in range(len(part.shape.rules))
        ]

    def at(self, position: int, field: str, message: str, hint: str = "", weight: Weight = "warning") -> Problem:
        """Return a problem at a field of the rule at that position of the reading order."""
        part, place = self.places[position]
        return part.document.problem((*place, field), message, hint, weight)

    # --------------------------------------------------------------------------------------------------------- rules

    def rules(self) -> Iterator[Problem]:
        many = len(self.severities.rules) > MANY_RULES
        for position, rule in enumerate(self.severities.rules):
            yield from self._references(position, rule)
            yield from self._labels(position, rule)
            if many and not any(indexable(matcher) for matcher in rule.matchers):
                hint = 'give it a matcher with = or =~"a|b", or accept that it costs time on every event'
                yield self.at(position, "matchers", "no index can serve this rule", hint, "lint")

    def _references(self, position: int, rule: Rule) -> Iterator[Problem]:
        policies = self.catalogue.policies
        if rule.policy is not None and rule.policy.fixed and rule.policy.source not in policies:
            known = ", ".join(sorted(policies)[:10]) or "none"
            hint = closest(rule.policy.source, policies) or f"defined in oncall.yaml: {known}"
            message = f'there is no policy "{rule.policy.source}"; the default one would be used'
            yield self.at(position, "policy", message, hint)
        runbook = rule.runbook.source if rule.runbook is not None and rule.runbook.fixed else ""
        if runbook and not runbook.startswith(_LINKS) and runbook not in self.files:
            yield self.at(position, "runbook", f'there is no file "{runbook}"', self._near_file(runbook))

    def _near_file(self, runbook: str) -> str:
        known = [path for path in self.files if path.endswith(".md")]
        return closest(runbook, known) or "write it, or give a link that begins with https://"

    def _labels(self, position: int, rule: Rule) -> Iterator[Problem]:
        """Warn of names near, but not equal, to what the catalogue knows."""
        holes = [*(rule.policy.labels if rule.policy else ()), *(rule.runbook.labels if rule.runbook else ())]
        named = [("matchers", matcher.name) for matcher in rule.matchers]
        named += [("group_by", name) for name in (*rule.group_by, *holes)]
        for field, name in named:
            if name.startswith("service_") and name not in CATALOGUE_LABELS:
                hint = closest(name, CATALOGUE_LABELS)
                if hint:
                    yield self.at(position, field, f'the catalogue adds no label "{name}"', hint)
        for matcher in rule.matchers:
            if matcher.name == "service" and not matcher.negative:
                yield from self._service_values(position, matcher)

    def _service_values(self, position: int, matcher: Matcher) -> Iterator[Problem]:
        for value in matcher.values or ():
            if value and value not in self.catalogue.services:
                hint = closest(value, self.catalogue.services)
                if hint:
                    yield self.at(position, "matchers", f'services.yaml has no service "{value}"', hint, "lint")

    # --------------------------------------------------------------------------------------------------- unreachable

    def unreachable(self) -> Iterator[Problem]:
        """Find rules that an earlier rule, which ends the reading, always takes everything from."""
        rules = self.severities.rules
        enders = [position for position, rule in enumerate(rules) if not rule.continues]
        index = Index([rules[position] for position in enders])
        always = index.always[:MOST_COMPARED]
        for position, rule in enumerate(rules):
            near = {p for matcher in rule.matchers for p in _filed(index, matcher)}
            for candidate in sorted({*near, *always}):
                earlier = enders[candidate]
                if earlier >= position:
                    break
                if _covers(rules[earlier], rule):
                    other = rules[earlier]
                    message = f'never reached: "{other.name}" ({other.path}:{other.line}) ends the reading before it'
                    yield self.at(position, "name", message, "add continue: true there, or move this rule up")
                    break

    def unguided(self) -> Iterator[Problem]:
        """Advise a runbook for rules that wake people, where the folder has runbooks at all."""
        if not any(path.startswith(RUNBOOKS) for path in self.files):
            return
        for position in reviewing.unguided(self.severities.rules, self.catalogue.services, self.files, _covers):
            name = self.severities.rules[position].name
            message = f'"{name}" pages people and names no runbook'
            hint = "add runbook: runbooks/….md; `tocsin runbook new` writes one"
            yield self.at(position, "name", message, hint, "lint")

    # --------------------------------------------------------------------------------------------------------- rooms

    def rooms(self) -> Iterator[Problem]:
        """Find rules that ask for a room that rooms.yaml does not have, and entries that never open one."""
        asked = {rule.room for rule in self.severities.rules}
        known: set[str] = set()
        for part in self.parts:
            for index, shape in enumerate(part.shape.rooms if isinstance(part.shape, RoomsFile) else ()):
                known.add(shape.name)
                if not shape.severities and shape.name not in asked:
                    message = f'no rule asks for "{shape.name}", and it is for no severity: it is never opened'
                    place: Path = ("rooms", index, "name")
                    yield part.document.problem(place, message, "give it severities, or a rule room:", "warning")
        for position, rule in enumerate(self.severities.rules):
            if rule.room and rule.room != NO_ROOM and rule.room not in known:
                message = f'rooms.yaml has no room "{rule.room}"; one that fits by severity would be opened'
                yield self.at(position, "room", message, closest(rule.room, known) or f"or {NO_ROOM}, for no room")

    # ------------------------------------------------------------------------------------------- on call and services

    def oncall(self) -> Iterator[Problem]:
        for part in self.parts:
            if isinstance(part.shape, shapes.TeamOncallFile):
                yield from self._people(part, part.shape)
                for name, schedule in part.shape.schedules.items():
                    if not (schedule.layers or schedule.overrides or schedule.ical):
                        message = f'in the schedule "{name}" nobody is ever on call'
                        place: Path = ("schedules", name)
                        yield part.document.problem(place, message, "give it a layer", "warning", key=True)
                for name, schedule in part.shape.schedules.items():
                    if schedule.ical is not None and schedule.ical.file and schedule.ical.file not in self.files:
                        message = f'there is no file "{schedule.ical.file}"'
                        hint = closest(schedule.ical.file, [path for path in self.files if path.endswith(".ics")])
                        where: Path = ("schedules", name, "ical", "file")
                        yield part.document.problem(where, message, hint or "put it into this folder", "warning")
                for name in part.shape.policies:
                    yield from self._policy(part, self.catalogue.policies[name])
                if isinstance(part.shape, shapes.OncallFile):
                    yield from self._named(part, ("operators",), part.shape.operators)
                    yield from self._named(part, ("last_resort",), part.shape.last_resort)
                    yield from self._last_resort(part)
        default = self.severities.defaults.policy
        if self.files and default not in self.catalogue.policies:
            hint = closest(default, self.catalogue.policies) or "define it in oncall.yaml under policies:"
            message = f'there is no policy "{default}", the default one: only the last resort would be paged'
            yield self._default_problem(message, hint)

    def _last_resort(self, part: Part) -> Iterator[Problem]:
        """Warn loudly when a page that nobody takes would end with nobody."""
        people = self.catalogue.people
        if not self.catalogue.policies or any(
            people[name].methods for name in self.catalogue.last_resort if name in people
        ):
            return
        others = any(people[name].methods for name in self.catalogue.operators if name in people)
        then = "the operators would be paged" if others else "everybody who has a contact method would be paged"
        if not any(person.methods for person in people.values()):
            then = "NOBODY would be paged"
        place: Path = ("last_resort",) if "last_resort" in part.document.value else ()
        hint = "name somebody with a contact method: last_resort: [ana]"
        yield part.document.problem(place, f"the last resort reaches nobody: {then}", hint, "warning", key=bool(place))

    def _default_problem(self, message: str, hint: str) -> Problem:
        for part in self.parts:
            if isinstance(part.shape, shapes.SeverityFile) and "policy" in part.shape.defaults.model_fields_set:
                return part.document.problem(("defaults", "policy"), message, hint, "warning")
        return Problem("oncall.yaml", 1, 1, message, hint, "warning")

    def _people(self, part: Part, shape: shapes.TeamOncallFile) -> Iterator[Problem]:
        for name, person in shape.people.items():
            if not person.contact and not person.methods:
                message = f'"{name}" has no contact method and can\'t be told anything'
                yield part.document.problem(
                    ("people", name), message, "add contact: [terminal://]", "warning", key=True
                )

    def _policy(self, part: Part, policy: Policy) -> Iterator[Problem]:
        place: Path = ("policies", policy.name)
        if not any(policy.steps.values()):
            message = f'the policy "{policy.name}" has no steps: only the last resort would be paged'
            yield part.document.problem(place, message, "add steps: [{notify: …}]", "warning", key=True)
        for severity, steps in policy.steps.items():
            for index, step in enumerate(steps):
                where: Path = (*place, severity or "steps", index, "notify")
                if not step.notify:
                    yield part.document.problem(where, "this step notifies nobody", "name a person", "warning")
                yield from self._targets(part, where, step.notify)

    def _targets(self, part: Part, place: Path, targets: Iterable[str]) -> Iterator[Problem]:
        """Warn of targets without a prefix that mean nobody, or could mean two things."""
        names = self.catalogue
        for index, name in enumerate(targets):
            kinds: dict[str, Collection[str]] = {
                "person": names.people,
                "schedule": names.schedules,
                "team": names.teams,
            }
            if name.partition(":")[0] in kinds and ":" in name:
                continue  # looked at where the names are checked
            meant = [kind for kind, known in kinds.items() if name in known]
            if not meant:
                near = closest(name, [*names.people, *names.schedules, *names.teams])
                hint = near or "add that person under people:"
                message = f'there is no person, schedule or team "{name}"'
                yield part.document.problem((*place, index), message, hint, "warning")
            if len(meant) > 1:
                message = f'"{name}" is a {" and a ".join(meant)}; here the {meant[0]} is meant'
                hint = f"if not, write {meant[1]}:{name}"
                yield part.document.problem((*place, index), message, hint, "lint")

    def _named(self, part: Part, place: Path, names: list[str]) -> Iterator[Problem]:
        for index, name in enumerate(names):
            if name not in self.catalogue.people:
                hint = closest(name, self.catalogue.people) or "add that person under people:"
                yield part.document.problem((*place, index), f'there is no person "{name}"', hint, "warning")

    def services(self) -> Iterator[Problem]:
        known = self.catalogue.services
        for part in self.parts:
            if not isinstance(part.shape, shapes.ServicesFile):
                continue
            for name, service in part.shape.services.items():
                place: Path = ("services", name)
                for index, other in enumerate(service.depends_on):
                    if other not in known:
                        hint = closest(other, known) or "add it under services:"
                        where: Path = (*place, "depends_on", index)
                        yield part.document.problem(where, f'there is no service "{other}"', hint, "warning")
                if service.runbook and not service.runbook.startswith(_LINKS) and service.runbook not in self.files:
                    message = f'there is no file "{service.runbook}"'
                    hint = self._near_file(service.runbook)
                    yield part.document.problem((*place, "runbook"), message, hint, "warning")

    def actions(self) -> Iterator[Problem]:
        known = self.catalogue.services
        for part in self.parts:
            for name, action in part.shape.actions.items() if isinstance(part.shape, ActionsFile) else ():
                for index, service in enumerate(action.services):
                    if service not in known:
                        hint = closest(service, known) or "add it to services.yaml"
                        where: Path = ("actions", name, "services", index)
                        yield part.document.problem(where, f'there is no service "{service}"', hint, "warning")


def _filed(index: Index, matcher: Matcher) -> list[int]:
    """Return the rules filed under the first value of a matcher; whatever covers it is filed under all of them."""
    values = matcher.values
    return index.filed.get(matcher.name, {}).get(values[0], []) if values else []


def _covers(earlier: Rule, later: Rule) -> bool:
    """Tell whether every label set that `later` matches is matched by `earlier` too, as far as is plain to see."""
    return all(any(_implies(mine, theirs) for mine in later.matchers) for theirs in earlier.matchers)


def _implies(mine: Matcher, theirs: Matcher) -> bool:
    if mine.name != theirs.name:
        return False
    if mine.values is not None:
        return all(theirs.accepts(value) for value in mine.values)
    return mine.operator == theirs.operator and mine.value == theirs.value
