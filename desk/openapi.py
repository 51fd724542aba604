"""The OpenAPI 3.1 document, made from the same table as the router."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from desk.api import BASE, Route
from desk.problems import ProblemShape

_REF: Final = "#/components/schemas/{model}"
_IN_PATH: Final[dict[str, dict[str, Any]]] = {
    "id": {
        "description": "The incident's key, or its first six characters or more.",
        "schema": {"type": "string", "pattern": "^[a-z2-7]{6,26}$"},
    },
    "schedule": {"description": "A schedule of oncall.yaml.", "schema": {"type": "string"}},
    "person": {"description": "A person of oncall.yaml.", "schema": {"type": "string"}},
    "name": {"description": "The name of a token.", "schema": {"type": "string"}},
    "key": {"description": "The silence's key, which whoever puts it chooses.", "schema": {"type": "string"}},
    "override": {"description": "The id of an override.", "schema": {"type": "string"}},
}
"""What the parts of a path mean."""
_ERRORS: Final = {
    400: "A parameter or the body cannot be used; `errors` names the fields.",
    401: "A token is needed, or this one is not known.",
    403: "Whoever asks lacks the scope for it; or a browser's request that does not come from the desk.",
    404: "Nothing is kept under that name.",
    429: "Too many wrong tokens from this address; wait a minute.",
    409: "Refused, ambiguous (`candidates`), or asked back (`confirm`).",
    503: "The store does not answer; try again later.",
}

_BODY_ERRORS: Final = {
    408: "The body took too long to arrive.",
    413: "The body is too large.",
    415: "The body is no JSON: send it as `application/json`.",
}
_REPEATS: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Names this request: sent again within a day, it is done once and answered the same.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_REUSED: Final = "The `Idempotency-Key` was used for another request."


def document(routes: Iterable[Route], version: str, external_url: str) -> dict[str, Any]:
    """Return the document."""
    routes = list(routes)
    shapes: dict[type[BaseModel], Any] = {route.answer: None for route in routes}
    shapes[ProblemShape] = None
    bodies = {route.body: None for route in routes if route.body is not None}
    wanted: list[Any] = [(shape, "serialization") for shape in shapes] + [(body, "validation") for body in bodies]
    refs, schemas = models_json_schema(wanted, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(BASE + route.path, {})[route.method.lower()] = _operation(route, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tocsin",
            "version": version,
            "description": "Times are RFC 3339 in UTC. Errors are problem+json (RFC 9457). Changes need a token.",
        },
        "servers": [{"url": external_url or "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, refs: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": f"{route.handler.__doc__ or route.summary}\n\nNeeds the scope `{route.needs.value}`.",
        "parameters": [*_parameters(route), *([_REPEATS] if route.repeatable else [])],
        "responses": _responses(route, refs),
    }
    if route.body is not None:
        content = {"application/json": {"schema": refs[route.body, "validation"]}}
        operation["requestBody"] = {"required": bool(_required(route.body)), "content": content}
    return operation


def _required(model: type[BaseModel]) -> set[str]:
    return {name for name, one in model.model_fields.items() if one.is_required()}


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            **_IN_PATH.get(name, _IN_PATH["id"]),
        }
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    schema = route.query.model_json_schema(ref_template=_REF)
    definitions = schema.get("$defs", {})
    for name, one in schema.get("properties", {}).items():
        description = one.pop("description", "")
        one.pop("title", None)
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", []), "schema": one}
        found.append(_inlined(parameter, definitions) | ({"description": description} if description else {}))
    return found


def _inlined(value: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema with the enums it refers to written in place: parameters have no components of their own."""
    if isinstance(value, dict):
        if "$ref" in value:
            return definitions[value["$ref"].rpartition("/")[2]]
        return {name: _inlined(one, definitions) for name, one in value.items()}
    if isinstance(value, list):
        return [_inlined(one, definitions) for one in value]
    return value


def _responses(route: Route, refs: dict[Any, Any]) -> dict[str, Any]:
    answer = {"application/json": {"schema": refs[route.answer, "serialization"]}}
    found: dict[str, Any] = {"200": {"description": route.summary, "content": answer}}
    for status, description in route.statuses.items():
        found[str(status)] = {"description": description, "content": answer}
    problem = {"application/problem+json": {"schema": refs[ProblemShape, "serialization"]}}
    errors = {**_ERRORS, **(_BODY_ERRORS if route.body is not None else {})}
    if route.repeatable:
        errors[422] = _REUSED
    for status, description in sorted(errors.items()):
        found[str(status)] = {"description": description, "content": problem}
    return found
