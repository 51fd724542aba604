"""Operators' templates: what they may say, and that none can hang, grow, or reach what it was not given."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage import sandbox
from triage.rulebook.problems import Problem, RulesError
from triage.sandbox import ITEMS_MAX, SOURCE_MAX, VALUE_MAX, Failed, Value

VALUES: dict[str, Value] = {
    "title": "Checkout down",
    "since": "1700000000000",
    "empty": "",
    "updates": [{"at": 1_700_000_000_000, "text": "found it"}, {"at": 1_700_000_060_000, "text": "mended"}],
}


def render(source: str, limit: int = 1_000, **more: Value) -> str:
    names = [*VALUES, *more]
    return sandbox.read("templates/x.txt", source, names, ["updates", "items"]).render({**VALUES, **more}, limit)


def refused(source: str) -> list[Problem]:
    with pytest.raises(RulesError) as caught:
        sandbox.read("templates/x.txt", source, VALUES, ["updates"])
    return caught.value.problems


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ title }} since {{ since|time }}", "Checkout down since 2023-11-14 22:13 UTC"),
        ("{% if empty %}never{% elif title == 'x' %}no{% else %}yes{% endif %}", "yes"),
        ("{{ empty|default('nobody') }}", "nobody"),
        ("{{ title|upper|truncate(5) }}", "CHEC…"),
        ("{{ title|replace('down', 'up') ~ '!' }}", "Checkout up!"),
        ("{% for one in updates %}{{ loop.index }} {{ one.text }};{% endfor %}", "1 found it;2 mended;"),
        ("{% for one in updates if one.text == 'mended' %}{{ one['text'] }}{% endfor %}", "mended"),
        ("{{ updates|length }}{{ 'down' in title }}", "2True"),
        ("{# a remark #}{{ title|first }}{{ title|lower|trim }}", "Ccheckout down"),
    ],
)
def test_a_template_says_what_it_was_given(source: str, text: str) -> None:
    assert render(source) == text


@pytest.mark.parametrize(
    "source",
    [
        "{{ title.__class__.__mro__ }}",
        "{{ title['__class__'] }}",
        "{{ updates.append }}",
        "{{ title.upper }}",
        "{% for one in updates %}{{ loop.__init__ }}{% endfor %}",
        "{% for one in updates %}{{ one.nothing }}{% endfor %}",
        "{{ title|truncate('x') }}",
        "{{ title < 3 }}",
        "{{ since|length > title }}",
    ],
)
def test_what_fails_says_file_line_and_fault_and_reaches_nothing(source: str) -> None:
    with pytest.raises(Failed, match=r"templates/x\.txt:2"):
        render("\n" + source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ title.upper() }}",
        "{{ range(10) }}",
        "{{ lipsum(n=1000000) }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 1 + 1 }}",
        "{% set x = title %}",
        "{% set x %}a{% endset %}",
        "{% macro m() %}{{ m() }}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% block b %}{% endblock %}",
        "{% for one in updates recursive %}{{ loop(updates) }}{% endfor %}",
        "{% for one in title %}{% endfor %}",
        "{% for a, b in updates %}{% endfor %}",
        "{{ [1] }}",
        "{{ {'a': 1} }}",
        "{{ title[0:3] }}",
        "{{ title|attr('upper') }}",
        "{{ title|map('upper')|list }}",
        "{{ title|center(1000000000) }}",
        "{{ title|replace(old='a', new='b') }}",
        "{{ title is defined }}",
        "{{ config }}",
        "{{ self }}",
        "{% with %}{% endwith %}",
        "{% filter upper %}x{% endfilter %}",
        "{{ title",
        "{% if %}{% endif %}",
        "{" * 3 + "(" * 3_000,
        "{{ " + "not " * 2_000 + "title }}",
        "{{ " + "(" * 100 + "title" + ")" * 100 + "|upper" * 60 + " }}",
        "{% if title %}" * 60 + "{% endif %}" * 60,
        "x" * (SOURCE_MAX + 1),
        "{{ 1" + "0" * 5_000 + " }}",
    ],
)
def test_what_could_hang_grow_or_reach_out_is_refused_with_its_place(source: str) -> None:
    for problem in refused(source):
        assert str(problem).startswith("templates/x.txt:1:")


def test_every_fault_is_found_at_once_with_line_and_column() -> None:
    found = [str(one) for one in refused("fine\n{{ titel }}\n  {{ title|uper }}\n{% set x = 1 %}")]
    assert found == [
        'templates/x.txt:2:4: there is no value “titel” (did you mean "title"?)',
        'templates/x.txt:3:12: there is no filter “uper” (did you mean "upper"?)',
        "templates/x.txt:4:1: “set” is not allowed in a template "
        "(a template has values, filters, if and for; nothing is called, set or included)",
    ]


def test_what_comes_out_is_cut() -> None:
    assert render("{{ title }}" * 100, 20) == "Checkout downChecko…"
    assert len(render("{{ title }}", 10_000, title="x" * 9_000)) == VALUE_MAX
    assert render("{% for one in items %}{{ one }}{% endfor %}", items=["x"] * 5_000) == "x" * ITEMS_MAX
    assert len(render("{{ title|replace('x', title) }}", 10_000_000, title="x" * 4_000)) == VALUE_MAX


def test_all_loops_together_take_so_many_turns() -> None:
    nested = "{% for a in items %}{% for b in items %}{% if a == 'y' %}!{% endif %}{% endfor %}{% endfor %}"
    with pytest.raises(Failed, match="more than 500 turns"):
        render(nested, items=["x"] * 100)


@given(st.text(max_size=300), st.text(alphabet="{}%#|()[].'\"titleforinupdates0_ \n", max_size=120))
def test_any_text_is_refused_or_rendered_within_its_bounds(value: str, source: str) -> None:
    try:
        made = sandbox.read("templates/x.txt", source, ["title"], ["updates"])
    except RulesError:
        return
    with contextlib.suppress(Failed):
        assert len(made.render({"title": value, "updates": [value]}, 500)) <= 500
