"""The drain: reads the journal after the cursor, decides, commits. Start reading here, then `triage/decide.py`.

One drain decides at a time: it holds the lease, which is for efficiency. What makes two at once harmless is the fence
in `triage.store.commit`: a commit counts only if the cursor is still where this drain's memory was valid.

Under load the next batch is decided while the store writes the last one (`workers/flight.py`). That memory is ahead of
the store by one batch; should its commit fail, all of it is dropped, as on any doubt.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import redis
import structlog

from triage import turns
from triage.decide import SKEW_MAX, alike, decide, needs, now_of, then_needs
from triage.memory import GROUP, INCIDENT, THE_LEDGER, THE_META, THE_RULES, Changes, Key, Missing
from triage.model import Entry, Events, Group, Meta, Millis, Rules, RulesLoaded, Tick
from triage.rulebook import EMPTY, Rulebook, RulesError, compile_files
from triage.store import checkpoint, journal, keys, retention
from triage.store.client import BLOCK_S
from triage.store.commit import Cursor, Fenced, commit, order_of
from triage.store.memory import Batch, Cache
from triage.version import VERSION
from triage.waking import OLD_AFTER
from workers.flight import Launch, Threaded
from workers.lines import write_lines

BATCH_EVENTS: Final = 2_048
"""A batch is committed when it holds this many events."""
OVERLAP_EVENTS: Final = BATCH_EVENTS // 2
"""After a batch of this many events more are likely waiting: they are decided while it is being committed."""
READ_ENTRIES: Final = 512
"""How many entries are read from the journal at once; fewer where they are large, to bound what waits in memory."""
LEASE_MS: Final = 5_000
"""How long a lease lives without renewal: after a drain is killed, another takes over within this time."""
NEVER: Final[Millis] = 1 << 62
"""Later than any timer."""
RENEW_S: Final = 1.0
"""How often a living drain renews its lease, in seconds."""

Clock = Callable[[], Millis]
log = structlog.get_logger("tocsin.drain")


def wall_clock() -> Millis:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class _Flight:
    """A batch whose commit is under way; `cursor` waits for it, and raises what it met."""

    cursor: Callable[[], Cursor]
    entries: list[Entry]
    changes: Changes


class Drain:
    """Decides the journal. One per process; its memory is a cache, dropped on any doubt.

    `on_effects` is called after each commit that may have made an effect due. `launch` begins a commit that is waited
    for later; `overlap` is the size of a batch, in events, from which on that is done.
    """

    def __init__(
        self,
        client: redis.Redis,
        clock: Clock = wall_clock,
        name: str = "",
        on_effects: Callable[[], None] | None = None,
        kept: retention.Retention | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        launch: Launch | None = None,
        overlap: int = OVERLAP_EVENTS,
    ) -> None:
        self._client = client
        self._clock = clock
        self._monotonic = monotonic
        self._seen: tuple[Millis, float] = (-1, 0.0)
        self._token = f"{name or 'drain'}-{secrets.token_hex(6)}"
        self._on_effects = on_effects or (lambda: None)
        self._retention = kept
        self._rulebook: Rulebook = EMPTY
        self._rules_digest = ""
        self._renewed = 0.0
        self._commits = 0
        self._largest = 1
        self._launch = launch or Threaded()
        self._overlap = overlap
        self.drop()

    def drop(self) -> None:
        """Forget everything that was read from the store; the next step reads it again.

        Rules stay compiled, since a digest tells which text they were made from.
        """
        self._cache = Cache()
        self._cursor: Cursor | None = None
        self._flight: _Flight | None = None
        self._reached = ""
        self._ahead: list[Entry] = []
        self._ticked = ""
        self._next_timer: Millis | None = None

    def run(self, duration_s: float, stop: Callable[[], bool] = lambda: False) -> None:
        """Decide for `duration_s` seconds or until `stop()`, waiting first for whoever holds the lease.

        Raises redis.RedisError when the store fails; the memory is dropped then, and nothing is half done.
        """
        ends = time.monotonic() + duration_s
        try:
            while time.monotonic() < ends and not stop():
                if self.hold_lease():
                    self.step(block_ms=int(BLOCK_S * 1_000))
                else:
                    time.sleep(0.02)
            self.land()
        except Fenced:
            self.drop()
        except BaseException:
            self.drop()
            raise
        finally:
            self.release_lease()

    def hold_lease(self) -> bool:
        """Take the lease or renew it. Return whether this drain holds it."""
        now = time.monotonic()
        if self._renewed and now - self._renewed < RENEW_S:
            return True
        mine = self._token.encode()
        if self._flight is not None and not self._landed():
            self.drop()
        if self._client.set(keys.LEASE, self._token, nx=True, px=LEASE_MS):
            # After a hand-over to ourselves nobody else has committed, and the memory is as good as before.
            if self._cursor is not None and Cursor.read(self._client) != self._cursor:
                self.drop()
        elif self._client.get(keys.LEASE) == mine:
            self._client.pexpire(keys.LEASE, LEASE_MS)
        else:
            self._renewed = 0.0
            return False
        self._renewed = now
        return True

    def release_lease(self) -> None:
        """Give the lease up, if it is ours, so that the next drain starts at once."""
        self._renewed = 0.0
        try:
            if self._client.get(keys.LEASE) == self._token.encode():
                self._client.delete(keys.LEASE)
        except redis.RedisError:
            log.warning("lease not released; it expires by itself", lease_ms=LEASE_MS)

    def step(self, block_ms: int | None = None) -> int:
        """Decide and commit one batch, waiting for entries up to `block_ms`. Return how many entries were decided."""
        try:
            if self._cursor is None:
                self._begin()
            self._tick_if_due()
            batch = self._read(block_ms)
            if batch:
                self._decide_and_commit(batch)
            else:
                self.land()
        except Fenced:
            log.info("the store is further than this memory; starting over from it")
            self.drop()
            return 0
        except BaseException:
            self.drop()
            raise
        return len(batch)

    def land(self) -> None:
        """Wait for the commit that is under way, if one is. Raises Fenced or redis.RedisError; then drop the memory."""
        flight, self._flight = self._flight, None
        if flight is not None:
            self._committed(flight, flight.cursor())

    def _begin(self) -> None:
        """Read the cursor; write a checkpoint first when another version of `decide` made the memory."""
        cursor = Cursor.read(self._client)
        self._cache.load(self._client, [THE_META, THE_RULES])
        meta = cast("Meta | None", self._cache.get(THE_META))
        if meta is not None and meta.version != VERSION:
            log.info("checkpoint before a new version decides", before=f"{meta.version:x}", now=f"{VERSION:x}")
            checkpoint.write(self._client, cursor, VERSION, self._clock())
        self._use_rules()
        self._cursor = cursor
        self._reached = cursor.entry

    def _use_rules(self) -> None:
        """Compile the rules in force, if they are not compiled already."""
        rules = cast("Rules | None", self._cache.get(THE_RULES))
        digest = rules.digest if rules is not None else ""
        if digest == self._rules_digest:
            return
        self._rulebook = rulebook_of(rules)
        self._rules_digest = digest

    def _tick_if_due(self) -> None:
        """Append a tick when a timer is due and none is on its way; also when the journal has been idle for so long
        that its memory would be taken for old.
        """
        if self._ticked and order_of(self._ticked) > order_of(self._reached):
            return
        now = self._now()
        idle = now - self._seen[0] > OLD_AFTER and self._seen[0] > 0
        if self._no_timer_before() > now and not idle:
            return
        self._next_timer = None
        if self._no_timer_before() <= now or idle:
            self._ticked = journal.append(self._client, Tick(), now)

    def _now(self) -> Millis:
        """Return the time that a tick of now would carry. It goes on, whatever the clocks of the machines do.

        A clock that claims a leap is believed as far as the store's bears it out. Where that leaves us behind the
        journal (a clock was set back, or somebody else's ran ahead), time goes on from the journal's own.
        """
        self._load_missing({THE_META})
        meta = cast("Meta | None", self._cache.get(THE_META))
        reached = meta.now if meta is not None else 0
        if self._seen[0] != reached:
            self._seen = (reached, self._monotonic())
        going = reached + int((self._monotonic() - self._seen[1]) * 1_000)
        now = self._clock()
        if now > going + SKEW_MAX:
            seconds, micros = self._client.time()
            bound = seconds * 1_000 + micros // 1_000 + SKEW_MAX
            return now if now <= bound else max(bound, going)
        return now if now >= reached else going

    def _no_timer_before(self) -> Millis:
        """Return a time before which no timer is due. The store is asked once; our own commits tell what is new since.

        A timer that was cancelled leaves it too early, never too late; the store is asked again when it has come.
        """
        if self._next_timer is None:
            self.land()  # it may set timers
            soonest = cast("list[tuple[bytes, float]]", self._client.zrange(keys.TIMERS, 0, 0, withscores=True))
            self._next_timer = int(soonest[0][1]) if soonest else NEVER
        return self._next_timer

    def _read(self, block_ms: int | None) -> list[Entry]:
        """Return the next batch. Ticks begin one, since they need committed timers; new rules end one."""
        if not self._ahead:
            count = max(1, min(READ_ENTRIES, BATCH_EVENTS // self._largest))
            wait = None if self._flight is not None else self._until_next_timer(block_ms)
            self._ahead = journal.read(self._client, self._reached, count, wait)
            sizes = [len(entry.body.events) for entry in self._ahead if isinstance(entry.body, Events)]
            self._largest = max(sizes, default=1) or 1
        batch: list[Entry] = []
        events = 0
        for entry in self._ahead:
            if isinstance(entry.body, Tick) and batch:
                break
            batch.append(entry)
            events += len(entry.body.events) if isinstance(entry.body, Events) else 1
            if events >= BATCH_EVENTS or isinstance(entry.body, RulesLoaded):
                break
        del self._ahead[: len(batch)]
        return batch

    def _until_next_timer(self, block_ms: int | None) -> int | None:
        if block_ms is None:
            return None
        return max(1, min(block_ms, self._no_timer_before() - self._now()))

    def _decide_and_commit(self, entries: list[Entry]) -> None:
        """Decide a batch, and have it committed: at once or, where more is likely to wait, during the next one."""
        if isinstance(entries[0].body, Tick):
            self.land()  # it needs the timers as they were committed
        changes = self._decide(entries, *self._due(entries[0]))
        self.land()
        cursor = self._cursor
        assert cursor is not None  # noqa: S101  step has begun
        first, last, kept = entries[0].id, entries[-1].id, self._client

        def write() -> Cursor:
            return commit(kept, cursor, first, last, self._token, VERSION, changes)

        events = sum(len(entry.body.events) for entry in entries if isinstance(entry.body, Events))
        if events < self._overlap or THE_RULES in changes.puts:
            self._advance(entries, changes)
            self._committed(_Flight(write, entries, changes), write())
        else:
            self._flight = _Flight(self._launch(write), entries, changes)
            self._advance(entries, changes)

    def _advance(self, entries: list[Entry], changes: Changes) -> None:
        """Take over what a batch changes. Whatever stops its commit drops this memory."""
        self._reached = entries[-1].id
        self._cache.apply(changes)
        if self._next_timer is not None:
            due_times = (due for due in changes.timers.values() if due is not None)
            self._next_timer = min(self._next_timer, min(due_times, default=NEVER))

    def _committed(self, flight: _Flight, cursor: Cursor) -> None:
        """Do what follows once a batch is on stable storage."""
        self._cursor = cursor
        changes = flight.changes
        if any(family == "effect" and value is not None for (family, _), value in changes.puts.items()):
            self._on_effects()
        write_lines(flight.entries, changes)
        if THE_RULES in changes.puts:
            self._cache.load(self._client, [THE_RULES])
            self._use_rules()
        self._commits += 1
        if self._retention is not None:
            self._retention.keep(self._client, self._cursor, VERSION, self._clock())

    def _landed(self) -> bool:
        """Tell whether the commit under way succeeded."""
        try:
            self.land()
        except Fenced:
            return False
        return True

    def _due(self, entry: Entry) -> tuple[list[str], Millis | None]:
        """Return the timers that this tick fires, of those due by its time, and when the first of those was due."""
        if not isinstance(entry.body, Tick):
            return [], None
        self._load_missing({THE_META})
        now = now_of(entry, cast("Meta | None", self._cache.get(THE_META)))
        found = self._timers_due(now, turns.LIMIT + 1)
        if len(found) > turns.LIMIT:
            found = self._timers_due(now, turns.LOOK)
        names = [name.decode() for name, _ in found]
        self._load_missing(set(turns.reads(names)))
        return turns.pick(names, self._cache), int(found[0][1]) if found else None

    def _timers_due(self, now: Millis, limit: int) -> list[tuple[bytes, float]]:
        """Return timers due by `now` and when they were due, soonest first."""
        found = self._client.zrangebyscore(keys.TIMERS, "-inf", now, start=0, num=limit, withscores=True)
        return cast("list[tuple[bytes, float]]", found)

    def _decide(self, entries: list[Entry], due: list[str], oldest: Millis | None) -> Changes:
        batch = Batch(self._cache)
        self._prefetch(entries, due, batch)
        for entry in entries:
            while True:
                try:
                    ticks = (due, oldest) if isinstance(entry.body, Tick) else ((), None)
                    changes = decide(batch, entry, self._rulebook, *ticks)
                    break
                except Missing as missing:
                    self._load_missing(set(alike(missing.key, entry, due, self._rulebook, batch)))
            batch.changes.absorb(changes)
        return batch.changes

    def _prefetch(self, entries: list[Entry], due: list[str], batch: Batch) -> None:
        """Load what the batch will read, in three round trips: what it names, its groups, their incidents."""
        first: set[Key] = {THE_META, THE_LEDGER}
        for entry in entries:
            first.update(needs(entry, due if isinstance(entry.body, Tick) else ()))
        self._load_missing(first)
        second: set[Key] = set()
        for entry in entries:
            second.update(then_needs(entry, self._rulebook, batch))
        self._load_missing(second)
        groups = [cast("Group | None", batch.get(key)) for key in second if key[0] == GROUP]
        self._load_missing({(INCIDENT, group.incident) for group in groups if group is not None})

    def _load_missing(self, wanted: set[Key]) -> None:
        missing = [key for key in wanted if key not in self._cache.values]
        if missing:
            self._cache.load(self._client, missing)


def rulebook_of(rules: Rules | None) -> Rulebook:
    """Return the compiled rules; the built-in defaults when there are none, or when this version refuses them."""
    if rules is None or not rules.files:
        return EMPTY
    try:
        return compile_files(rules.files)
    except RulesError:
        log.exception("the rules in force do not compile in this version; using the defaults")
        return EMPTY
