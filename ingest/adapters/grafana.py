"""Grafana's unified alerting, contact point "webhook", signed or not.

https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/.
Labels whose names begin with two underscores are stripped before sending, so two rules can show the same labels: the
identity is the organisation and Grafana's own fingerprint, never the labels. `DatasourceNoData` and `DatasourceError`
are alerts of their own, with the rule's name in `rulename`.
"""

from __future__ import annotations

import hashlib
import hmac
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
from ingest.wording import safe_url, text_of
from triage.model import MINUTE, SECOND, Event, Status, fingerprint_of

SIGNATURE_HEADER: Final = "X-Grafana-Alerting-Signature"
TIMESTAMP_HEADER: Final = "X-Grafana-Alerting-Timestamp"
SIGNATURE_WINDOW: Final = 5 * MINUTE
_LINKS: Final = (
    ("dashboardURL", "dashboard_url"),
    ("panelURL", "panel_url"),
    ("silenceURL", "silence_url"),
    ("imageURL", "image_url"),
)


class GrafanaSent(Sent):
    """One alert: what Grafana adds to Alertmanager's shape."""

    fingerprint: str = ""
    orgId: int | str = ""
    dashboardURL: str = ""
    panelURL: str = ""
    silenceURL: str = ""
    imageURL: str = ""
    valueString: str = ""


class Message(msgspec.Struct):
    """What of the webhook's message is used."""

    alerts: Alerts[GrafanaSent]
    status: str = ""
    orgId: int | str = ""
    truncatedAlerts: int = 0


_DECODER: Final = msgspec.json.Decoder(Message)


def read(request: Request) -> Read:
    """Read one message: a batch of firing and resolved alerts."""
    message: Message | None = decoded(_DECODER, request.body)
    if message is not None:
        truncated = message.truncatedAlerts
        found = read_all(request, message.alerts, partial(_event, message.status, str(message.orgId)))
    else:
        data = plain_object(request.body, "Grafana")
        count = data.get("truncatedAlerts")
        truncated = count if isinstance(count, int) else 0
        make = partial(_event, text_of(data.get("status")), text_of(data.get("orgId")))
        found = read_plainly(request, data["alerts"], GrafanaSent, make)
    if truncated > 0:
        note_truncation(found, truncated, "Grafana")
    return found


def _event(message_status: str, message_org: str, request: Request, sent: GrafanaSent) -> Event:
    labels = own_labels(sent)
    status = status_by_word(sent, message_status)
    if labels.get("alertname") == "TestAlert" and labels.get("instance") == "Grafana":
        status = Status.INFO  # the test button of the contact point
    if sent.fingerprint:
        fingerprint = fingerprint_of(request.source.name, str(sent.orgId) or message_org, sent.fingerprint)
    else:
        fingerprint = identity(request, labels)
    event = event_of(request, sent, status, fingerprint, labels)
    for field, name in _LINKS:
        link = safe_url(getattr(sent, field))
        if link:
            event.annotations[name] = link
    if sent.valueString:
        event.annotations["values"] = sent.valueString
    return event


def authenticate(request: Request, secret: bytes) -> str | None:
    """Check the HMAC-SHA256 over the body, or over `<seconds>:` and the body where Grafana sends a timestamp.

    A timestamp that the source is configured for must be there; it may be at most five minutes off. Without one nothing
    in the signature tells a replay from a repeat, and deduplication has to.
    """
    signature_name = request.source.signature_header or SIGNATURE_HEADER
    given = request.headers.get(signature_name.lower(), "").strip().lower()
    if not given:
        return f"the header {signature_name} is missing: set the same HMAC secret in Grafana's contact point"
    timestamp_name = request.source.timestamp_header or TIMESTAMP_HEADER
    seconds = request.headers.get(timestamp_name.lower(), "").strip()
    if not seconds and request.source.timestamp_header:
        return f"the header {timestamp_name} is missing: name it in Grafana's contact point"
    signed = f"{seconds}:".encode("utf-8", "surrogateescape") + request.body if seconds else request.body
    right = hmac.new(secret, signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), right.encode()):
        return f"the signature in {signature_name} does not fit the body: Grafana's HMAC secret is another one"
    return _age_fault(seconds, request.at, timestamp_name) if seconds else None


def _age_fault(seconds: str, now: int, name: str) -> str | None:
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 12):
        return f"{name} is no Unix time in seconds"
    if abs(int(seconds) * SECOND - now) > SIGNATURE_WINDOW:
        return f"{name} is more than five minutes off: a replay, or one of the two clocks is wrong"
    return None
