"""What is asked of the program that reads a calendar, and what it answers: both as JSON."""

from __future__ import annotations

import msgspec

from triage.model import Millis


class Job(msgspec.Struct):
    """What to read: `url` (secrets filled in) or `text`; from `start` to before `end`; for which `names`.

    `allow` are the private networks that may be reached. `etag` and `modified` are those of the copy that is known.
    """

    start: Millis
    end: Millis
    time_zone: str
    by: str
    names: dict[str, str]
    url: str = ""
    text: str = ""
    allow: list[str] = []
    etag: str = ""
    modified: str = ""


class Answer(msgspec.Struct):
    """What came of it: a `fault` in words, or `unchanged`, or the shifts (start, end, person) and unknown names."""

    shifts: list[tuple[Millis, Millis, str]] = []
    unknown: list[str] = []
    fault: str = ""
    unchanged: bool = False
    etag: str = ""
    modified: str = ""
