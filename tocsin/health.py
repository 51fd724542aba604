"""`/-/healthy`, `/-/ready`, `/-/reload` and `/metrics`: what Prometheus has, under the same paths."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from ingest.stats import DoorStats
from tocsin import metrics
from tocsin.watch import RulesWatcher
from triage.store import queries, rotas, standing, watching
from triage.store.appender import StoreUnavailable
from triage.store.preflight import Refusal

PATIENCE_S: Final = 2.0
"""How long the store may take to answer before this receiver counts as not ready."""


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
FEW: Final = 5
"""How many errors of the rules are shown here; `tocsin check` and the log show all."""


class Health:
    """The handlers, and what they need to know."""

    def __init__(
        self,
        client: queries.Client,
        accepted_losses: list[Refusal],
        watcher: RulesWatcher,
        stats: DoorStats,
        shadow: bool = False,
    ) -> None:
        self._shadow = shadow
        self._client = client
        self._losses = accepted_losses
        self._watcher = watcher
        self._stats = stats
        self.stopping = False

    def add_routes(self, app: web.Application, admins_only: Callable[[Handler], Handler]) -> None:
        """Add the routes to the application. `admins_only` wraps what changes something."""
        reload = admins_only(self.reload)
        app.router.add_get("/-/healthy", self.healthy)
        app.router.add_get("/-/ready", self.ready)
        app.router.add_route("POST", "/-/reload", reload)
        app.router.add_route("PUT", "/-/reload", reload)
        app.router.add_get("/metrics", self.metrics)

    async def healthy(self, _request: web.Request) -> web.Response:
        """Answer 200 as long as this process turns its loop: restarting it would help with nothing else."""
        return web.json_response({"healthy": True})

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer 200 when events can be accepted, else 503; both say what is wrong."""
        why_not = ["this receiver is stopping"] if self.stopping else []
        warnings: list[str] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                warnings += await self._look_around()
        except TimeoutError:
            why_not.append(f"the store did not answer within {PATIENCE_S:.0f} s")
        except queries.DOWN as error:
            why_not.append(f"the store does not answer: {error}")
        said: dict[str, Any] = {"ready": not why_not, "why_not": why_not, "warnings": warnings}
        said["paging"] = "shadow" if self._shadow else "live"
        said["accepted_data_loss"] = [str(refusal) for refusal in self._losses]
        return web.json_response(said, status=503 if why_not else 200)

    async def _look_around(self) -> list[str]:
        """Return what is amiss although events can be accepted."""
        found = []
        rules = await standing.rules(self._client)
        if rules is None:
            found.append("no rules are in force yet: the defaults decide until a worker has read them")
        found += [f"the rules folder: {error}" for error in self._watcher.errors[:FEW]]
        for name, calendar in (await rotas.calendars(self._client)).items():
            if calendar.fault:
                found.append(f"the calendar of schedule {name}: {calendar.fault}")
        now = time.time_ns() // 1_000_000
        seen = [one for one in await standing.workers(self._client) if now - one.seen_at < metrics.WORKER_SILENT_MS]
        if not seen:
            found.append("no worker gave a sign of life lately: what is accepted waits until `tocsin work` runs")
        found += of_shadow(self._shadow, {one.role for one in seen})
        found += watching.sentences(await watching.reports(self._client), now)
        return found

    async def reload(self, _request: web.Request) -> web.Response:
        """Read the rules again. 200 when they are offered or unchanged, 422 with every error when refused."""
        try:
            errors = await self._watcher.offer("POST /-/reload")
        except (StoreUnavailable, *queries.DOWN) as error:
            return web.json_response({"errors": [f"the store does not answer: {error}"]}, status=503)
        return web.json_response({"errors": errors}, status=422 if errors else 200)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Answer with the metrics, or 503 when the store cannot be read."""
        try:
            async with asyncio.timeout(PATIENCE_S * 4):
                body = await metrics.scrape(self._client, self._stats)
        except (TimeoutError, *queries.DOWN) as error:
            raise web.HTTPServiceUnavailable(text=f"The store does not answer: {error}\n") from None
        return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})


def of_shadow(here: bool, roles: set[str]) -> list[str]:
    """Return what is to be said when nobody is told, or when the machines do not agree on it."""
    quiet, loud = standing.DELIVER_SHADOW in roles, standing.DELIVER in roles
    if (here and loud) or (quiet and (loud or not here)):
        return ["some processes run with --paging=shadow and others do not: who is told depends on which comes first"]
    return ["paging is in shadow: nobody is told; `tocsin shadow` lists whom Tocsin would have told"] if here else []
