"""Whatever arrives: an adapter answers with events that can be stored, or with `Unreadable`, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.adapter import Request, Unreadable
from ingest.adapters import load, names
from tests.unit.ingest.adapters.samples import NOON, cases, request, source

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=30)
    | st.sampled_from(["firing", "resolved", "0001-01-01T00:00:00Z", "1e999", "\ud83d", "a\0b", "*x*", "$NAME"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=20,
)
# fmt: off
KEYS = [
    "alerts", "labels", "annotations", "status", "startsAt", "endsAt", "heartbeat", "monitor", "msg", "id",
    "tags", "name", "check", "uuid", "now", "monitorID", "alertType", "alertDateTime", "title", "dedup_key",
    "links", "service", "data", "fingerprint", "orgId", "truncatedAlerts", "url", "time", "valueString",
    "severity", "starts_at",
]
# fmt: on
SHAPED = st.recursive(
    JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=30,
)
MAPPED = {
    "items": "things || [@]",
    "mapping": {
        "title": "title || name",
        "severity": "lower(severity)",
        "labels": "labels",
        "labels.a": "regex_group(name, '(a+)', `1`)",
        "starts_at": "from_epoch(time)",
        "status": "coalesce(status, 'firing')",
    },
}
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def hold(made: Request, adapter: str) -> None:
    """Read, and check what every adapter promises."""
    try:
        found = load(adapter).read(made)
    except Unreadable as fault:
        assert fault.reason
        fault.field.encode()
        return
    assert msgspec.msgpack.encode(found.events)
    msgspec.msgpack.encode(found.rejected)
    msgspec.msgpack.encode(found.changes)
    for event in found.events:
        assert event.title
        assert event.title.isprintable()
        assert len(event.fingerprint) == 32


@pytest.mark.parametrize("adapter", names())
@quick
@given(data=JSON | SHAPED)
def test_random_json(adapter: str, data: Any) -> None:
    body = json.dumps(data).encode()
    hold(Request(source(adapter), NOON, body=body), adapter)
    if adapter == "generic":
        hold(Request(source(adapter, **MAPPED), NOON, body=body), adapter)


@pytest.mark.parametrize("adapter", names())
@quick
@given(
    body=st.binary(max_size=200),
    kind=st.sampled_from(
        ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=-x", ""]
    ),
    query=st.dictionaries(st.sampled_from(KEYS), st.text(st.characters(), max_size=20), max_size=5),
)
def test_random_bytes(adapter: str, body: bytes, kind: str, query: dict[str, str]) -> None:
    headers = {"content-type": kind}
    hold(Request(source(adapter), NOON, "POST", body, headers, query, rest="\udcff/x"), adapter)
    hold(
        Request(source(adapter), NOON, "POST", b'---x\r\nname="data"\r\n\r\n' + body + b"\r\n---x--", headers), adapter
    )


@pytest.mark.parametrize("adapter", names())
@quick
@given(data=st.data())
def test_mutated_samples(adapter: str, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from([case for name, case in cases() if name == adapter]))
    made = request(adapter, case)
    body = bytearray(made.body or b"{}")
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from(
                [b"", b"null", b"[", b"{}", b'"', b"\\ud83d", b"\\u0000", b"\xff", b"1e999", b"NaN", b",", b"9" * 30]
            )
        )
        if not body:
            break
    hold(Request(made.source, NOON, made.method, bytes(body), made.headers, made.query, made.rest), adapter)


@pytest.mark.parametrize("adapter", names())
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"alerts":' + b"[" * 70 + b"]" * 70 + b"}",
        b"{" + b"9" * 5_000,
        b'{"x":' + b"9" * 5_000 + b"}",
    ],
    ids=["arrays", "objects", "seventy", "digits", "integer"],
)
def test_bodies_made_to_hurt(adapter: str, body: bytes) -> None:
    hold(Request(source(adapter), NOON, body=body), adapter)
