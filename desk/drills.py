"""Drills and the shadow over the API: asked for, listed with what came of them; whom Tocsin would have told."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from desk import asking, commands
from desk.api import Answered, Call, Route
from desk.problems import Problem
from desk.shapes import Time
from desk.showing import time_of
from triage.drill import Drill
from triage.model import DrillAsked, Millis, clean_text, short
from triage.rulebook.durations import parse_duration
from triage.store import drills as kept
from triage.store import standing

_ENDING: Final = {202: "Appended, but not decided within two seconds."}


class DrillBody(BaseModel):
    """Whom to page for a test, and how long to wait for the acknowledgement."""

    model_config = ConfigDict(extra="forbid")
    target: Annotated[
        str,
        AfterValidator(clean_text),
        Field(min_length=1, max_length=200, description="A person, a policy, `schedule:NAME` or `team:NAME`."),
    ]
    everybody: Annotated[bool, Field(description="All steps of a policy, not only its first.")] = False
    within: Annotated[str, Field(max_length=40, description="Like `15m`.")] = "15m"

    @field_validator("within")
    @classmethod
    def _is_duration(cls, text: str) -> str:
        parse_duration(text)
        return text


class DrillsQuery(asking.PageQuery):
    """Which drills."""

    entry: Annotated[str, Field(max_length=64, description="Only those that this entry of the journal asked for.")] = ""


class DrillShape(BaseModel):
    """A test page to one person. `state`: `calling`, `answered`, `unanswered`, `unreached` or `shadowed`.

    `delivered_s` and `answered_s` are seconds since the page was due. `id` acknowledges it as that of an incident does.
    """

    id: str
    person: str
    target: str
    plan: str
    state: str
    by: str
    via: str
    asked_at: Time
    due_at: Time
    until: Time
    delivered_by: str
    delivered_s: float | None
    answered_s: float | None
    answered_by: str
    answered_via: str
    ended_at: Time | None
    faults: list[str]


class DrillPage(BaseModel):
    """Drills, newest first; `next` is the `after` of the next page, null at the end."""

    items: list[DrillShape]
    next: str | None


class DrillDone(BaseModel):
    """What became of it: `done`, or `pending` when it is in the journal and not decided yet."""

    ending: str
    text: str
    entry: str


class ShadowedShape(BaseModel):
    """A message that nobody got. `kind`: `page`, `notification` or `operator`."""

    at: Time
    kind: str
    person: str
    by: str
    incident: str | None
    severity: str
    title: str
    why: str


class ShadowPage(BaseModel):
    """Messages that nobody got, newest first; `shadow` tells whether paging is in shadow now."""

    shadow: bool
    items: list[ShadowedShape]
    next: str | None


async def start_drill(call: Call) -> Answered:
    """Page somebody for a test."""
    assert call.person is not None  # noqa: S101  a route that changes is never called without
    body, who, via = call.body, call.person.name, call.person.via
    asked = DrillAsked(body.target, who, via, parse_duration(body.within), body.everybody, request=call.request_id)
    heard = await commands.ask(call.office.desk, asked)
    if heard.answer is not None and heard.answer.ending != "done":
        raise Problem(409, "refused", "Refused", heard.text)
    ending = "done" if heard.decided else "pending"
    shape = DrillDone(ending=ending, text=heard.text, entry=heard.entry)
    return Answered(shape, 200 if heard.decided else 202, heard.again)


async def list_drills(call: Call) -> BaseModel:
    """Return drills, newest first."""
    query: DrillsQuery = call.query
    known = {key: one for key, one in (await kept.every(call.client)).items() if query.entry in ("", one.entry)}
    order = [*known]
    start = order.index(query.after) + 1 if query.after in known else 0
    shown = order[start : start + query.limit]
    items = [_drill(key, known[key]) for key in shown]
    return DrillPage(items=items, next=shown[-1] if start + query.limit < len(order) else None)


async def list_shadowed(call: Call) -> BaseModel:
    """Return whom Tocsin would have told."""
    query: asking.PageQuery = call.query
    known = await standing.shadowed(call.client)
    start = int(query.after) if query.after is not None and query.after.isdigit() else 0
    items = [
        ShadowedShape(
            at=time_of(one.at),
            kind=one.kind.value,
            person=one.person,
            by=one.scheme,
            incident=short(one.incident) or None,
            severity=one.severity.name,
            title=one.title,
            why=one.why,
        )
        for one in known[start : start + query.limit]
    ]
    more = start + query.limit < len(known)
    return ShadowPage(
        shadow=call.office.desk.settings.shadow, items=items, next=str(start + query.limit) if more else None
    )


def _drill(key: str, one: Drill) -> DrillShape:
    return DrillShape(
        id=short(key),
        person=one.person,
        target=one.target,
        plan=one.plan,
        state=one.state.value,
        by=one.by,
        via=one.via,
        asked_at=time_of(one.asked_at),
        due_at=time_of(one.due),
        until=time_of(one.until),
        delivered_by=one.scheme,
        delivered_s=_seconds(one.due, one.delivered_at),
        answered_s=_seconds(one.due, one.acked_at),
        answered_by=one.acked_by,
        answered_via=one.acked_via,
        ended_at=None if one.ended_at is None else time_of(one.ended_at),
        faults=list(one.faults),
    )


def _seconds(start: Millis, end: Millis | None) -> float | None:
    return None if end is None else max(0, end - start) / 1_000


ROUTES: Final = (
    Route("GET", "/drills", "Drills, newest first", list_drills, DrillPage, DrillsQuery),
    Route("POST", "/drills", "Page somebody for a test", start_drill, DrillDone, body=DrillBody, statuses=_ENDING),
    Route("GET", "/shadow", "Whom Tocsin would have told", list_shadowed, ShadowPage, asking.PageQuery),
)
