"""What is remembered of changes: deploys and whatever else changed, by service."""

from __future__ import annotations

import msgspec

from triage.model import Millis


class Happened(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One change. `at` is when, by its sender's word as far as that can be; `heard_at` when we heard of it.

    `verified`: somebody checked the version and found it good. `trouble_at` is when the first incident began while the
    version ran, None where none did.
    """

    at: Millis
    heard_at: Millis
    kind: str
    summary: str
    version: str = ""
    environment: str = ""
    by: str = ""
    url: str = ""
    source: str = ""
    id: str = ""
    verified: bool = False
    trouble_at: Millis | None = None


class Record(msgspec.Struct, array_like=True, gc=False):
    """The changes of one service, newest last; `good` is the last known good of those that were dropped."""

    items: tuple[Happened, ...] = ()
    good: Happened | None = None


class Recorded(msgspec.Struct, array_like=True, gc=False):
    """The services of which changes are remembered; the one that changed last is last."""

    services: tuple[str, ...] = ()
