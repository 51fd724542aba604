"""Alerts as Prometheus and its family write them: Alertmanager's webhook, Alertmanager's API, Grafana.

A body that is as it should be is decoded straight into structs; each limit is a constraint of these structs, so nothing
needs a second look. Any other body is read again plainly, item by item, so that one bad alert does not cost the others;
there values are coerced, cleaned and trimmed. Duplicate keys: as in Go's decoder, which these senders are written for,
the last one counts on the fast way; the plain way refuses them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec

from ingest.adapter import Read, Request, Unreadable
from ingest.limits import (
    MAX_ANNOTATION_VALUE,
    MAX_ANNOTATIONS,
    MAX_EVENTS,
    MAX_LABEL_NAME,
    MAX_LABEL_VALUE,
    MAX_LABELS,
)
from ingest.reading import parse_json
from ingest.wording import (
    Refused,
    annotations_of,
    claimed_time,
    kind_of,
    labels_of,
    read_of,
    safe_url,
    status_of,
    text_of,
    title_of,
    trim,
    within_limit,
)
from triage.model import Event, Rejected, Status, fingerprint_of_labels

Name = Annotated[str, msgspec.Meta(max_length=MAX_LABEL_NAME)]
Labels = Annotated[
    dict[Name, Annotated[str, msgspec.Meta(max_length=MAX_LABEL_VALUE)]], msgspec.Meta(max_length=MAX_LABELS)
]
Annotations = Annotated[
    dict[Name, Annotated[str, msgspec.Meta(max_length=MAX_ANNOTATION_VALUE)]],
    msgspec.Meta(max_length=MAX_ANNOTATIONS),
]


class Sent(msgspec.Struct, gc=False):
    """One alert as it was sent: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config."""

    labels: Labels
    annotations: Annotations = {}
    status: str = ""
    startsAt: str | None = None
    endsAt: str | None = None
    generatorURL: str = ""


SentT = TypeVar("SentT", bound=Sent)
Alerts = Annotated[list[SentT], msgspec.Meta(max_length=MAX_EVENTS)]
TRUNCATED: Final = "tocsin_truncated"
_NUL: Final = rb"\u0000"  # whatever else is unclean the decoder itself refuses


def decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any | None:
    """Return the structs of a clean body, or None when it must be read plainly."""
    if _NUL in body:
        return None
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def plain_object(body: bytes, sender: str) -> dict[str, Any]:
    """Return a body that must be a JSON object with an `alerts` array. Raises `Unreadable` with the usual cause."""
    data = parse_json(body)
    if not isinstance(data, dict):
        raise Unreadable("body", f"expected a JSON object as {sender} sends it, not {kind_of(data)}")
    if not isinstance(data.get("alerts"), list):
        raise Unreadable(
            "alerts",
            f"no array of alerts: this is not {sender}'s own message. "
            "For a custom payload, configure a source with the adapter `generic` and a mapping",
        )
    return data


def sent_of(item: object, type_: type[SentT]) -> SentT:
    """Return one alert of a plainly read body, coerced to text where that is safe. Raises `Refused`."""
    if not isinstance(item, dict):
        raise Refused("", f"expected an object, not {kind_of(item)}")
    if "labels" not in item:
        raise Refused("labels", "missing: every alert carries its labels; a custom payload needs the adapter `generic`")
    known: dict[str, Any] = {
        "labels": labels_of(item["labels"]),
        "annotations": annotations_of(item.get("annotations")),
    }
    for field in type_.__struct_fields__:
        if field not in known and item.get(field) is not None:
            known[field] = text_of(item[field])
    return type_(**known)


def read_plainly(
    request: Request, items: list[Any], type_: type[SentT], make: Callable[[Request, SentT], Event]
) -> Read:
    """Read the items one by one; each that cannot be used is rejected by name. Raises `Unreadable` when none can."""
    events: list[Event] = []
    rejected: list[Rejected] = []
    for index, item in within_limit(items, "alerts", rejected):
        try:
            event = make(request, sent_of(item, type_))
        except Refused as fault:
            rejected.append(Rejected(f"alerts[{index}]", fault.field, fault.reason))
        else:
            trim(event)
            events.append(event)
    return read_of(firing_first(events), rejected)


def read_all(request: Request, alerts: list[SentT], make: Callable[[Request, SentT], Event]) -> Read:
    """Read alerts that were decoded at once."""
    events: list[Event] = []
    rejected: list[Rejected] = []
    for index, sent in enumerate(alerts):
        try:
            events.append(make(request, sent))
        except Refused as fault:
            rejected.append(Rejected(f"alerts[{index}]", fault.field, fault.reason))
    return read_of(firing_first(events), rejected)


def firing_first(events: list[Event]) -> list[Event]:
    """Return the events with the firing ones first: a message is a snapshot, and its order means nothing.

    Where one alert of an incident ends as another begins, the incident would else be quiet for a moment: an all-clear
    and a further page for nothing. An alert that is in the message twice (two replicas) keeps its own order.
    """
    ended = {event.fingerprint for event in events if event.status is Status.RESOLVED}
    if not ended or len(ended) == len(events):
        return events
    twice = ended.intersection([event.fingerprint for event in events if event.status is not Status.RESOLVED])
    ranks = {Status.RESOLVED: 2}
    return sorted(events, key=lambda event: 1 if event.fingerprint in twice else ranks.get(event.status, 0))


def note_truncation(found: Read, count: int, sender: str) -> None:
    """Say on each event that the sender cut its message, so that whoever looks knows of alerts that never came."""
    for event in found.events:
        event.annotations[TRUNCATED] = f"{sender} left {count} further alerts out of this message"


def identity(request: Request, labels: dict[str, str]) -> str:
    """Return the fingerprint of a label set, less the labels that differ between replicas of one sender."""
    ignored = request.source.ignore_labels
    if ignored.issuperset(labels):
        ignored = frozenset()  # they are all that it has: better two alerts than everything in one
    return fingerprint_of_labels(request.source.name, labels, ignored)


def own_labels(sent: Sent) -> dict[str, str]:
    """Return the labels less those with an empty value, which mean the same as no label. Raises `Refused`."""
    labels = sent.labels
    if "" in labels.values():
        labels = {name: value for name, value in labels.items() if value}
    if not labels:
        raise Refused("labels", "at least one label with a value is needed: it is the alert's identity")
    return labels


def status_by_word(sent: Sent, otherwise: str) -> Status:
    """Return firing or resolved by the alert's own word, else the message's, else firing."""
    word = sent.status or otherwise or "firing"
    if word == "firing":
        return Status.FIRING
    return Status.RESOLVED if word == "resolved" else status_of(word)


def event_of(request: Request, sent: Sent, status: Status, fingerprint: str, labels: dict[str, str]) -> Event:
    """Return the event. Only a resolved alert has an end: while it fires, `endsAt` is a promise to refresh."""
    source = request.source
    annotations = sent.annotations
    starts_at = claimed_time(sent.startsAt, "startsAt", annotations)
    ends_at = claimed_time(sent.endsAt, "endsAt", annotations) if status is Status.RESOLVED else None
    return Event(
        status,
        fingerprint,
        title_of(labels, annotations),
        {**source.labels, **labels} if source.labels else labels,
        annotations,
        labels.get("severity") or labels.get("priority") or source.severity,
        starts_at,
        ends_at,
        safe_url(sent.generatorURL),
    )
