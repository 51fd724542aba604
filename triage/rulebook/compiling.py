"""From the operators' folder to a rulebook: `compile_files`, and `load`, which keeps a broken team's last good."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from triage.model import rules_digest
from triage.rulebook import lint, meanings
from triage.rulebook.actions import compile_actions
from triage.rulebook.book import Rulebook
from triage.rulebook.catalogue import compile_catalogue
from triage.rulebook.checks import compile_checks
from triage.rulebook.drills import compile_drills
from triage.rulebook.heartbeats import compile_heartbeats
from triage.rulebook.metrics import compile_metrics
from triage.rulebook.postmortems import compile_postmortems
from triage.rulebook.problems import Problem, RulesError, errors_of, in_order
from triage.rulebook.quiet import compile_quiet
from triage.rulebook.reading import read_folder, team_of
from triage.rulebook.rooms import compile_rooms
from triage.rulebook.rules import compile_severities
from triage.rulebook.status import compile_status
from triage.rulebook.types import Policy
from triage.rulebook.updates import compile_updates


def compile_files(files: Mapping[str, str], adapters: Collection[str] = ()) -> Rulebook:
    """Compile a folder: path relative to it → text. Raises RulesError with all problems of all files at once.

    `adapters` are the names of the formats that can be read; sources that name another are refused. Without any, they
    are not checked: what decides does not know the door.
    """
    problems: list[Problem] = []
    parts = read_folder(files, problems)
    metrics = compile_metrics(parts, problems)
    severities = compile_severities(parts, problems, metrics.servers)
    catalogue = compile_catalogue(parts, problems, adapters, metrics.servers)
    heartbeats = compile_heartbeats(parts, severities.rules, catalogue.sources, catalogue.policies, problems)
    rooms = compile_rooms(parts, catalogue.services, catalogue.people, problems)
    drilled = [*catalogue.people, *catalogue.schedules, *catalogue.teams, *catalogue.policies]
    drills = compile_drills(parts, drilled, problems)
    checks = compile_checks(parts, catalogue.policies, problems)
    actions = compile_actions(parts, catalogue.people, catalogue.teams, problems, metrics.servers)
    quiet = compile_quiet(parts, severities.intervals, catalogue.services, catalogue.people, problems)
    updates = compile_updates(parts, catalogue.services, catalogue.people, problems)
    status = compile_status(parts, catalogue.services, problems)
    learning = compile_postmortems(parts, problems)
    if errors_of(problems):
        raise RulesError(problems)
    problems += lint.advice(parts, severities, catalogue, files)
    policies = catalogue.policies
    policies.setdefault(severities.defaults.policy, Policy(severities.defaults.policy, {"": ()}))
    return Rulebook(
        rules_digest(files),
        [*severities.rules, *heartbeats.rules, *checks.rules],
        runbooks={path: text for path, text in files.items() if path.endswith(".md")},
        time_intervals=severities.intervals,
        severity_words=severities.words,
        policies=policies,
        people=catalogue.people,
        schedules=catalogue.schedules,
        teams=catalogue.teams,
        services=catalogue.services,
        sources=catalogue.sources,
        operators=catalogue.operators,
        last_resort=catalogue.last_resort,
        defaults=severities.defaults,
        problems=in_order(problems),
        cadences=heartbeats.cadences,
        quiet=quiet,
        checks=checks.checks,
        updates=updates,
        actions=actions,
        rooms=rooms,
        meanings=meanings.read(files),
        drills=drills,
        status=status,
        learning=learning,
        metrics=metrics,
    )


class Loaded(msgspec.Struct, frozen=True):
    """What of a folder is taken: `files` compile. `problems` holds everything found, the errors of kept teams included;
    `kept` names the teams whose last good files (or none, if there never were any) stand in for broken ones.
    """

    files: dict[str, str]
    rulebook: Rulebook
    problems: list[Problem]
    kept: tuple[str, ...] = ()


def load(
    files: Mapping[str, str], last_good: Mapping[str, str] | None = None, adapters: Collection[str] = ()
) -> Loaded:
    """Compile a folder, replacing each broken team folder by its last good files. Raises RulesError when a file at the
    top is broken, or when a team's last good files do not fit the rest any more: then the whole change is refused.
    `adapters` as for `compile_files`.
    """
    taken = dict(files)
    problems: list[Problem] = []
    kept: list[str] = []
    while True:
        try:
            rulebook = compile_files(taken, adapters)
        except RulesError as error:
            problems += error.problems
            broken = {team_of(problem.path) for problem in errors_of(error.problems)}
            if "" in broken or broken & set(kept):
                raise RulesError(problems) from None
            for team in sorted(broken):
                taken = _with_team_of(taken, team, last_good or {})
                kept.append(team)
        else:
            return Loaded(taken, rulebook, in_order([*problems, *rulebook.problems]), tuple(sorted(kept)))


def _with_team_of(files: Mapping[str, str], team: str, last_good: Mapping[str, str]) -> dict[str, str]:
    """Return the files with one team's folder taken from elsewhere."""
    merged = {path: text for path, text in files.items() if team_of(path) != team}
    merged.update({path: text for path, text in last_good.items() if team_of(path) == team})
    return merged


EMPTY = compile_files({})
"""The rulebook of an empty folder: built-in defaults, and a policy `default` that pages nobody."""
