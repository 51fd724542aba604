"""Prometheus Alertmanager's webhook, version 4.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. The identity is the label set, not the
sender's fingerprint: replicas agree on it, and versions before 0.19 sent none. After a 4xx Alertmanager sends the whole
group again at every group_interval, for ever.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec

from ingest.adapter import Read, Request
from ingest.labelled import (
    Alerts,
    Sent,
    decoded,
    event_of,
    identity,
    note_truncation,
    own_labels,
    plain_object,
    read_all,
    read_plainly,
    status_by_word,
)
from ingest.wording import text_of
from triage.model import Event

resends_refused = True


class Message(msgspec.Struct):
    """What of the webhook's message is used."""

    alerts: Alerts[Sent]
    status: str = ""
    truncatedAlerts: int = 0


_DECODER: Final = msgspec.json.Decoder(Message)


def read(request: Request) -> Read:
    """Read one message: a batch of firing and resolved alerts."""
    message: Message | None = decoded(_DECODER, request.body)
    if message is not None:
        truncated = message.truncatedAlerts
        found = read_all(request, message.alerts, partial(_event, message.status))
    else:
        data = plain_object(request.body, "Alertmanager")
        count = data.get("truncatedAlerts")
        truncated = count if isinstance(count, int) else 0
        found = read_plainly(request, data["alerts"], Sent, partial(_event, text_of(data.get("status"))))
    if truncated > 0:
        note_truncation(found, truncated, "Alertmanager")
    return found


def _event(message_status: str, request: Request, sent: Sent) -> Event:
    labels = own_labels(sent)
    return event_of(request, sent, status_by_word(sent, message_status), identity(request, labels), labels)
