"""Every sample of every sender, read and compared: what it says, how bad, what people see, and which alert it is."""

from __future__ import annotations

import msgspec
import pytest

from ingest.adapter import Unreadable
from ingest.adapters import load, names
from tests.unit.ingest.adapters.samples import FOLDER, NOON, cases, read
from tests.unit.ingest.adapters.test_changes import CHANGES
from triage.model import Event, Kind, Millis

EARLY: Millis = NOON - 9_000_000
"""09:30: before the `endsAt` that Prometheus and vmalert announce for what still fires."""

EXPECTED: dict[str, list[tuple[str, str, str]]] = {
    "alertmanager/firing_single": [("firing", "warning", "db-07: /var/lib/pg will be full in about 5 h")],
    "alertmanager/mixed_batch": [
        ("firing", "critical", "checkout-api on 10.40.3.11:8080 does not answer scrapes"),
        ("firing", "critical", "checkout-api on 10.40.3.12:8080 does not answer scrapes"),
        ("resolved", "critical", "checkout-api on 10.40.3.13:8080 does not answer scrapes"),
    ],
    "alertmanager/no_alertname": [("firing", "info", "host=cron-2 job=nightly-batch severity=info")],
    "alertmanager/old_sender_no_fingerprint": [("firing", "warning", "db-07: /var/lib/pg will be full in about 5 h")],
    "alertmanager/receiver_name_is_regex_quoted": [
        ("firing", "warning", "db-07: /var/lib/pg will be full in about 5 h")
    ],
    "alertmanager/repeat_interval_same_alert": [("firing", "warning", "db-07: /var/lib/pg will be full in about 5 h")],
    "alertmanager/resolved_batch": [
        ("resolved", "critical", "checkout-api on 10.40.3.11:8080 does not answer scrapes"),
        ("resolved", "critical", "checkout-api on 10.40.3.12:8080 does not answer scrapes"),
    ],
    "alertmanager/resolved_single": [("resolved", "warning", "db-07: /var/lib/pg will be full in about 5 h")],
    "alertmanager/truncated": [
        ("firing", "critical", "checkout-api on 10.40.3.21:8080 does not answer scrapes"),
        ("firing", "critical", "checkout-api on 10.40.3.22:8080 does not answer scrapes"),
        ("firing", "critical", "checkout-api on 10.40.3.23:8080 does not answer scrapes"),
    ],
    "alertmanager/watchdog_always_firing": [
        ("firing", "none", "Always fires; its absence means the alert path is broken")
    ],
    "generic/apprise_json": [("firing", "failure", "Backup")],
    "generic/array_of_two": [("firing", "", "A"), ("firing", "", "B")],
    "generic/custom_body_form_ct.http": [("firing", "", "Shop front")],
    "generic/firing": [("firing", "critical", "Batch 7 is stuck")],
    "generic/goalert_generic": [("firing", "", "Disk low on db-7")],
    "generic/goalert_generic_close": [("resolved", "", "Disk low on db-7")],
    "generic/grafana_oncall_formatted": [("firing", "", "Cold store door open")],
    "generic/minimal": [("firing", "", "Someone please look at the printer")],
    "generic/resolved": [("resolved", "", "Batch 7 is stuck")],
    "grafana/datasource_error": [("firing", "warning", "DatasourceError: CPU steal high")],
    "grafana/datasource_nodata": [("firing", "warning", "DatasourceNoData: CPU steal high")],
    "grafana/firing": [("firing", "warning", "CPU steal on vm-31 is 23 %")],
    "grafana/hmac_plain.http": [("firing", "warning", "CPU steal on vm-31 is 23 %")],
    "grafana/hmac_with_timestamp.http": [("firing", "warning", "CPU steal on vm-31 is 23 %")],
    "grafana/mixed": [
        ("firing", "warning", "CPU steal on vm-32 is 31 %"),
        ("resolved", "warning", "CPU steal on vm-31 is 23 %"),
    ],
    "grafana/resolved": [("resolved", "warning", "CPU steal on vm-31 is 23 %")],
    "grafana/resolved_missing_series": [("resolved", "warning", "CPU steal on vm-31 is 23 %")],
    "grafana/test_button": [("info", "", "Notification test")],
    "healthchecks/down_recommended.http": [("firing", "", 'Nightly "full" backup is down')],
    "healthchecks/get_query.http": [("firing", "", 'Nightly "full" backup is down')],
    "healthchecks/json_placeholder_down.http": [("firing", "", "Nightly backup is down")],
    "healthchecks/up_recommended.http": [("resolved", "", 'Nightly "full" backup is up')],
    "prometheus/post_amtool_no_times": [("firing", "info", "manual test by ops")],
    "prometheus/post_empty_label_value_dropped": [("firing", "warning", "EmptyLabel")],
    "prometheus/post_firing_from_prometheus": [
        ("firing", "critical", "checkout-api on 10.40.3.11:8080 does not answer scrapes")
    ],
    "prometheus/post_from_vmalert": [("resolved", "high", "Ingestion lag over 5 min")],
    "prometheus/post_minimal": [("firing", "", "CurlTest")],
    "prometheus/post_partly_invalid": [("firing", "warning", "Good")],
    "prometheus/post_resolved_from_prometheus": [
        ("resolved", "critical", "checkout-api on 10.40.3.11:8080 does not answer scrapes")
    ],
    "report/form.http": [("firing", "", "The printer on floor 3 is on fire")],
    "report/json_report": [("firing", "high", "Checkout hangs after paying")],
    "report/same_service": [("firing", "", "Can't pay since ten minutes")],
    "uptime-kuma/cert_expiry": [
        ("firing", "", "[Shop front][https://shop.example/] server certificate shop.example will expire in 13 days")
    ],
    "uptime-kuma/domain_expiry": [("firing", "", "Domain name shop.example will expire in 20 days")],
    "uptime-kuma/down": [("firing", "critical", "[Shop front] [🔴 Down] timeout of 48000ms exceeded")],
    "uptime-kuma/form_data.http": [("firing", "critical", "[Shop front] [🔴 Down] timeout of 48000ms exceeded")],
    "uptime-kuma/get.http": [("firing", "critical", "[Shop front] [🔴 Down] timeout of 48000ms exceeded")],
    "uptime-kuma/test_button": [("info", "", "Triage hook Testing")],
    "uptime-kuma/up": [("resolved", "critical", "[Shop front] [✅ Up] 200 - OK")],
    "uptimerobot/down_form.http": [("firing", "", "Shop API: Down (HTTP 503 - Service Unavailable)")],
    "uptimerobot/down_get.http": [("firing", "", "Shop API: Down (HTTP 503 - Service Unavailable)")],
    "uptimerobot/down_json": [("firing", "", "Shop API: Down (HTTP 503 - Service Unavailable)")],
    "uptimerobot/ssl_expiry_json": [("firing", "", "Shop API: SSL certificate expiring")],
    "uptimerobot/up_json": [("resolved", "", "Shop API: Up (HTTP 200 - OK)")],
}

