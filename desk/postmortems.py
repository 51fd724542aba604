"""Postmortems and action items: over the API, as a list, and as the view in which one is read and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from desk import markdown, metrics, showing, verbs
from desk.api import Call, Office, Route
from desk.asking import After, CommandBody, Limit, Query, Text
from desk.people import Person
from desk.shapes import Time
from triage.learning import FIELDS, LINE_MAX, LISTS, TEXT_MAX, VERSIONS_MAX
from triage.model import Incident, Millis, Verb, short
from triage.postmortem import Item, ItemState, Postmortem, Priority, State, day_of
from triage.rulebook import Rulebook
from triage.store import learned, queries, readings, standing

if TYPE_CHECKING:
    from desk.views import Views

VERSION_DIGITS: Final = 7
Lines = Annotated[Text, Field(max_length=20_000, description="One a line.")]


class PostmortemBody(CommandBody):
    """What to write into a postmortem. What is left out stays as it is; an empty field clears it.

    What is reviewed or published is the last saved text; without any the one that the journal tells is saved first.
    """

    CLEARED: ClassVar[frozenset[str]] = frozenset({*FIELDS, *LISTS, "owner"})
    resolution: Annotated[Text | None, Field(max_length=4_000, description="How it ended.")] = None
    root_cause: Annotated[Text | None, Field(max_length=4_000, description="Why it happened.")] = None
    whys: Lines | None = None
    contributing: Lines | None = None
    well: Lines | None = None
    badly: Lines | None = None
    owner: Annotated[Text | None, Field(max_length=200, description="Who writes it.")] = None
    document: Annotated[Text | None, Field(max_length=TEXT_MAX, description="Its text in Markdown: a new version.")] = (
        None
    )
    do: Annotated[Literal["review", "publish"] | None, Field(description="Say that it is reviewed, or publish it.")] = (
        None
    )


class ItemBody(CommandBody):
    """An action item: a new one without `id`. `text` is what is to be done; an empty `due` takes the date away."""

    CLEARED: ClassVar[frozenset[str]] = frozenset({"due"})
    text: Annotated[Text, Field(max_length=LINE_MAX)] = ""
    id: Annotated[str | None, Field(max_length=20, description="Of the item that is changed.")] = None
    person: Annotated[Text | None, Field(max_length=200, description="Who does it.")] = None
    due: Annotated[str | None, Field(max_length=40, description="Like `2026-03-09`, `14d`, or RFC 3339.")] = None
    priority: Priority | None = None
    state: ItemState | None = None
    follow_up: bool | None = None
    export: Annotated[bool | None, Field(description="Send it to the tracker (again), where that did not work.")] = None
    other: Annotated[
        str | None,
        Field(pattern="^[a-z2-7]{6,26}$", description="The incident that showed that it has to be done again."),
    ] = None


class PostmortemsQuery(Query):
    """Which postmortems."""

    state: State | None = None
    overdue: Annotated[bool, Field(description="Only those that are due and not published.")] = False
    limit: Limit = 50
    after: After = None


class ItemsQuery(Query):
    """Which action items."""

    state: ItemState | None = ItemState.OPEN
    owner: Annotated[str | None, Field(max_length=200)] = None
    overdue: Annotated[bool, Field(description="Only those that should have been done.")] = False
    limit: Limit = 50
    after: After = None


class ItemShape(BaseModel):
    """One action item. `kind` is `action` or `follow-up`; `incident` is the id of the incident that it is from.

    `recurred` counts incidents like that one which came while it was open, or opened it again. `ticket` tells whether
    the operators' tracker has it (`asked`, `sent`, `unknown`, `failed`, or nothing), `ticket_url` where.
    """

    incident: str
    id: str
    text: str
    kind: str
    owner: str
    due: Time | None
    overdue: bool
    priority: str
    state: str
    made_at: Time
    recurred: int = 0
    ticket: str = ""
    ticket_url: str = ""


class PostmortemShape(BaseModel):
    """A postmortem, without its text. `versions` counts saved texts; 0: the text is made from the journal.

    `published_version` is the text that was published last; a later one is a draft until it is published too.
    """

    incident: str
    title: str
    service: str
    severity: str
    state: str
    owner: str
    due_at: Time | None
    overdue: bool
    versions: int
    edited_by: str
    reviewed_by: str
    published_at: Time | None
    published_version: int = 0
    items: list[ItemShape]


class PostmortemText(PostmortemShape):
    """A postmortem with its fields and its text in Markdown: the last saved version, else as the journal tells it."""

    resolution: str
    root_cause: str
    whys: list[str]
    contributing: list[str]
    well: list[str]
    badly: list[str]
    markdown: str


class PostmortemPage(BaseModel):
    """Postmortems, the latest incident first; `next` is the `after` of the next page, null at the end."""

    items: list[PostmortemShape]
    next: str | None


class ItemPage(BaseModel):
    """Action items, those due first; `next` is the `after` of the next page, null at the end."""

    items: list[ItemShape]
    next: str | None


class VersionQuery(Query):
    """Which text: a saved version by number, or 0 for what the journal tells."""

    version: Annotated[int | None, Field(ge=0, le=1_000_000, description="The last one if left out.")] = None


async def get_postmortem(call: Call) -> BaseModel:
    """Return the postmortem of an incident with its text."""
    one = await queries.incident(call.client, call.request.match_info["id"])
    found = await learned.postmortem(call.client, one)
    rulebook = call.office.rulebooks.of(await standing.rules(call.client))
    wanted: int | None = call.query.version
    if wanted is None:
        text = await learned.text(call.client, one, found, rulebook)
    elif wanted == 0:
        text = await learned.made(call.client, one, found, rulebook)
    else:
        text = (await learned.version(call.client, one.key, wanted)).text
    more = {name: list(getattr(found, name)) for name in ("whys", "contributing", "well", "badly")}
    return PostmortemText(
        **_shape(one.key, found, call.office.desk.clock()).model_dump(),
        **more,
        resolution=one.resolution,
        root_cause=one.root_cause,
        markdown=text,
    )


async def list_postmortems(call: Call) -> BaseModel:
    """Return postmortems, those of the latest incidents first."""
    query: PostmortemsQuery = call.query
    now = call.office.desk.clock()
    shapes = [_shape(key, one, now) for key, one in (await learned.postmortems(call.client)).items()]
    wanted = [one for one in shapes if query.state in (None, one.state) and (one.overdue or not query.overdue)]
    start = _start(query.after)
    page = wanted[start : start + query.limit]
    return PostmortemPage(items=page, next=_next(start, page, wanted))


async def list_items(call: Call) -> BaseModel:
    """Return action items of all postmortems, those due first."""
    query: ItemsQuery = call.query
    now = call.office.desk.clock()
    found = await learned.postmortems(call.client)
    items = [item_shape(key, one, now) for key, each in found.items() for one in each.items]
    wanted = [
        one
        for one in items
        if query.state in (None, one.state) and query.owner in (None, one.owner) and (one.overdue or not query.overdue)
    ]
    wanted.sort(key=lambda one: (one.due or "9", one.incident, one.id))
    start = _start(query.after)
    page = wanted[start : start + query.limit]
    return ItemPage(items=page, next=_next(start, page, wanted))


def _start(after: str | None) -> int:
    if after is None:
        return 0
    if not after.isascii() or not after.isdigit():
        raise queries.Malformed(f"after={after[:60]!r} is not a mark: pass back the `next` of the previous page")
    return int(after)


def _next(start: int, page: list[Any], wanted: list[Any]) -> str | None:
    return str(start + len(page)) if start + len(page) < len(wanted) else None


def _overdue(due: Millis | None, done: bool, now: Millis) -> bool:
    return due is not None and not done and due < now


def _shape(key: str, one: Postmortem, now: Millis) -> PostmortemShape:
    return PostmortemShape(
        incident=short(key),
        title=one.title,
        service=one.service,
        severity=one.severity.name,
        state=one.state.value,
        owner=one.owner,
        due_at=None if one.due_at is None else showing.time_of(one.due_at),
        overdue=_overdue(one.due_at, one.published_at is not None, now),
        versions=one.versions,
        edited_by=one.edited_by,
        reviewed_by=one.reviewed_by,
        published_at=None if one.published_at is None else showing.time_of(one.published_at),
        published_version=one.published_version,
        items=[item_shape(key, each, now) for each in one.items],
    )


def item_shape(key: str, one: Item, now: Millis) -> ItemShape:
    """Return an action item of the incident of that key."""
    return ItemShape(
        incident=short(key),
        id=one.id,
        text=one.text,
        kind="follow-up" if one.follow_up else "action",
        owner=one.owner,
        due=None if one.due is None else showing.time_of(one.due),
        overdue=_overdue(one.due, one.state is not ItemState.OPEN, now),
        priority=one.priority.value,
        state=one.state.value,
        made_at=showing.time_of(one.made_at),
        recurred=one.recurred,
        ticket=one.ticket.value,
        ticket_url=one.ticket_url,
    )


async def _with_text(office: Office, ref: str, _person: Person, _text: str, data: dict[str, str]) -> dict[str, str]:
    """Return the text that the journal tells, where one is to be reviewed or published and nobody saved any."""
    if not data.get("do") or data.get("document"):
        return {}
    client = office.desk.client
    one = await queries.incident(client, ref)
    found = await learned.postmortem(client, one)
    if found.versions:
        return {}
    return {"document": await learned.made(client, one, found, office.rulebooks.of(await standing.rules(client)))}


verbs.PREPARE[Verb.POSTMORTEM] = _with_text

ROUTES: Final = (
    Route(
        "GET",
        "/incidents/{id}/postmortem",
        "The postmortem of an incident",
        get_postmortem,
        PostmortemText,
        VersionQuery,
    ),
    verbs.command(
        Verb.POSTMORTEM,
        "write_postmortem",
        "Write, review or publish a postmortem",
        "Write into the postmortem of an incident, say that it is reviewed, or publish it.",
        "Written.",
        PostmortemBody,
        view="/postmortem",
    ),
    verbs.command(
        Verb.ITEM,
        "change_item",
        "Add or change an action item",
        "Add an action item to the postmortem of an incident, or change one.",
        "The item is kept.",
        ItemBody,
        view="/postmortem",
    ),
    Route("GET", "/postmortems", "Postmortems", list_postmortems, PostmortemPage, PostmortemsQuery),
    Route("GET", "/items", "Action items", list_items, ItemPage, ItemsQuery),
)


def add_views(app: web.Application, house: Views) -> None:
    """Put the list and the view of one postmortem on `app`."""

    async def everything(_request: web.Request, person: Person) -> web.Response:
        now = house.office.desk.clock()
        found = await learned.postmortems(house.office.desk.client)
        shapes = [_shape(key, one, now) for key, one in found.items()]
        items = [one for shape in shapes for one in shape.items if one.state == ItemState.OPEN.value]
        return house.renderer.answer(
            "postmortems.html",
            person=person,
            now=now,
            found=sorted(shapes, key=lambda one: (not one.overdue, one.state == State.PUBLISHED.value)),
            items=sorted(items, key=lambda one: (one.due or "9", one.incident)),
        )

    async def one(request: web.Request, person: Person) -> web.Response:
        incident = await queries.incident(house.office.desk.client, request.match_info["id"])
        writes, version = request.query.get("write") == "yes", request.query.get("version", "")
        said = {"postmortem": "Written.", "item": "The item is kept."}.get(request.query.get("done", ""), "")
        return await _view(house, person, incident, Shown(writes, version, said))

    app.router.add_get("/postmortems", house.signed_in(everything))
    app.router.add_get("/incidents/{id}/postmortem", house.signed_in(one))


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of a postmortem: its text to be edited, another version of it, what was done just now."""

    writes: bool = False
    version: str = ""
    said: str = ""


