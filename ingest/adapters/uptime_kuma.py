"""Uptime Kuma's notification "Webhook": JSON, form data (one field `data`), or GET.

https://github.com/louislam/uptime-kuma/wiki/Notification-Methods. A message is `{heartbeat, monitor, msg}`;
certificate and domain warnings and the test button have neither heartbeat nor monitor, only the text. A monitor that
goes down, into maintenance and up again sends no "up": the source's `stale_after` settles that. Tags of a monitor
become labels, so that a tag `severity` or `service` works as it does in Prometheus.
"""

from __future__ import annotations

import re
from typing import Any, Final

from ingest.adapter import Read, Request, Unreadable
from ingest.reading import fields, mapping, parse_json
from ingest.wording import claimed_time, make_event, safe_url, text_of
from triage.model import Event, Kind, Status, fingerprint_of

methods = frozenset({"GET", "POST", "PUT"})
_STATUS: Final = {"0": Status.FIRING, "1": Status.RESOLVED, "2": Status.INFO, "3": Status.INFO}
_CERTIFICATE: Final = re.compile(r"^\[(?P<name>[^\]]*)\]\[(?P<url>[^\]]*)\] .{0,40}certificate .* will expire in")
_DOMAIN: Final = re.compile(r"^Domain name (?P<name>\S+) will expire in")
_DAYS: Final = re.compile(r"will expire in -?\d+ days?")


def read(request: Request) -> Read:
    """Read one message."""
    data = fields(request)
    if isinstance(data.get("data"), str):
        inner = parse_json(data["data"], "data")
        data = inner if isinstance(inner, dict) else {}
    heartbeat, monitor = _part(data, "heartbeat"), _part(data, "monitor")
    message = text_of(data.get("msg"))
    if heartbeat:
        return Read([_of_heartbeat(request, heartbeat, monitor, message)])
    if not message:
        raise Unreadable(
            "heartbeat",
            "neither `heartbeat` nor `msg`: this is not Uptime Kuma's preset body. For a custom body, configure a "
            "source with the adapter `generic`",
        )
    return Read([_of_text(request, message)])


def _part(data: dict[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name)
    if isinstance(value, str) and value.strip() not in ("", "null"):
        value = parse_json(value, name)  # a GET carries each part as JSON text
        return value if isinstance(value, dict) else {}
    return mapping(data, name)


def _of_heartbeat(request: Request, heartbeat: dict[str, Any], monitor: dict[str, Any], message: str) -> Event:
    status = _STATUS.get(text_of(heartbeat.get("status")))
    if status is None:
        raise Unreadable("heartbeat.status", "expected 0 (down), 1 (up), 2 (pending) or 3 (maintenance)")
    name = text_of(monitor.get("name"))
    known_as = text_of(monitor.get("id")) or text_of(heartbeat.get("monitorID")) or name
    if not known_as:
        raise Unreadable("monitor.id", "missing, and so is the monitor's name: nothing tells which monitor this is")
    annotations = _described(heartbeat, monitor, message)
    moment = claimed_time(heartbeat.get("time"), "heartbeat.time", annotations)
    # A repeat (resendInterval) is not `important` and carries the time of its own check, not of the outage.
    began = moment if status is Status.FIRING and heartbeat.get("important") is not False else None
    labels = _labels(monitor, name or f"monitor {known_as}", known_as)
    return make_event(
        request,
        status=status,
        fingerprint=fingerprint_of(request.source.name, "monitor", known_as),
        labels=labels,
        annotations=annotations,
        title=message or f"{labels['alertname']}: {text_of(heartbeat.get('msg'))}",
        starts_at=began,
        ends_at=moment if status is Status.RESOLVED else None,
        url=labels.get("url"),
        kind=Kind.CHECK,
    )


def _described(heartbeat: dict[str, Any], monitor: dict[str, Any], message: str) -> dict[str, str]:
    said = {
        "summary": message,
        "description": text_of(monitor.get("description")) or text_of(heartbeat.get("msg")),
        "ping_ms": text_of(heartbeat.get("ping")),
    }
    return {name: value for name, value in said.items() if value}


def _labels(monitor: dict[str, Any], name: str, known_as: str) -> dict[str, str]:
    """Return labels from what is known to be harmless: older versions send the monitor's credentials along."""
    url = safe_url(monitor.get("url"))
    url = "" if url in ("http://", "https://") else url
    host, port = text_of(monitor.get("hostname")), text_of(monitor.get("port"))
    labels = {
        "alertname": name,
        "monitor": name,
        "monitor_id": known_as,
        "monitor_type": text_of(monitor.get("type")),
        "monitor_path": text_of(monitor.get("pathName")),
        "url": url,
        "instance": (f"{host}:{port}" if port else host) if host else url,
    }
    labels = {label: value for label, value in labels.items() if value}
    tags = monitor.get("tags")
    for tag in tags if isinstance(tags, list) else []:
        if isinstance(tag, dict) and text_of(tag.get("name")):
            tag_name, value = text_of(tag["name"]), text_of(tag.get("value"))
            labels.setdefault(tag_name if value else f"tag_{tag_name}", value or "true")
    return labels


def _of_text(request: Request, message: str) -> Event:
    """Return the event of a message without a monitor; its identity is the text less the count of days."""
    certificate, domain = _CERTIFICATE.match(message), _DOMAIN.match(message)
    status, labels = Status.FIRING, {"alertname": "Uptime Kuma"}
    if certificate is not None:
        labels = {
            "alertname": f"{certificate['name']} certificate",
            "monitor": certificate["name"],
            "check": "certificate",
        }
        if safe_url(certificate["url"]):
            labels["url"] = labels["instance"] = certificate["url"]
    elif domain is not None:
        labels = {"alertname": f"{domain['name']} domain", "instance": domain["name"], "check": "domain"}
    elif message.endswith(" Testing"):
        status = Status.INFO
    return make_event(
        request,
        status=status,
        fingerprint=fingerprint_of(request.source.name, "text", _DAYS.sub("will expire", message)),
        labels=labels,
        annotations={"summary": message},
        title=message,
        url=labels.get("url"),
        kind=Kind.CHECK,
    )
