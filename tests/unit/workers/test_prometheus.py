"""What is asked of a Prometheus, and what is made of answers that are good, slow, huge or no Prometheus's at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from tests.unit.workers.http_server import Provider, serving
from triage.measured import Asked, Query
from triage.metrics import CURVES_MAX
from triage.model import Around, Measured
from workers import outbound, prometheus

ASKED = Asked(Around.ONSET, 1_000_000, 1_060_000, 15_000, 1_060_000)
QUERY = Query("main", "", {"Authorization": "Bearer ${TOKEN}"}, "x > 1", "x", ">", 1.0, {"pod": "b", "job": "shop"})
SECRETS = {"TOKEN": "hidden-token-1234"}


@pytest.fixture(autouse=True)
def _near() -> Iterator[None]:
    outbound.allow(["127.0.0.0/8"])
    yield
    outbound.allow([])


def matrix(*series: tuple[dict[str, Any], list[Any]]) -> bytes:
    result = [{"metric": labels, "values": values} for labels, values in series]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def read(provider: Provider, query: Query = QUERY) -> Measured:
    with serving(provider) as port:
        asked = msgspec.structs.replace(query, url=f"http://127.0.0.1:{port}/prom")
        return prometheus.read("key", asked, ASKED, SECRETS.get)


def test_the_curve_is_asked_for_as_prometheus_wants_it_and_put_on_its_steps() -> None:
    body = matrix(({"__name__": "x", "pod": "b"}, [[1000, "0.5"], [1015.0, "2"], [1030, "NaN"], [1060, "+Inf"]]))
    provider = Provider(status=200, body=body)
    found = read(provider)
    assert found.fault == ""
    assert (found.asked, found.start, found.step) == (ASKED.at, ASKED.start, ASKED.step)
    assert [(one.labels, one.values) for one in found.curves] == [
        ({"__name__": "x", "pod": "b"}, (0.5, 2.0, None, None, None))
    ]
    [(path, headers, sent)] = provider.got
    assert (path, headers["authorization"]) == ("/prom/api/v1/query_range", "Bearer hidden-token-1234")
    given = {name: one[0] for name, one in parse_qs(sent.decode()).items()}
    assert given == {"query": "x", "start": "1000.000", "end": "1060.000", "step": "15.000", "timeout": "10s"}


def test_the_alerts_own_series_comes_first_then_the_most_extreme_and_no_more_than_are_kept() -> None:
    others = [({"pod": f"p{i}"}, [[1000, str(i)]]) for i in range(20)]
    found = read(Provider(status=200, body=matrix(*others, ({"pod": "b", "job": "shop"}, [[1000, "0"]]))))
    assert [one.labels["pod"] for one in found.curves[:3]] == ["b", "p19", "p18"]
    assert (len(found.curves), found.left_out) == (CURVES_MAX, 21 - CURVES_MAX)
    low = msgspec.structs.replace(QUERY, sign="<")
    assert read(Provider(status=200, body=matrix(*others)), low).curves[0].labels == {"pod": "p0"}


def test_an_answer_that_is_too_large_is_asked_for_again_as_what_fires_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "ANSWER_MAX", 2_000)
    large = Provider(status=200, body=matrix(*[({"pod": f"p{i}"}, [[1000, "1"]]) for i in range(100)]))
    found = read(large)
    assert [parse_qs(sent.decode())["query"] for _, _, sent in large.got] == [["x"], ["x > 1"]]
    assert "is larger than" in found.fault
    once = Provider(status=200, body=large.body)
    assert "is larger than" in read(once, msgspec.structs.replace(QUERY, text="x", sign="", threshold=None)).fault
    assert len(once.got) == 1


def test_hostile_labels_become_plain_and_short() -> None:
    labels = {f"l{i}": "v" * 1_000 for i in range(100)} | {"a": "\x00\x1b[31m\ud800<script>"}
    [curve] = read(Provider(status=200, body=matrix((labels, [[1000, "1"]])))).curves
    assert len(curve.labels) == prometheus.LABELS_MAX
    assert max(map(len, curve.labels.values())) == prometheus.LABEL_MAX
    assert curve.labels["a"] == "[31m?<script>"


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        (Provider(status=200, body=b"<html>hello</html>"), "what answers there is no Prometheus"),
        (Provider(status=200, body=b"[" * 100_000), "what answers there is no Prometheus"),
        (Provider(status=200, body=b'{"data": {"resultType": "matrix", "result": {}}}'), "is no Prometheus"),
        (
            Provider(status=200, body=b'{"data": {"resultType": "vector", "result": []}}'),
            "a vector, which has no course",
        ),
        (Provider(status=200, body=matrix()[:-20]), "what answers there is no Prometheus"),
        (Provider(status=200, body=b'{"data": {"resultType": "matrix", "result": [5]}}'), "without labels or values"),
        (Provider(status=400, body=b'{"status": "error", "error": "parse error: x\\u0000y"}'), "parse error: x y"),
        (Provider(status=503, body=b"try later"), "Prometheus answers HTTP 503"),
        (Provider(status=302, headers={"Location": "http://169.254.169.254/"}), "Prometheus answers HTTP 302"),
        (Provider(cuts=True), "no answer came within"),
        (Provider(status=401, body=b'{"error": "no hidden-token-1234 here"}'), "HTTP 401: no *** here"),
    ],
)
def test_an_answer_that_cannot_be_used_says_why(provider: Provider, words: str) -> None:
    found = read(provider)
    assert found.curves == ()
    assert words in found.fault


def test_samples_that_are_none_are_left_out() -> None:
    bad: list[Any] = [None, 5, [], [1000], ["x", "1"], [1000, None], [1e300, "1"], [1000, "9" * 500], [1015, "3"]]
    [curve] = read(Provider(status=200, body=matrix(({}, bad)))).curves
    assert curve.values[1] == 3.0


def test_a_server_that_drips_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "READ_S", 0.2)
    assert "no answer came within 0.2 s" in read(Provider(status=200, sleeps=0.6)).fault


def test_where_the_policy_of_addresses_forbids_it_nothing_is_asked() -> None:
    outbound.allow([])
    provider = Provider(status=200, body=matrix())
    assert "--outbound.allow" in read(provider).fault
    assert provider.got == []


def test_a_secret_that_is_not_set_is_named() -> None:
    asked = msgspec.structs.replace(QUERY, url="http://127.0.0.1:1", headers={"X-Key": "${NOT_SET}"})
    assert "the secret NOT_SET is not set" in prometheus.read("key", asked, ASKED, SECRETS.get).fault
