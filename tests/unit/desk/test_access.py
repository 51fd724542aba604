"""No route without a line in the table of rights, and no line that the route does not keep."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from desk.api import BASE
from desk.application import EVERY_ROUTE, add_routes
from desk.context import Desk, Settings
from desk.people import Person
from tests.unit.desk.access import ACCESS, VIEWS
from triage.model.roles import GRANTS, Role, Scope
from triage.store import tokens


def test_every_route_has_its_line_in_the_table_of_rights() -> None:
    """When this fails for a new route: decide who may use it, and write that into tests/unit/desk/access.py."""
    assert {f"{one.method} {one.path}" for one in EVERY_ROUTE} == set(ACCESS)


@pytest.mark.parametrize("route", EVERY_ROUTE, ids=lambda route: f"{route.method} {route.path}")
def test_each_route_needs_what_the_table_says(route: object) -> None:
    said = ACCESS[f"{route.method} {route.path}"]  # type: ignore[attr-defined]
    needs = f"{route.needs.value}{'+silence' if route.silencers else ''}"  # type: ignore[attr-defined]
    assert needs == said


def test_everything_else_that_the_desk_serves_has_its_line_too() -> None:
    """When this fails for a new view: decide who may use it, and write that into tests/unit/desk/access.py."""
    app = web.Application()
    nothing: Any = None
    add_routes(app, Desk(nothing, nothing, Settings(), lambda: 0))
    known = {f"{one.method} {BASE}{one.path}" for one in EVERY_ROUTE}
    served = {f"{one.method} {one.resource.canonical}" for one in app.router.routes() if one.resource is not None}
    assert {one for one in served - known if not one.startswith("HEAD ")} == set(VIEWS)


def test_each_role_may_all_that_the_lesser_one_may() -> None:
    assert GRANTS[Role.VIEWER] < GRANTS[Role.RESPONDER] < GRANTS[Role.ADMIN] == frozenset(Scope)


def test_a_person_of_whom_nothing_is_said_may_nothing() -> None:
    assert not any(Person("x", "api").may(scope) for scope in Scope)


@pytest.mark.parametrize(
    ("name", "role", "scopes", "why"),
    [
        ("Ci", Role.VIEWER, set(), "lower-case"),
        ("a_b", Role.VIEWER, set(), "lower-case"),
        ("", Role.VIEWER, set(), "lower-case"),
        ("ci", Role.VIEWER, {Scope.RESPOND}, "a viewer may not have the scope respond"),
        ("ci", Role.RESPONDER, {Scope.ADMIN, Scope.READ}, "a responder may not have the scope admin"),
    ],
)
def test_a_token_cannot_have_more_than_its_role(name: str, role: Role, scopes: set[Scope], why: str) -> None:
    with pytest.raises(tokens.Refused, match=why):
        tokens.make(name, role, frozenset(scopes), 0, "admin", None)


def test_a_token_that_expired_before_it_was_made_is_refused() -> None:
    with pytest.raises(tokens.Refused, match="expired already"):
        tokens.make("ci", Role.VIEWER, frozenset(), 100, "admin", 100)


def test_a_token_is_stored_by_its_hash_and_has_all_scopes_of_its_role_unless_fewer_are_named() -> None:
    text, token = tokens.make("ci-1", Role.RESPONDER, frozenset(), 0, "admin", None)
    assert tokens.is_ours(text)
    assert text.split("_", 2)[1] == "ci-1"
    assert text.split("_", 2)[2] not in repr(token)
    assert token.scopes == GRANTS[Role.RESPONDER]
    assert tokens.make("ci-1", Role.ADMIN, frozenset({Scope.SILENCE}), 0, "a", None)[1].silences_only
