"""A small history in which everything happens once, played by a worker that may die anywhere, and what must come of it.

Deaths do not move the clock of the history, only the leases in the store run out; so the same incidents with the same
timelines and the same messages must come of it as without any death.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from tests.faults.dying import Copy, DyingChannel, Fate, Provider, dying_client
from tests.faults.dying import Died as Died
from triage.model import (
    HOUR,
    MINUTE,
    SECOND,
    Body,
    Command,
    Ending,
    Event,
    Events,
    Incident,
    Line,
    Millis,
    Result,
    RulesLoaded,
    Status,
    Verb,
    fingerprint_of,
    rules_digest,
)
from triage.store import journal, keys
from triage.store.audit import audit
from triage.store.client import connect
from triage.store.memory import value_of
from triage.store.retention import Retention, archived
from workers.deliver import Deliver
from workers.drain import Drain

START: Millis = 1_772_445_600_000  # Monday 2026-03-02, 10:00 UTC
LEASES_MS = 61 * SECOND
"""How long the dead stay unnoticed: every lease runs out in that time, and nothing else does."""
BEN_BACK: Millis = 5 * MINUTE + 3 * SECOND
"""Until then Ben's provider is busy: his page fails once and is delivered at the second attempt."""

SEVERITY = """
rules:
  - {name: checkout down, matchers: ['service="checkout"'], severity: P0, group_by: [service]}
  - {name: the rest, matchers: ['service=~".+"'], severity: P1, group_by: [service]}
"""
ONCALL = """
people:
  ana: {name: Ana, contact: ['file:///ana']}
  ben: {name: Ben, contact: ['file:///ben']}
policies:
  default:
    steps: [{notify: [ana], wait: 5m}, {notify: [ben], wait: 20m}]
operators: [ana]
last_resort: [ana]
"""


class Worker:
    """One process: a drain and a deliverer on one client, which die together."""

    def __init__(self, world: World, fate: Fate) -> None:
        self.fate = fate
        self.client = dying_client(world.url, fate, world.clock)
        self.drain = world.drain(self.client, world.clock, kept=world.kept)
        channels = {"file": DyingChannel(world.provider, fate)}
        self.deliver = world.deliver(self.client, world.clock, channels, lambda _: None)

    def work(self) -> None:
        """Take the lease, work until nothing is left to do, give it up."""
        assert self.drain.hold_lease(), "the lease of the dead did not run out"
        while self.drain.step() or self.deliver.pump():
            pass
        self.drain.release_lease()

    def close(self) -> None:
        self.client.connection_pool.disconnect()


