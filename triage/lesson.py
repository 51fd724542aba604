"""What leads from an incident to what was to be done after earlier ones like it."""

from __future__ import annotations

import msgspec


class Lesson(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An incident whose postmortem has action items, and what a later incident may share with it."""

    incident: str
    group: str
    rule: str
    service: str


class Lessons(msgspec.Struct, array_like=True, gc=False):
    """One of a kind: the incidents with action items that are open, or were lately; the one changed last is last."""

    items: tuple[Lesson, ...] = ()
