"""Reading the state for people: incidents, alerts, events, the ledger. Read-only, and every question is bounded.

Lists are paged. A page carries `next`, which is passed back as `after`; None means that this was the last page. A page
of alerts may hold a few more than `limit`, because the store hands out hashes and sets in its own portions.

All functions raise one of `DOWN` when the store cannot be reached, and `Unknown` or `Ambiguous` as noted.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

import msgspec
import redis
import redis.asyncio

from triage.memory import ALERT, DETAILS, INCIDENT
from triage.model import (
    ENDED,
    Alert,
    AlertState,
    Answer,
    Decision,
    Details,
    Entry,
    Event,
    Events,
    Incident,
    Line,
    Millis,
    Phase,
    Severity,
)
from triage.store import drills, journal, keys

Client: TypeAlias = redis.asyncio.Redis
DOWN: Final = (redis.RedisError, OSError)
"""What these functions raise when the store does not answer."""

PREFIX_MIN: Final = 6
CANDIDATES_MAX: Final = 10
STORIES_MAX: Final = 15
"""How many timelines are read as one; those of more merged incidents are read where they stand."""
CHUNK: Final = 500
"""How many incidents or alerts are read in one round trip."""
LOOKED_AT_MAX: Final = 10_000
"""How many incidents or alerts one filtered question may look at before it hands back a page and where it stood."""

_T = TypeVar("_T")
_KEY: Final = re.compile(r"[a-z2-7]{6,26}")
_FULL: Final = 26
_ENTRY_ID: Final = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


class Unknown(LookupError):
    """Nothing is kept under that name. The message says what was asked for and where to look."""


class Malformed(Unknown):
    """What was passed cannot be a name or a mark of ours at all."""


class Ambiguous(LookupError):
    """Several incidents begin with these characters; `candidates` lists their keys (at most ten)."""

    def __init__(self, prefix: str, candidates: list[str]) -> None:
        super().__init__(f"several incidents begin with {prefix!r}: {', '.join(candidates)}; give more characters")
        self.candidates = candidates


class Page(msgspec.Struct, Generic[_T], frozen=True):
    """Some items, and the mark after which the next ones come (None: there are no more)."""

    items: list[_T]
    next: str | None = None


class AlertView(msgspec.Struct, frozen=True):
    """One alert with both its memories. `details` is None when only the short memory is kept."""

    fingerprint: str
    alert: Alert
    details: Details | None


class EntryView(msgspec.Struct, frozen=True):
    """One journal entry with what became of it: decisions of its events, or the answer to a command.

    `decided` is False while the cursor has not passed it. Decisions are kept for a while;
    a decided entry that has neither of the two is older than that.
    """

    entry: Entry
    decided: bool
    decisions: list[Decision] | None = None
    answer: Answer | None = None


class IncidentFilter(msgspec.Struct, frozen=True):
    """Which incidents to list; what is None does not matter. `text` is looked for in title, service and key."""

    open: bool | None = None
    phase: Phase | None = None
    severity: Severity | None = None
    service: str | None = None
    text: str | None = None

    def takes(self, incident: Incident) -> bool:
        """Tell whether this incident is wanted (`open` aside, which chooses the index)."""
        return (
            (self.phase is None or incident.phase is self.phase)
            and (self.severity is None or incident.severity is self.severity)
            and (self.service is None or incident.service == self.service)
            and (self.text is None or self._mentions(incident, self.text.casefold()))
        )

    @staticmethod
    def _mentions(incident: Incident, text: str) -> bool:
        return any(text in part.casefold() for part in (incident.title, incident.service, incident.key))


class AlertFilter(msgspec.Struct, frozen=True):
    """Which alerts to list. `labels`: (name, equal, value), all of which must hold; a missing label counts as ""."""

    state: AlertState | None = None
    source: str | None = None
    labels: tuple[tuple[str, bool, str], ...] = ()

    def takes(self, view: AlertView) -> bool:
        """Tell whether this alert is wanted."""
        if self.state is not None and view.alert.state is not self.state:
            return False
        if self.source is not None and view.alert.source != self.source:
            return False
        labels = view.details.labels if view.details else {}
        return all((labels.get(name, "") == value) is equal for name, equal, value in self.labels)


def entry_order(entry_id: str) -> tuple[int, int]:
    """Return the sort key of an entry id (`<ms>-<n>`). Raises Unknown when it is none."""
    if not _ENTRY_ID.fullmatch(entry_id):
        raise Malformed(f"{entry_id!r} is not an entry id; one looks like 1767225600000-0, as the door answers it")
    first, _, second = entry_id.partition("-")
    return int(first), int(second)


def _decode_all(type_: type[_T], raws: Iterable[bytes | None]) -> list[_T | None]:
    decoder = msgspec.msgpack.Decoder(type_)
    return [None if raw is None else decoder.decode(raw) for raw in raws]


async def _many(client: Client, family: str, type_: type[_T], ids: Sequence[bytes]) -> list[_T | None]:
    """Return what is kept under `ids` in one family, None where nothing is."""
    if not ids:
        return []
    raws = await cast("Any", client).hmget(keys.family(family), list(ids))
    return _decode_all(type_, raws)


# --------------------------------------------------------------------------------------------------------------------
# Incidents.


async def incident(client: Client, ref: str) -> Incident:
    """Return the incident with this key, or whose key begins with `ref` (six characters or more); or such a drill.

    Raises Unknown, or Ambiguous with the candidates.
    """
    ref = ref.strip().lower()
    if not _KEY.fullmatch(ref):
        raise Unknown(f"{ref[:40]!r} names no incident: give its key, or at least its first {PREFIX_MIN} characters")
    key = ref if len(ref) == _FULL else await _key_of(client, ref)
    found = (await _many(client, INCIDENT, Incident, [key.encode()]))[0] or await drills.incident_of(client, ref)
    if found is None:
        raise Unknown(f"there is no incident {ref!r}; `tocsin incidents --all` lists those that are kept")
    return found


async def _key_of(client: Client, prefix: str) -> str:
    low, high = b"[" + prefix.encode(), b"(" + prefix.encode() + b"\xff"
    found = await cast("Any", client).zrangebylex(keys.NAMES, low, high, start=0, num=CANDIDATES_MAX)
    names = [name.decode() for name in found]
    if len(names) > 1:
        raise Ambiguous(prefix, names)
    return names[0] if names else prefix


async def incidents(
    client: Client, wanted: IncidentFilter, limit: int = 50, after: str | None = None
) -> Page[Incident]:
    """Return incidents, newest first. Looks at no more than `LOOKED_AT_MAX` of them per call."""
    index = keys.OPEN if wanted.open else keys.ALL
    rank = await _rank_after(client, index, after) if after else 0
    found: list[Incident] = []
    for start in range(rank, rank + LOOKED_AT_MAX, CHUNK):
        members = await cast("Any", client).zrange(index, start, start + CHUNK - 1, desc=True, withscores=True)
        kept = await _many(client, INCIDENT, Incident, [key for key, _ in members])
        for (key, score), one in zip(members, kept, strict=True):
            if one is not None and _is_open(one, wanted.open) and wanted.takes(one):
                found.append(one)
            if len(found) == limit:
                return Page(found, _mark(score, key))
        if len(members) < CHUNK:
            return Page(found)
    return Page(found, _mark(score, key))


def _is_open(one: Incident, wanted: bool | None) -> bool:
    return wanted is None or wanted is (one.phase not in ENDED)


def _mark(score: float, key: bytes) -> str:
    return f"{int(score)}-{key.decode()}"


async def _rank_after(client: Client, index: str, after: str) -> int:
    """Return the rank that follows the mark, also when the incident it names has been forgotten since."""
    score, _, key = after.partition("-")
    if not score.isascii() or not score.isdigit() or not _KEY.fullmatch(key):
        raise Malformed(f"after={after[:60]!r} is not a mark: pass back the `next` of the previous page")
    rank = await cast("Any", client).zrevrank(index, key.encode())
    if rank is not None:
        return int(rank) + 1
    return int(await cast("Any", client).zcount(index, f"({score}", "+inf"))


async def open_incidents(client: Client) -> tuple[list[Incident], int]:
    """Return open incidents by severity, then age (oldest first), and how many there are.

    At most `LOOKED_AT_MAX` are read, the newest ones.
    """
    total = int(await cast("Any", client).zcard(keys.OPEN))
    found: list[Incident] = []
    for start in range(0, min(total, LOOKED_AT_MAX), CHUNK):
        members = await cast("Any", client).zrange(keys.OPEN, start, start + CHUNK - 1, desc=True)
        found += [one for one in await _many(client, INCIDENT, Incident, members) if one is not None]
    found.sort(key=lambda one: (one.severity, one.opened_at, one.key))
    return found, total


async def timeline(client: Client, key: str, limit: int = 100, after: str | None = None) -> Page[Line]:
    """Return lines of an incident's timeline, newest first."""
    name = keys.timeline(key)
    length = int(await cast("Any", client).llen(name))
    end = length if after is None else min(_cursor(after), length)
    start = max(end - limit, 0)
    if end == 0:
        return Page([])
    raws = await cast("Any", client).lrange(name, start, end - 1)
    lines = [msgspec.msgpack.decode(raw, type=Line) for raw in reversed(raws)]
    return Page(lines, str(start) if start > 0 else None)


