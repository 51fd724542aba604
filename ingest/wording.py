"""From a sender's words to an event: labels, status words, severity words, titles, and what is trimmed.

Nothing here knows a format. An adapter finds the sender's fields and calls `make_event`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ingest import times
from ingest.adapter import Read, Request, Unreadable
from ingest.limits import (
    MAX_ANNOTATION_VALUE,
    MAX_ANNOTATIONS,
    MAX_EVENTS,
    MAX_LABEL_NAME,
    MAX_LABEL_VALUE,
    MAX_LABELS,
    MAX_TITLE,
    MAX_URL,
)
from ingest.reading import plain_text
from triage.model import Event, Kind, Millis, Rejected, Status

# fmt: off
FIRING_WORDS: Final = frozenset((
    "firing", "alerting", "alarm", "open", "opened", "active", "activated", "trigger", "triggered", "problem", "down",
    "fail", "failed", "failing", "failure", "error", "critical", "warning", "new", "create", "created", "started",
))
RESOLVED_WORDS: Final = frozenset((
    "resolved", "resolve", "ok", "okay", "up", "close", "closed", "recovered", "recovery", "clear", "cleared", "normal",
    "success", "successful", "healthy", "inactive", "deactivated", "fixed", "ended",
))
INFO_WORDS: Final = frozenset((
    "info", "information", "acknowledged", "acknowledge", "ack", "pending", "maintenance", "paused", "pause", "grace",
    "test", "snoozed", "suppressed",
))
# fmt: on
TELLING_LABELS: Final = (
    "rulename",
    "instance",
    "service",
    "pod",
    "host",
    "hostname",
    "node",
    "device",
    "monitor",
    "job",
)
"""The labels that, after alertname, best tell a person what an alert is about; the first that is there is shown."""
KEPT_FIRST: Final = ("alertname", "severity", "priority", "service", "team", "env", "cluster", "instance", "job")
TRIMMED: Final = "tocsin_trimmed"
TIME_NOTE: Final = "tocsin_unread_time"
_SAFE_SCHEMES: Final = ("http://", "https://", "mailto:")
_MAX_NOTES: Final = 8


class Refused(ValueError):
    """One item cannot become an event: the field at fault, and what to do about it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def status_of(word: object, field: str = "status") -> Status:
    """Return what a status word means, whatever its case and decoration (`🔴 Down`). Raises `Refused`."""
    plain = "".join(letter for letter in str(word).lower() if letter.isalpha() or letter == " ").strip()
    for words, status in (
        (FIRING_WORDS, Status.FIRING),
        (RESOLVED_WORDS, Status.RESOLVED),
        (INFO_WORDS, Status.INFO),
    ):
        if plain in words:
            return status
    raise Refused(field, f"{str(word)[:60]!r} is no known status: send firing, resolved or info")


def text_of(value: object) -> str:
    """Return a scalar as clean text: `true`, `17`, "" for null. Objects and arrays become JSON."""
    if isinstance(value, str):
        return plain_text(value)
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False)


def labels_of(value: object, field: str = "labels") -> dict[str, str]:
    """Return a sender's map of labels as text to text; null and empty values are dropped, as Prometheus does.

    Raises `Refused` when it is no object, or a value is one.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(field, f"expected an object of names and texts, not {kind_of(value)}")
    found: dict[str, str] = {}
    for name, item in value.items():
        if isinstance(item, (dict, list)):
            raise Refused(f"{field}.{name}"[:200], f"a label's value is text, not {kind_of(item)}")
        text = text_of(item)
        if text:
            found[plain_text(str(name))] = text
    return found


def annotations_of(value: object) -> dict[str, str]:
    """Return a sender's annotations as text to text. People read them, so whatever is no text becomes JSON."""
    if not isinstance(value, dict):
        return {}
    return {plain_text(str(name)): text_of(item) for name, item in value.items() if item is not None}


