"""What the rules cost by their number: `Rulebook.verdict`, with an equality matcher in each rule."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import msgspec

from bench import alerts
from bench.alerts import Alert
from ingest.adapter import Request
from ingest.adapters import load
from triage.model import Event
from triage.rulebook import compile_files
from triage.rulebook.types import Source


@dataclass(frozen=True, slots=True)
class Cost:
    """µs per event with that many rules: labels never seen before, and labels seen before; and to compile, ms."""

    rules: int
    fresh: float
    known: float
    compile_ms: float


def severity_yaml(number: int, chance: random.Random) -> str:
    """Return that many rules: 80 % one equality, 12 % with alternatives, 6 % and a pattern, 2 % and a negation."""
    lines = ["rules:"]
    for index in range(number):
        matchers = [f'service="service-{index}"']
        kind = chance.random()
        if kind < 0.12:
            matchers.append('alertname=~"PodDown|PodCrashLooping|DiskFull"')
        elif kind < 0.18:
            matchers.append('namespace=~"shop-.*"')
        elif kind < 0.20:
            matchers.append('cluster!="staging"')
        lines += [
            f"  - name: rule {index}",
            f"    matchers: {msgspec.json.encode(matchers).decode()}",
            "    severity: P2",
        ]
    return "\n".join(lines) + "\n"


def events(number: int, rules: int, chance: random.Random, seed: str) -> list[Event]:
    """Return events as the door makes them; half of them meet a rule."""
    source = Source("alertmanager", "alertmanager")
    read = load("alertmanager").read
    found: list[Event] = []
    while len(found) < number:
        some = [
            Alert(
                f"{seed}{len(found)}x{index}",
                f"service-{chance.randrange(2 * rules)}",
                f"Name{seed}{index}{len(found)}",
            )
            for index in range(min(100, number - len(found)))
        ]
        found += read(Request(source=source, at=0, body=alerts.body(alerts.WEBHOOK, some))).events
    return found


def measure(numbers: tuple[int, ...], samples: int = 6_000, rounds: int = 3) -> list[Cost]:
    """Return the costs by number of rules; of each the best of the rounds, taken in turn."""
    chance = random.Random(7)
    books = []
    for number in numbers:
        text = severity_yaml(number, chance)
        started = time.perf_counter()
        book = compile_files({"severity.yaml": text})
        books.append((number, book, (time.perf_counter() - started) * 1_000))
    fresh: dict[int, float] = {}
    known: dict[int, float] = {}
    for turn in range(rounds):
        for number, book, _ in books:
            some = events(samples, number, chance, f"r{turn}")
            fresh[number] = min(fresh.get(number, 1e9), _cost(book.verdict, some))
            known[number] = min(known.get(number, 1e9), _cost(book.verdict, some[-2_000:]))
    return [Cost(number, fresh[number], known[number], took) for number, _, took in books]


def _cost(verdict: object, some: list[Event]) -> float:
    ask = verdict
    started = time.perf_counter()
    for event in some:
        ask("alertmanager", event)  # type: ignore[operator]
    return (time.perf_counter() - started) / len(some) * 1e6
