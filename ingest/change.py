"""From a sender's words to a change. Nothing here knows a format: an adapter finds the fields."""

from __future__ import annotations

from typing import Final

from ingest import times
from ingest.adapter import Request
from ingest.wording import safe_url
from triage.model import Change, Millis

MAX_WORD: Final = 200
"""Longest service, version, environment, repository, identity or name kept, in characters; the rest is cut."""
MAX_SUMMARY: Final = 500
MAX_CHANGES: Final = 100
"""Most changes in one request."""


def make_change(
    request: Request,
    kind: str,
    summary: str,
    *,
    service: str = "",
    version: str = "",
    at: Millis | None = None,
    environment: str = "",
    by: str = "",
    url: str = "",
    repository: str = "",
    identity: str = "",
    verified: bool = False,
) -> Change:
    """Return a change with its texts cut to their limits. The service falls back to the label that its source sets."""
    return Change(
        service=(service or request.source.labels.get("service", ""))[:MAX_WORD],
        kind=(kind or "change").lower()[:MAX_WORD],
        summary=" ".join(summary.split())[:MAX_SUMMARY],
        version=version[:MAX_WORD],
        at=at,
        environment=environment[:MAX_WORD],
        by=by[:MAX_WORD],
        url=safe_url(url),
        repository=repository[:MAX_WORD],
        id=identity[:MAX_WORD],
        verified=verified,
    )


def time_or_none(value: object) -> Millis | None:
    """Return the time in `value`, or None where none can be read: a change is worth more than its time."""
    try:
        return times.millis(value)
    except times.NotATime:
        return None
