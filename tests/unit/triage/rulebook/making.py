"""Short ways to make events and rulebooks for these tests."""

from __future__ import annotations

from triage.model import Event, Kind, Status
from triage.rulebook import Problem, Rulebook, RulesError, compile_files

ONCALL = """
people:
  ana: {name: Ana, contact: [terminal://]}
policies:
  default: {steps: [{notify: ana}]}
operators: [ana]
last_resort: [ana]
"""


def event(raw: str = "", kind: Kind = Kind.ALERT, annotations: dict[str, str] | None = None, **labels: str) -> Event:
    return labelled(labels, raw, kind, annotations)


def labelled(
    labels: dict[str, str], raw: str = "", kind: Kind = Kind.ALERT, annotations: dict[str, str] | None = None
) -> Event:
    return Event(Status.FIRING, "f" * 32, "title", labels, annotations or {}, raw_severity=raw, kind=kind)


def book(severity: str = "", **files: str) -> Rulebook:
    """Compile a folder; `services="…"` is services.yaml."""
    folder = {"oncall.yaml": ONCALL, "severity.yaml": severity}
    folder.update({f"{name}.yaml": text for name, text in files.items()})
    return compile_files(folder)


def problems_of(files: dict[str, str]) -> list[Problem]:
    """Return all problems of a folder, whether they refuse it or not."""
    try:
        return compile_files(files).problems
    except RulesError as error:
        return error.problems


def said(files: dict[str, str]) -> list[str]:
    """Return the problems of a folder as the lines that people see."""
    return [str(problem) for problem in problems_of(files)]
