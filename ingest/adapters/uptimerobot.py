"""UptimeRobot's alert contact "Webhook": GET or POST, as query, form or JSON.

https://uptimerobot.com/help/webhook-alert-contacts/ lists the placeholders; a field has the name of its placeholder,
and one that has no value stays as `*name*`, which counts as missing. An expiry warning (type 3) is an alert of its own:
when the monitor goes up, the certificate is no fresher.
"""

from __future__ import annotations

from typing import Any, Final

from ingest.adapter import Read, Request, Unreadable
from ingest.reading import fields
from ingest.wording import claimed_time, make_event, safe_url, text_of
from triage.model import Event, Kind, Status, fingerprint_of

methods = frozenset({"GET", "POST", "PUT"})
_EXPIRY: Final = "3"
_STATUS: Final = {"1": Status.FIRING, "2": Status.RESOLVED, _EXPIRY: Status.FIRING}
_NOTED: Final = (
    ("alertDetails", "description"),
    ("alertDuration", "duration_s"),
    ("sslExpiryDate", "ssl_expiry_date"),
    ("sslExpiryDaysLeft", "ssl_expiry_days_left"),
    ("domainExpireDate", "domain_expire_date"),
)


def read(request: Request) -> Read:
    """Read one notification."""
    return Read([_event(request, fields(request))])


def _word(found: dict[str, Any], name: str) -> str:
    """Return the field as text, or "" when it is missing or its placeholder was not expanded."""
    text = text_of(found.get(name)).strip()
    return "" if len(text) > 1 and text.startswith("*") and text.endswith("*") else text


def _event(request: Request, found: dict[str, Any]) -> Event:
    monitor, type_ = _word(found, "monitorID"), _word(found, "alertType")
    if not monitor:
        raise Unreadable("monitorID", "missing: let the webhook send monitorID=*monitorID*")
    status = _STATUS.get(type_)
    if status is None:
        raise Unreadable("alertType", "expected 1 (down), 2 (up) or 3 (expiry): send alertType=*alertType*")
    expiry = type_ == _EXPIRY
    name = _word(found, "monitorFriendlyName") or f"monitor {monitor}"
    annotations = {label: _word(found, field) for field, label in _NOTED if _word(found, field)}
    moment = claimed_time(_word(found, "alertDateTime"), "alertDateTime", annotations)
    url = safe_url(_word(found, "monitorURL"))
    labels = {
        "alertname": f"{name} expiry" if expiry else name,
        "monitor": name,
        "monitor_id": monitor,
        "url": url,
        "instance": url or _word(found, "monitorURL"),
        "check": "expiry" if expiry else "",
    }
    for wish in ("severity", "service", "team", "env"):
        labels[wish] = _word(found, wish)
    return make_event(
        request,
        status=status,
        fingerprint=fingerprint_of(request.source.name, monitor, "expiry" if expiry else ""),
        labels={label: value for label, value in labels.items() if value},
        annotations=annotations,
        title=_title(found, name, type_),
        starts_at=moment if status is Status.FIRING else None,
        ends_at=moment if status is Status.RESOLVED else None,
        url=url,
        kind=Kind.CHECK,
    )


def _title(found: dict[str, Any], name: str, type_: str) -> str:
    what = _word(found, "alertTypeFriendlyName") or {"1": "Down", "2": "Up", _EXPIRY: "expires soon"}[type_]
    details = _word(found, "alertDetails")
    return f"{name}: {what} ({details})" if details else f"{name}: {what}"
