"""`tocsin serve`: one receiver. It puts the two doors, health and the rules watcher on one address."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from aiohttp import web

from tocsin import rules, starting
from tocsin.health import Health
from tocsin.settings import Settings, inherited_socket
from tocsin.supervisor import listen
from tocsin.trust import trust_store
from triage.model import Rules, RulesLoaded
from triage.store import queries, standing
from triage.store.appender import Appender, StoreUnavailable
from triage.store.client import connect_async
from triage.store.preflight import Refusal

POLL_S: Final = 1.0
"""How often the rules folder is looked at."""
log = structlog.get_logger("serve")


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises trust.Refused."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(settings))


def _is_news(found: RulesLoaded, known: Rules | None) -> bool:
    """Tell whether the journal has to hear of this: it is not what is in force, or not how it was refused."""
    if known is None:
        return True
    if found.errors:
        return known.refused != found.errors
    return known.digest != found.digest or bool(known.refused)


class RulesWatcher:
    """Offers the rules folder to the journal: at start, when a file changes, and when asked."""

    def __init__(self, settings: Settings, client: queries.Client, appender: Appender) -> None:
        self._path = settings.rules_path
        self._client = client
        self._appender = appender
        self._busy = asyncio.Lock()
        self._offered: RulesLoaded | None = None
        self.errors: list[str] = []

    async def offer(self, by: str) -> list[str]:
        """Read, compile and append the folder unless it is already in force. Returns every error in it."""
        async with self._busy:
            known = await standing.rules(self._client)
            found = await asyncio.to_thread(rules.offer, self._path, by, known.files if known else {})
            self.errors = found.errors
            if _is_news(found.entry, known) and not self._waits(found.entry):
                await self._appender.append(found.entry, time.time_ns() // 1_000_000)
                self._offered = found.entry
                self._report(found)
            return found.errors

    def _report(self, found: rules.Offer) -> None:
        if found.entry.errors:
            log.error("the rules are refused, the old ones stay in force", by=found.entry.by, errors=found.errors)
        elif found.kept_teams:
            log.error("broken teams keep their last good rules", teams=found.kept_teams, errors=found.errors)
        else:
            log.info("rules offered", by=found.entry.by, digest=found.entry.digest, files=len(found.entry.files))

    def _waits(self, found: RulesLoaded) -> bool:
        """Tell whether this very text was offered last, and perhaps only waits to be decided."""
        last = self._offered
        return last is not None and (last.digest, last.errors) == (found.digest, found.errors)

    async def watch(self) -> None:
        """Look at the folder each second, for ever."""
        seen: frozenset[tuple[str, int, int]] | None = None
        while True:
            with contextlib.suppress(OSError):
                now = await asyncio.to_thread(rules.stamp, self._path)
                if now != seen:
                    try:
                        await self.offer("start" if seen is None else "file change")
                        seen = now
                    except (StoreUnavailable, *queries.DOWN) as error:
                        log.warning("the rules could not be offered; trying again", error=str(error))
            await asyncio.sleep(POLL_S)


class Room:
    """Whether the store has room for more. Asked before each append, so it only remembers what was last measured."""

    def __init__(self, settings: Settings, client: queries.Client) -> None:
        self._settings = settings
        self._client = client
        self._full = ""

    def full(self) -> str:
        """Return why nothing more may be stored, or ""."""
        return self._full

    async def watch(self) -> None:
        """Measure each second, for ever. A store that does not answer is not full; its own error says more."""
        while True:
            with contextlib.suppress(*queries.DOWN):
                self._full = await self._memory() or await asyncio.to_thread(self._disk)
            await asyncio.sleep(POLL_S)

    async def _memory(self) -> str:
        info: dict[str, Any] = await self._client.info("memory")
        used, limit = int(info["used_memory"]), self._settings.store_max_memory
        return f"the store uses {used} bytes, and --store.max-memory is {limit}" if used > limit else ""

    def _disk(self) -> str:
        try:
            free = shutil.disk_usage(self._settings.storage_path).free
        except OSError:
            return ""
        limit = self._settings.store_min_disk
        return f"{free} bytes are free on disk, and --store.min-disk is {limit}" if free < limit else ""


class Receiver:
    """One running receiver: what it holds, and how it stops."""

    def __init__(self, settings: Settings, losses: list[Refusal]) -> None:
        self.settings = settings
        self.client = connect_async(settings.redis_url)
        self.appender = Appender(settings.redis_url, max_waiting=settings.web_max_waiting)
        self.room = Room(settings, self.client)
        token = settings.admin_token or starting.read_token(settings.storage_path)
        self.watcher = RulesWatcher(settings, self.client, self.appender)
        self.health = Health(self.client, losses, token, self.watcher.offer)
        self.stop = asyncio.Event()
        self._reloads: set[asyncio.Task[list[str]]] = set()

    def application(self) -> web.Application:
        """Return everything that is served on this address."""
        app = web.Application(client_max_size=self.settings.web_max_body)
        self.health.add_routes(app)
        return app

    async def serve(self, listener: socket.socket) -> None:
        """Serve on `listener` until `stop` is set; then let requests finish."""
        runner = web.AppRunner(
            self.application(), access_log=None, shutdown_timeout=self.settings.web_shutdown_timeout / 1000
        )
        await self.appender.start()
        await runner.setup()
        await web.SockSite(runner, listener).start()
        watching = [asyncio.create_task(self.watcher.watch()), asyncio.create_task(self.room.watch())]
        note_address(self.settings, listener)
        try:
            await self.stop.wait()
        finally:
            self.health.stopping = True
            for task in watching:
                task.cancel()
            await runner.cleanup()
            await self.appender.close()
            await self.client.aclose()

    def hear_signals(self) -> None:
        """Stop on SIGTERM and SIGINT, read the rules again on SIGHUP."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        task = asyncio.create_task(self.watcher.offer("SIGHUP"))
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)


def note_address(settings: Settings, listener: socket.socket) -> None:
    """Say where this receiver listens, in the log and in a file for `tocsin incidents` and its like."""
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    log.info("listening", url=url)
    with contextlib.suppress(OSError):
        (settings.storage_path / starting.URL_FILE).write_text(url + "\n", "ascii")


async def _serve(settings: Settings) -> None:
    losses = await trust_store(settings)
    handed = inherited_socket()
    listener = socket.socket(fileno=handed) if handed is not None else listen(settings.web_listen_address)
    receiver = Receiver(settings, losses)
    receiver.hear_signals()
    await receiver.serve(listener)
