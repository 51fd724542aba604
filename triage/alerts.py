"""What one event means for its alert: a new episode, a repeat, an end, or a word that comes too late.

Senders repeat, retry and reorder. The rules, in one place:

* Firing while firing is a repeat, whatever its times say.
* Firing after a resolve begins a new episode, unless its `starts_at` lies in the episode that ended and it comes
  within `late_grace` of the resolve: then it is a straggler. A sender that goes on claiming that it fires is believed.
* Resolved while firing ends the episode, unless its `ends_at` lies before the episode began.
* Resolved without a known firing is remembered, so that a straggling firing event pages nobody.
"""

from __future__ import annotations

import enum
import zlib
from typing import Final

import msgspec

from triage.model import Alert, AlertState, Event, Millis, Reason, Severity, Status

_ENCODER: Final = msgspec.msgpack.Encoder()


class Move(enum.Enum):
    """What an event does to its alert."""

    BEGINS = enum.auto()
    REPEATS = enum.auto()
    RETURNS = enum.auto()
    ENDS = enum.auto()
    NOTHING = enum.auto()


def move_of(event: Event, known: Alert | None, now: Millis, late_grace: Millis) -> tuple[Move, Reason]:
    """Return what `event` does to the alert that is `known` under its fingerprint, and why.

    BEGINS: a new episode. REPEATS: nothing new. RETURNS: a stale alert speaks again. ENDS: the episode is over.
    """
    if event.status is Status.INFO:
        return Move.NOTHING, Reason.INFORMATIONAL
    if event.status is Status.FIRING:
        return _firing(event, known, now, late_grace)
    if known is None:
        return Move.NOTHING, Reason.UNKNOWN_ALERT
    if known.state is AlertState.RESOLVED:
        return Move.NOTHING, Reason.ALREADY_RESOLVED
    if event.ends_at is not None and known.starts_at is not None and event.ends_at < known.starts_at:
        return Move.NOTHING, Reason.LATE_RESOLVE
    return Move.ENDS, Reason.EPISODE_ENDED


def _firing(event: Event, known: Alert | None, now: Millis, late_grace: Millis) -> tuple[Move, Reason]:
    if known is None:
        return Move.BEGINS, Reason.NEW_GROUP
    if known.state is AlertState.STALE:
        return Move.RETURNS, Reason.FIRES_AGAIN
    if known.state is not AlertState.RESOLVED:
        return Move.REPEATS, Reason.REPEAT
    straggler = (
        event.starts_at is not None
        and known.ends_at is not None
        and event.starts_at < known.ends_at
        and now - known.changed_at <= late_grace
        and not _began_later(event.starts_at, known)
    )
    if straggler:
        return Move.NOTHING, Reason.LATE_FIRING
    return Move.BEGINS, Reason.FIRES_AGAIN


def _began_later(starts_at: Millis, known: Alert) -> bool:
    """Tell whether an episode began after the known one began, when the sender did not say when that ended.

    Its end is then by our clock, with which its sender's must not be compared.
    """
    by_our_clock = known.ends_at == known.changed_at
    return by_our_clock and known.starts_at is not None and starts_at > known.starts_at


def begun(event: Event, known: Alert | None, source: str, severity: Severity, now: Millis) -> Alert:
    """Return the alert with a new episode that began with `event`."""
    return Alert(
        state=AlertState.FIRING,
        source=source,
        severity=severity,
        starts_at=event.starts_at,
        ends_at=None,
        first_at=known.first_at if known else now,
        seen_at=now,
        changed_at=now,
        count=1,
        episodes=known.episodes + 1 if known else 1,
        incident="",
        labels_sum=labels_sum(event),
        text_sum=text_sum(event),
    )


def ended_unseen(event: Event, source: str, severity: Severity, now: Millis) -> Alert:
    """Return the alert of which only the end was ever heard."""
    alert = begun(event, None, source, severity, now)
    alert.state = AlertState.RESOLVED
    alert.ends_at = now if event.ends_at is None else event.ends_at
    alert.episodes = 0
    return alert


def labels_sum(event: Event) -> int:
    """Return a checksum over what the rules look at, to notice that a repeat says something else than before."""
    return zlib.crc32(_ENCODER.encode((event.labels, event.raw_severity)))


def text_sum(event: Event) -> int:
    """Return a checksum over what people read, to notice that the details must be written anew."""
    return zlib.crc32(_ENCODER.encode((event.title, event.annotations, event.url)))
