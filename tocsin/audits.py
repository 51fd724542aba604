"""The audits of the self-watch: each looks at one thing without which Tocsin wakes nobody, and says how it is."""

from __future__ import annotations

import http.client
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import redis

from tocsin.findings import Reading, State
from tocsin.settings import Settings
from triage.model import MINUTE, SECOND, Millis, Rules
from triage.rulebook import Rulebook, RulesError, compile_files
from triage.store import audit, watching
from triage.store.watching import Signs

STORE: Final = "store"
UNDECIDED: Final = "undecided"
TIMERS: Final = "timers"
EFFECTS: Final = "effects"
WORKERS: Final = "workers"
LEDGER: Final = "ledger"
STORE_MEMORY: Final = "store_memory"
MEMORY: Final = "memory"
DISK: Final = "disk"
RECEIVER: Final = "receiver"

OF_STORE: Final = (STORE, UNDECIDED, TIMERS, EFFECTS, WORKERS, LEDGER, STORE_MEMORY)
"""The audits that need the store's answer."""
ROLES: Final = ("drain", "deliver")
"""The roles that every installation needs; others are needed by what its rules name."""
DOES: Final[Mapping[str, str]] = {
    "drain": "nothing is decided",
    "deliver": "nobody is told",
    "probe": "nothing of checks.yaml is looked at",
    "reader": "no metrics are read, and nothing is verified before it resolves",
    "actor": "no action is run",
}
"""Role → what is not done without a worker of it."""
SILENT_MS: Final[Millis] = 30 * SECOND
"""A worker that gave no sign of life for this long counts as missing."""
CLAIM_MS: Final[Millis] = MINUTE
"""How long a worker that died may have held a message, on top of what counts as late."""
EASED: Final = 5
"""A share that was too large must fall this many points below the limit before it counts as well again."""
LEDGER_ROUNDS: Final = 20
"""The ledger is balanced in one round of so many: with a long backlog that reads much."""
RECEIVER_PATIENCE_S: Final = 4.0
Usage = tuple[int, int]
"""Bytes used, and bytes there are."""


