"""What is remembered of heartbeats: one struct for each, and the roster of all of them."""

from __future__ import annotations

import enum

import msgspec

from triage.model import Millis


class BeatState(enum.StrEnum):
    """How a heartbeat stands: never heard of yet, as it should be, missed, or its last run failed."""

    NEW = "new"
    UP = "up"
    MISSED = "missed"
    FAILED = "failed"


class Heartbeat(msgspec.Struct, array_like=True, gc=False):
    """What is remembered of one heartbeat, by the fingerprint of the alert about it.

    `cadence` is the key of the rules' words on it, `labels` the values that tell it from others of that cadence. It is
    awaited since `since`, and missed at `due` (None while it is missed or failed). `timer` is when it is looked at
    next: `due` or earlier. `slow` counts beats that came later than `every` but in time, `gap` is the longest of those
    waits and `slow_at` the last time. `excused`: Tocsin itself was away when it was due, so it got another chance.
    """

    cadence: str
    name: str
    labels: dict[str, str]
    since: Millis
    changed_at: Millis
    state: BeatState = BeatState.NEW
    due: Millis | None = None
    timer: Millis | None = None
    beat_at: Millis | None = None
    beats: int = 0
    started_at: Millis | None = None
    took: Millis | None = None
    slow: int = 0
    gap: Millis = 0
    slow_at: Millis | None = None
    excused: bool = False


class Roster(msgspec.Struct, array_like=True, gc=False):
    """All heartbeats: fingerprint → key of the cadence; `digest` is of the rules that it was last compared with."""

    ids: dict[str, str] = {}
    digest: str = ""
