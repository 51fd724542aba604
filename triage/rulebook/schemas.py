"""JSON Schemas of the operators' files, for completion and red underlines in editors."""

from __future__ import annotations

from typing import Any, Final

from triage.rulebook import cases, shapes
from triage.rulebook.shapes import Shape

_FILES: Final[dict[str, type[Shape]]] = {
    "severity.schema.json": shapes.SeverityFile,
    "oncall.schema.json": shapes.OncallFile,
    "services.schema.json": shapes.ServicesFile,
    "sources.schema.json": shapes.SourcesFile,
    "tests.schema.json": cases.CasesFile,
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return file name (under rules/schema/) → JSON Schema."""
    return {
        name: {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(by_alias=True)}
        for name, model in _FILES.items()
    }
