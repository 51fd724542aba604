"""Alertmanager and Prometheus: what fires, one bad alert among many, limits, and identity."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.adapter import Read, Request, Unreadable
from ingest.adapters import load
from ingest.limits import MAX_EVENTS, MAX_LABEL_VALUE, MAX_LABELS
from tests.unit.ingest.adapters.samples import NOON, source
from triage.model import Status

PAST, FUTURE = "2026-05-12T11:00:00Z", "2026-05-12T13:00:00Z"


def prometheus(*alerts: Any, **settings: Any) -> Read:
    made = Request(source("prometheus", **settings), NOON, body=json.dumps(alerts).encode())
    return load("prometheus").read(made)


def alertmanager(*alerts: Any, **settings: Any) -> Read:
    body = json.dumps({"version": "4", "alerts": alerts}).encode()
    return load("alertmanager").read(Request(source("alertmanager", **settings), NOON, body=body))


def alert(**labels: Any) -> dict[str, Any]:
    return {"labels": {"alertname": "A", **labels}, "status": "firing"}


@pytest.mark.parametrize(
    ("ends", "status"),
    [(None, "firing"), ("0001-01-01T00:00:00Z", "firing"), (FUTURE, "firing"), (PAST, "resolved"), ("soon", "firing")],
)
def test_prometheus_resolves_by_a_past_end(ends: str | None, status: str) -> None:
    [event] = prometheus({"labels": {"alertname": "A"}, "endsAt": ends}).events
    assert event.status == status
    assert (event.ends_at is not None) == (status == "resolved")


def test_prometheus_invents_no_start() -> None:
    [event] = prometheus({"labels": {"alertname": "A"}}).events
    assert event.starts_at is None


def test_prometheus_answers_as_alertmanager_does() -> None:
    answer = load("prometheus").answer
    assert answer(prometheus(alert())) == (200, b"", "application/json")
    partly = answer(prometheus(alert(), {"labels": {}}, 7))
    assert partly is not None
    assert partly[0] == 400
    said = json.loads(partly[1])
    assert "alerts[1].labels: " in said
    assert "alerts[2]: expected an object" in said


@pytest.mark.parametrize("read", [alertmanager, prometheus])
def test_one_bad_alert_does_not_cost_the_others(read: Any) -> None:
    found = read(alert(n="1"), alert(job={"no": "text"}), alert(n="2"), 17, {"annotations": {}})
    assert [event.labels["n"] for event in found.events] == ["1", "2"]
    assert [(item.where, item.field) for item in found.rejected] == [
        ("alerts[1]", "labels.job"),
        ("alerts[3]", ""),
        ("alerts[4]", "labels"),
    ]


def test_an_unknown_status_is_refused_by_name() -> None:
    found = alertmanager(alert(), {**alert(n="2"), "status": "purple"})
    assert [(item.where, item.field) for item in found.rejected] == [("alerts[1]", "status")]


def test_labels_that_are_no_text_are_coerced_and_null_is_dropped() -> None:
    [event] = alertmanager(alert(port=9100, up=False, none=None, text="a\0b\ud83d", empty="")).events
    assert event.labels == {"alertname": "A", "port": "9100", "up": "false", "text": "ab?"}


def test_both_ways_of_reading_agree_on_identity() -> None:
    fast = alertmanager(alert(a="b")).events
    plain = alertmanager(alert(a="b"), {"labels": None}).events
    assert fast == plain


def test_replicas_are_one_alert_and_ignored_labels_alone_are_not_all_one() -> None:
    one, other = alertmanager(alert(replica="a"), alert(replica="b")).events
    assert one.fingerprint == other.fingerprint
    first, second = alertmanager({"labels": {"replica": "a"}}, {"labels": {"replica": "b"}}).events
    assert first.fingerprint != second.fingerprint


def test_the_sources_own_labels_and_severity_fill_gaps_only() -> None:
    settings: dict[str, Any] = {"labels": {"env": "prod", "team": "x"}, "severity": "page"}
    plain, own = alertmanager(alert(team="db"), alert(severity="info"), **settings).events
    assert (plain.labels["env"], plain.labels["team"], plain.raw_severity) == ("prod", "db", "page")
    assert own.raw_severity == "info"
    assert plain.fingerprint == alertmanager(alert(team="db")).events[0].fingerprint


def test_limits_trim_and_say_so_but_keep_identity_apart() -> None:
    many = {f"l{n:03}": "x" for n in range(MAX_LABELS + 6)}
    [long, other, wide] = alertmanager(
        alert(v="x" * (MAX_LABEL_VALUE + 1)), alert(v="x" * (MAX_LABEL_VALUE + 2)), alert(**many)
    ).events
    assert len(long.labels["v"]) == MAX_LABEL_VALUE
    assert "label v cut from 4097" in long.annotations["tocsin_trimmed"]
    assert long.fingerprint != other.fingerprint
    assert len(wide.labels) == MAX_LABELS
    assert wide.labels["alertname"] == "A"
    assert "7 of 71 labels left out" in wide.annotations["tocsin_trimmed"]


def test_too_many_alerts_in_one_request_keep_the_first() -> None:
    found = prometheus(*[alert(n=str(n)) for n in range(MAX_EVENTS + 3)])
    assert len(found.events) == MAX_EVENTS
    assert [item.where for item in found.rejected] == [f"alerts[{MAX_EVENTS}:]"]


def test_a_time_that_is_none_costs_the_time_and_not_the_alert() -> None:
    [event] = alertmanager({**alert(), "startsAt": "yesterday"}).events
    assert event.starts_at is None
    assert "startsAt: 'yesterday' is not a time" in event.annotations["tocsin_unread_time"]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "/graph"])
def test_links_that_are_no_links_are_left_out(url: str) -> None:
    assert alertmanager({**alert(), "generatorURL": url}).events[0].url == ""


def test_a_message_status_stands_in_for_a_missing_one() -> None:
    body = json.dumps({"status": "resolved", "alerts": [{"labels": {"alertname": "A"}}]}).encode()
    [event] = load("alertmanager").read(Request(source("alertmanager"), NOON, body=body)).events
    assert event.status is Status.RESOLVED


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b"{", "line 1 column 2"),
        (b"[]", "expected a JSON object"),
        (b'{"alerts": {}}', "no array of alerts"),
        (b'{"alerts": [], "alerts": 1}', "twice"),
        (b'{"alerts": NaN}', "NaN is no JSON number"),
    ],
)
def test_what_cannot_be_read_says_where(body: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        load("alertmanager").read(Request(source("alertmanager"), NOON, body=body))


@pytest.mark.parametrize("bad", [[], [{"labels": "none"}]])
def test_what_fires_comes_before_what_ended(bad: list[Any]) -> None:
    """In a snapshot nothing is earlier: the incident of both must at no moment look quiet."""
    ended = {**alert(instance="a"), "status": "resolved"}
    events = alertmanager(ended, alert(instance="b"), *bad, ended, alert(instance="c")).events
    assert [event.labels["instance"] for event in events] == ["b", "c", "a", "a"]


def test_an_alert_that_is_there_twice_keeps_its_order() -> None:
    """One of two replicas already sees the end: the other's word, which comes later, counts."""
    ended = {**alert(replica="1"), "status": "resolved"}
    events = alertmanager(ended, alert(replica="2"), alert(instance="b")).events
    assert [str(event.status) for event in events] == ["firing", "resolved", "firing"]