UNREADABLE = {
    "alertmanager/custom_payload_option": ("alerts[0].labels", "generic"),
    "grafana/custom_payload": ("alerts", "generic"),
    "healthchecks/broken_json_unquoted_name.http": ("body", "$NAME_JSON"),
    "changes/no_subject": ("service", "say what changed"),
    "pagerduty-change/no_summary": ("payload.summary", "what changed"),
}
SAME_ALERT = [
    (
        "alertmanager/firing_single",
        "alertmanager/resolved_single",
        "alertmanager/repeat_interval_same_alert",
        "alertmanager/old_sender_no_fingerprint",
    ),
    ("prometheus/post_firing_from_prometheus", "prometheus/post_resolved_from_prometheus"),
    ("grafana/firing", "grafana/resolved", "grafana/resolved_missing_series", "grafana/hmac_plain.http"),
    ("uptime-kuma/down", "uptime-kuma/up", "uptime-kuma/form_data.http", "uptime-kuma/get.http"),
    (
        "healthchecks/down_recommended.http",
        "healthchecks/up_recommended.http",
        "healthchecks/get_query.http",
        "healthchecks/json_placeholder_down.http",
    ),
    ("uptimerobot/down_json", "uptimerobot/up_json", "uptimerobot/down_form.http", "uptimerobot/down_get.http"),
    ("generic/firing", "generic/resolved"),
    ("generic/goalert_generic", "generic/goalert_generic_close"),
    ("report/json_report", "report/same_service"),
]


