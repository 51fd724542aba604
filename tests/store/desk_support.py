"""A desk on a real store with a real drain, for tests of what people see: `async with town(redis_url) as here`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientResponse, ClientSession, CookieJar, web

from desk.application import add_routes
from desk.context import Desk, Settings
from triage.model import Event, Events, Millis, RulesLoaded, Status, fingerprint_of_labels, rules_digest
from triage.model.roles import Role
from triage.store import client, queries
from triage.store.appender import Appender
from workers.drain import Drain

TOKEN = "correct horse battery staple"
NOW = 1_767_225_600_000
RULES = {
    "severity.yaml": """
rules:
  - name: checkout down
    matchers: ['service="checkout"', 'alertname="Down"']
    severity: P0
    group_by: [service, region]
  - name: payments down
    matchers: ['service="payments"', 'alertname="Down"']
    severity: P1
  - name: known noise
    matchers: ['alertname="Noise"']
    outcome: drop
""",
    "oncall.yaml": """
people:
  ada: {name: Ada, contact: ["terminal://"]}
policies:
  default:
    steps: [{notify: [ada], wait: 5m}]
last_resort: [ada]
operators: [ada]
""",
}


def event(status: str = "firing", title: str = "", annotations: dict[str, str] | None = None, **labels: str) -> Event:
    """Return an event with these labels."""
    return Event(
        status=Status(status),
        fingerprint=fingerprint_of_labels("alertmanager", labels),
        title=title or f"{labels.get('service', '?')} is down",
        labels=labels,
        annotations=annotations or {},
        raw_severity=labels.get("severity", ""),
        url="https://prometheus.example/graph",
    )


DOWN = event(alertname="Down", service="checkout", region="eu", instance="a")


@dataclass
class Clock:
    """A clock that tests move."""

    now: Millis = NOW

    def __call__(self) -> Millis:
        return self.now


@dataclass
class Town:
    """What a test works with: the desk, its address, a drain that it steps or lets run, a browserless browser."""

    desk: Desk
    url: str
    session: ClientSession
    drain: Drain
    clock: Clock
    runner: web.AppRunner
    csrf: str = ""

    @property
    def client(self) -> queries.Client:
        return self.desk.client

    def routes(self) -> list[web.AbstractRoute]:
        """Return everything that the application serves."""
        return list(self.runner.app.router.routes())

    async def decide(self) -> None:
        """Decide everything that waits, ticks included."""
        while await asyncio.to_thread(self._step):
            pass

    def _step(self) -> int:
        return self.drain.step() if self.drain.hold_lease() else 0

    async def send(self, *events: Event, source: str = "alertmanager") -> str:
        """Have events accepted and decided; return the entry id."""
        entry = await self.desk.appender.append(Events(source=source, events=list(events)), self.clock())
        await self.decide()
        return entry

    async def load(self, files: dict[str, str]) -> None:
        """Put rules in force."""
        body = RulesLoaded(digest=rules_digest(files), files=files, by="test")
        await self.desk.appender.append(body, self.clock())
        await self.decide()

    @contextlib.asynccontextmanager
    async def draining(self) -> AsyncIterator[None]:
        """Decide in the background for as long as the block runs."""
        stop = asyncio.Event()

        async def run() -> None:
            while not stop.is_set():
                await self.decide()
                await asyncio.sleep(0.005)

        task = asyncio.create_task(run())
        try:
            yield
        finally:
            stop.set()
            await task

    async def ask(
        self, method: str, path: str, *, token: str | None = TOKEN, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[int, Any]:
        """Ask the API; return the status and the JSON."""
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.request(
            method, f"{self.url}/api/v1{path}", headers={**sent, **(headers or {})}, **more
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def get(self, path: str, **more: Any) -> Any:
        """Return what a GET answers, which must be 200."""
        status, found = await self.ask("GET", path, **more)
        assert status == 200, found
        return found

    async def view(self, path: str, **more: Any) -> tuple[ClientResponse, str]:
        """Fetch a view as a browser would, following no redirect."""
        async with self.session.get(self.url + path, allow_redirects=False, **more) as answer:
            return answer, await answer.text()

    async def post(self, path: str, fields: dict[str, str], **more: Any) -> tuple[ClientResponse, str]:
        """Send a form, following no redirect."""
        async with self.session.post(self.url + path, data=fields, allow_redirects=False, **more) as answer:
            return answer, await answer.text()

    async def sign_in(self, token: str = TOKEN) -> None:
        """Sign in, and remember the secret of our forms."""
        answer, _ = await self.post("/login", {"token": token, "next": "/"})
        assert answer.status == 303
        _, text = await self.view("/")
        self.csrf = text.partition('name="csrf" value="')[2].partition('"')[0]
        assert self.csrf


@contextlib.asynccontextmanager
async def town(redis_url: str, **settings: Any) -> AsyncIterator[Town]:
    """Yield a town whose rules are RULES."""
    given: dict[str, Any] = {"tokens": {"admin": hashlib.sha256(TOKEN.encode()).hexdigest()}, "answer_wait_s": 2.0}
    given |= {"roles": {"admin": Role.ADMIN}, **settings}
    clock = Clock()
    appender = Appender(redis_url)
    await appender.start()
    asking = client.connect_async(redis_url)
    deciding = client.connect(redis_url)
    desk = Desk(asking, appender, Settings(**given), clock)
    app = web.Application()
    add_routes(app, desk)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    session = ClientSession(cookie_jar=CookieJar(unsafe=True))
    here = Town(desk, f"http://127.0.0.1:{port}", session, Drain(deciding, clock), clock, runner)
    try:
        await here.load(RULES)
        yield here
    finally:
        await session.close()
        await runner.cleanup()
        await appender.close()
        await asking.aclose()
        deciding.close()
