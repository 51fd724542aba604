"""Ten thousand pages due at once: how late the last of them is decided, and how late the most severe is handed over.

Each alert is a P1 in an incident of its own, for one person; the last one sent is a P0. Budgets are as shipped, so the
person gets a few pages, one storm page, and the P0.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from bench import alerts, load, systems
from bench.alerts import Alert
from bench.systems import CannotMeasure, Tocsin
from triage.store import keys

PATIENCE_S: Final = 120.0
LOOK_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Lateness:
    """Seconds after the last alert was decided: until every timer that was due had fired, and until the P0 was handed
    over (0: before that). `pages` is how many messages the person got for all of it.
    """

    timers: int
    fired: float
    worst: float
    pages: int


def measure(folder: Path, number: int) -> Lateness:
    """Let that many pages become due at once."""
    with systems.tocsin(folder / "lateness", quiet="{}\n") as tocsin:
        return _measure(tocsin, number)


def _measure(tocsin: Tocsin, number: int) -> Lateness:
    bodies = []
    for first in range(0, number - 1, 64):
        made = [Alert(f"l{one}", f"svc-{one}", "Down", "critical") for one in range(first, min(first + 64, number - 1))]
        bodies.append(alerts.body(alerts.WEBHOOK, made))
    bodies.append(alerts.body(alerts.WEBHOOK, [Alert("worst", "checkout", "CheckoutDown", "critical")]))
    load.post_all(tocsin.url + "/v1/events/alertmanager", bodies)
    decided = tocsin.wait_decided(number)
    fired = worst = 0.0
    client = cast("Any", tocsin.client)
    while not (fired and worst):
        now = time.monotonic()
        if now - decided > PATIENCE_S:
            raise CannotMeasure(f"10,000 due timers had not fired within {PATIENCE_S:.0f} s")
        if not worst and any(one["title"].startswith("P0") for one in _pages(tocsin)):
            worst = now
        if not fired and not client.zcount(keys.TIMERS, "-inf", int(time.time() * 1_000)):
            fired = now
        time.sleep(LOOK_S)
    time.sleep(6)  # the storm page gathers for five seconds
    return Lateness(number, fired - decided, max(0.0, worst - decided), len(_pages(tocsin)))


def _pages(tocsin: Tocsin) -> list[dict[str, Any]]:
    if not tocsin.pages.exists():
        return []
    return [json.loads(line) for line in tocsin.pages.read_text().splitlines() if line.endswith("}")]
