"""The audit: does the ledger balance, and does history decide itself again to the same digests?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

import msgspec
import redis

from triage import turns
from triage.decide import decide, now_of
from triage.memory import THE_LEDGER, THE_META, THE_RULES, Changes, DictMemory
from triage.model import Ledger, Meta, RulesLoaded, Tick
from triage.rulebook import EMPTY, Rulebook, RulesError, compile_files
from triage.store import checkpoint, journal, keys
from triage.store.commit import GENESIS, Cursor, encode
from triage.version import VERSION

PAGE: Final = 500
TRIES: Final = 20


@dataclass(slots=True)
class Report:
    """What the audit found. `ok` is false when a promise does not hold; `lines` say which, for people."""

    ok: bool = True
    lines: list[str] = field(default_factory=list)
    accepted: int = 0
    decided: int = 0
    undecided: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    def fail(self, line: str) -> None:
        """Note that something does not hold."""
        self.ok = False
        self.lines.append(line)


def audit(client: redis.Redis, replay: bool = False) -> Report:
    """Check the ledger equation, and with `replay` decide the kept journal again. Raises redis.RedisError."""
    report = Report()
    _balance(client, report)
    if replay:
        _replay(client, report)
    return report


def _balance(client: redis.Redis, report: Report) -> None:
    """`accepted == sum(outcomes) + undecided`, all read at one cursor."""
    for _ in range(TRIES):
        cursor = Cursor.read(client)
        with client.pipeline(transaction=True) as pipe:
            pipe.get(keys.CURSOR)
            pipe.get(keys.ACCEPTED)
            pipe.hget(keys.family("ledger"), "")
            pipe.xrevrange(keys.JOURNAL, count=1)
            again, accepted, ledger, newest = pipe.execute()
        if Cursor.parse(again) == cursor:
            break
    else:
        report.lines.append("the cursor moved at every look; counted while deciding goes on")
    known = msgspec.msgpack.decode(ledger, type=Ledger) if ledger else Ledger()
    report.accepted = int(accepted or 0)
    report.outcomes = known.outcomes
    report.decided = sum(known.outcomes.values())
    report.undecided = _undecided(client, cursor.entry, newest[0][0].decode()) if newest else 0
    equation = f"accepted {report.accepted} = decided {report.decided} + undecided {report.undecided}"
    if report.accepted == report.decided + report.undecided:
        report.lines.append(f"ledger holds: {equation}")
    else:
        report.fail(f"LEDGER DOES NOT HOLD: {equation} is off by {report.accepted - report.decided - report.undecided}")


def _undecided(client: redis.Redis, after: str, last: str) -> int:
    """Count the events of the entries in (after, last], however many; what is not decided is never trimmed."""
    total = 0
    while page := cast("Any", client.xrange(keys.JOURNAL, min=f"({after}", max=last, count=PAGE)):
        total += sum(journal.count_of(fields) for _, fields in page)
        after = page[-1][0].decode()
    return total


class _Replay:
    """A memory that decides again what was decided, commit by commit."""

    def __init__(self, memory: DictMemory) -> None:
        self.memory = memory
        self._digest = ""
        self._rulebook: Rulebook = EMPTY
        self._use_rules()

    def _use_rules(self) -> None:
        rules: Any = self.memory.get(THE_RULES)
        digest = rules.digest if rules is not None else ""
        if digest != self._digest:
            self._digest = digest
            self._rulebook = _compiled(rules.files)

    def decide(self, entries: list[Any]) -> Changes:
        """Return the changes of one commit's entries, and make them part of the memory."""
        total = Changes()
        for entry in entries:
            due: list[str] = []
            oldest = None
            if isinstance(entry.body, Tick):
                meta = cast("Meta | None", self.memory.get(THE_META))
                due = turns.due(self.memory, now_of(entry, meta))
                oldest = turns.oldest(self.memory, now_of(entry, meta))
            changes = decide(self.memory, entry, self._rulebook, due, oldest)
            self.memory.apply(changes)
            total.absorb(changes)
            if isinstance(entry.body, RulesLoaded):
                self._use_rules()
        return total


def _compiled(files: dict[str, str]) -> Rulebook:
    """Return what the drain decides by: the defaults where this version refuses the rules in force."""
    try:
        return compile_files(files) if files else EMPTY
    except RulesError:
        return EMPTY


def _replay(client: redis.Redis, report: Report) -> None:
    head, memory = checkpoint.load(client)
    cursor = Cursor.parse(head.cursor.encode()) if head else Cursor()
    if head is not None and head.version != VERSION:
        report.lines.append(f"the checkpoint is of version {head.version:x}; this is {VERSION:x}: nothing to compare")
        return
    replay = _Replay(memory)
    commits = 0
    for first, last, digest, version in _commits(client, cursor.entry):
        if version != VERSION:
            # An upgrade whose drain has not written its checkpoint yet, which is the first thing it does.
            says = f"commits from {first} on were decided by version {version:x}; this is {VERSION:x}"
            report.lines.append(f"{says}: nothing to compare")
            return
        raw = cast("Any", client.xrange(keys.JOURNAL, min=first, max=last))
        changes = replay.decide([journal.decode(entry_id, fields) for entry_id, fields in raw])
        found = encode(changes, cursor.digest).digest
        commits += 1
        if found != digest:
            report.fail(f"REPLAY DIFFERS at commit {first} … {last}: {found} instead of {digest}")
            return
        cursor = Cursor(last, "", digest)
    since = f"checkpoint {head.cursor.split(' ')[0]}" if head else "the beginning"
    report.lines.append(f"history replays: {commits} commits since {since}, same digest at each")
    _compare(client, report, replay.memory, cursor)


def _commits(client: redis.Redis, after: str) -> Iterator[tuple[str, str, str, int]]:
    start = f"({after}" if after != GENESIS else "-"
    while page := cast("Any", client.xrange(keys.COMMITS, min=start, count=PAGE)):
        for _, fields in page:
            first, last = fields[b"c"].decode().split(" ")
            yield first, last, fields[b"g"].decode(), int(fields[b"v"])
        start = f"({page[-1][0].decode()}"


def _compare(client: redis.Redis, report: Report, memory: DictMemory, cursor: Cursor) -> None:
    """Compare the replayed memory with the store's, when nothing was committed meanwhile."""
    stored = checkpoint.snapshot(client)
    if Cursor.read(client).entry != cursor.entry:
        report.lines.append("commits went on during the replay; the memory itself was not compared")
        return
    if stored.values == memory.values and stored.timers == memory.timers:
        report.lines.append(f"the memory is the same: {len(stored.values)} values, {len(stored.timers)} timers")
        return
    differing = [key for key in {*stored.values, *memory.values} if stored.values.get(key) != memory.values.get(key)]
    timers = {name for name in {*stored.timers, *memory.timers} if stored.timers.get(name) != memory.timers.get(name)}
    report.fail(f"MEMORY DIFFERS from its history: {sorted(differing)[:5]} timers {sorted(timers)[:5]}")


def ledger_of(client: redis.Redis) -> Ledger:
    """Return the ledger as last committed."""
    raw = cast("bytes | None", client.hget(keys.family(THE_LEDGER[0]), ""))
    return msgspec.msgpack.decode(raw, type=Ledger) if raw else Ledger()
