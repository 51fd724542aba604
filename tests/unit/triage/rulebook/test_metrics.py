"""What operators write of metrics: what is refused and in which words, and whom a link means."""

from __future__ import annotations

import pytest

from tests.unit.triage.rulebook.making import book, said
from triage.model import Severity
from triage.rulebook.types import Measure

GOOD = """
prometheus:
  main: {url: "http://prometheus:9090/", headers: {Authorization: "Bearer ${PROMETHEUS_TOKEN}"}}
  shop: {url: "https://mimir.example.org/prometheus", links: ["https://prom.shop.example.org"]}
  none: {url: "http://other:9090", links: []}
severities: [P1, P0]
"""
RULE = """
rules:
  - name: one
    matchers: ['service="shop"']
    metrics: {query: 'rate(errors_total{service="{service}"}[5m])', prometheus: %s}
"""


def test_whom_a_link_means() -> None:
    rules = book(metrics=GOOD).metrics
    assert rules.severities == (Severity.P0, Severity.P1)
    assert [rules.named(""), rules.named("shop"), rules.named("x")] == [
        rules.servers["main"],
        rules.servers["shop"],
        None,
    ]
    for link, name in (
        ("https://prom.shop.example.org/graph?g0.expr=up", "shop"),
        ("https://prom.shop.example.org.evil.example/graph", "main"),
        ("http://pod-7d9f:9090/graph", "main"),
    ):
        found = rules.of_link(link)
        assert found is not None and found.name == name, link
    only = book(metrics='prometheus: {a: {url: "http://a", links: ["http://a"]}}').metrics
    assert only.of_link("http://b/graph") is None
    assert book().metrics.named("") is None


def test_a_rule_and_a_service_name_what_is_drawn() -> None:
    made = book(RULE % "shop", metrics=GOOD, services="services: {shop: {metrics: {query: up}}}")
    assert made.rules[0].metrics == Measure('rate(errors_total{service="{service}"}[5m])', "shop")
    assert made.services["shop"].metrics == Measure("up", "")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"metrics.yaml": "prometheus: {a: {url: prometheus}}"}, "this is no address"),
        ({"metrics.yaml": "prometheus: {a: {url: 'http://u:p@x'}}"}, "a user in an address is not sent"),
        ({"metrics.yaml": "prometheus: {a: {url: 'http://x/?a=1'}}"}, "must end with its path"),
        ({"metrics.yaml": "prometheus: {A B: {url: 'http://x'}}"}, "can't be the name of a server"),
        ({"metrics.yaml": "prometheus: {a: {url: 'http://x', links: [x]}}"}, "this is no beginning of a link"),
        (
            {"metrics.yaml": "prometheus: {a: {url: 'http://x', headers: {Authorization: Bearer abc}}}"},
            "a literal secret stands here",
        ),
        ({"metrics.yaml": GOOD, "severity.yaml": RULE % "shopp"}, 'metrics.yaml has no "shopp"'),
        ({"severity.yaml": RULE % "''"}, "nobody can be asked for metrics"),
        (
            {
                "metrics.yaml": GOOD,
                "services.yaml": "services: {shop: {metrics: {query: 'up{job=`{job}`} > {least}'}}}",
            },
            "{least} stands in no quotes",
        ),
        (
            {"services.yaml": "services: {shop: {verify: [{prometheus: 'http://x', query: 'sum by ({job}) (up)'}]}}"},
            "{job} stands in no quotes",
        ),
        (
            {"metrics.yaml": GOOD, "services.yaml": "services: {shop: {metrics: {query: ' '}}}"},
            "this is empty",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(files: dict[str, str], words: str) -> None:
    assert words in "\n".join(said(files))


def test_a_verification_names_a_server_and_brings_its_headers_along() -> None:
    verify = "[{prometheus: main, query: 'up == 1'}]"
    actions = f"actions: {{x: {{title: x, request: {{url: 'https://x/'}}, verify: {verify[1:-1]}}}}}"
    rules = f"rules: [{{name: one, matchers: [], verify: {verify}}}]"
    made = book(rules, metrics=GOOD, services=f"services: {{shop: {{verify: {verify}}}}}", actions=actions)
    action = made.actions["x"].verify
    assert action is not None
    for one in (action, *made.services["shop"].verify, *made.rules[0].verify):
        assert one.url == "http://prometheus:9090"
        assert one.headers == (("Authorization", "Bearer ${PROMETHEUS_TOKEN}"),)
    lacking = said({"metrics.yaml": GOOD, "severity.yaml": rules.replace("main", "mian")})
    assert 'metrics.yaml has no "mian" (did you mean "main"?)' in "\n".join(lacking)
