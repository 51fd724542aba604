"""What senders' own severity words mean where no rule speaks.

P0 is never guessed from a word of urgency: it takes a rule, or a sender who uses Tocsin's own scale. A word that is not
listed means the default severity; the raw word is kept and shown.
"""

from __future__ import annotations

from typing import Final

from triage.model import Severity

MEANING: Final[dict[Severity, tuple[str, ...]]] = {
    Severity.P0: ("p0",),
    Severity.P1: (
        "critical", "crit", "fatal", "emergency", "emerg", "alert", "page", "disaster", "blocker", "down", "p1",
        "sev0", "sev-0", "sev1", "sev-1",
    ),
    Severity.P2: ("error", "err", "high", "major", "severe", "urgent", "failure", "unreachable", "p2", "sev2", "sev-2"),
    Severity.P3: (
        "warning", "warn", "average", "medium", "minor", "moderate", "unknown", "re-warn", "p3", "sev3", "sev-3",
    ),
    Severity.P4: (
        "info", "information", "informational", "notice", "low", "debug", "trace", "ticket", "not classified", "p4",
        "p5", "sev4", "sev-4", "sev5", "sev-5",
    ),
}  # fmt: skip
"""Severity → the words that mean it, in lower case."""

BUILT_IN: Final[dict[str, Severity]] = {word: severity for severity, words in MEANING.items() for word in words}


def fold(word: str) -> str:
    """Return the form in which words are compared."""
    return word.strip().casefold()
