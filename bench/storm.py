"""A storm: 100,000 unique alerts in one group. What it becomes, and what an alert costs in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bench import alerts, load, systems
from bench.alerts import Alert
from bench.systems import Tocsin
from triage.store import keys

FAMILIES = ("alert", "details")


@dataclass
class Storm:
    """What came of it. Bytes are per active alert; `peak` is the resident memory of Tocsin's Python at the end."""

    alerts: int
    incidents: int
    pages: int
    decided: float
    state: float
    parts: dict[str, float]
    used_memory: float
    python_rss: float
    alertmanager: float = 0.0


def bodies(shape: str, number: int) -> Iterator[bytes]:
    """Yield bodies of 64 of that many alerts, all of one service and name."""
    for first in range(0, number, 64):
        made = [
            Alert(f"s{index}", "checkout-eu", "PodDown", "critical") for index in range(first, min(first + 64, number))
        ]
        yield alerts.body(shape, made)


def measure(folder: Path, number: int, with_alertmanager: bool) -> Storm:
    """Send the storm to Tocsin and, for the memory, to Alertmanager."""
    with systems.tocsin(folder / "storm") as tocsin:
        made = _tocsin(tocsin, number)
    if with_alertmanager:
        with systems.alertmanager(folder / "alertmanager") as system:
            before = system.rss()
            load.post_all(system.url + "/api/v2/alerts", bodies(alerts.API, number))
            time.sleep(1)
            made.alertmanager = (system.rss() - before) / number
    return made


def _tocsin(tocsin: Tocsin, number: int) -> Storm:
    used = _used(tocsin)
    ready = list(bodies(alerts.WEBHOOK, number))
    began = time.monotonic()
    load.post_all(tocsin.url + "/v1/events/alertmanager", ready)
    ended = tocsin.wait_decided(number)
    time.sleep(1.5)
    pages = len(tocsin.pages.read_text().splitlines()) if tocsin.pages.exists() else 0
    client = cast("Any", tocsin.client)
    members = [keys.members(key.decode()) for key in client.zrange(keys.ALL, 0, -1)]
    parts = {name: _size(tocsin, keys.family(name)) / number for name in FAMILIES}
    parts |= {"timers": _size(tocsin, keys.TIMERS) / number}
    parts |= {"members": sum(_size(tocsin, key) for key in members) / number}
    state = sum(parts.values())
    parts |= {"journal": _size(tocsin, keys.JOURNAL) / number, "decisions": _size(tocsin, keys.DECISIONS) / number}
    return Storm(
        number,
        client.hlen(keys.family("incident")),
        pages,
        number / (ended - began),
        state,
        parts,
        (_used(tocsin) - used) / number,
        tocsin.rss(),
    )


def _used(tocsin: Tocsin) -> int:
    return int(cast("Any", tocsin.client.info("memory"))["used_memory"])


def _size(tocsin: Tocsin, key: str) -> int:
    return int(cast("Any", tocsin.client).memory_usage(key, samples=0) or 0)
