"""What is remembered of silences, and of what is held back by them, by mutes and by inhibitions."""

from __future__ import annotations

import msgspec

from triage.model import Millis, Severity


class Words(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a silence says. An alert is meant that all matchers (as text) of one of `sets` accept.

    It holds from `starts_at` to before `ends_at`; None: from its making, or without an end of its own. With
    `after_resolve` it ends that long after the last alert that it meant stopped firing. Severities in `spared` are not
    silenced. `kind` is `silence` or `maintenance`.
    """

    sets: tuple[tuple[str, ...], ...]
    starts_at: Millis | None = None
    ends_at: Millis | None = None
    after_resolve: Millis | None = None
    comment: str = ""
    by: str = ""
    annotations: dict[str, str] = {}
    spared: tuple[Severity, ...] = ()
    kind: str = "silence"


class Silence(msgspec.Struct, array_like=True, gc=False):
    """A silence that somebody asked for at run time, or what is known of one of quiet.yaml that follows its alerts.

    `ends_at` is when it ends as things stand, `ended_at` when it did. `under` holds the fingerprints of alerts that it
    means and that fire, kept only where it has `after_resolve`. `hits` counts alerts that began under it.
    """

    words: Words
    via: str
    made_at: Millis
    changed_at: Millis
    ends_at: Millis | None = None
    ended_at: Millis | None = None
    ended_by: str = ""
    warned: bool = False
    under: tuple[str, ...] = ()
    hits: int = 0


class Silences(msgspec.Struct, array_like=True, gc=False):
    """The keys of the run-time silences that have not ended, and those of them that follow their alerts."""

    keys: tuple[str, ...] = ()
    following: tuple[str, ...] = ()


class Waiting(msgspec.Struct, array_like=True, gc=False):
    """The timers that are set to now when what holds something back changes: `hold:…` of alerts, `quiet:…`.

    They are due by themselves at `until`, where that is known; from then on those listed wait no longer.
    """

    names: tuple[str, ...] = ()
    until: Millis | None = None


class Gate(msgspec.Struct, array_like=True, gc=False):
    """What inhibits others as long as it goes on: fingerprints of firing alerts, or keys of open incidents."""

    members: tuple[str, ...] = ()


class Crowd(msgspec.Struct, array_like=True, gc=False):
    """One part of the alerts of an incident that fire and did not join it silenced; see `triage.pausing`."""

    members: tuple[str, ...] = ()
