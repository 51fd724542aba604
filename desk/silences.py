"""Silences over the API: put, shown, ended, and what one would silence. A deploy job may repeat its PUT safely."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from desk import commands
from desk.api import Answered, Call, Route
from desk.asking import After, Limit, Query
from desk.problems import Problem
from desk.shapes import SeverityName, Time
from desk.showing import time_of
from triage import quiet
from triage.model import Millis, Severity, SilenceAsked, clean_text, short
from triage.rulebook import Rulebook
from triage.rulebook.durations import parse_duration, show_duration
from triage.rulebook.quiet import parse_instant
from triage.silence import Silence, Words
from triage.silences import SILENCER, asked, fault_of
from triage.store import silences as kept
from triage.store import standing

SAMPLE: Final = 20
"""How many firing alerts a preview shows."""
Text = Annotated[str, AfterValidator(clean_text)]
Matcher = Annotated[Text, Field(max_length=2_000)]
_ENDING: Final = {202: "Appended, but not decided within two seconds."}


class SilenceBody(BaseModel):
    """What to silence, and until when: exactly one of `duration` and `ends_at`, or `after_resolve`, or both kinds."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    matchers: Annotated[list[Matcher], Field(max_length=50, description='Like `service="shop"`; all must hold.')] = []
    matcher_sets: Annotated[
        list[list[Matcher]], Field(max_length=20, description="Instead: several sets, of which any will do.")
    ] = []
    starts_at: Annotated[str, Field(max_length=40, description="RFC 3339; now if left out.")] = ""
    ends_at: Annotated[str, Field(max_length=40, description="RFC 3339.")] = ""
    duration: Annotated[str, Field(max_length=40, description="Like `2h`, from its start.")] = ""
    after_resolve: Annotated[
        str, Field(max_length=40, description="Like `10m`: ends so long after the last of its alerts resolved.")
    ] = ""
    comment: Annotated[Text, Field(max_length=2_000)] = ""
    annotations: Annotated[dict[Text, Text], Field(max_length=20)] = {}
    except_: Annotated[
        list[SeverityName], Field(alias="except", description="Severities that are told all the same.")
    ] = []

    @field_validator("duration", "after_resolve")
    @classmethod
    def _is_duration(cls, text: str) -> str:
        if text and parse_duration(text) <= 0:
            raise ValueError("must be longer than nothing")
        return text

    @field_validator("starts_at", "ends_at")
    @classmethod
    def _is_instant(cls, text: str) -> str:
        if text:
            parse_instant(text)
        return text


class SilencesQuery(Query):
    """Which silences."""

    ended: Annotated[bool, Field(description="Also those that ended, kept for five days.")] = False
    limit: Limit = 50
    after: After = None


class SilenceShape(BaseModel):
    """A silence. `state`: `pending`, `active` or `ended`. `hits` counts alerts that began under it.

    Silences of quiet.yaml have keys that begin with `file/`; they are changed there.
    """

    key: str
    kind: str
    state: str
    matcher_sets: list[list[str]]
    starts_at: Time | None
    ends_at: Time | None
    ended_at: Time | None
    ended_by: str
    after_resolve: str | None
    comment: str
    by: str
    annotations: dict[str, str]
    spares: list[str]
    hits: int


class SilencePage(BaseModel):
    """Silences by key; `next` is the `after` of the next page, null at the end."""

    items: list[SilenceShape]
    next: str | None


class SilenceDone(BaseModel):
    """What became of it: `done`, or `pending` when it is in the journal and not decided yet."""

    ending: str
    text: str
    entry: str


class FiringShape(BaseModel):
    """An alert that fires now and would be silenced."""

    fingerprint: str
    title: str
    severity: str
    incident: str | None


class PreviewShape(BaseModel):
    """What a silence means now, and would have meant in the journal that is kept, back to `since`.

    `events` firing events of `alerts` different alerts, which began or joined `incidents`; these paged `pages` times in
    all. `complete`: everything that is kept was looked at.
    """

    firing: int
    sample: list[FiringShape]
    since: Time | None
    events: int
    alerts: int
    incidents: int
    pages: int
    complete: bool


