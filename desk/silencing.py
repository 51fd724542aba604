"""The view of silences: which stand, ending one, and putting one, with a look at what it would silence first."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from desk import reading, silences
from desk.api import Call
from desk.people import Person
from desk.problems import Problem
from desk.rendering import lead_to
from triage.store import queries

if TYPE_CHECKING:
    from desk.views import Views

LISTED: Final = 200
"""How many silences the view lists; `tocsin silence list` lists all."""
DURATIONS: Final = ("30m", "1h", "2h", "4h", "8h", "1d", "7d")
TELLING: Final = ("alertname", "service", "instance", "cluster", "env")
"""Labels of an alert of which its silence is made up, where it has them."""


_EMPTY: Final = dict.fromkeys(("matchers", "duration", "comment", "spare", "follow", "look"), "")


def add_views(app: web.Application, house: Views) -> None:
    """Put the view and its forms on `app`. `?alert=` and `?incident=` fill in what that alert or incident is about."""

    async def show(request: web.Request, person: Person) -> web.Response:
        return await _page(house, request, person, {"matchers": await _about(house, request)})

    async def put(request: web.Request, person: Person) -> web.Response:
        fields = reading.fields(request)
        try:
            body = reading.shaped(silences.SilenceBody, _body_of(fields))
            call = Call(house.office, request, person, None, body)
            if fields.get("look"):
                found = await silences.preview_silence(call)
                return await _page(house, request, person, fields, preview=found)
            await silences.put(call, secrets.token_hex(4))
        except Problem as problem:
            if problem.status not in (400, 409):
                raise
            return await _page(house, request, person, fields, status=problem.status, fault=problem.shape.detail)
        return lead_to("/silences?done=put")

    async def end(request: web.Request, person: Person) -> web.Response:
        await silences.expire_silence(Call(house.office, request, person, None, None))
        return lead_to("/silences?done=end")

    app.router.add_get("/silences", house.signed_in(show))
    app.router.add_post("/silences", house.signed_in(put))
    app.router.add_post("/silences/{key}/end", house.signed_in(end))


async def _about(house: Views, request: web.Request) -> str:
    """Return the matchers that mean an alert, or what an incident is about, one a line; "" where none is named."""
    client = house.office.desk.client
    if ref := request.query.get("alert", "")[:64]:
        view = await queries.alert(client, ref)
        labels = view.details.labels if view.details is not None else {}
        return _matchers([(name, labels[name]) for name in TELLING if labels.get(name)] or sorted(labels.items()))
    if ref := request.query.get("incident", "")[:64]:
        one = await queries.incident(client, ref)
        pairs = [(name, value) for name, value in json.loads(one.group) if name not in ("fingerprint", "declared")]
        return _matchers(pairs)
    return ""


def _matchers(pairs: list[tuple[str, str]]) -> str:
    return "\n".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in pairs)


def _body_of(fields: dict[str, str]) -> dict[str, Any]:
    """Return the API's body for what a form says."""
    lines = [line.strip() for line in fields.get("matchers", "").splitlines() if line.strip()]
    body: dict[str, Any] = {"matchers": lines, "comment": fields.get("comment", "")}
    body["duration"] = fields.get("duration", "")
    if fields.get("follow"):
        body["after_resolve"] = "10m"
    if fields.get("spare"):
        body["except"] = ["P0"]
    return body


async def _page(
    house: Views,
    request: web.Request,
    person: Person,
    fields: dict[str, str],
    *,
    status: int = 200,
    fault: str = "",
    preview: Any = None,
) -> web.Response:
    wanted = silences.SilencesQuery(limit=LISTED, ended="ended" in request.query)
    listed = await silences.list_silences(Call(house.office, request, person, wanted, None))
    return house.renderer.answer(
        "silences.html",
        status=status,
        person=person,
        now=house.office.desk.clock(),
        listed=listed,
        fields={**_EMPTY, **fields},
        fault=fault,
        preview=preview,
        done=request.query.get("done", ""),
        durations=DURATIONS,
    )
