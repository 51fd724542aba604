"""From the folder's texts to checked shapes: which files are read, what each holds, and every fault of form at once."""

from __future__ import annotations

import copy
import types
import typing
from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

import msgspec
from pydantic import BaseModel, ValidationError

from triage.model import Severity
from triage.rulebook import (
    actions,
    checks,
    heartbeats,
    metrics,
    postmortems,
    quiet,
    rooms,
    shapes,
    status,
    updates,
    yaml,
)
from triage.rulebook.problems import Problem, closest
from triage.rulebook.shapes import Shape

S = TypeVar("S", bound=Shape)

TOP_FILES: Final[dict[str, type[Shape]]] = {
    "severity.yaml": shapes.SeverityFile,
    "oncall.yaml": shapes.OncallFile,
    "services.yaml": shapes.ServicesFile,
    "sources.yaml": shapes.SourcesFile,
    "heartbeats.yaml": heartbeats.HeartbeatsFile,
    "quiet.yaml": quiet.QuietFile,
    "checks.yaml": checks.ChecksFile,
    "status.yaml": status.StatusFile,
    "updates.yaml": updates.UpdatesFile,
    "actions.yaml": actions.ActionsFile,
    "rooms.yaml": rooms.RoomsFile,
    "postmortems.yaml": postmortems.PostmortemsFile,
    "metrics.yaml": metrics.MetricsFile,
}
TEAM_FILES: Final[dict[str, type[Shape]]] = {
    "severity.yaml": shapes.TeamSeverityFile,
    "oncall.yaml": shapes.TeamOncallFile,
    "services.yaml": shapes.ServicesFile,
}
ENTRY: Final = 2
"""How many keys lead to an entry of a file: `rules` and its position, `people` and a name."""
ELSEWHERE: Final = ("tests", "schema")
"""Folders whose YAML or JSON is no part of the rules in force."""


class Part(msgspec.Struct):
    """One well-formed file: its shape, its places, its team ("" at the top).

    Entries with a fault of form are left out of `shape`, so that the others can still be checked; `kept` maps the
    positions of what remains of a list back to the file.
    """

    team: str
    document: yaml.Document
    shape: Shape
    kept: dict[str, list[int]]

    def position(self, field: str, index: int) -> int:
        """Return where the entry at `index` of the shape's list stands in the file's list."""
        kept = self.kept.get(field)
        return index if kept is None else kept[index]

    def names(self, field: str) -> list[str]:
        """Return all keys of a mapping of the file, those of faulty entries included."""
        value = self.document.value.get(field)
        return [*value] if isinstance(value, dict) else []


def team_of(path: str) -> str:
    """Return the team whose folder a path is in, or ""."""
    parts = path.split("/")
    return parts[1] if parts[0] == "teams" and len(parts) > 2 else ""


def read_folder(files: Mapping[str, str], problems: list[Problem]) -> list[Part]:
    """Read every rules file: the top ones first, then the teams', each in the order of names."""
    parts = []
    for path in sorted(files, key=lambda path: (team_of(path), path)):
        model = _model_of(path, problems)
        if model is not None:
            document = yaml.parse(path, files[path], problems)
            part = read_part(document, model, problems) if document is not None else None
            if part is not None:
                parts.append(part)
    return parts


def _model_of(path: str, problems: list[Problem]) -> type[Shape] | None:
    """Return the model of a file, or None for what is not read; warn of what looks as if it should be."""
    folders, _, name = path.rpartition("/")
    team = team_of(path)
    known = TEAM_FILES if team else TOP_FILES
    if folders == (f"teams/{team}" if team else "") and name in known:
        return known[name]
    if name.endswith((".yaml", ".yml")) and not name.startswith(".") and path.split("/")[0] not in ELSEWHERE:
        stem = name.rpartition(".")[0]
        near = closest(stem, [file.removesuffix(".yaml") for file in known])
        hint = closest(name, known) if near else f"read here: {', '.join(known)}"
        problems.append(Problem(path, 1, 1, "this file is not read", hint, "warning"))
    return None


def read_part(document: yaml.Document, model: type[Shape], problems: list[Problem]) -> Part | None:
    """Check a document against its model; each fault is added to `problems`."""
    team = team_of(document.path)
    try:
        return Part(team, document, model.model_validate(document.value), {})
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=True)
    problems += [_problem(document, model, cast("dict[str, Any]", fault)) for fault in faults]
    if not isinstance(document.value, dict):
        return None
    value, kept = _without(document.value, [_cut(model, fault["loc"], fault["type"]) for fault in faults])
    try:
        return Part(team, document, model.model_validate(value), kept)
    except ValidationError:
        return None


