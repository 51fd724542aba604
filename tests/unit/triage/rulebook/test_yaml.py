"""YAML 1.2's scalars, places in characters, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.rulebook.problems import Problem
from triage.rulebook.yaml import MAX_DEPTH, MAX_LENGTH, Document, parse

SCALARS: list[tuple[str, Any]] = [
    ("no", "no"),
    ("yes", "yes"),
    ("on", "on"),
    ("off", "off"),
    ("y", "y"),
    ("true", True),
    ("False", False),
    ("null", None),
    ("~", None),
    ("", None),
    ("12:30", "12:30"),
    ("12:30:00", "12:30:00"),
    ("2026-03-02", "2026-03-02"),
    ("2026-03-02T10:00:00Z", "2026-03-02T10:00:00Z"),
    ("12", 12),
    ("-3", -3),
    ("0", 0),
    ("007", "007"),
    ("0x1f", "0x1f"),
    ("0o17", "0o17"),
    ("1_000", "1_000"),
    ("+1", "+1"),
    ("123456789012345678901234567890", "123456789012345678901234567890"),
    ("1.5", 1.5),
    ("1e3", 1000.0),
    ("=", "="),
    ("'12'", "12"),
    ('"true"', "true"),
]


def read(text: str) -> tuple[Document | None, list[Problem]]:
    problems: list[Problem] = []
    return parse("x.yaml", text, problems), problems


@pytest.mark.parametrize(("written", "meant"), SCALARS)
def test_a_scalar_means_what_yaml_1_2_says(written: str, meant: Any) -> None:
    document, problems = read(f"key: {written}\n")
    assert problems == []
    assert document is not None
    value = document.value["key"]
    assert (value, type(value)) == (meant, type(meant))


def test_keys_are_text() -> None:
    document, _ = read("no: 1\n1: 2\n")
    assert document is not None
    assert document.value == {"no": 1, "1": 2}


def test_an_empty_file_is_an_empty_mapping() -> None:
    for text in ("", "# only a comment\n", "---\n"):
        document, problems = read(text)
        assert document is not None
        assert (document.value, problems) == ({}, [])


REFUSED = [
    ("a: &x 1\n", (1, 4), "the anchor &x is not supported"),
    ("a: *x\n", (1, 4), "the alias *x is not supported"),
    ("a: !!int 1\n", (1, 4), "the tag tag:yaml.org,2002:int is not supported"),
    ("a: !secret x\n", (1, 4), "the tag !secret is not supported"),
    ("a: 1\nb: 2\na: 3\n", (3, 1), 'the key "a" was already given on line 1'),
    ("a: {b: 1, 'b': 2}\n", (1, 11), 'the key "b" was already given on line 1'),
    ("? [a]\n: 1\n", (1, 3), "a key must be text"),
    ("a: 1\n---\nb: 1\n", (2, 1), "a second document begins here"),
    ("a:\n\t- b\n", (2, 1), "not YAML: found character that cannot start any token"),
    ("a: [1\n", (2, 1), "not YAML: did not find expected ',' or ']'"),
    ("a: " + "[" * (MAX_DEPTH + 9) + "]" * (MAX_DEPTH + 9), (1, 4 + MAX_DEPTH), "nested deeper than 24 levels"),
    ("a: \x01\n", (1, 1), "not YAML text: control characters are not allowed"),
    ("a: \ud800\n", (1, 1), "not UTF-8 text"),
]


@pytest.mark.parametrize(("text", "place", "message"), REFUSED)
def test_is_refused_at_its_place(text: str, place: tuple[int, int], message: str) -> None:
    _, problems = read(text)
    assert [((p.line, p.column), p.message) for p in problems] == [(place, message)]


def test_nesting_far_beyond_any_stack_is_refused_too() -> None:
    assert [p.message for p in read("[" * 200_000)[1]] == ["nested deeper than 24 levels"]


@pytest.mark.parametrize(
    ("text", "offset", "column"),
    [
        ("ä: abc", 1, 5),
        ("ä: 'a''bc'", 2, 8),
        ('ä: "a\\"bc"', 2, 8),
        ('ä: "\\u00e9bc"', 1, 11),
        ("🔔: 'x'", 0, 5),
    ],
)
def test_a_place_within_a_text_is_counted_as_it_is_written(text: str, offset: int, column: int) -> None:
    document, _ = read(text)
    assert document is not None
    assert document.place((text[0],), offset) == (1, column)


@given(st.text(alphabet="ab: -\n[]{},&*!|>'\"#?%@`\\\t", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    document, problems = read(text)
    assert document is not None or problems


@pytest.mark.parametrize("text", ["\ufeffa: b\n", "a: b\r\n", "a: b", "%YAML 1.2\n---\na: b\n...\n"])
def test_the_ways_in_which_editors_save(text: str) -> None:
    document, problems = read(text)
    assert document is not None
    assert (document.value, problems) == ({"a": "b"}, [])


def test_a_file_that_is_too_long_is_refused() -> None:
    _, problems = read("#" * (MAX_LENGTH + 1))
    assert [p.message for p in problems] == [f"the file is longer than {MAX_LENGTH} characters"]
