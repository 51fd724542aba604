"""Any JSON, by the operator's mapping; and forms of the small senders that no sample shows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingest.adapter import Read, Request, Unreadable
from ingest.adapters import load
from tests.unit.ingest.adapters.samples import NOON, request, source
from triage.model import Kind, Status

MAPPING = {
    "title": "join(' ', [check, 'on', node])",
    "dedup_key": "id",
    "status": 'lookup(`{"1": "firing", "0": "resolved"}`, state)',
    "severity": "lower(coalesce(sev, 'WARNING'))",
    "starts_at": "from_epoch(since)",
    "labels": "{node: node}",
    "labels.rack": "regex_group(node, 'r([0-9]+)', `1`)",
    "annotations.note": "trim(note)",
}
BODY = {
    "things": [
        {
            "id": "a",
            "check": "disk",
            "node": "r12-db",
            "state": 1,
            "sev": "HIGH",
            "since": 1_778_578_282,
            "note": " x ",
        },
        {"id": "a", "check": "disk", "node": "r12-db", "state": 0},
        {"id": "b", "check": "disk", "node": "db", "state": 9},
    ]
}


def generic(data: Any, **settings: Any) -> Read:
    return load("generic").read(Request(source("generic", **settings), NOON, body=json.dumps(data).encode()))


def test_foreign_json_is_mapped() -> None:
    down, up, unknown = generic(BODY, items="things", mapping=MAPPING).events
    assert (down.status, down.raw_severity, down.title) == (Status.FIRING, "high", "disk on r12-db")
    assert down.labels == {"node": "r12-db", "rack": "12"}
    assert down.annotations["note"] == "x"
    assert down.starts_at == 1_778_578_282_000
    assert (up.status, up.fingerprint, up.raw_severity) == (Status.RESOLVED, down.fingerprint, "warning")
    assert unknown.status is Status.FIRING
    assert "rack" not in unknown.labels


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"items": "things["}, "generic.items"),
        ({"mapping": {"colour": "x"}}, "generic.mapping.colour"),
        ({"mapping": {"title": "lower(`1`)"}}, "generic.mapping.title"),
        ({"mapping": {"title": "regex_group(a, '(', `1`)"}}, "generic.mapping.title"),
        ({"mapping": {"title": "nothing"}}, "title"),
    ],
)
def test_a_mapping_that_fails_is_named(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(Unreadable) as caught:
        generic({"a": "b"}, **settings)
    assert caught.value.field.strip(".") == field


def test_without_a_key_title_source_and_labels_are_the_identity() -> None:
    bodies: list[dict[str, Any]] = [
        {"title": "A"},
        {"title": "A", "severity": "high", "status": "ok"},
        {"title": "A", "source": "x"},
        {"title": "A", "labels": {"x": "y"}},
        {"title": "B"},
    ]
    found = [event.fingerprint for event in generic(bodies).events]
    assert found[0] == found[1]
    assert len(set(found)) == 4


def test_bad_items_are_refused_by_name() -> None:
    found = generic([{"title": "A"}, {"status": "ok"}, {"title": "B", "status": "violet"}, 7])
    assert [(item.where, item.field) for item in found.rejected] == [
        ("items[1]", "title"),
        ("items[2]", "status"),
        ("items[3]", ""),
    ]


def test_generic_refuses_get() -> None:
    assert "GET" not in load("generic").methods


def test_reports_are_reports_and_anonymous_without_proof() -> None:
    made = request("report", "json_report")
    [event] = load("report").read(made).events
    assert (event.kind, event.anonymous) == (Kind.REPORT, False)
    stranger = Request(made.source, NOON, body=made.body, headers=made.headers, trusted=False)
    assert load("report").read(stranger).events[0].anonymous


def test_a_report_without_a_title_is_told_so() -> None:
    with pytest.raises(Unreadable, match="say in one line"):
        load("report").read(Request(source("report"), NOON, body=b"service=shop"))


def kuma(**data: Any) -> Read:
    return load("uptime-kuma").read(Request(source("uptime-kuma"), NOON, body=json.dumps(data).encode()))


@pytest.mark.parametrize(("status", "expected"), [(0, "firing"), (1, "resolved"), (2, "info"), (3, "info")])
def test_uptime_kuma_states(status: int, expected: str) -> None:
    [event] = kuma(heartbeat={"status": status, "monitorID": 4}, monitor={"id": 4, "name": "x"}).events
    assert event.status == expected


def test_uptime_kuma_repeats_do_not_begin_anew() -> None:
    beat = {"status": 0, "monitorID": 4, "time": "2026-05-12 10:00:00.000", "important": False}
    assert kuma(heartbeat=beat).events[0].starts_at is None


def test_uptime_kuma_countdown_is_one_alert() -> None:
    found = {
        kuma(msg=f"Domain name x.example will expire in {days} days").events[0].fingerprint for days in (21, 14, 1)
    }
    assert len(found) == 1


def test_uptime_kuma_keeps_credentials_of_the_monitor_out() -> None:
    monitor = {"id": 4, "name": "x", "basic_auth_pass": "hunter2", "headers": "hunter2"}
    assert "hunter2" not in repr(kuma(heartbeat={"status": 0}, monitor=monitor))


def healthchecks(query: dict[str, str], rest: str = "") -> Read:
    return load("healthchecks").read(Request(source("healthchecks"), NOON, "GET", query=query, rest=rest))


def test_healthchecks_test_button_is_informational() -> None:
    [event] = healthchecks({"name": "TEST", "status": "down"}).events
    assert event.status is Status.INFO


def test_healthchecks_unexpanded_placeholders_are_missing() -> None:
    with pytest.raises(Unreadable, match="CODE"):
        healthchecks({"uuid": "$CODE", "status": "down"})
    with pytest.raises(Unreadable, match="STATUS"):
        healthchecks({"uuid": "x", "status": "$STATUS"})


def test_healthchecks_code_in_the_path_is_cleaned() -> None:
    [event] = healthchecks({"status": "down"}, rest="\udcff1").events
    assert event.labels["check_id"] == "?1"


def test_tags_with_a_value_become_labels() -> None:
    [event] = healthchecks({"uuid": "x", "status": "down", "tags": "severity=critical service:shop prod"}).events
    assert event.raw_severity == "critical"
    assert (event.labels["service"], event.labels["tag_prod"]) == ("shop", "true")


def test_a_title_of_unprintable_characters_falls_back() -> None:
    [event] = generic({"title": "\u200b\x01", "name": "disk"}).events
    assert event.title == "disk"
