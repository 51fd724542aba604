"""The machines' door: an HTTP request in, journal entries out, and an answer only once they are on stable storage.

A request passes, in this order: which source is meant, may it speak for it, is the method one of the sender's, the body
within its limits, the signature, room in the store, the adapter, the append. Whatever refuses it on the way raises
`Refusal`. No body causes a 5xx; a 503 always means that the store could not be written and that sending again helps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, Protocol

import msgspec
import structlog
from aiohttp import web

from ingest import form
from ingest.adapter import Adapter, Read, Request, Unreadable
from ingest.crossing import check_site
from ingest.refusal import Fault, Refusal, problem, unauthenticated, unavailable
from ingest.refusals import tell_strange
from ingest.settings import REPORT, DoorSettings
from ingest.sources import Offered, Served, SourceBook, may_be_open, offered
from ingest.stats import UNKNOWN, DoorStats
from ingest.unpacking import check_nesting, read_body, unpack
from triage.model import Body, ChangesTold, DeadLetter, Events, Millis, Rejected, clean_text
from triage.store.appender import StoreUnavailable

MAX_PROBLEMS: Final = 100
"""Most refused items that one answer lists."""
MAX_REJECTED: Final = 1_000
"""Most refused items that one dead letter lists."""
MAX_REASON: Final = 500
"""Longest reason or field name kept, in characters."""
UNREADABLE: Final = "unreadable"
_JSON: Final = "application/json"
_log = structlog.get_logger()


class Appends(Protocol):
    """What the door needs of `triage.store.appender.Appender`."""

    async def append_all(self, bodies: tuple[Body, ...], at: Millis) -> list[str]:
        """Append entries, all or none, and return their ids. Raises StoreUnavailable."""
        ...


class _Accepted(msgspec.Struct, omit_defaults=True):
    accepted: int
    rejected: int
    entry: str | None
    problems: list[Rejected] = []


@dataclass(frozen=True, slots=True)
class _Admitted:
    """A request that may speak for a source; `proven` tells that it showed a token."""

    served: Served
    rest: str
    offered: Offered
    proven: bool


class Door:
    """Serves all sources. One per process; its counters are in `stats`."""

    def __init__(
        self,
        settings: DoorSettings,
        appender: Appends,
        sources: SourceBook,
        clock: Callable[[], Millis],
        stats: DoorStats | None = None,
    ) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._appender = appender
        self._sources = sources
        self._clock = clock
        self.stats = stats or DoorStats()

    async def events(self, request: web.Request) -> web.Response:
        """Serve `/v1/events/{source}` and whatever follows it."""
        match = request.match_info
        return await self.serve(request, self._sources.named(match["source"]), match.get("rest", ""))

    async def report_form(self, request: web.Request) -> web.Response:
        """Show the form for users' reports."""
        if not any(self._open_to_all(served) or not served.open for served in self._sources.of_adapter(REPORT)):
            return problem(Refusal(404, "not-found", "Reports are not served here: add a source for them."))
        return form.page()

    async def report(self, request: web.Request) -> web.Response:
        """Take a report, from the form (the answer is a page) or from a program (the answer is JSON)."""
        answer = await self.serve(request, self._sources.of_adapter(REPORT), "")
        return form.answer_for(answer) if form.is_form(request) else answer

    def at_path(self, adapter: Adapter) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return the handler of an adapter's own paths: the token tells which of its sources is meant."""

        async def handle(request: web.Request) -> web.Response:
            return await self.serve(request, self._sources.of_adapter(adapter.name), "")

        return handle

    async def serve(self, request: web.Request, candidates: tuple[Served, ...], rest: str) -> web.Response:
        """Answer one request that is meant for one of the candidates."""
        started = perf_counter()
        name = UNKNOWN
        try:
            admitted = self._admit(request, candidates, rest)
            name = admitted.served.source.name
            response = await self._take(request, admitted)
        except Refusal as refusal:
            self.stats.refused[name, refusal.kind] += 1
            if refusal.kind != UNREADABLE:  # which was logged with its dead letter
                _log.warning(
                    "request refused", source=name, status=refusal.status, kind=refusal.kind, why=refusal.detail
                )
            tell_strange(request, self._settings, candidates[0].source.name if candidates else UNKNOWN, refusal)
            response = problem(refusal)
        self.stats.answered(name, response.status, perf_counter() - started)
        return response

    def _admit(self, request: web.Request, candidates: tuple[Served, ...], rest: str) -> _Admitted:
        """Find out for which source this request may speak. Raises `Refusal`."""
        query = request.query if "?" in request.raw_path else None
        shown = offered(request.headers.get("Authorization", ""), query, rest)
        welcome = [served for served in candidates if served.welcomes(shown.digests)]
        if welcome:
            return _Admitted(welcome[0], shown.rest_for(welcome[0]), shown, proven=True)
        for served in candidates:
            if self._open_to_all(served):
                if self._settings.loopback:
                    check_site(request.headers, self._settings)
                return _Admitted(served, rest, shown, proven=False)
            if served.source.secret and not served.source.token_sha256:
                return _Admitted(served, rest, shown, proven=False)
        welcome_elsewhere = self._sources.any_welcomes(shown.digests)  # asked for known sources too: the same work
        if not candidates and (self._settings.loopback or welcome_elsewhere):
            raise Refusal(
                404, "unknown-source", f"There is no such source. There are: {', '.join(self._sources.names)}."
            )
        raise unauthenticated("Show the source's token: as bearer, as basic password, as ?token=, or in the path.")

    def _open_to_all(self, served: Served) -> bool:
        return served.open and may_be_open(served, loopback=self._settings.loopback)

    async def _take(self, request: web.Request, admitted: _Admitted) -> web.Response:
        served = admitted.served
        adapter = served.adapter
        if request.method not in adapter.methods:
            allowed = ", ".join(sorted(adapter.methods))
            raise Refusal(405, "method", f"{adapter.name} sends {allowed}.", headers={"Allow": allowed}, close=True)
        if served.fault:
            raise unavailable(served.fault)
        raw = await read_body(request, self._limits)
        if full := self._settings.full():
            raise unavailable(full)
        unreadable: Unreadable | None = None
        try:
            body = unpack(raw, request.headers.get("Content-Encoding", ""), self._limits)
        except Unreadable as error:
            body, unreadable = raw, error
        asked = Request(
            source=served.source,
            at=self._clock(),
            method=request.method,
            body=body,
            headers=request.headers,
            query=admitted.offered.query,
            rest=admitted.rest,
            trusted=admitted.proven or served.secret is not None,
        )
        if served.secret is not None:
            _check_signature(served, asked, served.secret)
        if unreadable is None:
            try:
                check_nesting(body, self._limits.nesting)
                return await self._accept(served, asked, _read(adapter, asked))
            except Unreadable as error:
                unreadable = error
        return await self._bury(served, asked, unreadable)

    async def _accept(self, served: Served, asked: Request, found: Read) -> web.Response:
        """Store what was read; the refused items go with it as one dead letter. Raises `Unreadable`, `Refusal`."""
        if found.rejected:
            return await self._accept_some(served, asked, found)
        name, bodies = served.source.name, _bodies(served.source.name, found)
        entries = await self._append(*bodies, at=asked.at) if bodies else [None]
        count = len(found.events) + len(found.changes)
        self.stats.accepted[name] += count
        return _own_answer(served.adapter, found) or _accepted(_Accepted(count, 0, entries[0]))

    async def _accept_some(self, served: Served, asked: Request, found: Read) -> web.Response:
        """Store the good items of a body and a dead letter about the others."""
        name = served.source.name
        rejected = [_clean(item) for item in found.rejected[:MAX_REJECTED]]
        bodies = _bodies(name, found)
        if self._may_keep(served, asked):
            count = len(found.events) + len(found.changes)
            reason = f"{len(found.rejected)} of {len(found.rejected) + count} items cannot be used"
            bodies.append(self._dead_letter(asked, "", reason, rejected))
        entries = await self._append(*bodies, at=asked.at) if bodies else [None]
        accepted = len(found.events) + len(found.changes)
        self.stats.accepted[name] += accepted
        self.stats.rejected[name] += len(found.rejected)
        _log.warning("items refused", source=name, accepted=accepted, rejected=len(found.rejected))
        answer = _own_answer(served.adapter, found)
        if answer is not None:
            return answer
        if not accepted and not served.adapter.resends_refused:
            faults = [Fault(f"{item.where}.{item.field}".strip("."), item.reason) for item in rejected[:MAX_PROBLEMS]]
            raise Refusal(400, UNREADABLE, "No item of this body can be used.", errors=faults)
        return _accepted(_Accepted(accepted, len(found.rejected), entries[0], rejected[:MAX_PROBLEMS]))

    async def _bury(self, served: Served, asked: Request, why: Unreadable) -> web.Response:
        """Keep a body that nothing can be made of, and say so. Raises `Refusal`."""
        item = _clean(Rejected("body", why.field, why.reason))
        entry = None
        if self._may_keep(served, asked):
            try:
                entry = (await self._append(self._dead_letter(asked, item.field, item.reason), at=asked.at))[0]
            except Unreadable:  # pragma: no cover  every text of a dead letter was cleaned
                _log.exception("a dead letter cannot be stored", source=served.source.name)
        self.stats.rejected[served.source.name] += 1
        _log.warning("body unreadable", source=served.source.name, field=item.field, reason=item.reason, entry=entry)
        if served.adapter.resends_refused:
            return _accepted(_Accepted(0, 1, entry, [item]))
        raise Refusal(400, UNREADABLE, f"{item.field}: {item.reason}", errors=[Fault(item.field, item.reason)])

    def _may_keep(self, served: Served, asked: Request) -> bool:
        """Tell whether the raw body may be stored: never that of a stranger from beyond this machine."""
        return asked.trusted or (served.open and self._settings.loopback)

    def _dead_letter(
        self, asked: Request, field: str, reason: str, rejected: list[Rejected] | None = None
    ) -> DeadLetter:
        limit = self._limits.dead_letter_bytes
        return DeadLetter(
            source=asked.source.name,
            reason=reason,
            field=field,
            body=asked.body[:limit],
            content_type=clean_text(asked.headers.get("Content-Type", ""))[:MAX_REASON],
            length=len(asked.body),
            truncated=len(asked.body) > limit,
            rejected=rejected or [],
        )

    async def _append(self, *bodies: Body, at: Millis) -> list[str]:
        """Append, with the door's errors. Raises `Unreadable` when the events hold what cannot be encoded."""
        try:
            return await self._appender.append_all(bodies, at)
        except StoreUnavailable as error:
            raise unavailable(error.reason, error.retry_after_s) from error
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            _log.exception("events cannot be encoded")
            raise Unreadable("body", f"it holds a value that cannot be stored ({type(error).__name__})") from error