def _cut(model: type[Shape], place: yaml.Path, kind: str) -> yaml.Path:
    """Return what to leave out for a fault: one field of an entry (a rule, a person) if it can be spared, else all."""
    if len(place) > ENTRY and not (kind == "missing" and len(place) == ENTRY + 1):
        entry = _shape_at(model, place[:ENTRY])
        for name, field in entry.model_fields.items() if entry is not None else ():
            if place[ENTRY] in (name, field.alias) and field.is_required():
                return place[:ENTRY]
        return place[: ENTRY + 1] if entry is not None else place[:ENTRY]
    return place[:ENTRY]


def _without(value: dict[str, Any], cuts: list[yaml.Path]) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Return the file's value without what is at `cuts`, and which positions of its lists remain."""
    bad: dict[str, set[str | int]] = {}
    fields: dict[yaml.Path, set[str | int]] = {}
    for place in cuts:
        if len(place) > ENTRY:
            fields.setdefault(place[:ENTRY], set()).add(place[ENTRY])
        else:
            bad.setdefault(str(place[0]), set()).add(place[1] if len(place) > 1 else "")
    value = _without_fields(value, fields)
    rest: dict[str, Any] = {}
    kept: dict[str, list[int]] = {}
    for key, entries in value.items():
        faulty = bad.get(key, set())
        if not faulty:
            rest[key] = entries
        elif isinstance(entries, list) and "" not in faulty:
            kept[key] = [index for index in range(len(entries)) if index not in faulty]
            rest[key] = [entries[index] for index in kept[key]]
        elif isinstance(entries, dict) and "" not in faulty:
            rest[key] = {name: entry for name, entry in entries.items() if name not in faulty}
    return rest, kept


def _without_fields(value: dict[str, Any], fields: dict[yaml.Path, set[str | int]]) -> dict[str, Any]:
    """Return a copy of the file's value whose entries lack some of their fields."""
    value = {key: copy.copy(entries) for key, entries in value.items()}
    for (key, entry), names in fields.items():
        known: Any = value[str(key)][entry]
        if isinstance(known, dict):
            value[str(key)][entry] = {name: item for name, item in known.items() if name not in names}
    return value


LISTED: Final = "a list is written [one, two], or one a line, each after a -"
_KEY: Final = "[key]"
"""How pydantic ends the place of a key that is at fault."""
_WORDS: Final[dict[str, str]] = {
    "model_type": "expected a mapping",
    "dict_type": "expected a mapping",
    "list_type": "expected a list",
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
    "string_type": "expected text",
    "string_too_short": "can't be empty",
    "too_short": "can't be empty",
    "too_long": "is longer than {max_length} characters",
    "string_too_long": "is longer than {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "expected {expected}",
}


def _problem(document: yaml.Document, model: type[Shape], fault: dict[str, Any]) -> Problem:
    """Put one of pydantic's findings into our words, at its place in the file."""
    place: yaml.Path = tuple(one for one in fault["loc"] if one != _KEY)
    if fault["type"] == "extra_forbidden":
        return yaml.unknown_key(document, place, keys_at(model, place[:-1]))
    if fault["type"] == "missing":
        return document.problem(place[:-1], f'"{place[-1]}" is missing')
    words = _WORDS.get(fault["type"])
    message = words.format(**fault.get("ctx", {})) if words else fault["msg"]
    if words and words.startswith("expected"):
        message += f", found {_shown(fault['input'])}"
    if len(place) < len(fault["loc"]):  # the key itself is at fault, and the message shows it
        return document.problem(place, message, key=True)
    field = next((key for key in reversed(place) if isinstance(key, str)), "")
    hint = LISTED if fault["type"] == "list_type" and isinstance(fault["input"], dict) else ""
    if fault["type"] == "severity" and isinstance(fault["input"], str):
        hint = closest(fault["input"], Severity.__members__)
    return document.problem(place, f"{field}: {message}" if field else message, hint)


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return "nothing" if value is None else f'"{value}"' if isinstance(value, str) else str(value).lower()


def keys_at(model: type[BaseModel], place: yaml.Path) -> list[str]:
    """Return the keys that a shape has at a place inside it."""
    shape = _shape_at(model, place)
    return [field.alias or name for name, field in shape.model_fields.items()] if shape is not None else []


def _shape_at(model: type[BaseModel], place: yaml.Path) -> type[BaseModel] | None:
    """Return the shape of what stands at a place inside a shape, or None when that is no mapping with fixed keys."""
    current: Any = model
    for key in place:
        current = _inside(current, key)
    current = _bare(current)
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _bare(annotation: Any) -> Any:
    """Return what an annotation is about: without None and without validators."""
    while typing.get_origin(annotation) in (types.UnionType, typing.Union, typing.Annotated):
        annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
    return annotation


def _inside(annotation: Any, key: str | int) -> Any:
    annotation = _bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        return next((field.annotation for name, field in fields if key in (name, field.alias)), None)
    inner = typing.get_args(annotation)
    return inner[-1] if inner else None
