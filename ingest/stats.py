"""What the door counts, in memory, for the metrics page. Nothing here takes a label from what senders say."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Final

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram of answer times, in seconds. One more bucket takes the rest."""
UNKNOWN: Final = "unknown"
"""The source of requests that name none of ours, or did not prove that they may."""


class DoorStats:
    """Counters of one process since it started.

    `requests` counts by source and status code, `refused` by source and kind of problem, `accepted` and `rejected`
    count events by source. `buckets` holds how many answers took at most BUCKETS_S[i] (not cumulative), and last those
    beyond; `seconds` is their sum. `connections_refused` and `slow_headers` count closed connections.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.accepted: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.seconds = 0.0
        self.connections = 0
        self.connections_refused = 0
        self.slow_headers = 0

    def answered(self, source: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self.requests[source, status] += 1
        self.buckets[bisect_left(BUCKETS_S, seconds)] += 1
        self.seconds += seconds
