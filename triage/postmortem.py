"""What is remembered of an incident's postmortem, its versions, and the figures that outlive the incident."""

from __future__ import annotations

import enum
from datetime import UTC, datetime

import msgspec

from triage.model import Millis, Severity


class State(enum.StrEnum):
    """Where a postmortem stands."""

    DRAFT = "draft"
    REVIEWED = "reviewed"
    PUBLISHED = "published"


class ItemState(enum.StrEnum):
    """What became of an action item."""

    OPEN = "open"
    DONE = "done"
    DROPPED = "dropped"


class Ticket(enum.StrEnum):
    """Whether an item is in the operators' tracker; unknown: it was sent, and nobody knows whether it arrived."""

    NONE = ""
    ASKED = "asked"
    SENT = "sent"
    UNKNOWN = "unknown"
    FAILED = "failed"


class Priority(enum.StrEnum):
    """How much an action item matters."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Item(msgspec.Struct, array_like=True, gc=False):
    """Something to do so that it does not happen again, or (`follow_up`) to tidy up after it. `due` may be open.

    `recurred` counts incidents like its own that came while it was open, or that opened it again; the last of them at
    `recurred_at`. `ticket_url` is where the tracker has it, "" where that is not known.
    """

    id: str
    text: str
    owner: str
    due: Millis | None
    priority: Priority
    state: ItemState
    made_at: Millis
    changed_at: Millis
    follow_up: bool = False
    recurred: int = 0
    recurred_at: Millis | None = None
    ticket: Ticket = Ticket.NONE
    ticket_url: str = ""


class Postmortem(msgspec.Struct, array_like=True, gc=False):
    """What is learned from one incident, besides its resolution note and root cause, which are the incident's own.

    `due_at`: None where none is owed. `versions` counts the texts that people saved; without any the text is made from
    the journal. `reminded` counts reminders since it was last changed. `group` and `rule` are those of the incident.
    `published_version` is the text that was published last, 0 where none was.
    """

    title: str
    service: str
    severity: Severity
    opened_at: Millis
    due_at: Millis | None = None
    owner: str = ""
    state: State = State.DRAFT
    whys: tuple[str, ...] = ()
    contributing: tuple[str, ...] = ()
    well: tuple[str, ...] = ()
    badly: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()
    versions: int = 0
    edited_at: Millis | None = None
    edited_by: str = ""
    reviewed_at: Millis | None = None
    reviewed_by: str = ""
    published_at: Millis | None = None
    published_by: str = ""
    reminded: int = 0
    group: str = ""
    rule: str = ""
    published_version: int = 0


class Version(msgspec.Struct, array_like=True, gc=False):
    """One saved text of a postmortem, in Markdown."""

    at: Millis
    by: str
    text: str


class Past(msgspec.Struct, array_like=True, gc=False):
    """The figures of an incident that ended. They stay when the journal is trimmed and the incident is forgotten.

    `calls`: person → how many pages, and how many of them at night; `by_night` says of which nights. Times are None for
    what did not happen.
    """

    title: str
    service: str
    severity: Severity
    rule: str
    opened_at: Millis
    resolved_at: Millis
    taken_at: Millis | None = None
    mitigating_at: Millis | None = None
    calls: dict[str, tuple[int, int]] = {}
    alerts: int = 0
    pages: int = 0
    root_cause: str = ""
    by_night: dict[str, dict[str, int]] = {}


def day_of(at: Millis) -> str:
    """Return the day of a time, in UTC, as people write it."""
    return datetime.fromtimestamp(at / 1_000, UTC).strftime("%Y-%m-%d")
