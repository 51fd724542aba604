"""docs/api.md and the OpenAPI document say what the table of routes says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from desk import metrics, oncall, openapi
from desk.application import EVERY_ROUTE as ROUTES
from desk.context import Settings

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")
LINES = dict(re.findall(r"^\| `((?:GET|POST|PUT|DELETE) /[^`]*)` \|(.*)\|[^|]*\|$", PAGE, re.MULTILINE))


def test_the_page_lists_exactly_the_routes() -> None:
    served = {f"{route.method} {route.path}" for route in ROUTES} | {"GET /stream"}
    served |= {f"GET {path}" for path in (*oncall.FEEDS, *metrics.PICTURES)}
    assert set(LINES) == served


def test_the_page_names_every_parameter() -> None:
    for route in ROUTES:
        fields = {**route.query.model_fields, **(route.body.model_fields if route.body else {})}
        names = {field.alias or name for name, field in fields.items()}
        told = set(re.findall(r"`(\w+)`", LINES[f"{route.method} {route.path}"]))
        assert names <= told, route.path


def test_the_document_describes_each_operation_once_with_its_errors() -> None:
    document: dict[str, Any] = openapi.document(ROUTES, Settings().version, "https://tocsin.example")
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert len({one["operationId"] for one in operations}) == len(ROUTES)
    for one in operations:
        assert {"200", "400", "401", "404", "409", "503"} <= set(one["responses"])
        assert one["summary"]
    assert document["servers"] == [{"url": "https://tocsin.example"}]
    note = document["paths"]["/api/v1/incidents/{id}/note"]["post"]
    assert note["requestBody"]["required"] is True
    assert "202" in note["responses"]