def kind_of(value: object) -> str:
    """Return the JSON word for what `value` is, with its article, for messages."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a text"
    return "null" if value is None else "a number"


def title_of(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """Return one line for people: the summary, else the alertname and the most telling label, else the labels."""
    title = one_line(annotations.get("summary") or annotations.get("title") or "")
    if title:
        return title
    telling = next((labels[name] for name in TELLING_LABELS if labels.get(name)), "")
    name = labels.get("alertname", "")
    title = one_line(f"{name}: {telling}" if name and telling and telling != name else name)
    everything = " ".join(f"{name}={labels[name]}" for name in sorted(labels)[:MAX_LABELS]) if not title else ""
    return title or one_line(everything) or "alert without a name"


def one_line(text: str) -> str:
    """Return `text` as one printable line within the limit for titles."""
    if len(text) <= MAX_TITLE and text.isprintable():
        return text
    flat = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 4 * MAX_TITLE]).split())
    return flat if len(flat) <= MAX_TITLE else flat[: MAX_TITLE - 1] + "…"


def safe_url(text: object) -> str:
    """Return a link people may click on (http, https, mailto), or ""."""
    if not isinstance(text, str) or len(text) > MAX_URL or not text[:8].lower().startswith(_SAFE_SCHEMES):
        return ""
    return text if text.isprintable() else plain_text(text)


def claimed_time(value: object, field: str, annotations: dict[str, str]) -> Millis | None:
    """Return the time a sender claims. Nonsense costs the time, not the alert, and is noted in an annotation."""
    try:
        return times.millis(value)
    except times.NotATime as error:
        annotations[TIME_NOTE] = plain_text(f"{field}: {error}")
        return None


def make_event(
    request: Request,
    *,
    status: Status,
    fingerprint: str,
    labels: dict[str, str],
    annotations: dict[str, str],
    title: str = "",
    raw_severity: str = "",
    starts_at: Millis | None = None,
    ends_at: Millis | None = None,
    url: object = "",
    kind: Kind = Kind.ALERT,
) -> Event:
    """Return the event, with the source's own labels and severity filled in where the sender gave none, and trimmed.

    `fingerprint` must already be taken, from what the sender sent and nothing else.
    """
    source = request.source
    word = raw_severity or labels.get("severity") or labels.get("priority") or source.severity
    heading = one_line(title) or title_of(labels, annotations)
    if source.labels:
        labels = {**source.labels, **labels}
    event = Event(
        status=status,
        fingerprint=fingerprint,
        title=heading,
        labels=labels,
        annotations=annotations,
        raw_severity=word,
        starts_at=starts_at,
        ends_at=ends_at,
        url=safe_url(url),
        kind=kind,
        anonymous=kind is Kind.REPORT and not request.trusted,
    )
    trim(event)
    return event


def trim(event: Event) -> None:
    """Cut what exceeds the limits and say so in an annotation. The identity is not touched."""
    notes: list[str] = []
    event.labels = _trimmed(event.labels, "label", MAX_LABELS, MAX_LABEL_VALUE, notes)
    event.annotations = _trimmed(event.annotations, "annotation", MAX_ANNOTATIONS, MAX_ANNOTATION_VALUE, notes)
    event.raw_severity = event.raw_severity[:MAX_LABEL_VALUE]
    if notes:
        more = f"; and {len(notes) - _MAX_NOTES} more" if len(notes) > _MAX_NOTES else ""
        event.annotations[TRIMMED] = "; ".join(notes[:_MAX_NOTES]) + more


def _trimmed(texts: dict[str, str], what: str, most: int, longest: int, notes: list[str]) -> dict[str, str]:
    if len(texts) <= most and all(len(n) <= MAX_LABEL_NAME and len(v) <= longest for n, v in texts.items()):
        return texts
    names = sorted(texts, key=lambda name: (name not in KEPT_FIRST, name))
    if len(names) > most:
        notes.append(f"{len(names) - most} of {len(names)} {what}s left out")
    kept: dict[str, str] = {}
    for name in names[:most]:
        value, short = texts[name], name[:MAX_LABEL_NAME]
        if len(name) > MAX_LABEL_NAME:
            notes.append(f"{what} name {short[:20]}… cut from {len(name)} characters")
        if len(value) > longest:
            notes.append(f"{what} {short[:40]} cut from {len(value)} to {longest} characters")
        kept.setdefault(short, value[:longest])
    return kept


def read_of(events: list[Event], rejected: list[Rejected]) -> Read:
    """Return what was read. Raises `Unreadable` when there were items and not one of them could be used."""
    if rejected and not events:
        first = rejected[0]
        more = f" (and {len(rejected) - 1} more items)" if len(rejected) > 1 else ""
        raise Unreadable(f"{first.where}.{first.field}".strip("."), first.reason + more)
    return Read(events, rejected)


def within_limit(items: list[Any], where: str, rejected: list[Rejected]) -> Iterable[tuple[int, Any]]:
    """Return the items with their index, up to the limit for one request; what lies beyond is refused by name."""
    if len(items) > MAX_EVENTS:
        reason = f"{len(items)} items in one request, the limit is {MAX_EVENTS}: send smaller batches"
        rejected.append(Rejected(f"{where}[{MAX_EVENTS}:]", "", reason))
    return enumerate(items[:MAX_EVENTS])
