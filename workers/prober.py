"""The prober: which look is due, whose it is, and what triage is to hear of it.

Looks of a check are numbered by its interval, so that all machines mean the same one, and spread over it by the name of
the check, so that they do not all come at once. A look is claimed, made, and concluded in one transaction with the
event that it becomes. Only changes become events, and once in a while that nothing has changed.
"""

from __future__ import annotations

import hashlib
import secrets as random
import threading
from collections.abc import Callable
from typing import Final

import msgspec
import redis
import structlog

from triage.model import DAY, HOUR, SECOND, Event, Events, Kind, Millis, Status
from triage.rulebook import Rulebook, RulesError, compile_files
from triage.rulebook.checks import EXPIRES, FAILED, SOURCE, Check
from triage.store import checks as kept
from triage.store import effects
from triage.store.checks import Claimed, Standing
from workers.probe import Seen, days_left, look
from workers.secrets import Lookup

SEATS: Final = 16
"""How many looks are made at once."""
AGAIN: Final[Millis] = HOUR
"""How often what still fails says so again: its alert would go stale."""
LEASE_MORE: Final[Millis] = 30 * SECOND
"""How much longer than its look a claim holds."""
RULES_EVERY: Final[Millis] = 2 * SECOND
"""How often the rules in force are looked up."""
LOOK_S: Final = 0.5
"""Pause between two rounds, in seconds."""
_JITTER: Final = 10
"""The jitter is up to this part of the interval."""

log = structlog.get_logger("probe")


# --------------------------------------------------------------------------------------------------------------------
# When.


