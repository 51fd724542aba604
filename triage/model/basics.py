"""Times, severities, and what an event says: the words that everything else is made of."""

from __future__ import annotations

import enum
from typing import Final, TypeAlias

Millis: TypeAlias = int
SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


class Severity(enum.IntEnum):
    """P0 critical: complete outage or data loss … P4 informational. A smaller number is more severe."""

    P0 = 0
    P1 = 1
    P2 = 2
    P3 = 3
    P4 = 4

    def __str__(self) -> str:
        """Return the name people read: `P0`."""
        return self.name


class Status(enum.StrEnum):
    """What one event says of its alert."""

    FIRING = "firing"
    RESOLVED = "resolved"
    INFO = "info"


class Kind(enum.StrEnum):
    """Where an event comes from: a monitoring alert, a person's report, or a health check's result."""

    ALERT = "alert"
    REPORT = "report"
    CHECK = "check"
