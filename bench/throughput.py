"""How much goes in, and how much is decided: rounds that take turns, so that a slow moment hits everybody."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Final

from bench import alerts, load, systems
from bench.load import Load
from bench.systems import CannotMeasure, Tocsin

EMPTY: Final = "empty"
ALERTMANAGER: Final = "alertmanager"
TOCSIN: Final = "tocsin"
TOCSIN_API: Final = "tocsin-api"
DOOR: Final = "door"
PATHS: Final = {
    TOCSIN: "/v1/events/alertmanager",
    DOOR: "/v1/events/alertmanager",
    TOCSIN_API: "/api/v2/alerts",
    ALERTMANAGER: "/api/v2/alerts",
}


@dataclass
class Round:
    """One system under one load: alerts per second in, and (Tocsin) decided; p99 of an answer, ms.

    `shares` is the CPU that an alert costs, in µs, by process.
    """

    accepted: float
    shares: dict[str, float]
    p99: float
    decided: float = 0.0

    @property
    def cpu(self) -> float:
        return sum(self.shares.values())


def shares_of(before: dict[str, float], after: dict[str, float], alerts_: int) -> dict[str, float]:
    """Return the CPU µs per alert by process."""
    return {name: (used - before.get(name, 0.0)) / alerts_ * 1e6 for name, used in after.items()}


@dataclass
class Case:
    """One load and what each system made of it, round by round."""

    name: str
    load: Load
    who: tuple[str, ...]
    rounds: dict[str, list[Round]] = field(default_factory=dict)

    def median(self, who: str, what: str) -> float:
        """Return the median over the rounds of one number of one system."""
        return float(median(getattr(one, what) for one in self.rounds[who]))

    def shares(self, who: str) -> str:
        """Return the CPU µs per alert by process, medians over the rounds, as text."""
        names = {name for one in self.rounds[who] for name in one.shares}
        found = {name: median(one.shares.get(name, 0.0) for one in self.rounds[who]) for name in names}
        return ", ".join(f"{name} {found[name]:.1f}" for name in sorted(found) if found[name] >= 0.1)

    def ratio(self, what: str, who: str, to: str, of: str = "") -> float:
        """Return the median over the rounds of `who`'s number by `to`'s of the same round."""
        pairs = zip(self.rounds[who], self.rounds[to], strict=True)
        return float(median(getattr(one, what) / getattr(other, of or what) for one, other in pairs))

    def span(self, what: str, who: str, to: str, of: str = "") -> str:
        """Return the smallest and the largest of these ratios."""
        pairs = list(zip(self.rounds[who], self.rounds[to], strict=True))
        ratios = [getattr(one, what) / getattr(other, of or what) for one, other in pairs]
        return f"{min(ratios):.2f} to {max(ratios):.2f}"


def cases(seconds: float) -> list[Case]:
    """Return the loads: bodies of 1 over 64 connections; bodies of 64 over 16, all new or 95 % repeats."""
    everybody = (ALERTMANAGER, TOCSIN, TOCSIN_API)
    return [
        Case("1", Load(alerts.API, 1, 0, 64, seconds), (EMPTY, DOOR, *everybody)),
        Case("64", Load(alerts.API, 64, 0, 16, seconds), everybody),
        Case("64 repeats", Load(alerts.API, 64, 95, 16, seconds), (ALERTMANAGER, TOCSIN)),
    ]


def measure(folder: Path, rounds: int, seconds: float) -> Iterator[tuple[str, list[Case]]]:
    """Run all rounds. Yields after each one; the list is complete after the last."""
    found = cases(seconds)
    for number in range(rounds):
        place = folder / f"round-{number}"
        with systems.tocsin(place) as tocsin:
            for case in found:
                for who in case.who if number % 2 == 0 else reversed(case.who):
                    made = _run(who, case.load, tocsin, folder, f"{number}{case.load.repeats}{who[-3:]}")
                    case.rounds.setdefault(who, []).append(made)
        yield f"round {number + 1} of {rounds}", found


def _run(who: str, wanted: Load, tocsin: Tocsin, folder: Path, seed: str) -> Round:
    if who in (TOCSIN, TOCSIN_API, DOOR):
        return _tocsin(who, wanted, tocsin, folder, seed)
    with ExitStack() as stack:
        if who == EMPTY:
            system = stack.enter_context(systems.empty_handler(folder))
            url = system.url
        else:
            system = stack.enter_context(systems.alertmanager(folder / "alertmanager"))
            url = system.url + PATHS[who]
            if wanted.repeats:
                load.post_all(url, pool_bodies(alerts.API))
        before = system.cpu_s()
        sent = load.wrk(url, wanted, seed, folder)
        return Round(sent.rate, shares_of(before, system.cpu_s(), sent.alerts), sent.p99)


def pool_bodies(shape: str) -> list[bytes]:
    """Return the alerts that a load of repeats repeats, in bodies of 100."""
    pool = [alerts.spread(f"p{number}", number) for number in range(alerts.POOL)]
    return [alerts.body(shape, pool[at : at + 100]) for at in range(0, len(pool), 100)]


def _tocsin(who: str, wanted: Load, tocsin: Tocsin, folder: Path, seed: str) -> Round:
    shape = alerts.API if who == TOCSIN_API else alerts.WEBHOOK
    url = tocsin.url + PATHS[who]
    if wanted.repeats:
        load.post_all(url, pool_bodies(shape))
    already, _ = tocsin.ledger()
    tocsin.wait_decided(already)
    before, began = tocsin.cpu_s(), time.monotonic()
    with tocsin.workers_held() if who == DOOR else nullcontext():
        sent = load.wrk(url, replace(wanted, shape=shape), seed, folder)
    accepted = tocsin.ledger()[0] - already
    if accepted < sent.alerts:
        raise CannotMeasure(f"{sent.alerts} alerts were answered 202, and only {accepted} are counted as accepted")
    ended = tocsin.wait_decided(already + accepted)
    return Round(sent.rate, shares_of(before, tocsin.cpu_s(), accepted), sent.p99, accepted / (ended - began))


def clean(folder: Path) -> None:
    """Remove what the rounds left."""
    shutil.rmtree(folder, ignore_errors=True)
