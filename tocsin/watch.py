"""What a receiver keeps an eye on: the rules folder, the rules in force, and the room that is left in the store."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable
from typing import Any, Final

import structlog

from tocsin import rules
from tocsin.settings import Settings
from triage.model import Rules, RulesLoaded
from triage.rulebook import Rulebook, RulesError, compile_files
from triage.store import queries, standing
from triage.store.appender import Appender, StoreUnavailable

POLL_S: Final = 1.0
"""How often to look, in seconds."""
log = structlog.get_logger("serve")


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
            if not self._path.is_dir() and self._offered is None:
                self.errors = [f"there is no folder {self._path}; the rules in force stay, or the defaults decide"]
                return self.errors
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

    async def begin(self) -> None:
        """Offer the folder before anything is taken in: the first alerts of all would else be decided by no rules."""
        try:
            await self.offer("start")
        except (StoreUnavailable, *queries.DOWN, OSError) as error:
            log.warning("the rules could not be offered; trying again", error=str(error))

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


class InForce:
    """Follows the rules in force, as triage decided them, so that the door serves the sources that they name."""

    def __init__(self, client: queries.Client, use: Callable[[Rulebook], None]) -> None:
        self._client = client
        self._use = use
        self._digest = ""

    async def look(self) -> None:
        """Use the rules in force if they have changed. Raises one of `queries.DOWN`."""
        found = await standing.rules(self._client)
        if found is None or found.digest == self._digest:
            return
        self._digest = found.digest
        try:
            self._use(await asyncio.to_thread(compile_files, found.files))
        except RulesError as error:
            log.warning("the rules in force do not compile here: is this an older Tocsin?", error=str(error))

    async def watch(self) -> None:
        """Look each second, for ever."""
        while True:
            with contextlib.suppress(*queries.DOWN):
                await self.look()
            await asyncio.sleep(POLL_S)
