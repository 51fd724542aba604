"""What operators write of checks: what is refused and in which words, what is shown, and which rules it adds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.triage.rulebook.making import ONCALL, book, event, said
from triage.model import Severity
from triage.rulebook.checks import EXPIRES, FAILED, MOST, Check


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{}", "a check has either http or tcp; found neither"),
        ("{http: 'https://x/', tcp: 'x:1'}", "found both"),
        ("{http: shop.example.org}", "this is no address"),
        ("{http: 'ftp://x/'}", "this is no address"),
        ("{http: 'https://x/?token=hunter2'}", "a literal secret stands in this URL"),
        ("{http: 'https://${USER}@x/'}", "a user in an address is not sent"),
        ("{http: 'https://x/', headers: {Authorization: Bearer hunter2}}", "a literal secret stands here"),
        ("{http: 'https://x/', headers: {Host: y}}", "is no header that can be sent along"),
        ("{http: 'https://x/', tls: true}", "tls belongs to tcp"),
        ("{http: 'https://x/', method: POST}", "POST"),
        ("{tcp: db}", "this is no HOST:PORT"),
        ("{tcp: 'db:70000'}", "this is no HOST:PORT"),
        ("{tcp: 'db:1', every: 1s}", "this must be 10s or longer"),
        ("{tcp: 'db:1', every: 10s, timeout: 20s}", "no longer than every"),
        ("{tcp: 'db:1', expect: {latency: 10s}}", "shorter than timeout"),
        ("{tcp: 'db:1', expect: {status: [banana]}}", '"banana" is no status'),
        ("{http: 'https://x/', expect: {body: '(a'}}", "missing )"),
        ("{tcp: 'db:1', policy: nobody}", 'there is no policy "nobody"'),
        ("{tcp: 'db:1', evry: 1m}", 'did you mean "every"?'),
    ],
)
def test_what_cannot_be_is_said_with_its_place(entry: str, words: str) -> None:
    problems = said({"oncall.yaml": ONCALL, "checks.yaml": f"checks:\n  shop: {entry}\n"})
    assert any(words in problem for problem in problems), problems
    assert all(problem.startswith("checks.yaml:2:") for problem in problems), problems


def test_there_are_not_too_many_and_no_source_has_their_name() -> None:
    many = "\n".join(f"  c{number}: {{tcp: 'x:1'}}" for number in range(MOST + 1))
    (problem,) = said({"oncall.yaml": ONCALL, "checks.yaml": f"checks:\n{many}\n"})
    assert f"more than {MOST} checks" in problem
    (problem,) = said({"oncall.yaml": ONCALL, "sources.yaml": "sources: {checks: {adapter: generic}}"})
    assert '"checks" is the source of checks.yaml' in problem


def test_the_check_is_as_it_was_written() -> None:
    text = """
checks:
  shop:
    http: https://shop.example.org/health
    every: 30s
    expect: {status: [200, 3xx, 401-403], body: ok}
    service: shop
    labels: {team: core}
"""
    check = book(checks=text).checks["shop"]
    assert check.statuses == ((200, 200), (300, 399), (401, 403))
    assert (check.every, check.labels) == (30_000, {"service": "shop", "team": "core"})


def test_its_rules_say_how_severe_it_is_after_those_of_the_operators() -> None:
    text = """
checks:
  shop: {tcp: 'shop:1', severity: P1, certificate_severity: P4, runbook: 'https://wiki/shop'}
  db: {tcp: 'db:1'}
"""
    rulebook = book(checks=text)
    verdict = rulebook.verdict("checks", event(alertname=FAILED, check="shop", service="x"))
    assert (verdict.severity, verdict.rule, verdict.runbook) == (Severity.P1, "check shop", "https://wiki/shop")
    assert verdict.group == '[["alertname","CheckFailed"],["check","shop"]]'
    assert rulebook.verdict("checks", event(alertname=EXPIRES, check="shop")).severity is Severity.P4
    rule = "rules: [{name: mine, matchers: ['alertname=CheckFailed'], severity: P0}]"
    assert book(rule, checks=text).verdict("checks", event(alertname=FAILED, check="db")).rule == "mine"


@pytest.mark.parametrize(
    ("check", "place"),
    [
        (Check("a", http="https://u:${P}@x.example/p/q?key=${K}#f"), "https://x.example/p/q"),
        (Check("a", http="https://x.example"), "https://x.example"),
        (Check("a", tcp="db:5432"), "tcp://db:5432"),
    ],
)
def test_what_is_shown_of_its_address(check: Check, place: str) -> None:
    assert check.place == place


def test_the_commented_examples_are_right() -> None:
    text = (Path(__file__).parents[4] / "rules" / "checks.yaml").read_text("utf-8")
    example = "\n".join(line.removeprefix("# ") for line in text.split("checks: {}\n\n")[1].splitlines())
    assert [*book(checks=example).checks] == ["shop", "database"]
