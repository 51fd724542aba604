"""The words of Tocsin as types: what arrives, what is remembered, what is decided.

Everything here is data. The structs are encoded with msgpack (arrays, not maps: field order is the format, so
new fields go to the end and have a default; docs/decisions/0002 says why msgspec and not pydantic here).

Times are integer milliseconds since the Unix epoch, UTC (`Millis`); durations are milliseconds too, unless the name
ends in `_s`. A time of `None` means that nobody said.
"""

from __future__ import annotations

from triage.model.basics import DAY, HOUR, MINUTE, SECOND, Kind, Millis, Severity, Status
from triage.model.entries import (
    Body,
    CalendarRead,
    Command,
    DeadLetter,
    Declared,
    Ending,
    Entry,
    EntryKind,
    Event,
    Events,
    OverrideAsked,
    Rejected,
    Result,
    RulesLoaded,
    SilenceAsked,
    Tick,
    Verb,
)
from triage.model.identity import clean_text, fingerprint_of, fingerprint_of_labels, key_of, rules_digest, short
from triage.model.kept import (
    ENDED,
    Alert,
    AlertState,
    Details,
    Effect,
    EffectKind,
    Flap,
    Group,
    Incident,
    Ledger,
    Line,
    Meta,
    Override,
    Overrides,
    Phase,
    Role,
    Rules,
    Thread,
)
from triage.model.outcomes import Answer, Decision, Outcome, Reason

__all__ = [
    "DAY",
    "ENDED",
    "HOUR",
    "MINUTE",
    "SECOND",
    "Alert",
    "AlertState",
    "Answer",
    "Body",
    "CalendarRead",
    "Command",
    "DeadLetter",
    "Decision",
    "Declared",
    "Details",
    "Effect",
    "EffectKind",
    "Ending",
    "Entry",
    "EntryKind",
    "Event",
    "Events",
    "Flap",
    "Group",
    "Incident",
    "Kind",
    "Ledger",
    "Line",
    "Meta",
    "Millis",
    "Outcome",
    "Override",
    "OverrideAsked",
    "Overrides",
    "Phase",
    "Reason",
    "Rejected",
    "Result",
    "Role",
    "Rules",
    "RulesLoaded",
    "Severity",
    "SilenceAsked",
    "Status",
    "Thread",
    "Tick",
    "Verb",
    "clean_text",
    "fingerprint_of",
    "fingerprint_of_labels",
    "key_of",
    "rules_digest",
    "short",
]
