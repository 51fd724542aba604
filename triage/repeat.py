"""What is remembered of requests that named themselves, so that a repeat is answered and not done again."""

from __future__ import annotations

import msgspec

from triage.model import Answer, Millis


class Repeat(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A request that was done at `at`: its name, what tells it from another under the same name, and its answer."""

    name: str
    mark: str
    at: Millis
    answer: Answer


class Repeats(msgspec.Struct, array_like=True, gc=False):
    """The requests whose names fall into one bucket, oldest first; see `triage.repeats`."""

    items: tuple[Repeat, ...] = ()
