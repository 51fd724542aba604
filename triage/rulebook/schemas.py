"""JSON Schemas of the operators' files, for completion and red underlines in editors."""

from __future__ import annotations

from typing import Any, Final

from triage.rulebook.cases import CasesFile
from triage.rulebook.reading import TOP_FILES
from triage.rulebook.shapes import Shape

_FILES: Final[dict[str, type[Shape]]] = {
    **{path.replace(".yaml", ".schema.json"): shape for path, shape in TOP_FILES.items()},
    "tests.schema.json": CasesFile,
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return file name (under rules/schema/) → JSON Schema."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {
        name: {"$schema": dialect, **_plain(model.model_json_schema(by_alias=True))} for name, model in _FILES.items()
    }


def _plain(schema: Any, names: bool = False) -> Any:
    """Return a schema without what pydantic makes up: titles from names, and defaults as they are inside.

    `names`: the keys at this level are names of fields or models, not words of JSON Schema.
    """
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _plain(value, key in ("properties", "$defs") and not names)
        for key, value in schema.items()
        if names or key not in ("title", "default")
    }