async def list_silences(call: Call) -> BaseModel:
    """Return silences: those of run time, and those of quiet.yaml."""
    now = call.office.desk.clock()
    rulebook = await _rulebook(call)
    known = await kept.every(call.client)
    shapes = [_shape(key, one.words, one, now) for key, one in known.items() if not key.startswith("file/")]
    for name, words in rulebook.quiet.silences.items():
        one = known.get(quiet.file_key(name))
        shapes.append(_shape(quiet.file_key(name), words, one if one and one.words == words else None, now))
    shapes = [one for one in shapes if call.query.ended or one.state != "ended"]
    shapes.sort(key=lambda one: one.key)
    rest = [one for one in shapes if call.query.after is None or one.key > call.query.after]
    shown = rest[: call.query.limit]
    return SilencePage(items=shown, next=shown[-1].key if len(shown) < len(rest) else None)


async def get_silence(call: Call) -> BaseModel:
    """Return one silence of run time."""
    key = _key(call)
    one = await kept.one(call.client, key)
    if not _may_see(call, one.words.by):
        raise _not_yours(key)
    return _shape(key, one.words, one, call.office.desk.clock())


async def put_silence(call: Call) -> Answered:
    """Put a silence, or change it: the same PUT again is no harm."""
    return await put(call, _key(call))


async def put(call: Call, key: str) -> Answered:
    """Put the silence of the body under a key. Raises Problem."""
    assert call.person is not None  # noqa: S101  a route that changes is never called without
    words = _words(call, call.body)
    firing: tuple[str, ...] = ()
    if words.after_resolve is not None:
        found, _ = await kept.firing(call.client, words, await _rulebook(call))
        firing = tuple(one.fingerprint for one in found)
    return await _ask(call, asked(key, words, call.person.name, call.person.via, firing, call.request_id))


async def expire_silence(call: Call) -> Answered:
    """End a silence now; what it held back is decided again at once."""
    assert call.person is not None  # noqa: S101  a route that changes is never called without
    return await _ask(call, SilenceAsked(_key(call), call.person.name, call.person.via, request=call.request_id))


async def preview_silence(call: Call) -> BaseModel:
    """Return what a silence would silence now, and would have silenced lately. Changes nothing."""
    found = await kept.preview(call.client, _words(call, call.body), await _rulebook(call))
    sample = [
        FiringShape(
            fingerprint=one.fingerprint,
            title=one.title,
            severity=one.severity.name,
            incident=short(one.incident) or None,
        )
        for one in found.firing[:SAMPLE]
    ]
    return PreviewShape(
        firing=len(found.firing),
        sample=sample,
        since=None if found.since is None else time_of(found.since),
        events=found.events,
        alerts=found.alerts,
        incidents=found.incidents,
        pages=found.pages,
        complete=found.complete,
    )


def _words(call: Call, body: SilenceBody) -> Words:
    """Return the words of a silence that can be. Raises Problem 400."""
    assert call.person is not None  # noqa: S101  a route that changes is never called without
    now = call.office.desk.clock()
    if bool(body.matchers) is bool(body.matcher_sets) or (body.duration and body.ends_at):
        twice = "duration or ends_at" if body.duration and body.ends_at else "matchers or matcher_sets"
        raise _unusable(f"give either {twice}")
    starts_at = parse_instant(body.starts_at) if body.starts_at else None
    ends_at = parse_instant(body.ends_at) if body.ends_at else None
    if body.duration:
        ends_at = (now if starts_at is None else starts_at) + parse_duration(body.duration)
    words = Words(
        sets=tuple(tuple(texts) for texts in body.matcher_sets or [body.matchers]),
        starts_at=starts_at,
        ends_at=_bounded(call, now, starts_at, ends_at),
        after_resolve=parse_duration(body.after_resolve) if body.after_resolve else None,
        comment=body.comment,
        by=call.person.name,
        annotations=dict(body.annotations),
        spared=tuple(sorted({Severity[name] for name in body.except_})),
    )
    fault = fault_of(words, now)
    if fault:
        raise _unusable(fault)
    return words


