"""What is kept of history: a checkpoint, then the older journal goes to a compressed archive and out of Redis."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, cast

import msgspec
import redis
import structlog

from triage.model import DAY, HOUR, Millis
from triage.store import checkpoint, keys
from triage.store.commit import Cursor, order_of
from triage.store.memory import ENCODER

PAGE: Final = 100
"""How many entries are read at once while trimming; one can be megabytes."""
LOOK_EVERY: Final = 200
"""After so many commits the size of the journal is looked at, besides the look every hour."""
ARCHIVED: Final = "journal-before-"
"""How the name of an archived stretch begins; the id of the first entry that it does not hold follows."""
_PART: Final = "journal.part"
_DECODER: Final = msgspec.msgpack.Decoder(list[tuple[str, dict[bytes, bytes]]])
log = structlog.get_logger("tocsin.retention")

Page = list[tuple[bytes, dict[bytes, bytes]]]


@dataclass(slots=True)
class Retention:
    """How much journal stays in Redis, and where the rest goes. Lease holders call `keep` after each commit.

    `keep_ms`: entries older than this go. Beyond `entries_max` entries or `bytes_max` bytes of journal the oldest go
    too, down to nine tenths of the entries or half of the bytes. What is not decided never goes. `archive`: a folder
    for closed stretches, or None to drop them; `archive_ms`: how long these stay. `dead_letters_ms`: for
    dead letters.
    """

    keep_ms: Millis
    entries_max: int = 1_000_000
    bytes_max: int = 1024**3
    archive: Path | None = None
    archive_ms: Millis = 400 * DAY
    dead_letters_ms: Millis = 30 * DAY
    every_ms: Millis = HOUR
    _last: Millis = 0
    _commits: int = 0

    def keep(self, client: redis.Redis, cursor: Cursor, version: int, now: Millis) -> None:
        """Trim what is too old or too much; a checkpoint is written first."""
        self._commits += 1
        self._last = self._last or now
        hourly = now - self._last >= self.every_ms
        if not hourly and self._commits % LOOK_EVERY:
            return
        surplus = self._surplus(client)
        if not hourly and not surplus:
            return
        self._last = now
        before = f"{now - self.keep_ms}-0"
        if surplus or self._is_old(client, before):
            self.trim(client, cursor, before, version, now, surplus)

    def _surplus(self, client: redis.Redis) -> int:
        """Return how many of the oldest entries are too much."""
        length = client.xlen(keys.JOURNAL)
        if length > self.entries_max:
            return length - self.entries_max * 9 // 10
        size = client.memory_usage(keys.JOURNAL, samples=20) or 0
        return length - length * self.bytes_max // (2 * size) if size > self.bytes_max else 0

    @staticmethod
    def _is_old(client: redis.Redis, before: str) -> bool:
        first = cast("Page", client.xrange(keys.JOURNAL, count=1))
        return bool(first) and order_of(first[0][0].decode()) < order_of(before)

    def trim(
        self, client: redis.Redis, cursor: Cursor, before: str, version: int, now: Millis, surplus: int = 0
    ) -> None:
        """Write a checkpoint at `cursor`; archive and drop the entries below the id `before`, and `surplus` ones."""
        size = checkpoint.write(client, cursor, version, now)
        first_kept = ""
        with _writer(self.archive) as write:
            for page in _going(client, order_of(before), surplus, order_of(cursor.entry)):
                write(page)
                milliseconds, _, number = page[-1][0].decode().partition("-")
                first_kept = f"{milliseconds}-{int(number) + 1}"
        if not first_kept:
            return
        if self.archive is not None:
            (self.archive / _PART).replace(self.archive / f"{ARCHIVED}{first_kept}.msgpack.z")
            _forget_archived(self.archive, now - self.archive_ms)
        with client.pipeline(transaction=True) as pipe:
            for stream in (keys.JOURNAL, keys.DECISIONS, keys.COMMITS):
                pipe.xtrim(stream, minid=first_kept, approximate=False)
            pipe.xtrim(keys.DEAD_LETTERS, minid=f"{max(0, now - self.dead_letters_ms)}-0", approximate=False)
            pipe.execute()
        log.info("journal trimmed", first_kept=first_kept, checkpoint_bytes=size, archive=str(self.archive or ""))


def _going(client: redis.Redis, before: tuple[int, ...], surplus: int, decided: tuple[int, ...]) -> Iterator[Page]:
    """Yield, oldest first, the entries that go: too old or surplus, and decided. The entry of the cursor stays."""
    start, seen = "-", 0
    while page := cast("Page", client.xrange(keys.JOURNAL, min=start, count=PAGE)):
        going: Page = []
        for entry_id, fields in page:
            order = order_of(entry_id.decode())
            if order >= decided or (order >= before and seen >= surplus):
                break
            going.append((entry_id, fields))
            seen += 1
        if going:
            yield going
        if len(going) < len(page):
            return
        start = f"({page[-1][0].decode()}"


class _Write(Protocol):
    def __call__(self, page: Page) -> None: ...


@contextmanager
def _writer(folder: Path | None) -> Iterator[_Write]:
    """Yield what writes pages to a zlib stream; each is its length (4 bytes, big-endian) and a msgpack list of
    (id, fields). All is on disk at the end.
    """
    if folder is None:
        yield lambda _page: None
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    squeeze = zlib.compressobj(6)
    with (folder / _PART).open("wb") as file:

        def write(page: Page) -> None:
            packed = ENCODER.encode([(one.decode(), fields) for one, fields in page])
            file.write(squeeze.compress(len(packed).to_bytes(4, "big") + packed))

        yield write
        file.write(squeeze.flush())
        file.flush()
        os.fsync(file.fileno())


def _forget_archived(folder: Path, before: Millis) -> None:
    """Delete the stretches whose last entry is older than `before`; other files in the folder are left alone."""
    for path in sorted(folder.glob(f"{ARCHIVED}*.msgpack.z")):
        stamp = path.name.removeprefix(ARCHIVED).partition("-")[0]
        if stamp.isdigit() and int(stamp) < before:
            path.unlink()


def archived(path: Path) -> Iterator[tuple[str, dict[bytes, bytes]]]:
    """Yield the entries (id, stream fields) of an archived stretch. Raises zlib.error if damaged."""
    raw = memoryview(zlib.decompress(path.read_bytes()))
    while raw:
        length = int.from_bytes(raw[:4], "big")
        yield from _DECODER.decode(raw[4 : 4 + length])
        raw = raw[4 + length :]