class Told(msgspec.Struct, frozen=True):
    """One line of a story: the key of the incident in whose timeline it stands, and the line."""

    incident: str
    line: Line


async def story(client: Client, incident: Incident, limit: int = 100, after: str | None = None) -> Page[Told]:
    """Return lines of an incident's timeline and of those that became part of it, as one, newest first."""
    of = (incident.key, *incident.merged)[:STORIES_MAX]
    ends = await _ends(client, of, after)
    found: list[tuple[Millis, int, int, Line]] = []
    for index, (key, end) in enumerate(zip(of, ends, strict=True)):
        start = max(end - limit, 0)
        raws = await cast("Any", client).lrange(keys.timeline(key), start, end - 1) if end else []
        lines = [msgspec.msgpack.decode(raw, type=Line) for raw in raws]
        found += [(line.at, -index, start + at, line) for at, line in enumerate(lines)]
    found.sort(key=lambda one: one[:3], reverse=True)
    page = [Told(of[-index], line) for _, index, _, line in found[:limit]]
    left = [end - sum(one.incident == key for one in page) for key, end in zip(of, ends, strict=True)]
    return Page(page, ".".join(map(str, left)) if any(left) else None)


async def _ends(client: Client, of: Sequence[str], after: str | None) -> list[int]:
    """Return how many lines of each timeline are still to come; of what was merged meanwhile all of them."""
    lengths = [int(await cast("Any", client).llen(keys.timeline(key))) for key in of]
    marks = after.split(".") if after is not None else []
    if len(marks) > len(of):
        raise Malformed(f"after={str(after)[:60]!r} is not a mark: pass back the `next` of the previous page")
    known = [min(_cursor(mark), length) for mark, length in zip(marks, lengths, strict=False)]
    return known + lengths[len(known) :]