def events(sample: str) -> list[Event]:
    adapter, case = sample.split("/")
    return read(adapter, case, EARLY if case in ("post_firing_from_prometheus", "post_from_vmalert") else NOON).events


def test_every_sample_has_an_expectation() -> None:
    known = EXPECTED.keys() | UNREADABLE.keys() | CHANGES.keys()
    assert {f"{adapter}/{case}" for adapter, case in cases()} == known


def test_every_adapter_has_samples_and_every_folder_an_adapter() -> None:
    assert names() == sorted(folder.name for folder in FOLDER.iterdir())
    assert {adapter for adapter, _ in cases()} == set(names())


@pytest.mark.parametrize("sample", EXPECTED)
def test_sample_is_read_as_expected(sample: str) -> None:
    found = [(str(event.status), event.raw_severity, event.title) for event in events(sample)]
    assert found == EXPECTED[sample]


@pytest.mark.parametrize("sample", EXPECTED)
def test_events_survive_the_journal(sample: str) -> None:
    found = events(sample)
    packed = msgspec.msgpack.encode(found)
    assert msgspec.msgpack.decode(packed, type=list[Event]) == found


@pytest.mark.parametrize("sample", UNREADABLE)
def test_unreadable_sample_names_the_field_and_the_remedy(sample: str) -> None:
    field, remedy = UNREADABLE[sample]
    with pytest.raises(Unreadable) as caught:
        events(sample)
    assert caught.value.field == field
    assert remedy in caught.value.reason


@pytest.mark.parametrize("same", SAME_ALERT, ids=lambda same: same[0])
def test_identity_is_stable_across_firing_and_resolved(same: tuple[str, ...]) -> None:
    assert len({event.fingerprint for sample in same for event in events(sample)}) == 1


def test_different_alerts_differ() -> None:
    batch = events("alertmanager/mixed_batch")
    assert len({event.fingerprint for event in batch}) == 3
    assert batch[2].fingerprint not in {event.fingerprint for event in events("alertmanager/resolved_batch")}


def test_identity_is_scoped_to_the_source() -> None:
    one, other = events("alertmanager/firing_single"), events("prometheus/post_minimal")
    assert one[0].fingerprint != other[0].fingerprint


def test_times_are_what_the_sender_claims() -> None:
    [event] = events("grafana/resolved")
    assert (event.starts_at, event.ends_at) == (1_778_577_610_000, 1_778_579_050_000)
    [event] = events("alertmanager/firing_single")
    assert (event.starts_at, event.ends_at) == (1_778_578_282_481, None)
    [event] = events("uptime-kuma/up")
    assert event.ends_at == 1_778_578_865_004


def test_tags_of_a_monitor_become_labels() -> None:
    [event] = events("uptime-kuma/down")
    assert event.labels["severity"] == "critical"
    assert event.labels["alertname"] == "Shop front"
    assert event.kind is Kind.CHECK


def test_truncation_by_the_sender_is_said() -> None:
    assert all(
        "17 further alerts" in event.annotations["tocsin_truncated"] for event in events("alertmanager/truncated")
    )


def test_an_expiry_warning_is_not_closed_by_an_up() -> None:
    [expiry], [up] = events("uptimerobot/ssl_expiry_json"), events("uptimerobot/up_json")
    assert expiry.fingerprint != up.fingerprint


def test_unexpanded_placeholders_are_missing() -> None:
    [event] = events("uptimerobot/down_json")
    assert not any("*" in text for text in event.annotations.values())


def test_an_unknown_adapter_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(LookupError, match="did you mean alertmanager"):
        load("alertmanger")
