"""The door for beats: `GET|POST|HEAD /v1/heartbeats/{name}[/start|/fail|/{exit code}]`, one journal entry for each.

Whoever beats shows the heartbeat's token as the senders of events do (bearer, basic password, `?token=`). A heartbeat
without one is served on loopback only, and not to other web sites. The body, if any, is kept for people to read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import msgspec
import structlog
from aiohttp import web

from ingest.adapter import Unreadable
from ingest.crossing import check_site
from ingest.reading import plain_text
from ingest.refusal import Refusal, problem, unauthenticated, unavailable
from ingest.refusals import tell_strange
from ingest.server import Appends
from ingest.settings import DoorSettings
from ingest.sources import SourceBook, matches, offered
from ingest.stats import UNKNOWN, DoorStats
from ingest.unpacking import read_body, unpack
from triage.heartbeats import FAIL, START, SUCCESS
from triage.model import Event, Events, Kind, Millis, Status
from triage.rulebook.problems import closest
from triage.rulebook.types import FAILED, HEARTBEAT_SOURCE, Cadence
from triage.store.appender import StoreUnavailable

PATH: Final = "/v1/heartbeats/{name}"
METHODS: Final = frozenset({"GET", "POST", "HEAD"})
BODY_MAX: Final = 10_000
"""How many bytes of a body are kept."""
EXIT_CODE_MAX: Final = 255
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Known:
    """A heartbeat as the door serves it."""

    cadence: Cadence
    digests: tuple[bytes, ...]


class HeartbeatDoor:
    """Takes beats. `update` says which heartbeats there are, `sources` whose tokens may hear that a name is wrong."""

    def __init__(
        self,
        settings: DoorSettings,
        appender: Appends,
        sources: SourceBook,
        clock: Callable[[], Millis],
        stats: DoorStats,
    ) -> None:
        self._settings = settings
        self._appender = appender
        self._sources = sources
        self._clock = clock
        self._stats = stats
        self._known: dict[str, _Known] = {}

    def update(self, cadences: Mapping[str, Cadence]) -> None:
        """Serve the heartbeats of heartbeats.yaml among these."""
        pings = [cadence for key, cadence in cadences.items() if key.startswith("ping/")]
        self._known = {one.name: _Known(one, tuple(map(bytes.fromhex, one.token_sha256))) for one in pings}
        unproven = sorted(one.name for one in pings if not one.token_sha256)
        if unproven and not self._settings.loopback:
            _log.error("heartbeats not served: beyond loopback each needs a token_sha256", heartbeats=unproven[:20])

    def add_routes(self, app: web.Application) -> None:
        """Mount the routes, which `ingest.guard.GuardedRunner` must serve."""
        app.router.add_route("*", PATH, self.beat)
        app.router.add_route("*", PATH + "/{rest:.*}", self.beat)

    async def beat(self, request: web.Request) -> web.Response:
        """Take one beat: 202 once it is on stable storage."""
        started = perf_counter()
        name = UNKNOWN
        try:
            cadence = self._admit(request)
            name = HEARTBEAT_SOURCE
            response = await self._take(request, cadence)
        except Refusal as refusal:
            self._stats.refused[name, refusal.kind] += 1
            _log.warning("beat refused", status=refusal.status, kind=refusal.kind, why=refusal.detail)
            tell_strange(request, self._settings, HEARTBEAT_SOURCE, refusal)
            response = problem(refusal)
        self._stats.answered(name, response.status, perf_counter() - started)
        return response

    def _admit(self, request: web.Request) -> Cadence:
        """Find out which heartbeat may beat by this request. Raises `Refusal`."""
        known = self._known.get(request.match_info["name"])
        shown = offered(request.headers.get("Authorization", ""), request.query, "").digests
        if known is not None and known.digests and matches(known.digests, shown):
            return known.cadence
        if known is not None and not known.digests and self._settings.loopback:
            check_site(request.headers, self._settings)
            return known.cadence
        every = [digest for one in self._known.values() for digest in one.digests]
        welcome = matches(every, shown) or self._sources.any_welcomes(shown)  # asked for known names too: the same work
        if known is None and (self._settings.loopback or welcome):
            hint = closest(request.match_info["name"], self._known) or "heartbeats.yaml names those that there are."
            raise Refusal(404, "unknown-heartbeat", f"There is no such heartbeat: {hint}")
        raise unauthenticated("Show the heartbeat's token: as bearer, as basic password, or as ?token=.")

    async def _take(self, request: web.Request, cadence: Cadence) -> web.Response:
        if request.method not in METHODS:
            allowed = ", ".join(sorted(METHODS))
            detail = f"A heartbeat takes {allowed}."
            raise Refusal(405, "method", detail, headers={"Allow": allowed}, close=True)
        signal, code = _signal(request.match_info.get("rest", ""))
        raw = await read_body(request, self._settings.limits)
        if full := self._settings.full():
            raise unavailable(full)
        event = _event(cadence, signal, code, self._annotations(raw, request.headers.get("Content-Encoding", "")))
        try:
            entries = await self._appender.append_all((Events(HEARTBEAT_SOURCE, [event]),), self._clock())
        except StoreUnavailable as error:
            raise unavailable(error.reason, error.retry_after_s) from error
        self._stats.accepted[HEARTBEAT_SOURCE] += 1
        body = msgspec.json.encode({"accepted": 1, "rejected": 0, "entry": entries[0]})
        return web.Response(status=202, body=body, content_type="application/json")

    def _annotations(self, raw: bytes, encoding: str) -> dict[str, str]:
        """Return what a body says. One that cannot be unpacked is no reason to miss a beat."""
        try:
            body = unpack(raw, encoding, self._settings.limits)
        except Unreadable as error:
            return {"body_unreadable": f"{error.field}: {error.reason}"}
        text = plain_text(body[:BODY_MAX].decode("utf-8", "replace")).strip()
        if len(body) > BODY_MAX:
            text += f"… (cut at {BODY_MAX} of {len(body)} bytes)"
        return {"body": text} if text else {}


def _signal(rest: str) -> tuple[str, str]:
    """Return what the end of the path says (success, start, fail), and the exit code if any. Raises `Refusal`."""
    word = rest.strip("/")
    if word in ("", START, FAIL):
        return word or SUCCESS, ""
    if word.isascii() and word.isdigit() and len(word) <= 3 and int(word) <= EXIT_CODE_MAX:
        return SUCCESS if int(word) == 0 else FAIL, str(int(word))
    wanted = f"nothing, /{START}, /{FAIL}, or an exit code from 0 to {EXIT_CODE_MAX}"
    raise Refusal(404, "unknown-signal", f"After the name of a heartbeat comes {wanted}.", close=True)


def _event(cadence: Cadence, signal: str, code: str, annotations: dict[str, str]) -> Event:
    failed = signal == FAIL
    labels = {
        **cadence.labels,
        "alertname": FAILED if failed else "Heartbeat",
        "heartbeat": cadence.name,
        "signal": signal,
        **({"exit_code": code} if code else {}),
    }
    return Event(
        status=Status.FIRING if failed else Status.INFO,
        fingerprint=cadence.fingerprint({}),
        title=f"Heartbeat {cadence.name}: {signal}",
        labels=labels,
        annotations=annotations,
        raw_severity=cadence.severity.name if failed else "",
        kind=Kind.CHECK,
    )