async def _view(house: Views, person: Person, one: Incident, shown: Shown) -> web.Response:
    client = house.office.desk.client
    rulebook: Rulebook = house.office.rulebooks.of(await standing.rules(client))
    found = await learned.postmortem(client, one)
    if shown.version == "0":
        text = await learned.made(client, one, found, rulebook)
    elif shown.version.isascii() and shown.version.isdigit() and len(shown.version) <= VERSION_DIGITS:
        text = (await learned.version(client, one.key, int(shown.version))).text
    else:
        text = await learned.text(client, one, found, rulebook)
    now = house.office.desk.clock()
    return house.renderer.answer(
        "postmortem.html",
        person=person,
        now=now,
        one=one,
        here=f"/incidents/{short(one.key)}",
        found=found,
        entries=found.items,
        days={item.id: day_of(item.due) if item.due is not None else "" for item in found.items},
        shape=_shape(one.key, found, now),
        text=text,
        html=markdown.html(text, {}),
        measured=metrics.shown(one, await readings.of(client, one)),
        shown=shown,
        versions=range(max(1, found.versions - VERSIONS_MAX + 1), found.versions + 1),
        people=sorted(rulebook.people),
        priorities=list(Priority),
        states=list(ItemState),
        tracked=rulebook.learning.tracker is not None,
    )
