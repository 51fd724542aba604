"""`pagerduty://${ROUTING_KEY}`: PagerDuty's Events API v2, for teams that keep it.

An incident of ours is one alert there: its key is the `dedup_key`, so that pages of every step gather in it, what
somebody here took is acknowledged there, and what ended is resolved. `?region=eu` is PagerDuty's European service;
`pagerduty://${ROUTING_KEY}@events.example.org` is another receiver of the same protocol (`pagerduty+http` without TLS).
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from triage.model import EffectKind, Ending, Phase, Severity
from workers.channel import Delivery, Message, scheme_of
from workers.outbound import Answer, judge, post

SCHEMES: Final = ("pagerduty", "pagerduty+http")
HOSTS: Final = {"us": "events.pagerduty.com", "eu": "events.eu.pagerduty.com"}
PATH: Final = "/v2/enqueue"
SUMMARY_MAX: Final = 1_024
REASON_MAX: Final = 200
SEVERITIES: Final = {
    Severity.P0: "critical",
    Severity.P1: "error",
    Severity.P2: "warning",
    Severity.P3: "info",
    Severity.P4: "info",
}
_OVER: Final = frozenset({Phase.MONITORING, Phase.RESOLVED, Phase.POSTMORTEM, Phase.CLOSED})
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_ENCODER: Final = msgspec.json.Encoder()
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")


def send(target: str, message: Message) -> Delivery:
    """Send the event that `message` stands for to the service that `target` names."""
    rest, _, query = target.partition("://")[2].partition("?")
    key, _, host = rest.rstrip("/").partition("@")
    region = query.removeprefix("region=") or "us"
    if not _KEY.match(key) or region not in HOSTS:
        return Delivery(Ending.GIVE_UP, "write pagerduty://${ROUTING_KEY}, with ?region=eu for the European service")
    plain = scheme_of(target).endswith("+http")
    if plain and not host:
        return Delivery(Ending.GIVE_UP, "pagerduty+http:// needs its host: pagerduty+http://${ROUTING_KEY}@host")
    url = f"{'http' if plain else 'https'}://{host or HOSTS[region]}{PATH}"
    answer = post(url, _ENCODER.encode(event(key, message)), {"Content-Type": "application/json"})
    if isinstance(answer, Answer) and answer.status == 400:
        return Delivery(Ending.GIVE_UP, f"HTTP 400: {_said(answer)}"[:REASON_MAX])
    return judge(answer, "PagerDuty took it")


def event(routing_key: str, message: Message) -> dict[str, Any]:
    """Return the event as the API takes it; only a `trigger` says more than which alert it is about."""
    made: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": action(message),
        "dedup_key": message.incident or message.id,
    }
    if made["event_action"] != "trigger":
        return made
    made["payload"] = {
        "summary": message.title[:SUMMARY_MAX],
        "source": "tocsin",
        "severity": SEVERITIES[message.severity],
        "custom_details": {"text": message.body, "message": message.id, "person": message.person},
    }
    made["client"] = "Tocsin"
    if message.url.startswith(("https://", "http://")):
        made["client_url"] = message.url
        made["links"] = [{"href": message.url, "text": "Incident in Tocsin"}]
    return made


def action(message: Message) -> str:
    """Return what a message does to the alert in PagerDuty. Only a notification can end or calm one."""
    if message.kind is EffectKind.NOTIFICATION and message.incident:
        if message.phase in _OVER:
            return "resolve"
        if message.taken_by:
            return "acknowledge"
    return "trigger"


def _said(answer: Answer) -> str:
    """Return PagerDuty's own words: `message` and `errors` of its answer."""
    try:
        body = msgspec.json.decode(answer.body)
        words = [str(body.get("message", "")), *map(str, body.get("errors", ()))]
    except (msgspec.DecodeError, AttributeError, TypeError):
        return "the event was refused"
    return _CONTROL.sub(" ", "; ".join(filter(None, words)) or "the event was refused")
