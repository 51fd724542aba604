"""What `decide` reads and what it answers: memory by key, and the changes to it.

A key is `(family, id)`. The store holds a hash per family; tests, replay and rehearsal hold a dict. `decide` reads
through a `Draft`, which hands out private copies for writing, so that a failed or incomplete decision leaves no trace.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final, Protocol, TypeAlias, cast

import msgspec

from triage.changed import Record, Recorded
from triage.checked import Checklist
from triage.drill import Drill, Drills
from triage.imported import Imported
from triage.lesson import Lessons
from triage.measured import Measures
from triage.model import (
    Alert,
    Answer,
    DeadLetter,
    Decision,
    Details,
    Effect,
    Group,
    Incident,
    Ledger,
    Line,
    Meta,
    Millis,
    Overrides,
    Place,
    Rules,
)
from triage.postmortem import Past, Postmortem, Version
from triage.public import Publication, Publications
from triage.repeat import Repeats
from triage.roster import Heartbeat, Roster
from triage.run import Run
from triage.shadow import Shadowed
from triage.silence import Crowd, Gate, Silence, Silences, Waiting
from triage.status import StatusUpdates
from triage.storm import Budget, Storm
from triage.subscription import Subscriptions
from triage.tally import Tally
from triage.tray import Tray
from triage.verification import Verifying

ALERT: Final = "alert"
DETAILS: Final = "details"
INCIDENT: Final = "incident"
GROUP: Final = "group"
EFFECT: Final = "effect"
HANDED: Final = "handed"
ACTION: Final = "action"
TALLY: Final = "tally"
OVERRIDES: Final = "overrides"
CALENDAR: Final = "calendar"
CHECKLIST: Final = "checklist"
HEARTBEAT: Final = "heartbeat"
ROSTER: Final = "roster"
SILENCE: Final = "silence"
SILENCES: Final = "silences"
WAITING: Final = "waiting"
GATE: Final = "gate"
CROWD: Final = "crowd"
BUDGET: Final = "budget"
STORM: Final = "storm"
TRAY: Final = "tray"
CHANGED: Final = "changed"
RECORDED: Final = "recorded"
UPDATES: Final = "updates"
PLACE: Final = "place"
SHADOW: Final = "shadow"
DRILL: Final = "drill"
DRILLS: Final = "drills"
SUBSCRIPTIONS: Final = "subscriptions"
PUBLICATION: Final = "publication"
PUBLICATIONS: Final = "publications"
POSTMORTEM: Final = "postmortem"
VERSION: Final = "version"
PAST: Final = "past"
LESSONS: Final = "lessons"
REPEATS: Final = "repeats"
METRICS: Final = "metrics"
VERIFYING: Final = "verifying"
META: Final = "meta"
LEDGER: Final = "ledger"
RULES: Final = "rules"

FAMILIES: Final[dict[str, type[msgspec.Struct]]] = {
    ALERT: Alert,
    DETAILS: Details,
    INCIDENT: Incident,
    GROUP: Group,
    EFFECT: Effect,
    HANDED: Effect,
    ACTION: Run,
    TALLY: Tally,
    OVERRIDES: Overrides,
    CALENDAR: Imported,
    CHECKLIST: Checklist,
    HEARTBEAT: Heartbeat,
    ROSTER: Roster,
    SILENCE: Silence,
    SILENCES: Silences,
    WAITING: Waiting,
    GATE: Gate,
    CROWD: Crowd,
    BUDGET: Budget,
    STORM: Storm,
    TRAY: Tray,
    CHANGED: Record,
    RECORDED: Recorded,
    UPDATES: StatusUpdates,
    PLACE: Place,
    SHADOW: Shadowed,
    DRILL: Drill,
    DRILLS: Drills,
    SUBSCRIPTIONS: Subscriptions,
    PUBLICATION: Publication,
    PUBLICATIONS: Publications,
    POSTMORTEM: Postmortem,
    VERSION: Version,
    PAST: Past,
    LESSONS: Lessons,
    REPEATS: Repeats,
    METRICS: Measures,
    VERIFYING: Verifying,
    META: Meta,
    LEDGER: Ledger,
    RULES: Rules,
}
"""Family name → the struct it holds. The store keeps one hash for each, field = id."""

Key: TypeAlias = tuple[str, str]
THE_META: Final[Key] = (META, "")
THE_LEDGER: Final[Key] = (LEDGER, "")
THE_RULES: Final[Key] = (RULES, "")
THE_ROSTER: Final[Key] = (ROSTER, "")
THE_TRAY: Final[Key] = (TRAY, "")
THE_WOKEN: Final[Key] = (TRAY, "woken")
THE_SILENCES: Final[Key] = (SILENCES, "")
THE_RECORDED: Final[Key] = (RECORDED, "")
THE_DRILLS: Final[Key] = (DRILLS, "")
THE_SUBSCRIPTIONS: Final[Key] = (SUBSCRIPTIONS, "")
THE_PUBLICATIONS: Final[Key] = (PUBLICATIONS, "")
THE_LESSONS: Final[Key] = (LESSONS, "")


class Missing(Exception):
    """`decide` needs a key that was not loaded. The shell loads it and decides the entry again."""

    def __init__(self, key: Key) -> None:
        super().__init__(f"{key[0]}:{key[1]}")
        self.key = key


class Memory(Protocol):
    """Read access by key. Raises `Missing` for what is not loaded; returns None for what is known not to exist."""

    def get(self, key: Key) -> msgspec.Struct | None:
        """Return what is remembered under `key`."""
        ...


class Changes(msgspec.Struct):
    """Everything that one or more decided entries change.

    `puts`: key → new value, or None to forget it. `timers`: timer id → when it is due, or None to cancel.
    `members`: incident key → fingerprint → joined (True) or left (False). `merged`: incident key → the one whose alerts
    its alerts are from now on. `decisions`, `answers` and `dead_letters` are by entry id.
    """

    puts: dict[Key, msgspec.Struct | None] = msgspec.field(default_factory=dict)
    timers: dict[str, Millis | None] = msgspec.field(default_factory=dict)
    members: dict[str, dict[str, bool]] = msgspec.field(default_factory=dict)
    lines: list[tuple[str, Line]] = msgspec.field(default_factory=list)
    decisions: dict[str, list[Decision]] = msgspec.field(default_factory=dict)
    answers: dict[str, Answer] = msgspec.field(default_factory=dict)
    dead_letters: dict[str, DeadLetter] = msgspec.field(default_factory=dict)
    merged: dict[str, str] = msgspec.field(default_factory=dict)

    def incidents(self) -> Iterator[tuple[str, Incident]]:
        """Return the incidents that are changed, by key."""
        for (family, key), value in self.puts.items():
            if family == INCIDENT and isinstance(value, Incident):
                yield key, value

    def absorb(self, later: Changes) -> None:
        """Add the changes of a later entry; where both speak of a key, the later one wins."""
        self.puts.update(later.puts)
        self.timers.update(later.timers)
        for incident, into in later.merged.items():
            self.merged[incident] = into
            self.members.setdefault(into, {}).update(self.members.pop(incident, {}))
        for incident, members in later.members.items():
            self.members.setdefault(incident, {}).update(members)
        self.lines += later.lines
        self.decisions.update(later.decisions)
        self.answers.update(later.answers)
        self.dead_letters.update(later.dead_letters)


class Draft:
    """The memory as one entry's decision sees it: reads fall through, writes stay here until committed."""

    __slots__ = ("_memory", "changes")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.changes = Changes()

    def get(self, key: Key) -> Any:
        """Return the value under `key` for reading only, or None. Raises `Missing`."""
        puts = self.changes.puts
        if key in puts:
            return puts[key]
        return self._memory.get(key)

    def edit(self, key: Key) -> Any:
        """Return a private copy of what is under `key`, which will be committed. It must exist."""
        puts = self.changes.puts
        known = puts.get(key)
        if known is not None:
            return known
        value = copy.copy(self._memory.get(key))
        puts[key] = value
        return value

    def put(self, key: Key, value: msgspec.Struct | None) -> None:
        """Remember `value` under `key`; None forgets it."""
        self.changes.puts[key] = value

    def alert(self, fingerprint: str) -> Alert | None:
        return cast("Alert | None", self.get((ALERT, fingerprint)))

    def incident(self, key: str) -> Incident | None:
        """Return the incident of that key, or what it became part of, for reading only. Raises `Missing`."""
        known = cast("Incident | None", self.get((INCIDENT, key)))
        while known is not None and known.merged_into:
            known = cast("Incident | None", self.get((INCIDENT, known.merged_into)))
        return known

    def edit_incident(self, key: str) -> Incident:
        """Return the incident of that key, or what it became part of, for changing. It must exist."""
        known = self.incident(key)
        return cast("Incident", self.edit((INCIDENT, key if known is None else known.key)))

    def meta(self) -> Meta:
        return cast("Meta | None", self.get(THE_META)) or Meta()

    def timer(self, name: str, due: Millis | None) -> None:
        """Set, move or (None) cancel the timer of that name."""
        self.changes.timers[name] = due

    def line(self, incident: str, line: Line) -> None:
        """Append to an incident's timeline."""
        self.changes.lines.append((incident, line))

    def merge(self, incident: str, into: str) -> None:
        """Let the alerts of one incident belong to another."""
        self.changes.merged[incident] = into

    def member(self, incident: str, fingerprint: str, joined: bool) -> None:
        """Note that an alert belongs to an incident, or no longer does."""
        self.changes.members.setdefault(incident, {})[fingerprint] = joined


