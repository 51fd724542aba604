"""What the rules cost by their number: `Rulebook.verdict`, with an equality matcher in each rule."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from statistics import median

import msgspec

from bench import alerts
from bench.alerts import Alert
from ingest.adapter import Request
from ingest.adapters import load
from triage.model import Event
from triage.rulebook import Rulebook, compile_files
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


def body(number: int, rules: int, chance: random.Random, seed: str) -> bytes:
    """Return a body of alerts that no rulebook has seen; half of them meet a rule."""
    some = [
        Alert(f"{seed}x{index}", f"service-{chance.randrange(2 * rules)}", f"Name{seed}{index}")
        for index in range(number)
    ]
    return alerts.body(alerts.WEBHOOK, some)


def measure(numbers: tuple[int, ...], turns: int = 60) -> list[Cost]:
    """Return the costs by number of rules: medians over turns of 100 events, as many as wait in a small batch."""
    chance = random.Random(7)
    books = []
    for number in numbers:
        text = severity_yaml(number, chance)
        started = time.perf_counter()
        book = compile_files({"severity.yaml": text})
        books.append((number, book, (time.perf_counter() - started) * 1_000))
    fresh: dict[int, list[float]] = {number: [] for number in numbers}
    known: dict[int, list[float]] = {number: [] for number in numbers}
    for turn in range(turns):
        for number, book, _ in books:
            raw = body(100, number, chance, f"t{turn}n{number}")
            fresh[number].append(_cost(book, events(raw)))
            known[number].append(_cost(book, events(raw)))
    return [Cost(number, median(fresh[number]), median(known[number]), took) for number, _, took in books]


def events(raw: bytes) -> list[Event]:
    """Return the events of a body, as the door makes them."""
    return load("alertmanager").read(Request(source=Source("alertmanager", "alertmanager"), at=0, body=raw)).events


def _cost(book: Rulebook, some: list[Event]) -> float:
    ask = book.verdict
    started = time.perf_counter()
    for event in some:
        ask("alertmanager", event)
    return (time.perf_counter() - started) / len(some) * 1e6
