"""A rehearsal: the journal, its time and its deliveries in memory, around the same `decide` that runs live.

`tocsin test` and unit tests drive it: append entries, let time pass, look at what would have been told to whom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, cast

from triage import turns
from triage.decide import decide
from triage.memory import EFFECT, INCIDENT, THE_RULES, Changes, DictMemory
from triage.model import (
    Answer,
    Body,
    Command,
    Decision,
    Effect,
    EffectKind,
    Ending,
    Entry,
    Event,
    Events,
    Incident,
    Line,
    Millis,
    Result,
    Rules,
    RulesLoaded,
    Tick,
    Verb,
)
from triage.rulebook import Rulebook, compile_files

TICKS_MAX: Final = 100_000
"""A rehearsal that ticks this often without coming to rest is a fault in triage, and says so."""

Provider = Callable[[Effect], Result]


def accepts(effect: Effect) -> Result:
    """The provider of a rehearsal: it takes every message."""
    return Result(
        effect.id,
        effect.attempt,
        Ending.DELIVERED,
        incident=effect.incident,
        person=effect.person,
        scheme=effect.target.partition(":")[0],
    )


class Rehearsal:
    """Tocsin on a clock that is moved. `now` is milliseconds since the epoch; `delivered` is what people got, in order.

    `provider` says how each delivery ends; the default takes everything.
    """

    def __init__(self, rulebook: Rulebook, start: Millis, provider: Provider = accepts) -> None:
        self.now = start
        self.memory = DictMemory()
        self.delivered: list[tuple[Millis, Effect]] = []
        self.provider = provider
        self.decisions: dict[str, list[Decision]] = {}
        self.answers: dict[str, Answer] = {}
        self.entries: list[Entry] = []
        self._rulebook = rulebook

    def append(self, body: Body) -> str:
        """Append an entry, decide it and all that follows from it at this moment. Return its id."""
        entry = self._decide(body)
        self.settle()
        return entry

    def events(self, source: str, events: Sequence[Event]) -> list[Decision]:
        """Let events arrive in one request; return what became of each."""
        return self.decisions[self.append(Events(source, list(events)))]

    def command(self, verb: Verb, incident: str, by: str, text: str = "", confirm: bool = False) -> Answer:
        """Let a person ask for something; return the answer."""
        return self.answers[self.append(Command(verb, incident, by, "test", text, confirm))]

    def load(self, files: dict[str, str], digest: str) -> None:
        """Put other rules into force, as a reload does."""
        self.append(RulesLoaded(digest, files))

    def advance(self, duration: Millis) -> None:
        """Let time pass, stopping at each timer and each delivery that becomes due on the way."""
        self.advance_to(self.now + duration)

    def advance_to(self, moment: Millis) -> None:
        """Let time pass until `moment`; see `advance`."""
        for _ in range(TICKS_MAX):
            due = self._next_due()
            if due is None or due > moment:
                self.now = max(self.now, moment)
                return
            self.now = max(self.now, due)
            self.settle()
        raise RuntimeError("time does not pass: timers keep setting themselves")

    def settle(self) -> None:
        """Fire what is due and deliver what is due, until nothing is."""
        for _ in range(TICKS_MAX):
            if self.memory.due(self.now, 1):
                self._decide(Tick())
                continue
            effect = self._due_effect()
            if effect is None:
                return
            result = self.provider(effect)
            if result.ending is Ending.DELIVERED:
                self.delivered.append((self.now, effect))
            self._decide(result)
        raise RuntimeError("it does not come to rest: timers or deliveries keep setting themselves")

    @property
    def pages(self) -> list[Effect]:
        """Return the pages that people got, in order."""
        return [effect for _, effect in self.delivered if effect.kind is EffectKind.PAGE]

    @property
    def incidents(self) -> list[Incident]:
        """Return all incidents, oldest first."""
        found = [cast("Incident", value) for key, value in self.memory.values.items() if key[0] == INCIDENT]
        return sorted(found, key=lambda incident: (incident.opened_at, incident.key))

    def lines(self, incident: str) -> list[Line]:
        """Return the timeline of an incident."""
        return self.memory.lines.get(incident, [])

    def _decide(self, body: Body) -> str:
        entry = Entry(f"{self.now}-{len(self.entries)}", self.now, body)
        self.entries.append(entry)
        due = turns.due(self.memory, self.now) if isinstance(body, Tick) else ()
        oldest = turns.oldest(self.memory, self.now) if isinstance(body, Tick) else None
        changes: Changes = decide(self.memory, entry, self._rulebook, due, oldest)
        self.memory.apply(changes)
        self.decisions.update(changes.decisions)
        self.answers.update(changes.answers)
        if isinstance(body, RulesLoaded):
            rules = cast("Rules | None", self.memory.get(THE_RULES))
            if rules is not None and rules.files:
                self._rulebook = compile_files(rules.files)
        return entry.id

    def _due_effect(self) -> Effect | None:
        return min(self._effects(self.now), key=lambda effect: (effect.severity, effect.due, effect.id), default=None)

    def _next_due(self) -> Millis | None:
        times = [*self.memory.timers.values(), *(effect.due for effect in self._effects(None))]
        return min(times, default=None)

    def _effects(self, until: Millis | None) -> list[Effect]:
        effects = [cast("Effect", value) for key, value in self.memory.values.items() if key[0] == EFFECT]
        return [effect for effect in effects if until is None or effect.due <= until]
