"""What is public of an incident: words that were written for everybody, and nothing else.

A publication is kept apart from its incident, whose title, notes and alerts it never holds. So the status page, which
is made of publications alone, cannot show what was not meant for it.
"""

from __future__ import annotations

import enum

import msgspec

from triage.model import Millis, key_of
from triage.status import Standing


class Effects(enum.StrEnum):
    """How much a component suffers."""

    DEGRADED = "degraded"
    PARTIAL = "partial"
    MAJOR = "major"


class PublicUpdate(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What was published at a time: where it stands, how much it hurts, and the words.

    `impact` says whom it hurts, or "". `next_at` is when the next update was promised, None where none was.
    """

    at: Millis
    status: Standing
    effects: Effects
    text: str
    impact: str = ""
    next_at: Millis | None = None


class Publication(msgspec.Struct, array_like=True, gc=False):
    """What the status page shows of one incident. `updates` are in the order of time; `rule` wrote the first, or "".

    `address` is its name in addresses where that is not its incident's own: it began as another one's.
    """

    title: str
    components: tuple[str, ...]
    updates: tuple[PublicUpdate, ...]
    published_at: Millis
    resolved_at: Millis | None = None
    rule: str = ""
    address: str = ""

    @property
    def status(self) -> Standing:
        return self.updates[-1].status

    @property
    def effects(self) -> Effects:
        return self.updates[-1].effects


class Publications(msgspec.Struct, array_like=True, gc=False):
    """One of a kind: the incidents of which something is public, by the order in which they became so."""

    keys: tuple[str, ...] = ()


def address_of(incident: str, publication: Publication | None) -> str:
    """Return the name in addresses of what is public of an incident."""
    return publication.address if publication is not None and publication.address else public_id(incident)


def public_id(incident: str) -> str:
    """Return the name of a publication in addresses; it does not tell the incident's key."""
    return key_of("public", incident)[:10]
