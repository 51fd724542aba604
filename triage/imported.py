"""What is remembered of a calendar that a schedule imports."""

from __future__ import annotations

import msgspec

from triage.model import Millis


class Imported(msgspec.Struct, array_like=True, gc=False):
    """The shifts (start, end, person) of a calendar from `start` to before `end`, as they were last read at `read_at`.

    `source` tells what was read, and for which names. `unknown` are the words for people that nobody of oncall.yaml
    has. `fault` is why reading has failed since `fault_at`, or "": the shifts are the last good ones then.
    """

    source: str = ""
    shifts: tuple[tuple[Millis, Millis, str], ...] = ()
    start: Millis = 0
    end: Millis = 0
    read_at: Millis = 0
    unknown: tuple[str, ...] = ()
    fault: str = ""
    fault_at: Millis = 0
