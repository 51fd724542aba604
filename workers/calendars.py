"""Calendars that schedules import: read now and then, and told to the journal when they have changed.

One worker reads a calendar at a time: who sets its key in the store does, and the key's end is the next time. What is
read is compared with what triage remembers, so that a calendar that stays the same costs no entry. A calendar that
cannot be read is told after a few tries; triage keeps its last content.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
import redis
import structlog

from triage.imported import Imported
from triage.model import DAY, HOUR, MINUTE, SECOND, CalendarRead, Millis
from triage.rulebook import EMPTY, Rulebook, RulesError, compile_files
from triage.rulebook.types import Schedule
from triage.store import journal, keys, rotas
from workers import outbound
from workers.calendar_job import Answer, Job
from workers.calendar_names import names_of, source_of
from workers.secrets import Lookup, UnsetSecret, expand, scrub

BACK: Final[Millis] = 31 * DAY
AHEAD: Final[Millis] = 396 * DAY
"""How far back and ahead of today a calendar is read: what is remembered is bounded."""
STRETCH: Final[Millis] = 7 * DAY
"""When what is remembered ends this much earlier than what was read, it is told although nothing else has changed."""
LIMIT_S: Final = 30.0
"""How long reading one calendar may take, fetching included, in seconds."""
AGAIN_MS: Final[Millis] = MINUTE
"""How soon a calendar that could not be read is tried again."""
CLAIM_MS: Final[Millis] = 2 * MINUTE
LOOK_S: Final = 5.0
"""How often to look whether a calendar is to be read, in seconds."""
TRIES: Final = 3
"""After so many failures in a row a calendar that was read before is told to be broken."""
WHOLE_AFTER: Final[Millis] = DAY
"""After this long a calendar is fetched even if it has not changed: rules that recur reach further then."""
FAULT_AGAIN: Final[Millis] = 6 * HOUR
CALENDARS_MAX: Final = 100
"""How many calendars are read; the others are told to be too many."""
REASON_MAX: Final = 300

Clock = Callable[[], Millis]
Run = Callable[[bytes, float], Answer]
"""Does a job (JSON of a `Job`) within so many seconds, and never raises for a calendar."""
log = structlog.get_logger("calendars")


def window(now: Millis) -> tuple[Millis, Millis]:
    """Return the range that is read: whole days, so that reading twice in a day gives the same."""
    today = now // DAY * DAY
    return today - BACK, today + AHEAD


def in_own_process(job: bytes, limit_s: float) -> Answer:
    """Do a job in a process of its own, which is ended when it takes too long."""
    # -P: nothing of the folder that this process happens to run in is taken for the program.
    command = [sys.executable, "-P", "-m", "workers.calendar_reader"]
    try:
        ended = subprocess.run(command, input=job, capture_output=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return Answer(fault=f"Reading it took more than {limit_s:g} s.")
    except OSError as error:
        return Answer(fault=f"The reader cannot be started: {error.strerror}.")
    if ended.returncode:
        log.warning("the reader failed", status=ended.returncode, said=ended.stderr[-500:].decode(errors="replace"))
        return Answer(fault="Reading it took more time or memory than one calendar may, or broke the reader.")
    return msgspec.json.decode(ended.stdout, type=Answer)


def read(
    schedule: Schedule,
    names: Mapping[str, str],
    text: str,
    span: tuple[Millis, Millis],
    lookup: Lookup,
    asked: tuple[str, str] = ("", ""),
    limit_s: float = LIMIT_S,
    run: Run = in_own_process,
) -> Answer:
    """Read the calendar of a schedule. `text` is that of its file, `asked` the known copy's
    ETag and Last-Modified. Never raises for a calendar, however hostile.
    """
    ical = schedule.ical
    assert ical is not None  # noqa: S101  asked for schedules that import only
    if ical.file and not text:
        return Answer(fault=f"The rules folder has no file {ical.file}.")
    try:
        url, hidden = expand(ical.url, lookup)
    except UnsetSecret as unset:
        return Answer(fault=f"The secret {unset.name} is not set: set the variable {unset.name}, or {unset.name}_FILE.")
    job = Job(*span, schedule.time_zone, ical.by, dict(names), url, text, outbound.allowed(), *asked)
    found = run(msgspec.json.encode(job), limit_s)
    return msgspec.structs.replace(found, fault=scrub(found.fault, hidden)[:REASON_MAX])


@dataclass(slots=True)
class _Known:
    """What this process remembers of one source between two looks."""

    asked: tuple[str, str] = ("", "")
    whole_at: Millis = 0
    failures: int = 0


@dataclass(slots=True)
class _Rules:
    """The rules in force, compiled."""

    digest: str = ""
    rulebook: Rulebook = field(default_factory=lambda: EMPTY)
    files: Mapping[str, str] = field(default_factory=dict)


class Calendars:
    """Reads the calendars of the rules in force. `clock` returns milliseconds, `lookup` finds secrets."""

    def __init__(self, client: redis.Redis, clock: Clock, lookup: Lookup, run: Run = in_own_process) -> None:
        self._client = client
        self._clock = clock
        self._lookup = lookup
        self._run = run
        self._rules = _Rules()
        self._known: dict[str, _Known] = {}

    def look(self) -> int:
        """Read what is to be read now. Return how many calendars were read. Raises redis.RedisError."""
        self._use_rules()
        importing = [one for one in self._rules.rulebook.schedules.values() if one.ical is not None]
        count = 0
        sources: set[str] = set()
        for schedule in importing[:CALENDARS_MAX]:
            names = names_of(self._rules.rulebook, schedule)
            text = self._text(schedule)
            source = source_of(schedule, names, text)
            sources.add(source)
            key = keys.calendar(source)
            if self._client.set(key, "reading", nx=True, px=CLAIM_MS):
                self._client.set(key, "waits", px=self._read(schedule, names, text, source))
                count += 1
        for gone in self._known.keys() - sources:
            del self._known[gone]
        return count

    def _use_rules(self) -> None:
        digest, rules = rotas.rules(self._client, self._rules.digest)
        if rules is None:
            return
        try:
            self._rules = _Rules(digest, compile_files(rules.files), rules.files)
        except RulesError as error:
            log.warning("the rules in force do not compile here: is this an older Tocsin?", error=str(error))
            self._rules = _Rules(digest)

    def _text(self, schedule: Schedule) -> str:
        return self._rules.files.get(schedule.ical.file, "") if schedule.ical is not None else ""

    def _read(self, schedule: Schedule, names: Mapping[str, str], text: str, source: str) -> Millis:
        """Read one calendar and tell the journal if that is news. Return in how many ms it is read again."""
        now = self._clock()
        remembered = rotas.calendar(self._client, schedule.name) or Imported()
        known = self._known.setdefault(source, _Known())
        here = remembered.source == source and bool(remembered.read_at) and not remembered.fault
        asked = known.asked if here and now - known.whole_at < WHOLE_AFTER else ("", "")
        span = window(now)
        found = read(schedule, names, text, span, self._lookup, asked, run=self._run)
        if found.fault:
            self._failed(schedule, source, known, remembered, found.fault, now)
            return AGAIN_MS
        known.failures = 0
        known.asked = (found.etag, found.modified)
        if not found.unchanged:
            known.whole_at = now
            fresh = CalendarRead(schedule.name, source, tuple(found.shifts), *span, tuple(found.unknown))
            if _is_news(fresh, remembered):
                journal.append(self._client, fresh, now)
                log.info("calendar read", schedule=schedule.name, shifts=len(fresh.shifts), unknown=list(fresh.unknown))
        assert schedule.ical is not None  # noqa: S101  asked for schedules that import only
        every = schedule.ical.every
        return max(SECOND, every - int(source[:3], 36) % 97 * every // 970)  # up to a tenth sooner: not all at once

    def _failed(
        self, schedule: Schedule, source: str, known: _Known, remembered: Imported, fault: str, now: Millis
    ) -> None:
        known.failures += 1
        log.warning("calendar not read", schedule=schedule.name, reason=fault, failures=known.failures)
        if known.failures < TRIES and remembered.source == source and remembered.read_at:
            return
        told = remembered.fault == fault and now - remembered.fault_at < FAULT_AGAIN
        if not told:
            journal.append(self._client, CalendarRead(schedule.name, source, fault=fault), now)


def _is_news(fresh: CalendarRead, remembered: Imported) -> bool:
    """Tell whether the journal has to hear of this. Shifts that are over long since may have left it unsaid."""
    if remembered.fault or remembered.source != fresh.source or remembered.unknown != fresh.unknown:
        return True
    if remembered.end < fresh.end - STRETCH:
        return True
    low, high = max(remembered.start, fresh.start), min(remembered.end, fresh.end)
    return _between(remembered.shifts, low, high) != _between(fresh.shifts, low, high)


def _between(
    shifts: tuple[tuple[Millis, Millis, str], ...], low: Millis, high: Millis
) -> list[tuple[Millis, Millis, str]]:
    return [shift for shift in shifts if shift[1] > low and shift[0] < high]


class Keeper(threading.Thread):
    """Looks in a thread of a work process, with a connection of its own, until `stopping` is set."""

    def __init__(self, client: redis.Redis, clock: Clock, lookup: Lookup, stopping: threading.Event) -> None:
        super().__init__(name="calendars", daemon=True)
        self._calendars = Calendars(client, clock, lookup)
        self._stopping = stopping

    def run(self) -> None:
        """Look every few seconds. A store that is away is waited for."""
        while not self._stopping.wait(LOOK_S):
            try:
                self._calendars.look()
            except redis.RedisError as error:
                log.debug("the store is away", error=str(error))
            except Exception:
                log.exception("calendars could not be read; trying again")