class DictMemory:
    """Memory in a dict, with timers: for replay, rehearsal, `tocsin test` and unit tests."""

    def __init__(self) -> None:
        self.values: dict[Key, msgspec.Struct] = {}
        self.timers: dict[str, Millis] = {}
        self.members: dict[str, set[str]] = {}
        self.lines: dict[str, list[Line]] = {}

    def get(self, key: Key) -> msgspec.Struct | None:
        return self.values.get(key)

    def apply(self, changes: Changes) -> None:
        """Make `changes` part of this memory, as a commit does in the store."""
        for key, value in changes.puts.items():
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value
        for name, due in changes.timers.items():
            if due is None:
                self.timers.pop(name, None)
            else:
                self.timers[name] = due
        for incident, into in changes.merged.items():
            self.members.setdefault(into, set()).update(self.members.pop(incident, set()))
        for incident, members in changes.members.items():
            known = self.members.setdefault(incident, set())
            for fingerprint, joined in members.items():
                (known.add if joined else known.discard)(fingerprint)
        for incident, line in changes.lines:
            self.lines.setdefault(incident, []).append(line)

    def due(self, now: Millis, limit: int) -> list[str]:
        """Return up to `limit` timers due by `now`, soonest first, then by name, as the store's sorted set does."""
        ready = sorted((due, name.encode()) for name, due in self.timers.items() if due <= now)
        return [name.decode() for _, name in ready[:limit]]
