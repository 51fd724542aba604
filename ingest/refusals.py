"""Senders without the right token, told to the audit log: the first at once, and what follows it counted together.

A flood costs one line per source in ten minutes, whoever sends it and from however many addresses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from ingest.refusal import Refusal
from ingest.settings import DoorSettings
from triage.store.deeds import Deed

WINDOW_S: Final = 600.0
"""How long refusals of one source are counted before they are told together, in seconds."""
ADDRESSES_MAX: Final = 5
"""How many different addresses one line names."""
Note = Callable[[Deed], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class _Tally:
    """What came since the last line about a source."""

    count: int = 0
    addresses: dict[str, None] = field(default_factory=dict)
    others: bool = False
    timer: asyncio.TimerHandle | None = None


class Refusals:
    """Counts what was refused for want of a token, by source. `note` writes a line, and raises nothing.

    There are as many tallies as sources; names that are none share one.
    """

    def __init__(self, note: Note, window_s: float = WINDOW_S) -> None:
        self._note = note
        self._window_s = window_s
        self._tallies: dict[str, _Tally] = {}
        self._writing: set[asyncio.Task[None]] = set()

    def seen(self, source: str, address: str, forwarded: str, detail: str) -> None:
        """Note that a request for this source was refused. `detail` says why, without any token."""
        tally = self._tallies.get(source)
        if tally is None:
            self._begin(source)
            self._write(source, address, detail, forwarded)
            return
        tally.count += 1
        if len(tally.addresses) < ADDRESSES_MAX:
            tally.addresses[address] = None
        elif address not in tally.addresses:
            tally.others = True

    def _begin(self, source: str) -> None:
        timer = asyncio.get_running_loop().call_later(self._window_s, self._end, source)
        self._tallies[source] = _Tally(timer=timer)

    def _end(self, source: str) -> None:
        """Tell what was counted; where there was something, counting goes on."""
        if self._told(self._tallies.pop(source), source):
            self._begin(source)

    def _told(self, tally: _Tally, source: str) -> bool:
        if not tally.count:
            return False
        whence = ", ".join(tally.addresses) + (" and others" if tally.others else "")
        again = f"{tally.count} more like the one before, from {whence}"
        self._write(source, next(iter(tally.addresses)), again)
        return True

    def _write(self, source: str, address: str, detail: str, forwarded: str = "") -> None:
        deed = Deed("", "", "ingest", address, "send", source, 401, forwarded, detail)
        task = asyncio.get_running_loop().create_task(self._note(deed))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Tell what is counted, and wait until all of it is written."""
        for source, tally in [*self._tallies.items()]:
            if tally.timer is not None:
                tally.timer.cancel()
            self._told(tally, source)
        self._tallies.clear()
        await asyncio.gather(*self._writing)


def tell_strange(request: web.Request, settings: DoorSettings, source: str, refusal: Refusal) -> None:
    """Tell of a request that was refused, if that was for want of the right token; it spoke for `source`."""
    if refusal.status != 401:
        return
    settings.strange(source, request.remote or "", request.headers.get("X-Forwarded-For", ""), refusal.detail)
