"""What is remembered of the metrics of an incident: what is asked, and what was read around onset and recovery."""

from __future__ import annotations

import msgspec

from triage.model import Around, Curve, Millis


class Query(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What is asked, and of whom: address and headers of a Prometheus of metrics.yaml, with `${…}` unexpanded.

    `text` is PromQL as it was written, `curve` the part of it whose course is drawn. Where they differ, the rest says
    when it fires: `sign` (like `>`) and `threshold`. `labels` are those of the alert, by which its series is found.
    `origin` tells where the expression is from, as a phrase.
    """

    server: str
    url: str
    headers: dict[str, str]
    text: str
    curve: str
    sign: str = ""
    threshold: float | None = None
    labels: dict[str, str] = {}
    origin: str = ""


class Asked(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A reading that a worker is to make: from `start` to `end` by `step` (ms), asked for at `at`."""

    around: Around
    start: Millis
    end: Millis
    step: Millis
    at: Millis


class Snapshot(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What was read: curves that begin at `start` and go on by `step` until `end`, or why there are none (`fault`).

    `left_out` counts series that are not kept. `whole`: only what fires is in it, since all of it was too much.
    """

    around: Around
    start: Millis
    end: Millis
    step: Millis
    read_at: Millis
    curves: tuple[Curve, ...] = ()
    left_out: int = 0
    whole: bool = False
    fault: str = ""


class Measures(msgspec.Struct, array_like=True, gc=False):
    """The metrics of one incident. `wanted` is what a worker is to read now, None for nothing.

    Everything `until` then (ms) was asked for, whether or not it could be read. `tries` counts failures in a row.
    """

    query: Query
    wanted: Asked | None = None
    onset: Snapshot | None = None
    recovery: Snapshot | None = None
    until: Millis = 0
    tries: int = 0

    @property
    def snapshots(self) -> list[Snapshot]:
        """Return what was read, in order of time."""
        return [one for one in (self.onset, self.recovery) if one is not None]

    @property
    def told(self) -> list[Snapshot]:
        """Return what people are shown: not the onset where the reading after recovery shows it as well."""
        onset, recovery = self.onset, self.recovery
        if onset is None or recovery is None or not recovery.curves:
            return self.snapshots
        step = recovery.step  # by which a reading may begin a little earlier than it was asked to
        within = recovery.start <= onset.start + step and onset.end <= recovery.end
        return [recovery] if within else [onset, recovery]
