"""Every Redis key of Tocsin: one function or constant each, with its type, who writes it and who reads it.

All keys carry the hash tag `{tocsin}`, so that they share a slot; the tag will name the journal once there are
several. `docs/keys.md` is generated from `TABLE` and tested.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "{tocsin}:"
RQ_PREFIX: Final = "{tocsin}:rq"

JOURNAL: Final = PREFIX + "journal"
CURSOR: Final = PREFIX + "cursor"
LEASE: Final = PREFIX + "lease"
ACCEPTED: Final = PREFIX + "accepted"
DECISIONS: Final = PREFIX + "decisions"
COMMITS: Final = PREFIX + "commits"
DEAD_LETTERS: Final = PREFIX + "dead-letters"
TIMERS: Final = PREFIX + "timers"
DUE: Final = PREFIX + "due"
ACTS: Final = PREFIX + "acts"
READINGS: Final = PREFIX + "readings"
VERIFICATIONS: Final = PREFIX + "verifications"
CLAIMS: Final = PREFIX + "claims"
OPEN: Final = PREFIX + "incidents:open"
ALL: Final = PREFIX + "incidents:all"
NAMES: Final = PREFIX + "incidents:names"
CHECKPOINT: Final = PREFIX + "checkpoint"
WORKERS: Final = PREFIX + "workers"
WAKE: Final = PREFIX + "wake"
SESSIONS: Final = PREFIX + "session:"
TOKENS: Final = PREFIX + "tokens"
TOKENS_USED: Final = PREFIX + "tokens:used"
DEEDS: Final = PREFIX + "audit-log"
DEEDS_REFUSED: Final = PREFIX + "audit-log:refused"
AUDITS: Final = PREFIX + "audits"
CHECKS: Final = PREFIX + "checks"


def family(name: str) -> str:
    """Return the hash that holds one family of memory (triage.memory.FAMILIES)."""
    return f"{PREFIX}memory:{name}"


def members(incident: str) -> str:
    """Return the set of fingerprints (16 raw bytes each) of an incident's alerts."""
    return f"{PREFIX}members:{incident}"


def timeline(incident: str) -> str:
    """Return the list of an incident's timeline lines (msgpack), oldest first."""
    return f"{PREFIX}timeline:{incident}"


def claim(effect: str) -> str:
    """Return the lease on one effect: the token of the worker that is delivering it."""
    return f"{PREFIX}claim:{effect}"


def acting(run: str) -> str:
    """Return the courtesy of the worker that is at a run of an action, so that others look elsewhere."""
    return f"{PREFIX}acting:{run}"


def errand(family: str, incident: str) -> str:
    """Return the courtesy of the worker that is on an errand for an incident, so that others look elsewhere."""
    return f"{PREFIX}errand:{family}:{incident}"


def reported(effect: str, token: str) -> str:
    """Return the mark that the result of one claim on an effect is in the journal."""
    return f"{PREFIX}reported:{effect}:{token}"


def look(check: str) -> str:
    """Return the lease on one look of a check of checks.yaml: the token of the worker that makes it."""
    return f"{PREFIX}look:{check}"


def rate(place: str) -> str:
    """Return the list of when messages went to a provider lately; `place` is a hash."""
    return f"{PREFIX}rate:{place}"


def calendar(source: str) -> str:
    """Return the mark that a calendar is being read, or was a while ago; its end is the next time."""
    return f"{PREFIX}calendar:{source}"


