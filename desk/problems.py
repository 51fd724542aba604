"""Errors as `application/problem+json` (RFC 9457): what went wrong, where, and what to do about it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from triage.store import queries


class Fault(BaseModel):
    """One field or parameter at fault."""

    field: str
    reason: str


class ProblemShape(BaseModel):
    """The body of every error answer."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] = []
    candidates: list[str] = []
    confirm: bool | None = None


class Problem(Exception):
    """An answer other than success. `name` becomes the end of `type` and is stable; `title` is for people.

    `who` is who was refused, for the audit log alone.
    """

    def __init__(self, status: int, name: str, title: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.headers: dict[str, str] = more.pop("headers", {})
        self.who: str = more.pop("who", "")
        self.shape = ProblemShape(type=f"urn:tocsin:problem:{name}", title=title, status=status, detail=detail, **more)


def not_found(detail: str) -> Problem:
    """Nothing there."""
    return Problem(404, "not-found", "Not found", detail)


def store_down() -> Problem:
    """The store does not answer; trying again later is right."""
    detail = "the store does not answer; try again in a few seconds (/-/ready says what is wrong)"
    return Problem(503, "store-unavailable", "Store unavailable", detail, headers={"Retry-After": "5"})


def from_lookup(error: LookupError) -> Problem:
    """Turn what the queries raise into an answer."""
    if isinstance(error, queries.Ambiguous):
        return Problem(409, "ambiguous", "More than one incident", str(error), candidates=error.candidates)
    if isinstance(error, queries.Malformed):
        return Problem(400, "invalid", "The query cannot be used", str(error))
    return not_found(str(error.args[0]) if error.args else "nothing there")


def from_validation(error: ValidationError, where: str) -> Problem:
    """Name each field at fault; values are not repeated, since they may be secrets."""
    faults = [
        Fault(field=".".join(str(part) for part in one["loc"]) or where, reason=one["msg"]) for one in error.errors()
    ]
    detail = "; ".join(f"{fault.field}: {fault.reason}" for fault in faults)
    return Problem(400, "invalid", f"The {where} cannot be used", detail, errors=faults)
