"""The alerts of the bench: one template, filled by Python here and by wrk's Lua in `post.lua`.

8 labels, 3 annotations, 0.7 to 1.1 kB for an alert in either envelope. `@i@` is what makes an alert unique: it stands
in the labels `instance` and `pod`. `@s@` and `@a@` are its service and name, so it also chooses the incident.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

SERVICES: Final = 40
NAMES: Final = 8
POOL: Final = 2_000
"""How many alerts the repeats repeat."""
WEBHOOK: Final = "webhook"
API: Final = "api"

_STARTS: Final = "2026-11-02T08:15:30.123Z"


@dataclass(frozen=True, slots=True)
class Alert:
    """What differs between alerts. `severity` warning pages nobody by the starting rules, critical does."""

    unique: str
    service: str
    name: str = "PodCrashLooping"
    severity: str = "warning"

    def text(self, shape: str) -> str:
        """Return it as JSON in the shape of the webhook or of the API."""
        text = template(shape, self.severity)
        return text.replace("@i@", self.unique).replace("@s@", self.service).replace("@a@", self.name)


def template(shape: str, severity: str = "warning") -> str:
    """Return the JSON of one alert with its holes."""
    alert: dict[str, object] = {
        "labels": {
            "alertname": "@a@",
            "cluster": "eu-west-1-prod",
            "instance": "10.20.@i@:9100",
            "job": "kubernetes-pods",
            "namespace": "shop-prod",
            "pod": "@s@-7d9c5b8f6c-@i@",
            "service": "@s@",
            "severity": severity,
        },
        "annotations": {
            "summary": "@a@ on @i@ of @s@",
            "description": "The pod of @s@ on 10.20.@i@ has restarted 7 times within the last 15 minutes and is not "
            "ready. Requests to it fail; the other replicas take over its share of the load until it is back.",
            "runbook_url": "https://runbooks.example.org/shop/@a@.html",
        },
        "startsAt": _STARTS,
        "generatorURL": "http://prometheus.example.org:9090/graph?g0.expr=rate%28restarts_total%5B15m%5D%29+%3E+0",
    }
    if shape == WEBHOOK:
        alert = {"status": "firing", **alert, "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "8f3a5c1d2b7e9046"}
    return json.dumps(alert, separators=(",", ":"))


def envelope(shape: str) -> tuple[str, str]:
    """Return what stands before and after the alerts of one body."""
    if shape == API:
        return "[", "]"
    message = {
        "receiver": "tocsin",
        "status": "firing",
        "alerts": ["@"],
        "groupLabels": {"alertname": "PodCrashLooping"},
        "commonLabels": {"cluster": "eu-west-1-prod", "namespace": "shop-prod"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.org:9093",
        "version": "4",
        "groupKey": '{}:{alertname="PodCrashLooping"}',
        "truncatedAlerts": 0,
    }
    before, after = json.dumps(message, separators=(",", ":")).split('"@"')
    return before, after


def body(shape: str, alerts: Iterable[Alert]) -> bytes:
    """Return one body of these alerts."""
    before, after = envelope(shape)
    return (before + ",".join(alert.text(shape) for alert in alerts) + after).encode()


def spread(unique: str, number: int, severity: str = "warning") -> Alert:
    """Return an alert that joins one of SERVICES × NAMES incidents."""
    return Alert(unique, f"service-{number % SERVICES}", f"PodCrashLooping{number // SERVICES % NAMES}", severity)