class World:
    """The store, the senders, the people and the provider of one history; `fate` is the first worker's."""

    def __init__(
        self,
        url: str,
        fate: Fate,
        *,
        drain: type[Drain] = Drain,
        deliver: type[Deliver] = Deliver,
        kept: Retention | None = None,
    ) -> None:
        self.url = url
        self.fate = fate
        self.drain = drain
        self.deliver = deliver
        self.kept = kept
        self.now: Millis = START
        self.provider = Provider(self.clock, lambda person, at: person == "ben" and at < START + BEN_BACK)
        self.client = connect(url)
        self.client.flushall()
        self.accepted = 0
        self.appended: set[str] = set()
        self.unrecorded: set[str] = set()
        self.deaths: list[Fate] = []
        self.next_fate: Callable[[], Fate] = Fate
        self.worker = Worker(self, fate)

    def clock(self) -> Millis:
        return self.now

    def other_drain(self) -> Drain:
        """Return a drain of another process, which does not die."""
        return self.drain(dying_client(self.url, Fate(), self.clock), self.clock)

    def close(self) -> None:
        self.worker.close()
        self.client.close()

    # ---------------------------------------------------------------------------------------------- what happens

    def fires(self, *services: str, status: Status = Status.FIRING) -> None:
        """Append what the door would, in one transaction with the count."""
        events = [
            Event(status, fingerprint_of("story", one), f"{one} down", {"service": one.partition("/")[0], "host": one})
            for one in services
        ]
        self._append(Events("story", events))
        self.accepted += len(events)

    def loads(self, note: str) -> None:
        files = {"severity.yaml": f"# {note}{SEVERITY}", "oncall.yaml": ONCALL}
        self._append(RulesLoaded(rules_digest(files), files))

    def acknowledges(self, service: str, by: str) -> None:
        (key,) = [one.key for one in self.incidents if one.service == service]
        self._append(Command(Verb.ACKNOWLEDGE, key, by, "story"))

    def _append(self, body: Body) -> None:
        """Append at a moment of its own, so that the entry has the same id however many ticks there were before."""
        self.now += 1
        fields: Any = journal.fields(body, self.now)
        with self.client.pipeline() as pipe:
            pipe.xadd(keys.JOURNAL, fields, id=f"{self.now}-0")
            pipe.incrby(keys.ACCEPTED, fields[b"n"])
            pipe.execute()
        self.appended.add(f"{self.now}-0")

    def work(self) -> None:
        """Let the worker work; whenever it dies, bury it and let a fresh one, which does not die, go on."""
        while True:
            try:
                return self.worker.work()
            except Died:
                self._bury()

    def wait(self, until: Millis) -> None:
        """Move the clock to `until` after the start, stopping at each moment at which something is due."""
        while (due := self._next_due()) is not None and due < START + until:
            self.now = max(self.now, due)
            self.work()
        self.now = START + until
        self.work()

    def _next_due(self) -> Millis | None:
        found: list[int] = []
        for index in (keys.TIMERS, keys.DUE):
            soonest: Any = self.client.zrange(index, 0, 0, withscores=True)
            found += [int(score) for _, score in soonest]
        return min(found, default=None)

    def _bury(self) -> None:
        """What the provider took and the journal does not say is what may be sent again. Then the leases run out."""
        self.worker.close()
        self.unrecorded |= set(self.provider.copies) - self._recorded()
        self.let_leases_run_out()
        self.deaths.append(self.worker.fate)
        self.worker = Worker(self, self.next_fate())

    def let_leases_run_out(self) -> None:
        """Do to the leases in the store what a good minute would do."""
        for key in self.client.scan_iter():
            left: Any = self.client.pttl(key)
            if 0 <= left <= LEASES_MS:
                self.client.delete(key)
            elif left > LEASES_MS:
                self.client.pexpire(key, left - LEASES_MS)

    def _recorded(self) -> set[str]:
        entries: Any = self.client.xrange(keys.JOURNAL)
        bodies = [journal.decode(key, fields).body for key, fields in entries]
        done = [one for one in bodies if isinstance(one, Result) and one.ending is Ending.DELIVERED]
        return {one.effect for one in done} | self._trimmed()

    def _trimmed(self) -> set[str]:
        """Return what was recorded in a part of the journal that is gone: decided long since, it is no effect now."""
        if self.kept is None:
            return set()
        known: Any = self.client.hkeys(keys.family("effect"))
        return set(self.provider.copies) - {one.decode() for one in known}

    # ------------------------------------------------------------------------------------------ what came of it

    @property
    def incidents(self) -> list[Incident]:
        raw: Any = self.client.hvals(keys.family("incident"))
        found = [msgspec.convert(value_of("incident", one), Incident) for one in raw]
        return sorted(found, key=lambda one: one.service)

    def outcome(self) -> dict[str, Any]:
        """Return all that must not depend on who died and when, ids included."""
        firsts: dict[str, Copy] = {}
        for copy in self.provider.taken:
            firsts.setdefault(copy.id, copy)
        return {
            "incidents": [msgspec.structs.asdict(one) for one in self.incidents],
            "timelines": {one.service: self._timeline(one) for one in self.incidents},
            "messages": sorted((one.at, one.id, one.kind, one.person, _plain(one.title)) for one in firsts.values()),
            "outcomes": audit(self.client).outcomes,
            "due": self._next_due(),
        }

    def _timeline(self, incident: Incident) -> list[tuple[Millis, str, str, str]]:
        raw: Any = self.client.lrange(keys.timeline(incident.key), 0, -1)
        lines = [msgspec.msgpack.decode(one, type=Line) for one in raw]
        return [(line.at, line.what, line.text, line.by) for line in lines]

    def kept_entries(self) -> set[str]:
        """Return the ids of all entries in the journal and in the archive."""
        entries: Any = self.client.xrange(keys.JOURNAL)
        files = self.kept.archive.glob("*.msgpack.z") if self.kept and self.kept.archive else ()
        return {entry.decode() for entry, _ in entries} | {entry for file in files for entry, _ in archived(file)}

    def violations(self, undisturbed: dict[str, Any]) -> list[str]:
        """Return which promises do not hold, as sentences."""
        report = audit(self.client, replay=True)
        found = [] if report.ok else list(report.lines)
        if (report.accepted, report.undecided) != (self.accepted, 0):
            found.append(f"accepted {report.accepted} of {self.accepted}, undecided {report.undecided}")
        outcome = self.outcome()
        found += [
            f"{what} differ: {_first_difference(undisturbed[what], value)}"
            for what, value in outcome.items()
            if value != undisturbed[what]
        ]
        for name, count in self.provider.copies.items():
            if count > 1 and name not in self.unrecorded:
                found.append(f"{name} was sent {count} times although its result was recorded")
            if count > 2:
                found.append(f"{name} was sent {count} times for one death")
        repeats = Counter(one.id for one in self.provider.taken if one.possible_repeat)
        if any(repeats[name] < count - 1 for name, count in self.provider.copies.items()):
            found.append("a second copy does not say that it may be one")
        return found


def _plain(title: str) -> str:
    """Return a title without the mark of a copy that may be the second one; the first may have died unsent."""
    return title.removesuffix(" (possible repeat)")


def _first_difference(one: Any, other: Any) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        wrong = sorted(key for key in {*one, *other} if one.get(key) != other.get(key))
        return f"{wrong[0]}: " + _first_difference(one.get(wrong[0]), other.get(wrong[0]))
    if isinstance(one, list) and isinstance(other, list):
        for a, b in zip(one, other, strict=False):
            if a != b:
                return _first_difference(a, b)
        return f"{len(other)} instead of {len(one)}: {(one + other)[min(len(one), len(other)) :][:3]}"
    return f"{other!r} instead of {one!r}"


def history(world: World) -> World:
    """Everything once: rules, fire, repeat, a second group, a step, a failed delivery, ack, reload, resolve, settle."""
    world.loads("first")
    world.fires("checkout")
    world.work()
    world.fires("checkout", "search")
    world.work()
    world.wait(5 * MINUTE + 30 * SECOND)
    world.acknowledges("checkout", "ana")
    world.loads("second")
    world.fires("search/2")
    world.work()
    world.fires("checkout", "search", "search/2", status=Status.RESOLVED)
    world.wait(2 * HOUR)
    return world


def short_history(world: World) -> World:
    """Open, page, escalate, end: for what need not be tried at every point of the long one."""
    world.loads("first")
    world.fires("checkout")
    world.work()
    world.wait(6 * MINUTE)
    world.fires("checkout", status=Status.RESOLVED)
    world.wait(2 * HOUR)
    return world


Story = Callable[[World], World]