def _bounded(call: Call, now: Millis, starts_at: Millis | None, ends_at: Millis | None) -> Millis | None:
    """Return the end that a token which only silences may set. Raises Problem 403 when it is too late."""
    silencer = call.office.desk.settings.silencers.get(call.person.name) if call.person is not None else None
    if call.person is None or call.person.via != SILENCER or silencer is None:
        return ends_at
    latest = now + silencer.longest
    if ends_at is not None and ends_at > latest:
        detail = f"the token of {silencer.name} may silence for {show_duration(silencer.longest)} from now at most"
        raise Problem(403, "too-long", "Too long for this token", detail)
    return latest if ends_at is None else ends_at


async def _ask(call: Call, body: SilenceAsked) -> Answered:
    heard = await commands.ask(call.office.desk, body)
    if heard.answer is not None and heard.answer.ending != "done":
        raise Problem(409, "refused", "Refused", heard.text)
    ending = "done" if heard.decided else "pending"
    shape = SilenceDone(ending=ending, text=heard.text, entry=heard.entry)
    return Answered(shape, 200 if heard.decided else 202, heard.again)


def _shape(key: str, words: Words, one: Silence | None, now: Millis) -> SilenceShape:
    ends_at = one.ends_at if one is not None else words.ends_at
    state = "active" if quiet.holds(words, one, now) else "ended"
    if words.starts_at is not None and now < words.starts_at and (one is None or one.ended_at is None):
        state = "pending"
    return SilenceShape(
        key=key,
        kind=words.kind,
        state=state,
        matcher_sets=[list(texts) for texts in words.sets],
        starts_at=_time(words.starts_at if words.starts_at is not None or one is None else one.made_at),
        ends_at=_time(ends_at),
        ended_at=_time(one.ended_at if one is not None else None),
        ended_by=one.ended_by if one is not None else "",
        after_resolve=show_duration(words.after_resolve) if words.after_resolve is not None else None,
        comment=words.comment,
        by=words.by,
        annotations=words.annotations,
        spares=[severity.name for severity in words.spared],
        hits=one.hits if one is not None else 0,
    )


def _may_see(call: Call, by: str) -> bool:
    return call.person is None or call.person.via != SILENCER or call.person.name == by


def _not_yours(key: str) -> Problem:
    return Problem(403, "not-yours", "Not yours", f"silence {key} is somebody else's; this token sees its own only")


def _unusable(detail: str) -> Problem:
    return Problem(400, "invalid", "The silence cannot be used", detail)


def _key(call: Call) -> str:
    return call.request.match_info["key"][:200]


async def _rulebook(call: Call) -> Rulebook:
    return call.office.rulebooks.of(await standing.rules(call.client))


def _time(at: Millis | None) -> str | None:
    return None if at is None else time_of(at)


_TOKEN: Final[dict[str, Any]] = {"silencers": True}
ROUTES: Final = (
    Route("GET", "/silences", "Silences", list_silences, SilencePage, SilencesQuery),
    Route("POST", "/silences/preview", "What a silence would silence", preview_silence, PreviewShape, body=SilenceBody),
    Route("GET", "/silences/{key}", "One silence", get_silence, SilenceShape, **_TOKEN),
    Route(
        "PUT",
        "/silences/{key}",
        "Put or change a silence",
        put_silence,
        SilenceDone,
        body=SilenceBody,
        statuses=_ENDING,
        **_TOKEN,
    ),
    Route("DELETE", "/silences/{key}", "End a silence", expire_silence, SilenceDone, statuses=_ENDING, **_TOKEN),
)
"""The routes of silences; `silencers` are the tokens of quiet.yaml, which may do that and nothing else."""
