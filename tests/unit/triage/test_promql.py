"""What of an alert's link is PromQL, and where its comparison is cut off."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.promql import EXPRESSION_MAX, expression_of, split


def explored(**values: object) -> str:
    return "https://grafana.example.org/explore?" + "&".join(f"{k}={quote(json.dumps(v))}" for k, v in values.items())


PANE = {"queries": [{"refId": "A", "expr": "up == 0", "datasource": {"type": "prometheus", "uid": "x"}}]}


@pytest.mark.parametrize(
    ("link", "expression"),
    [
        ("http://prom:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1", "up == 0"),
        ("http://prom/query?g0.tab=0&g0.expr=rate%28x%7Ba%3D%22b%22%7D%5B5m%5D%29", 'rate(x{a="b"}[5m])'),
        (explored(left=PANE), "up == 0"),
        (explored(panes={"one": PANE}), "up == 0"),
        (explored(left={"datasource": "VictoriaMetrics", "queries": [{"expr": "up < 1", "refId": "A"}]}), "up < 1"),
        (explored(left={"queries": [{"expr": '{app="x"}', "datasource": {"type": "loki"}}]}), ""),
        (explored(left={"queries": ['{app="x"}']}), ""),
        (explored(left={"queries": 5}), ""),
        (explored(panes=[PANE]), ""),
        ("https://grafana/explore?left=" + "[" * 50_000, ""),
        ("http://vmalert:8880/vmalert/alert?group_id=1&alert_id=2", ""),
        ("https://grafana/alerting/grafana/abc/view?orgId=1", ""),
        ("http://prom/graph?g0.expr=" + "a" * (EXPRESSION_MAX + 1), ""),
        ("http://prom/graph?g0.expr=up%1b%5b31m", ""),
        ("http://[bad/graph?g0.expr=up", ""),
        ("", ""),
    ],
)
def test_the_expression_is_found_where_a_link_honestly_has_one(link: str, expression: str) -> None:
    assert expression_of(link) == expression


@pytest.mark.parametrize(
    ("expression", "curve", "sign", "threshold"),
    [
        ("up == 0", "up", "==", 0.0),
        ('rate(errors{code=~"5..", path!="a > 1"}[5m]) / 2 > 0.05', None, ">", 0.05),
        ("x offset 1h >= (1e3)", "x offset 1h", ">=", 1000.0),
        ("free_bytes<.5", "free_bytes", "<", 0.5),
        ("temperature > -5", "temperature", ">", -5.0),
        ("up == 0 and on(job) x > 1", None, "", None),
        ("a > b", None, "", None),
        ("5 < x", None, "", None),
        ("a > bool 0", None, "", None),
        ("a > 1 > 0", None, "", None),
        ("(a > 1)", None, "", None),
        ("a > 1 # why", None, "", None),
        ("sum(a", None, "", None),
        ('a{b="', None, "", None),
        ("> 1", None, "", None),
        ("a > 1e999", None, "", None),
    ],
)
def test_a_comparison_with_a_number_is_cut_off_and_nothing_else(
    expression: str, curve: str | None, sign: str, threshold: float | None
) -> None:
    if curve is None:
        curve = expression.rpartition(sign)[0].strip() if sign else expression
    assert split(expression) == (curve, sign, threshold)


@given(st.text(alphabet="ab 01_.><=!(){}[]\"'`#\\andor~", max_size=40))
def test_whatever_it_is_nothing_is_lost_of_it(expression: str) -> None:
    curve, sign, threshold = split(expression)
    assert expression.startswith(curve) or expression.strip().startswith(curve)
    assert (sign == "") is (threshold is None) is (curve == expression)
