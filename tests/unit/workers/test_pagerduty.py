"""PagerDuty's Events API v2, to a server that takes events as its documentation says and keeps its alerts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.unit.workers.http_server import running
from triage.model import EffectKind, Ending, Severity
from workers.channel import Message, choose, load
from workers.channels.pagerduty import send
from workers.outbound import allow

KEY = "R" * 32


@dataclass
class PagerDuty:
    """Alerts by dedup_key. An acknowledge or resolve of an unknown or resolved alert is dropped, as documented."""

    alerts: dict[str, str] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    busy: int = 0

    def take(self, path: str, raw: bytes) -> tuple[int, dict[str, Any]]:
        if self.busy:
            return self.busy, {}
        event = json.loads(raw)
        faults = list(self._faults(event))
        if path != "/v2/enqueue" or faults:
            return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": faults}
        self.events.append(event)
        key, action = event["dedup_key"], event["event_action"]
        if action == "trigger" and self.alerts.get(key) in (None, "resolved"):
            self.alerts[key] = "triggered"
        elif action != "trigger" and self.alerts.get(key) not in (None, "resolved"):
            self.alerts[key] = action + "d"
        return 202, {"status": "success", "message": "Event processed", "dedup_key": key}

    @staticmethod
    def _faults(event: dict[str, Any]) -> Iterator[str]:
        if not re.fullmatch(r"[0-9A-Za-z]{32}", event.get("routing_key", "")):
            yield "'routing_key' is invalid"
        if event.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
            yield "'event_action' is invalid"
        if len(event.get("dedup_key", "")) > 255:
            yield "'dedup_key' is too long"
        if event.get("event_action") != "trigger":
            return
        payload = event.get("payload", {})
        if not 0 < len(payload.get("summary", "")) <= 1024 or not payload.get("source"):
            yield "'payload' is missing or invalid"
        if payload.get("severity") not in {"critical", "error", "warning", "info"}:
            yield "'severity' is invalid"


@contextmanager
def serving(one: PagerDuty) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = one.take(self.path, body)
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield port


@pytest.fixture
def service() -> PagerDuty:
    return PagerDuty()


@pytest.fixture
def target(service: PagerDuty) -> Iterator[str]:
    allow(["127.0.0.0/8"])
    with serving(service) as port:
        yield f"pagerduty+http://{KEY}@127.0.0.1:{port}"
    allow([])


def message(kind: EffectKind, phase: str, taken_by: str = "", id: str = "m1", incident: str = "inc1") -> Message:
    url = "https://tocsin.example.org/incidents/inc1"
    return Message(id, kind, "P0 Down", "text", Severity.P0, url, False, "ana", incident, phase, taken_by=taken_by)


def test_an_incident_is_one_alert_from_its_page_to_its_end(service: PagerDuty, target: str) -> None:
    states = []
    for kind, phase, taken_by in [
        (EffectKind.PAGE, "detected", ""),
        (EffectKind.PAGE, "detected", ""),
        (EffectKind.NOTIFICATION, "triaged", "ana"),
        (EffectKind.NOTIFICATION, "monitoring", "ana"),
        (EffectKind.PAGE, "triaged", ""),
        (EffectKind.NOTIFICATION, "resolved", ""),
    ]:
        assert send(target, message(kind, phase, taken_by)).ending is Ending.DELIVERED
        states.append(service.alerts["inc1"])
    assert states == ["triggered", "triggered", "acknowledged", "resolved", "triggered", "resolved"]
    assert list(service.alerts) == ["inc1"]


def test_what_a_trigger_says(service: PagerDuty, target: str) -> None:
    send(target, message(EffectKind.PAGE, "detected"))
    [event] = service.events
    assert event["payload"] == {
        "summary": "P0 Down",
        "source": "tocsin",
        "severity": "critical",
        "custom_details": {"text": "text", "message": "m1", "person": "ana"},
    }
    assert event["client_url"] == "https://tocsin.example.org/incidents/inc1"


def test_a_notification_that_nobody_has_taken_opens_an_alert(service: PagerDuty, target: str) -> None:
    send(target, message(EffectKind.NOTIFICATION, "triaged"))
    assert service.alerts == {"inc1": "triggered"}


def test_a_word_to_the_operators_is_an_alert_of_its_own(service: PagerDuty, target: str) -> None:
    send(target, message(EffectKind.OPERATOR, "", id="op1", incident=""))
    assert service.alerts == {"op1": "triggered"}


def test_who_was_asked_to_join_is_paged_although_somebody_has_it(service: PagerDuty, target: str) -> None:
    send(target, message(EffectKind.PAGE, "triaged", "ana"))
    assert service.alerts == {"inc1": "triggered"}


def test_a_refusal_is_told_in_its_own_words(target: str) -> None:
    ended = send(target.replace(KEY, "short"), message(EffectKind.PAGE, "detected"))
    assert ended.ending is Ending.GIVE_UP
    assert ended.reason == "HTTP 400: Event object is invalid; 'routing_key' is invalid"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_is_for_now(service: PagerDuty, target: str, status: int) -> None:
    service.busy = status
    assert send(target, message(EffectKind.PAGE, "detected")).ending is Ending.TRY_AGAIN


@pytest.mark.parametrize(
    "target", ["pagerduty://", "pagerduty://a b", "pagerduty://k?region=mars", "pagerduty+http://key"]
)
def test_what_cannot_be_used_is_said(target: str) -> None:
    ended = send(target, message(EffectKind.PAGE, "detected"))
    assert (ended.ending, "ROUTING_KEY" in ended.reason) == (Ending.GIVE_UP, True)


def test_the_scheme_is_ours() -> None:
    assert choose(load(), "pagerduty://x").__name__ == "workers.channels.pagerduty"  # type: ignore[attr-defined]