def slot_at(check: Check, now: Millis) -> int:
    """Return the number of the newest look of a check that is due by `now`."""
    slot = (now - _share(check.name, check.every)) // check.every
    due = slot * check.every + _share(check.name, check.every)
    return slot if now >= due + _share(f"{check.name} {slot}", max(1, check.every // _JITTER)) else slot - 1


def _share(text: str, of: Millis) -> Millis:
    """Return a time within `of` that depends on a text alone."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % of


# --------------------------------------------------------------------------------------------------------------------
# What.


def judged(check: Check, before: Standing | None, seen: Seen, slot: int, now: Millis) -> tuple[Standing, list[Event]]:
    """Return how a check stands after a look, and the events that tell it."""
    failed = bool(seen.kind)
    was = before if before is not None else Standing(slot, now)
    same = before is not None and bool(was.failing) is failed
    after = msgspec.structs.replace(
        was,
        slot=slot,
        at=now,
        kind=seen.kind,
        text=seen.text,
        failing=was.failing + 1 if failed else 0,
        passing=0 if failed else was.passing + 1,
        since=was.since if same else now,
        expires_at=seen.expires_at if seen.expires_at is not None else was.expires_at,
        took=seen.took,
        looks=was.looks + 1,
        failures=was.failures + failed,
    )
    events: list[Event] = []
    if failed and _tells_again(check, after, now):
        after = msgspec.structs.replace(after, told_at=now, told_kind=after.kind)
        events.append(_failure(check, after))
    elif not failed and (before is None or (after.told_at is not None and after.passing >= check.recover)):
        # The first look of all says that it passes: whatever an earlier life left firing is over.
        after = msgspec.structs.replace(after, told_at=None, told_kind="")
        events.append(_end(check, FAILED, now))
    return _expiry(check, after, seen, events, now)


def _tells_again(check: Check, after: Standing, now: Millis) -> bool:
    if after.told_at is None:
        return after.failing >= check.confirm
    return after.kind != after.told_kind or now - after.told_at >= AGAIN


def _expiry(
    check: Check, after: Standing, seen: Seen, events: list[Event], now: Millis
) -> tuple[Standing, list[Event]]:
    """Add what there is to say of the certificate. What was not seen has not changed."""
    if seen.expires_at is None:
        return after, events
    near = seen.expires_at - now < check.certificate_days * DAY
    if near and (after.expiry_told_at is None or now - after.expiry_told_at >= AGAIN):
        return msgspec.structs.replace(after, expiry_told_at=now), [*events, _near_end(check, seen.expires_at, now)]
    if not near and after.expiry_told_at is not None:
        return msgspec.structs.replace(after, expiry_told_at=None), [*events, _end(check, EXPIRES, now)]
    return after, events


def _failure(check: Check, after: Standing) -> Event:
    looks = f"{after.failing} looks in a row" if after.failing > 1 else "one look"
    return Event(
        Status.FIRING,
        check.fingerprint(FAILED),
        f"Check {check.name} fails: {after.text}",
        _labels(check, FAILED),
        {"description": f"{check.place}: {after.text} ({looks}).", "reason": after.kind},
        raw_severity=check.severity.name,
        starts_at=after.since,
        url=check.place if check.http else "",
        kind=Kind.CHECK,
    )


def _near_end(check: Check, expires_at: Millis, now: Millis) -> Event:
    days = days_left(expires_at, now)
    left = f"in {days} days" if days != 1 else "in a day"
    return Event(
        Status.FIRING,
        check.fingerprint(EXPIRES),
        f"The certificate of check {check.name} ends soon",
        _labels(check, EXPIRES),
        {"description": f"{check.place}: its certificate ends {left if days > 0 else 'today'}."},
        raw_severity=check.certificate_severity.name,
        starts_at=expires_at - check.certificate_days * DAY,
        url=check.place if check.http else "",
        kind=Kind.CHECK,
    )


def _end(check: Check, alertname: str, now: Millis) -> Event:
    return Event(
        Status.RESOLVED,
        check.fingerprint(alertname),
        f"Check {check.name} passes" if alertname == FAILED else f"The certificate of check {check.name} is renewed",
        _labels(check, alertname),
        ends_at=now,
        kind=Kind.CHECK,
    )


def _labels(check: Check, alertname: str) -> dict[str, str]:
    return {**check.labels, "alertname": alertname, "check": check.name}


# --------------------------------------------------------------------------------------------------------------------
# Who.


class Prober:
    """Makes the looks that are due, each in a thread of its own. One per process; `round` is for one thread.

    `look_at` makes one look; tests put their own in its place.
    """

    def __init__(
        self,
        client: redis.Redis,
        clock: Callable[[], Millis],
        lookup: Lookup,
        name: str = "probe",
        look_at: Callable[[Check, Lookup], Seen] = look,
    ) -> None:
        self._client = client
        self._clock = clock
        self._lookup = lookup
        self._name = name
        self._look_at = look_at
        self._checks: dict[str, Check] = {}
        self._digest = ""
        self._rules_at: Millis | None = None
        self._made: dict[str, int] = {}
        self._threads: list[threading.Thread] = []

    def run(self, stop: threading.Event) -> None:
        """Make looks until `stop`. A store that is away is waited for."""
        while not stop.is_set():
            try:
                self.round()
            except redis.RedisError as error:
                log.debug("the store is away", error=str(error))
            stop.wait(LOOK_S)

    def round(self) -> int:
        """Begin the looks that are due and find a seat. Return how many began. Raises redis.RedisError."""
        now = effects.now(self._client, self._clock())
        if self._rules_at is None or not 0 <= now - self._rules_at < RULES_EVERY:
            self._read_rules(now)
        self._threads = [one for one in self._threads if one.is_alive()]
        begun = 0
        for check in self._checks.values():
            slot = slot_at(check, now)
            if len(self._threads) >= SEATS:
                break
            if self._made.get(check.name, -1) < slot and self._begin(check, slot):
                begun += 1
        return begun

    def rest(self) -> None:
        """Wait until every look that began is concluded."""
        for thread in self._threads:
            thread.join()

    def _begin(self, check: Check, slot: int) -> bool:
        token = random.token_hex(8)
        claimed = kept.claim(self._client, check.name, slot, token, check.timeout + LEASE_MORE)
        if claimed is True:
            self._made[check.name] = slot
        if not isinstance(claimed, Claimed):
            return False
        self._made[check.name] = slot
        arguments = (check, slot, token, claimed.before)
        thread = threading.Thread(target=self._make, args=arguments, name=f"look {check.name}", daemon=True)
        self._threads.append(thread)
        thread.start()
        return True

    def _make(self, check: Check, slot: int, token: str, before: Standing | None) -> None:
        """In a thread of its own: look, and say what came of it. What fails here is made up for by the next look."""
        try:
            seen = self._look_at(check, self._lookup)
            now = effects.now(self._client, self._clock())
            after, events = judged(check, before, seen, slot, now)
            after = msgspec.structs.replace(after, by=self._name)
            told = Events(SOURCE, events) if events else None
            ours = kept.conclude(self._client, check.name, token, after, told, now)
        except redis.RedisError as error:
            log.warning("a look could not be noted; the next one will be", check=check.name, error=str(error))
            return
        say = log.info if events else log.debug
        say("looked", check=check.name, amiss=seen.kind, text=seen.text, took_ms=seen.took, noted=ours)

    def _read_rules(self, now: Millis) -> None:
        """Take over the checks of the rules in force. Those that do not compile here leave everything as it is."""
        found = kept.rules(self._client)
        self._rules_at = now
        if found is None or found.digest == self._digest:
            return
        try:
            rulebook: Rulebook = compile_files(found.files)
        except RulesError:
            log.exception("the rules in force do not compile in this version; the checks stay as they were")
            self._digest = found.digest
            return
        self._checks, self._digest = dict(rulebook.checks), found.digest
        for name in kept.names(self._client):
            if name not in self._checks:
                self._forget(name, now)

    def _forget(self, name: str, now: Millis) -> None:
        """Forget a check that has left the rules. Its alerts end."""
        token = random.token_hex(8)
        claimed = kept.claim(self._client, name, 1 << 62, token, LEASE_MORE)
        if not isinstance(claimed, Claimed):
            self._digest = ""  # somebody looks at it just now: the next round finds it again
            return
        gone, before = Check(name), claimed.before
        events = [_end(gone, FAILED, now)] if before is not None and before.told_at is not None else []
        events += [_end(gone, EXPIRES, now)] if before is not None and before.expiry_told_at is not None else []
        kept.conclude(self._client, name, token, None, Events(SOURCE, events), now)
        self._made.pop(name, None)