def _bodies(source: str, found: Read) -> list[Body]:
    bodies: list[Body] = [Events(source, found.events)] if found.events else []
    return [*bodies, ChangesTold(source, found.changes)] if found.changes else bodies


def _read(adapter: Adapter, asked: Request) -> Read:
    """Let the adapter read the body. Raises `Unreadable`, whatever the adapter raises."""
    try:
        return adapter.read(asked)
    except Unreadable:
        raise
    except Exception as error:
        _log.exception("adapter failed", adapter=adapter.name, source=asked.source.name)
        raise Unreadable("body", f"the adapter {adapter.name} failed on it ({type(error).__name__})") from error


def _check_signature(served: Served, asked: Request, secret: bytes) -> None:
    authenticate = served.adapter.authenticate
    if authenticate is None:
        raise unavailable(served.fault)
    try:
        reason = authenticate(asked, secret)
    except Exception as error:
        _log.exception("adapter failed on a signature", adapter=served.adapter.name, source=served.source.name)
        raise unauthenticated("The signature cannot be checked.") from error
    if reason is not None:
        raise unauthenticated(f"The signature is refused: {reason}.")


def _own_answer(adapter: Adapter, found: Read) -> web.Response | None:
    answer = adapter.answer(found)
    if answer is None:
        return None
    status, body, content_type = answer
    return web.Response(status=status, body=body, content_type=content_type)


