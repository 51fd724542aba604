"""What a view shows of the operators' files, and what of them it never does."""

from __future__ import annotations

import pytest

from desk.masking import HIDDEN, masked
from desk.ruling import placed

HASH = "24ee19415a204e0feefdd2936e35804e28583902a285f72f42ddc7d4f6a226a7"
RANDOM = "a1b2c3d4e5f6g7h8i9j0k1l2m3n4"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"token_sha256: [{HASH}, {HASH.upper()}]", f"token_sha256: [{HIDDEN}, {HIDDEN}]"),
        (f"# was {HASH}", f"# was {HIDDEN}"),
        (
            '  ada: {contact: ["ntfys://${NTFY}@ntfy.example.org/ada", terminal://]}',
            f'  ada: {{contact: ["ntfys://${{NTFY}}{HIDDEN}", terminal://]}}',
        ),
        ("contact: [sns://${A}:${B}@eu/+4915100000000,+4915100000001]", f"contact: [sns://${{A}}${{B}}{HIDDEN}]"),
        ("contact: [sns://${A}]", f"contact: [sns://${{A}}{HIDDEN}]"),
        ("contact: ['mailto://a b@example.org']", f"contact: ['mailto://{HIDDEN}']"),
        ("# mailto://ada@example.org, or", f"# mailto://{HIDDEN}, or"),
        (f"url: https://hooks.example.org/T0/{RANDOM}", f"url: https://hooks.example.org/T0/{HIDDEN}"),
        ("see https://joe:pw@a.example/x", f"see https://{HIDDEN}@a.example/x"),
        ("url: 'https://a.example/x?token=abc&b=c'", f"url: 'https://a.example/x?token={HIDDEN}&b=c'"),
        ("    headers: {X-Token: abc, Accept: x}", f"    headers: {{X-Token: {HIDDEN}, Accept: x}}"),
        ('password: "hunter2"', f"password: {HIDDEN}"),
        ("call +49 151 00000000 first", f"call {HIDDEN} first"),
    ],
)
def test_hashes_contacts_and_secrets_are_hidden(line: str, shown: str) -> None:
    assert masked(line) == shown


@pytest.mark.parametrize(
    "line",
    [
        "    matchers: ['service=\"checkout\"', 'alertname=~\"Down|ErrorBudgetBurn.*\"']",
        "secret: ${GRAFANA_HMAC_SECRET}        # or file:/run/secrets/grafana",
        "signature_header: X-Grafana-Alerting-Signature",
        'headers: {Authorization: "Bearer ${TOKEN}"}',
        "runbook: https://wiki.example.org/a/b.html#c",
        'url: "https://deploy.example.org/{service}/rollback?v={version}"',
        "raise: [{firing: 3, distinct: instance, to: P1}, {after: 30m, to: P2}]",
        "notify: [schedule:primary, team:shop]",
        "  - name: pods of payments-eu-west-1-production-database",
        "",
    ],
)
def test_rules_stay_readable(line: str) -> None:
    assert masked(line) == line


def test_a_rule_that_decided_leads_to_its_line_and_nothing_else_does() -> None:
    link = '“x” (<a href="/rules/teams/shop/severity.yaml:11">teams/shop/severity.yaml:11</a>)'
    assert placed("“x” (teams/shop/severity.yaml:11)") == link
    assert "<b>" not in placed("“<b>” (severity.yaml:1)") and 'href="/rules/severity.yaml:1"' in placed(
        "<b> (severity.yaml:1)"
    )
    for text in ("no rule: the default", "“x” (../../login:1)", '“x” ("onclick=:1)', "“x” (//evil.example:80)"):
        assert "<a" not in placed(text)
