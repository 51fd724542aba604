"""The public status page: for everybody, without signing in, and without a line of script.

It is made at most once in a while however many ask, kept by browsers and caches, and served as it was last made while
the store is away: it is when things break that people look.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

import structlog
from aiohttp import web

from desk.api import Office
from desk.rendering import Renderer, for_xml, linked
from desk.statuspage import OVERALL, WORDS, ComponentShape, PageShape, page_of
from triage.model import SECOND, Millis
from triage.store import publications, queries, standing

FRESH: Final[Millis] = 5 * SECOND
"""How long what was made is served again without a look at the store."""
HEADERS: Final = {
    "Cache-Control": "public, max-age=30, stale-while-revalidate=300, stale-if-error=86400",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_OPEN: Final = {"Access-Control-Allow-Origin": "*"}
"""What is public may be read by the scripts of any site."""
NAMES: Final = ("status", "status.json", "status.atom", "status.css")
_BAR, _STEP, _HEIGHT = 3, 4, 22
log: Final = structlog.get_logger("desk.status")


class Made(NamedTuple):
    """One document as it is sent."""

    body: bytes
    type: str
    etag: str


class StatusDoor:
    """Serves the page, its JSON, its feed and its style."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._renderer = Renderer()
        self._lock = asyncio.Lock()
        self._made: dict[str, Made] = {}
        self._made_at: Millis | None = None

    def add_routes(self, app: web.Application) -> None:
        """Put the page on the application."""
        for name in NAMES:
            app.router.add_get(f"/{name}", self.serve)

    async def serve(self, request: web.Request) -> web.Response:
        """Answer one of the documents, or that it has not changed."""
        name = request.path.lstrip("/")
        try:
            made = (await self._current())[name]
        except queries.DOWN as error:
            log.warning("the status page could not be made", error=str(error))
            raise web.HTTPServiceUnavailable(text="The status is not known just now.\n", headers=HEADERS) from None
        headers = {**HEADERS, "ETag": made.etag, **(_OPEN if name != "status" else {})}
        if made.etag in [one.strip() for one in request.headers.get("If-None-Match", "").split(",")]:
            return web.Response(status=304, headers=headers)
        return web.Response(body=made.body, headers={**headers, "Content-Type": made.type})

    async def _current(self) -> Mapping[str, Made]:
        """Return the documents, made again when they are old. While the store is away they are as they were."""
        async with self._lock:
            now = self._office.desk.clock()
            if self._made_at is None or not 0 <= now - self._made_at < FRESH:
                try:
                    self._made = await self._make(now)
                except queries.DOWN:
                    if not self._made:
                        raise
                self._made_at = now
            return self._made

    async def _make(self, now: Millis) -> dict[str, Made]:
        client = self._office.desk.client
        rules = self._office.rulebooks.of(await standing.rules(client)).status
        page = page_of(rules, await publications.every(client), now)
        return render(self._renderer, page, self._office.desk.settings.external_url)


def render(renderer: Renderer, page: PageShape, external_url: str) -> dict[str, Made]:
    """Return all documents of a page by name. `external_url` is where people reach this Tocsin, or ""."""
    bars = {one.name: bars_of(one) for one in page.components}
    html = renderer.text("status.html", page=page, words=WORDS, overall=OVERALL, bars=bars, linked=linked)
    feed = renderer.text("status.atom", page=page, url=f"{external_url}/status" if external_url else "")
    return {
        "status": _made(html.encode(), "text/html; charset=utf-8"),
        "status.json": _made(page.model_dump_json().encode(), "application/json"),
        "status.atom": _made(for_xml(feed).encode(), "application/atom+xml; charset=utf-8"),
        "status.css": _made(renderer.static["status.css"], "text/css; charset=utf-8"),
    }


def _made(body: bytes, type_: str) -> Made:
    return Made(body, type_, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')


class Bars(NamedTuple):
    """Ninety days as a drawing: for each state the path of its days, and what it shows in words."""

    paths: list[tuple[str, str]]
    said: str
    width: int
    height: int


def bars_of(component: ComponentShape) -> Bars:
    """Return the days of a component as bars, from the oldest on the left to today."""
    paths: dict[str, str] = {}
    for index, state in enumerate(component.days):
        bar = f"M{index * _STEP} 0h{_BAR}v{_HEIGHT}h-{_BAR}z"
        paths[state] = paths.get(state, "") + bar
    bad = sum(state != "operational" for state in component.days)
    said = f"{bad} {'day' if bad == 1 else 'days'} with trouble" if bad else "no trouble"
    return Bars(sorted(paths.items()), said, len(component.days) * _STEP - 1, _HEIGHT)
