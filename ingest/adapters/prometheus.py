"""Prometheus itself, amtool, vmalert and other rulers: Alertmanager's `POST /api/v2/alerts`.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Whether an alert fires is told by `endsAt`:
past means resolved; missing or in the future means firing. Where Alertmanager would invent a start (now, for want of
one), the event has none, because amtool's repeats would otherwise look like ever new episodes; and where it would end
an alert after resolve_timeout, the source's `stale_after` holds.
"""

from __future__ import annotations

import json
from typing import Final

import msgspec

from ingest.adapter import Read, Request, Unreadable
from ingest.labelled import Alerts, Sent, decoded, event_of, identity, own_labels, read_all, read_plainly
from ingest.reading import parse_json
from ingest.wording import Refused, claimed_time, kind_of
from triage.model import Event, Status

methods = frozenset({"POST"})
paths = ("/api/v2/alerts",)
_DECODER: Final = msgspec.json.Decoder(Alerts[Sent])


def read(request: Request) -> Read:
    """Read one array of alerts."""
    alerts: list[Sent] | None = decoded(_DECODER, request.body)
    if alerts is not None:
        return read_all(request, alerts, _event)
    data = parse_json(request.body)
    if not isinstance(data, list):
        raise Unreadable("body", f"expected an array of alerts, as Alertmanager's API takes it, not {kind_of(data)}")
    return read_plainly(request, data, Sent, _event)


def _event(request: Request, sent: Sent) -> Event:
    labels = own_labels(sent)
    ends_at = claimed_time(sent.endsAt, "endsAt", sent.annotations)
    if ends_at is not None:
        starts_at = claimed_time(sent.startsAt, "startsAt", sent.annotations)
        if starts_at is not None and starts_at > ends_at:
            raise Refused("startsAt", "start time must be before end time")
    status = Status.RESOLVED if ends_at is not None and ends_at <= request.at else Status.FIRING
    return event_of(request, sent, status, identity(request, labels), labels)


def answer(read: Read) -> tuple[int, bytes, str] | None:
    """Answer as Alertmanager does: 200 and nothing, or 400 and the errors as one JSON string, the good alerts kept."""
    if not read.rejected:
        return 200, b"", "application/json"
    errors = "; ".join(f"{item.where}.{item.field}".strip(".") + f": {item.reason}" for item in read.rejected)
    return 400, json.dumps(errors).encode(), "application/json"
