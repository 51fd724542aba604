"""What operators write of actions: what is refused and in which words, and what is made of it."""

from __future__ import annotations

import pytest

from tests.unit.triage.rulebook.making import ONCALL, book, said
from triage.rulebook import actions

GOOD = """
actions:
  scale:
    title: Scale out
    services: [checkout]
    severities: [P1, P0]
    parameters:
      replicas: {type: integer, min: 2, max: 50, default: "10"}
      region: {type: choice, choices: [eu, us]}
    request:
      url: "https://deploy.example.org/{service}/scale?region={region}"
      headers: {Authorization: "Bearer ${DEPLOY_TOKEN}"}
      json: {replicas: "{replicas}", why: "incident {incident}", also: [1, {by: "{by}"}]}
      secret: "${SIGNING}"
    verify: {prometheus: "http://prometheus:9090", query: 'up{service="{service}"} == 1'}
"""


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{title: x, request: {url: deploy}}", "this is no address"),
        ("{title: x, request: {url: 'https://{service}.example.org/'}}", "this is no address"),
        ("{title: x, request: {url: 'https://u:p@x/'}}", "a user in an address is not sent"),
        ("{title: x, request: {url: 'https://x/{nothing}'}}", "nothing is called {nothing}"),
        ("{title: x, request: {url: 'https://x/', json: {a: ['{b}']}}}", "nothing is called {b}"),
        ("{title: x, request: {url: 'https://x/?token=abc'}}", "a literal secret stands in this URL"),
        (
            "{title: x, request: {url: 'https://x/', headers: {Authorization: Bearer abc}}}",
            "a literal secret stands here",
        ),
        ("{title: x, request: {url: 'https://x/', headers: {Host: y}}}", "no header that can be sent along"),
        ("{title: x, request: {url: 'https://x/', secret: abc}}", "a literal secret stands here"),
        ("{title: x, request: {url: 'https://x/', method: GET}}", "GET"),
        ("{title: x, timeout: 10m, request: {url: 'https://x/'}}", "5m at most"),
        ("{title: x, who: [nobody], request: {url: 'https://x/'}}", 'there is no person or team "nobody"'),
        ("{title: x, parameters: {Big: {}}, request: {url: 'https://x/'}}", "can't be the name of a parameter"),
        ("{title: x, parameters: {service: {}}, request: {url: 'https://x/'}}", "can't be the name of a parameter"),
        ("{title: x, parameters: {a: {type: choice}}, request: {url: 'https://x/'}}", "a choice, and only a choice"),
        ("{title: x, parameters: {a: {min: 1}}, request: {url: 'https://x/'}}", "belong to an integer"),
        (
            "{title: x, parameters: {a: {type: integer, min: 5, default: '1'}}, request: {url: 'https://x/'}}",
            "5 or more",
        ),
        (
            "{title: x, parameters: {a: {type: integer, min: 5, max: 2}}, request: {url: 'https://x/'}}",
            "no integer is 5",
        ),
        ("{title: x, services: [shop], request: {url: 'https://x/'}}", 'there is no service "shop"'),
        ("{title: x, request: {url: 'https://x/'}, verify: {http: x}}", "for example https://shop.example.org/health"),
        ("{title: x, parameters: {a: {pattern: '(x'}}, request: {url: 'https://x/'}}", "missing )"),
        ("{title: x, request: {url: 'https://x/'}, verify: {query: up}}", "either prometheus and query, or http"),
        ("{title: x, request: {url: 'https://x/'}, verify: {http: 'https://x/', every: 1s}}", "every is 5s or more"),
        ("{title: x, reqest: {url: 'https://x/'}}", 'did you mean "request"?'),
    ],
)
def test_what_cannot_be_is_said_with_its_place(entry: str, words: str) -> None:
    problems = said({"oncall.yaml": ONCALL, "actions.yaml": f"actions:\n  one: {entry}\n"})
    assert any(words in problem and problem.startswith("actions.yaml:2:") for problem in problems), problems


def test_a_good_action_is_what_was_written() -> None:
    found = book(actions=GOOD).actions["scale"]
    assert (found.method, found.services, [one.name for one in found.severities]) == (
        "POST",
        ("checkout",),
        ["P0", "P1"],
    )
    assert [one.name for one in found.parameters] == ["replicas", "region"]
    assert found.verify is not None


def test_a_value_stays_in_its_place() -> None:
    evil = {"service": '../admin?x=1#"}', "region": "eu"}
    assert actions.fill_url("https://x/{service}/scale", evil) == "https://x/..%2Fadmin%3Fx%3D1%23%22%7D/scale"
    for dots in (".", ".."):  # a value that is a step up in a path
        assert (
            actions.fill_url("https://x/{service}/scale", {"service": dots}) == f"https://x/{'%252E' * len(dots)}/scale"
        )
    assert actions.fill_query('up{service="{service}"}', evil) == 'up{service="../admin?x=1#\\"}"}'
    other = {"service": "'} or vector(1) #", "host": "`} or vector(1) #"}
    assert actions.fill_query("up{service='{service}'}", other) == r"up{service='\x27} or vector(1) #'}"
    assert actions.fill_query("up{host=`{host}`}", other) == r"up{host=`\x60} or vector(1) #`}"
    assert actions.fill_body({"a": ["{n}", "n={n}"], "b": 1}, {"n": "5"}, {"n": 5}) == {"a": [5, "n=5"], "b": 1}
    assert actions.fill("${SECRET} {service}", {"service": "${SECRET}"}, str) == "${SECRET} ${SECRET}"


@pytest.mark.parametrize(
    ("given", "text", "words"),
    [
        ({"type": "integer", "low": 2, "high": 50}, "51", "from 2 to 50"),
        ({"type": "integer"}, "1e3", "whole number"),
        ({"type": "boolean"}, "yes", "true or false"),
        ({"type": "choice", "choices": ("a", "b")}, "c", "one of a, b"),
        ({"pattern": "v[0-9]+"}, "v1; rm", "does not match"),
        ({"max_length": 3}, "abcd", "1 to 3 characters"),
        ({}, "two\nlines", "one line"),
    ],
)
def test_a_value_out_of_bounds_is_refused_in_words(given: dict[str, object], text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        actions.value_of(actions.Parameter("x", **given), text)  # type: ignore[arg-type]