# --------------------------------------------------------------------------------------------------------------------
# Alerts.


def _cursor(after: str | None) -> int:
    if after is None:
        return 0
    if not after.isascii() or not after.isdigit() or len(after) > 20:
        raise Malformed(f"after={after[:60]!r} is not a mark: pass back the `next` of the previous page")
    return int(after)


async def _views(client: Client, fingerprints: Sequence[bytes]) -> list[AlertView]:
    alerts = await _many(client, ALERT, Alert, fingerprints)
    details = await _many(client, DETAILS, Details, fingerprints)
    return [
        AlertView(raw.hex(), alert, more)
        for raw, alert, more in zip(fingerprints, alerts, details, strict=True)
        if alert is not None
    ]


def _firing_first(view: AlertView) -> tuple[bool, int, int]:
    return view.alert.state is AlertState.RESOLVED, view.alert.severity, -view.alert.changed_at


async def alerts_of(client: Client, key: str, limit: int = 50, after: str | None = None) -> Page[AlertView]:
    """Return alerts that joined an incident; within a page the firing ones first."""
    cursor = _cursor(after)
    found: list[AlertView] = []
    for _ in range(LOOKED_AT_MAX // CHUNK):
        cursor, members = await cast("Any", client).sscan(keys.members(key), cursor, count=limit)
        found += await _views(client, members)
        if cursor == 0 or len(found) >= limit:
            break
    return Page(sorted(found, key=_firing_first), str(cursor) if cursor else None)


async def alerts(client: Client, wanted: AlertFilter, limit: int = 50, after: str | None = None) -> Page[AlertView]:
    """Return alerts in no particular order; within a page the firing ones first. Looks at about `LOOKED_AT_MAX`."""
    cursor = _cursor(after)
    found: list[AlertView] = []
    looked_at = 0
    while looked_at < LOOKED_AT_MAX:
        cursor, some = await cast("Any", client).hscan(keys.family(ALERT), cursor, count=max(limit, 100))
        looked_at += max(len(some), 100)
        found += [view for view in await _views(client, list(some)) if wanted.takes(view)]
        if cursor == 0 or len(found) >= limit:
            break
    return Page(sorted(found, key=_firing_first), str(cursor) if cursor else None)


async def alert(client: Client, ref: str) -> AlertView:
    """Return the alert whose fingerprint (hex) begins with `ref`, eight digits or more. Raises Unknown."""
    ref = ref.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{8,32}", ref):
        raise Unknown(f"{ref[:40]!r} is no fingerprint: give at least its first eight hexadecimal digits")
    if len(ref) == 32:
        matching = await _views(client, [bytes.fromhex(ref)])
    else:
        matching = [view async for view in _scan(client, ref)]
    if not matching:
        raise Unknown(f"no alert with fingerprint {ref}… is remembered; /api/v1/alerts lists those that are")
    if len({view.fingerprint for view in matching}) > 1:
        raise Unknown(f"several alerts begin with {ref!r}: {', '.join(view.fingerprint for view in matching)}")
    return matching[0]


async def _scan(client: Client, prefix: str) -> AsyncIterator[AlertView]:
    """Yield alerts by the first digits of their fingerprint: looks at all names, but reads only what matches."""
    even = bytes.fromhex(prefix[: len(prefix) // 2 * 2])
    pattern = b"".join(b"\\" + bytes([byte]) if byte in b"*?[]\\^" else bytes([byte]) for byte in even) + b"*"
    async for field in cast("Any", client).hscan_iter(keys.family(ALERT), match=pattern, count=2_000):
        if field[0].hex().startswith(prefix):
            for view in await _views(client, [field[0]]):
                yield view


# --------------------------------------------------------------------------------------------------------------------
# Events, commands, the cursor.


async def cursor(client: Client) -> str:
    """Return the id of the last decided entry ("0-0" when nothing was decided yet)."""
    raw = await cast("Any", client).get(keys.CURSOR)
    return cursor_id(raw)


def cursor_id(raw: bytes | None) -> str:
    """Return the entry id of a stored cursor."""
    return raw.decode().partition(" ")[0] if raw else "0-0"


async def entry(client: Client, entry_id: str) -> EntryView:
    """Return one journal entry with its decisions or answer. Raises Unknown, also when it was trimmed away."""
    order = entry_order(entry_id)
    async with client.pipeline(transaction=True) as pipe:
        pipe.xrange(keys.JOURNAL, entry_id, entry_id)
        pipe.xrange(keys.DECISIONS, entry_id, entry_id)
        pipe.get(keys.CURSOR)
        found, decided, mark = await pipe.execute()
    if not found:
        raise Unknown(f"the journal holds no entry {entry_id}; old entries are moved to the archive")
    fields = decided[0][1] if decided else {}
    return EntryView(
        entry=journal.decode(*found[0]),
        decided=bool(decided) or order <= entry_order(cursor_id(mark)),
        decisions=msgspec.msgpack.decode(fields[b"d"], type=list[Decision]) if b"d" in fields else None,
        answer=msgspec.msgpack.decode(fields[b"a"], type=Answer) if b"a" in fields else None,
    )


async def wait_decided(client: Client, entry_id: str, timeout_s: float = 2.0) -> bool:
    """Wait until the cursor has passed `entry_id`; False when it has not within `timeout_s` seconds."""
    order = entry_order(entry_id)
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    pause_s = 0.004
    while entry_order(await cursor(client)) < order:
        left = end - loop.time()
        if left <= 0:
            return False
        await asyncio.sleep(min(pause_s, left))
        pause_s = min(pause_s * 1.5, 0.1)
    return True


async def answer(client: Client, entry_id: str) -> Answer | None:
    """Return the answer to a command, or None when there is none (yet, or any more)."""
    found = await cast("Any", client).xrange(keys.DECISIONS, entry_id, entry_id)
    if not found or b"a" not in found[0][1]:
        return None
    return msgspec.msgpack.decode(found[0][1][b"a"], type=Answer)


def events_of(view: EntryView) -> list[tuple[int, Event, Decision | None]]:
    """Return the events of an entry with the decision of each (None: not decided yet, or no longer kept)."""
    body = view.entry.body
    if not isinstance(body, Events):
        raise Unknown(f"entry {view.entry.id} holds no events; it is a {type(body).__name__} entry")
    decisions: Sequence[Decision | None] = view.decisions or [None] * len(body.events)
    return [(at, event, decision) for at, (event, decision) in enumerate(zip(body.events, decisions, strict=True))]
