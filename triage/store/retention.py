"""What is kept of history: a checkpoint, then the older journal goes to a compressed archive and out of Redis."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import redis
import structlog

from triage.model import HOUR, Millis
from triage.store import checkpoint, keys
from triage.store.commit import Cursor, order_of
from triage.store.memory import ENCODER

ARCHIVE_PAGE: Final = 1_000
"""How many entries are read and compressed at once."""
ARCHIVED: Final = "journal-before-"
"""How the name of an archived stretch begins; the id of the first entry that it does not hold follows."""
log = structlog.get_logger("tocsin.retention")


@dataclass(slots=True)
class Retention:
    """How much journal stays in Redis, and where the rest goes. Lease holders call `keep` after each commit.

    `keep_ms`: entries older than this go. `entries_max`: so do the oldest beyond this many. `archive`: a folder for
    closed stretches, or None to drop them. `archive_ms`: how long these stay. `dead_letters_ms`: how long dead
    letters stay.
    """

    keep_ms: Millis
    entries_max: int = 1_000_000
    archive: Path | None = None
    dead_letters_ms: Millis = 30 * 24 * HOUR
    archive_ms: Millis = 400 * 24 * HOUR
    every_ms: Millis = HOUR
    _last: Millis = 0
    _commits: int = 0

    def keep(self, client: redis.Redis, cursor: Cursor, version: int, now: Millis) -> None:
        """Trim what is too old, at most once per `every_ms`; a checkpoint is written first."""
        self._commits += 1
        crowded = self._commits % 1_000 == 0 and client.xlen(keys.JOURNAL) > self.entries_max * 5 // 4
        if self._last == 0:
            self._last = now
        if not crowded and now - self._last < self.every_ms:
            return
        self._last = now
        before = self._cut(client, now)
        if before is not None:
            self.trim(client, cursor, before, version, now)

    def _cut(self, client: redis.Redis, now: Millis) -> str | None:
        """Return the id below which entries go, or None when nothing is old enough."""
        first = cast("Any", client.xrange(keys.JOURNAL, count=1))
        if not first:
            return None
        by_age = now - self.keep_ms
        surplus = client.xlen(keys.JOURNAL) - self.entries_max
        if surplus > 0:
            nth = cast("Any", client.xrange(keys.JOURNAL, count=min(surplus, 100_000)))[-1][0].decode()
            by_age = max(by_age, int(nth.partition("-")[0]))
        oldest = int(first[0][0].decode().partition("-")[0])
        return f"{by_age}-0" if oldest < by_age else None

    def trim(self, client: redis.Redis, cursor: Cursor, before: str, version: int, now: Millis) -> None:
        """Write a checkpoint at `cursor`, archive the decided entries below the id `before`, and drop them."""
        size = checkpoint.write(client, cursor, version, now)
        if order_of(before) > order_of(cursor.entry):
            before = cursor.entry
        if self.archive is not None:
            _archive(client, self.archive, before)
            _forget_archived(self.archive, now - self.archive_ms)
        with client.pipeline(transaction=True) as pipe:
            for stream in (keys.JOURNAL, keys.DECISIONS, keys.COMMITS):
                pipe.xtrim(stream, minid=before, approximate=False)
            pipe.xtrim(keys.DEAD_LETTERS, minid=f"{max(0, now - self.dead_letters_ms)}-0", approximate=False)
            pipe.execute()
        log.info("journal trimmed", before=before, checkpoint_bytes=size, archive=str(self.archive or ""))


def _archive(client: redis.Redis, folder: Path, before: str) -> None:
    """Write the entries below `before` to one durable file: a zlib stream of msgpack lists of (id, fields)."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / f"{ARCHIVED}{before}.msgpack.z"
    part = target.with_suffix(".part")
    squeeze = zlib.compressobj(6)
    start = "-"
    with part.open("wb") as file:
        while page := cast("Any", client.xrange(keys.JOURNAL, min=start, max=f"({before}", count=ARCHIVE_PAGE)):
            file.write(squeeze.compress(ENCODER.encode([(one.decode(), fields) for one, fields in page])))
            start = f"({page[-1][0].decode()}"
        file.write(squeeze.flush())
        file.flush()
        os.fsync(file.fileno())
    part.replace(target)


def _forget_archived(folder: Path, before: Millis) -> None:
    """Delete the stretches whose last entry is older than `before`; other files in the folder are left alone."""
    for path in sorted(folder.glob(f"{ARCHIVED}*.msgpack.z")):
        stamp = path.name.removeprefix(ARCHIVED).partition("-")[0]
        if stamp.isdigit() and int(stamp) < before:
            path.unlink()