TABLE: Final = [
    (
        JOURNAL,
        "stream",
        "the journal; fields k kind, a at (ms), n events, b body (msgpack)",
        "door, desk, workers",
        "drain, desk, audit",
    ),
    (
        CURSOR,
        "string",
        "`<entry id> <token of the commit>`: everything up to that entry is decided",
        "drain",
        "drain, desk, audit",
    ),
    (LEASE, "string", "token of the drain that decides now; expires", "drain", "drain, sweeper"),
    (ACCEPTED, "string", "how many events were ever accepted", "door", "audit, metrics"),
    (DECISIONS, "stream", "by entry id: d decisions or a answer (msgpack)", "drain", "desk, why"),
    (COMMITS, "stream", "by cursor: c first and last entry id, g digest, v version of decide", "drain", "audit"),
    (DEAD_LETTERS, "stream", "by entry id: bodies that could not be read, with the reason", "drain", "dead-letters"),
    (TIMERS, "sorted set", "timer name by due time (ms)", "drain", "drain, metrics"),
    (DUE, "sorted set", "effect id by due time (ms)", "drain", "deliver, sweeper"),
    (ACTS, "sorted set", "runs of actions that want a worker, by when they were asked for (ms)", "drain", "actor"),
    (acting("<run>"), "string", "token of the worker that is at that run; expires", "actor", "actor"),
    (READINGS, "sorted set", "incidents whose metrics are to be read, by when that was asked (ms)", "drain", "probe"),
    (
        VERIFICATIONS,
        "sorted set",
        "incidents to be looked at before they resolve, by when asked (ms)",
        "drain",
        "probe",
    ),
    (
        errand("<family>", "<incident>"),
        "string",
        "token of the worker that is on that errand; expires",
        "probe",
        "probe",
    ),
    (CLAIMS, "hash", "effect id → how often it was claimed since its last result", "deliver", "deliver"),
    (claim("<effect>"), "string", "token of the worker that delivers it; expires", "deliver", "deliver, sweeper"),
    (
        reported("<effect>", "<token>"),
        "string",
        "set when the result of that claim was appended; expires",
        "deliver",
        "deliver",
    ),
    (OPEN, "sorted set", "keys of incidents that have not ended, by opening time (ms)", "drain", "desk, metrics"),
    (ALL, "sorted set", "keys of all kept incidents, by opening time (ms)", "drain", "desk"),
    (NAMES, "sorted set", "the same keys at score 0, to find one by its first characters", "drain", "desk"),
    (
        CHECKPOINT,
        "hash",
        "the newest checkpoint: cursor, digest, version, and chunks of all memory (zlib, msgpack)",
        "drain",
        "audit",
    ),
    (family("<family>"), "hash", "memory of one family by id (msgpack)", "drain", "drain, desk, deliver"),
    (members("<incident>"), "set", "fingerprints of the alerts that joined the incident", "drain", "desk"),
    (timeline("<incident>"), "list", "lines of the timeline (msgpack), oldest first", "drain", "desk"),
    (WORKERS, "hash", "process name → last sign of life (ms) and role", "workers", "ready, metrics"),
    (calendar("<source>"), "string", "set while a calendar need not be read again; expires", "workers", "workers"),
    (rate("<hash>"), "list", "when messages went to a provider, newest first (ms); expires", "deliver", "deliver"),
    (WAKE, "string", "set while a wake-up for deliver is on its way; expires", "drain, sweeper", "deliver"),
    (AUDITS, "hash", "machine → what its self-watch found last (JSON)", "watch", "ready, metrics, audit"),
    (CHECKS, "hash", "check of checks.yaml → how it stands (msgpack)", "probe", "probe, desk, metrics"),
    (look("<check>"), "string", "token of the worker that looks at it; expires", "probe", "probe"),
    (TOKENS, "hash", "name → an API token: SHA-256, role, scopes, expiry (msgpack)", "desk", "desk"),
    (TOKENS_USED, "hash", "name → about when that token was last used (ms)", "desk", "desk"),
    (DEEDS, "stream", "the audit log: who did what, from where (msgpack)", "desk", "desk"),
    (DEEDS_REFUSED, "stream", "who was refused what, from where (msgpack)", "desk", "desk"),
    (SESSIONS + "<hash>", "string", "a signed-in browser: who, until when; expires", "desk", "desk"),
    (RQ_PREFIX + ":*", "various", "RQ's own: wake-ups only, may be deleted at any moment", "RQ", "RQ"),
]
"""Key pattern, Redis type, meaning, writers, readers."""
