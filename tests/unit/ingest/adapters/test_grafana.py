"""Grafana's signature, and the identity that its labels cannot give."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ingest.adapter import Request
from ingest.adapters import load
from tests.unit.ingest.adapters.samples import request
from triage.model import MINUTE, SECOND, Millis

SECRET = b"s3cr3t-dev-key"
SIGNED_AT: Millis = 1_778_577_600_000


def fault(made: Request, secret: bytes = SECRET) -> str | None:
    check = load("grafana").authenticate
    assert check is not None
    return check(made, secret)


def timestamped(at: Millis, **settings: str) -> Request:
    return request("grafana", "hmac_with_timestamp.http", at, **settings)


def with_header(made: Request, name: str, value: str) -> Request:
    return dataclasses.replace(made, headers={**made.headers, name: value})


@pytest.mark.parametrize("off", [0, 5 * MINUTE, -5 * MINUTE])
def test_right_signature_within_the_window(off: Millis) -> None:
    assert fault(timestamped(SIGNED_AT + off)) is None


@pytest.mark.parametrize("off", [5 * MINUTE + SECOND, -5 * MINUTE - SECOND])
def test_replayed_or_early_signature_is_refused(off: Millis) -> None:
    assert "more than five minutes off" in (fault(timestamped(SIGNED_AT + off)) or "")


def test_plain_signature() -> None:
    made = request("grafana", "hmac_plain.http")
    assert fault(made) is None
    assert "does not fit" in (fault(made, b"another") or "")
    assert "does not fit" in (fault(dataclasses.replace(made, body=made.body + b" ")) or "")


def test_a_fresher_timestamp_does_not_fit_the_signature() -> None:
    later = SIGNED_AT + 60 * MINUTE
    forged = with_header(timestamped(later), "x-grafana-alerting-timestamp", str(later // 1000))
    assert "does not fit" in (fault(forged) or "")


def test_missing_headers_are_named() -> None:
    bare = request("grafana", "firing")
    assert "X-Grafana-Alerting-Signature is missing" in (fault(bare) or "")
    made = request("grafana", "hmac_plain.http", timestamp_header="X-When")
    assert "X-When is missing" in (fault(made) or "")


def test_configured_header_names() -> None:
    made = timestamped(SIGNED_AT, signature_header="X-Sig", timestamp_header="X-When")
    headers = {
        "x-sig": made.headers["x-grafana-alerting-signature"],
        "x-when": made.headers["x-grafana-alerting-timestamp"],
    }
    assert fault(dataclasses.replace(made, headers=headers)) is None


@pytest.mark.parametrize("value", ["soon", "-5", "\u00b2", "9" * 40])
def test_a_timestamp_that_is_none_is_refused_and_not_an_error(value: str) -> None:
    assert fault(with_header(timestamped(SIGNED_AT), "x-grafana-alerting-timestamp", value))


def test_signature_that_is_no_ascii_is_refused() -> None:
    assert fault(with_header(timestamped(SIGNED_AT), "x-grafana-alerting-signature", "\udcff\u00e9"))


def test_same_labels_from_two_rules_or_organisations_are_different_alerts() -> None:
    body = json.loads(request("grafana", "firing").body)
    other_rule, other_org = json.loads(json.dumps(body)), json.loads(json.dumps(body))
    other_rule["alerts"][0]["fingerprint"] = "0000000000000001"
    other_org["alerts"][0]["orgId"] = 2
    found = set()
    for data in (body, other_rule, other_org):
        made = dataclasses.replace(request("grafana", "firing"), body=json.dumps(data).encode())
        found.add(load("grafana").read(made).events[0].fingerprint)
    assert len(found) == 3