def _accepted(answer: _Accepted) -> web.Response:
    if not answer.rejected and answer.entry is not None:
        body = b'{"accepted":%d,"rejected":0,"entry":"%s"}' % (answer.accepted, answer.entry.encode())
    else:
        document: dict[str, Any] = {"accepted": answer.accepted, "rejected": answer.rejected, "entry": answer.entry}
        if answer.problems:
            names = ("where", "field", "reason")
            document["problems"] = [{name: getattr(item, name) for name in names} for item in answer.problems]
        body = msgspec.json.encode(document)
    return web.Response(status=202, body=body, content_type=_JSON)


def _clean(item: Rejected) -> Rejected:
    return Rejected(*(clean_text(text)[:MAX_REASON] for text in (item.where, item.field, item.reason)))


def add_routes(app: web.Application, door: Door, adapters: SourceBook) -> None:
    """Mount the door's routes on an application, which `ingest.guard.GuardedRunner` must serve."""
    app.router.add_route("*", "/v1/events/{source}", door.events)
    app.router.add_route("*", "/v1/events/{source}/{rest:.*}", door.events)
    app.router.add_get("/report", door.report_form)
    app.router.add_route("*", "/report", door.report)
    for adapter in adapters.adapters:
        handle = door.at_path(adapter)
        for path in adapter.paths:
            if path != form.PATH:
                app.router.add_route("*", path, handle)


def application(
    settings: DoorSettings,
    appender: Appends,
    sources: SourceBook,
    clock: Callable[[], Millis],
    stats: DoorStats | None = None,
) -> web.Application:
    """Return an application with the door alone, for `GuardedRunner` to serve."""
    app = web.Application()
    add_routes(app, Door(settings, appender, sources, clock, stats), sources)
    return app