def wall_clock() -> Millis:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def machine_memory(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> Usage | None:
    """Return the memory of this machine or, where it is smaller, of this container; None where nobody says."""
    try:
        lines = (proc / "meminfo").read_text("ascii").splitlines()
        known = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
        total, free = known["MemTotal"], known["MemAvailable"]
    except (OSError, KeyError, ValueError, IndexError):
        return None
    try:
        limit = int((cgroup / "memory.max").read_text("ascii"))
        pages = dict(line.split() for line in (cgroup / "memory.stat").read_text("ascii").splitlines())
        used = int((cgroup / "memory.current").read_text("ascii")) - int(pages["inactive_file"])
    except (OSError, KeyError, ValueError):  # no container, or one without a limit, which says "max"
        return total - free, total
    return (used, limit) if limit < total else (total - free, total)


def disk(path: Path) -> Usage | None:
    """Return the room on the disk of `path`, as `df` counts it: what only root may use is not there."""
    try:
        found = shutil.disk_usage(path)
    except OSError:
        return None
    return found.used, found.used + found.free


@dataclass(frozen=True, slots=True)
class Probes:
    """Where readings come from; tests put others in their place. `clock` returns milliseconds since the epoch."""

    clock: Callable[[], Millis] = wall_clock
    memory: Callable[[], Usage | None] = machine_memory
    disk: Callable[[Path], Usage | None] = disk


class Auditor:
    """Makes all audits of one installation."""

    def __init__(self, settings: Settings, client: redis.Redis, probes: Probes) -> None:
        self._settings = settings
        self._client = client
        self._probes = probes
        self._round = 0
        self._ledger = Reading(LEDGER, State.WELL)
        self._digest = ""
        self._roles: tuple[str, ...] = ROLES

    def readings(self) -> list[Reading]:
        """Look at everything once. Raises nothing for what is away: that is what it looks for."""
        return [*self._store(), *self._machine(), *self._receiver()]

    def _store(self) -> Iterator[Reading]:
        try:
            signs = watching.look(self._client)
            self._balance()
        except (redis.RedisError, OSError) as error:
            self._client.close()
            yield Reading(STORE, State.ILL, f"the store does not answer: {error}")
            yield from (Reading(name, State.UNKNOWN) for name in OF_STORE if name != STORE)
            return
        losses = [] if self._settings.accept_data_loss else signs.trouble
        yield Reading(STORE, State.ILL, "; ".join(losses)) if losses else Reading(STORE, State.WELL)
        yield from waiting(signs, self._probes.clock(), self._settings.watch_late)
        yield workers(signs, self._probes.clock(), self._needed(signs.rules))
        yield self._ledger
        limit = min(filter(None, (signs.memory_max, self._settings.store_max_memory)))
        yield self._share(STORE_MEMORY, (signs.memory, limit), "memory that the store may use")

    def _needed(self, rules: Rules | None) -> tuple[str, ...]:
        """Return the roles that the rules in force need. They are compiled when they change; a fault needs no more."""
        if rules is not None and rules.digest != self._digest:
            self._digest = rules.digest
            try:
                self._roles = needed(compile_files(rules.files))
            except RulesError:  # written by another version
                self._roles = ROLES
        return self._roles

    def _balance(self) -> None:
        """Balance the ledger now and then, and believe an imbalance only at the second look."""
        bad = self._ledger.state is State.ILL
        if self._round % LEDGER_ROUNDS == 0 or bad:
            report = audit.audit(self._client)
            self._ledger = Reading(LEDGER, State.WELL if report.ok else State.ILL, report.lines[-1])
        self._round += 1

    def _machine(self) -> Iterator[Reading]:
        yield self._share(MEMORY, self._probes.memory(), "memory of this machine")
        path = self._settings.storage_path
        yield self._share(DISK, self._probes.disk(path), f"disk that holds {path}")

    def _share(self, name: str, usage: Usage | None, what: str) -> Reading:
        if usage is None or not usage[1]:
            return Reading(name, State.WELL)  # this system does not say; nothing can be wrong with it
        used = usage[0] * 100 / usage[1]
        if used > self._settings.watch_full:
            text = f"{used:.0f} % of the {what} is used; --watch.full is {self._settings.watch_full}"
            return Reading(name, State.ILL, text)
        return Reading(name, State.NEAR if used > self._settings.watch_full - EASED else State.WELL)

    def _receiver(self) -> Iterator[Reading]:
        url = self._settings.watch_receiver
        if url:
            fault = fault_of_receiver(url)
            yield Reading(RECEIVER, State.ILL if fault else State.WELL, fault)


def waiting(signs: Signs, now: Millis, late: Millis) -> Iterator[Reading]:
    """Say whether something waits that should have been done: entries, timers, messages."""
    undecided = signs.undecided_ms
    yield _late(UNDECIDED, undecided, late, "the oldest undecided journal entry has waited for {s} s")
    timer = None if signs.timer_at is None else now - signs.timer_at
    yield _late(TIMERS, timer, late, "the soonest timer has been due for {s} s")
    effect = None if signs.effect_at is None else now - signs.effect_at
    yield _late(EFFECTS, effect, late + CLAIM_MS, "the oldest message has been due for {s} s without being delivered")


def _late(name: str, waited: Millis | None, limit: Millis, text: str) -> Reading:
    if waited is None or waited <= limit:
        return Reading(name, State.WELL)
    return Reading(name, State.ILL, text.format(s=waited // 1000))


def needed(rulebook: Rulebook) -> tuple[str, ...]:
    """Return the roles that an installation with these rules needs."""
    more = {
        "probe": bool(rulebook.checks),
        "reader": bool(rulebook.metrics.servers) or rulebook.verifies,
        "actor": bool(rulebook.actions),
    }
    return (*ROLES, *(role for role, named in more.items() if named))


def workers(signs: Signs, now: Millis, roles: Iterable[str] = ROLES) -> Reading:
    """Say whether for each of these roles somebody is at work."""
    seen = {role: max(signs.seen.get(role, 0), signs.seen.get(f"{role}-shadow", 0)) for role in roles}
    missing = [role for role, at in seen.items() if now - at > SILENT_MS]
    if not missing:
        return Reading(WORKERS, State.WELL)
    text = "; ".join(f"no {role} worker gave a sign of life: {DOES[role]}" for role in missing)
    return Reading(WORKERS, State.ILL, f"{text}. Does `tocsin work` run?")


def fault_of_receiver(url: str) -> str:
    """Return why the receiver at `url` takes nothing in, or ""."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=RECEIVER_PATIENCE_S)
    try:
        connection.request("GET", "/-/healthy")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"the receiver at {url} does not answer: {error or type(error).__name__}"
    finally:
        connection.close()
    return "" if status == 200 else f"the receiver at {url} answers HTTP {status}"
