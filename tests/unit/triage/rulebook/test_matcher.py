"""Alertmanager's matcher syntax: what is read, what it matches, and where an error is said to be."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from triage.rulebook.matcher import MAX_PATTERN, Matcher, MatcherError, parse_matchers
from triage.rulebook.rule import indexable

READ = [
    ('foo="bar"', ['foo="bar"']),
    ("foo=bar", ['foo="bar"']),
    ("  foo  !=  bar  ", ['foo!="bar"']),
    ('foo=~"a|b"', ['foo=~"a|b"']),
    ("foo=~a|b", ['foo=~"a|b"']),
    ('foo!~"a.*"', ['foo!~"a.*"']),
    ('foo=""', ['foo=""']),
    ('{a="b",c=~"d"}', ['a="b"', 'c=~"d"']),
    ('{ a = "b" , c != "d" , }', ['a="b"', 'c!="d"']),
    ('a="b",c="d"', ['a="b"', 'c="d"']),
    ("{}", []),
    ('"spaced name"="x"', ['"spaced name"="x"']),
    ('größe="λ"', ['größe="λ"']),
    ('"a\\"b"="c"', ['"a\\"b"="c"']),
    (r'a="line\nbreak"', [r'a="line\nbreak"']),
    (r'a="tab\there"', ['a="tab\there"']),
    (r'a="\u00e9\x41\U0001F514"', ['a="éA🔔"']),
    (r'a="C:\data"', [r'a="C:\\data"']),
    (r'a=~"\d+\.\d+"', [r'a=~"\\d+\\.\\d+"']),
    (r'a=~"x\u002Ey"', [r'a=~"x\\.y"']),
    ("http.status_code=500", ['http.status_code="500"']),
]

REFUSED = [
    ("", 0, "the matcher is empty"),
    ("   ", 0, "the matcher is empty"),
    ("foo", 3, "expected one of = != =~ !~"),
    ("foo=", 4, "foo= lacks a value"),
    ('foo=="bar"', 3, "== is no operator"),
    ('foo>"bar"', 4, "expected one of = != =~ !~, found '\"'"),
    ('="bar"', 0, "expected a label name, found '='"),
    ('""="bar"', 0, "a label name can't be empty"),
    ('foo="bar', 4, "the opening quote is never closed"),
    ("foo='bar'", 4, "expected double quotes, found '"),
    ("foo=`bar`", 4, "expected double quotes, found `"),
    ('foo="bar" baz="x"', 10, "expected a comma or the end, found 'b'"),
    ('{foo="bar"', 10, "the opening { is never closed"),
    ('{foo="bar"}x', 11, "expected a comma or the end, found 'x'"),
    ('foo="bar"}', 9, "expected a comma or the end, found '}'"),
    ('foo=~"("', 5, "the regular expression is not RE2: missing ): ("),
    ('foo=~"(?=x)"', 5, "the regular expression is not RE2: invalid perl operator: (?="),
    (r'foo=~"(a)\1"', 5, r"the regular expression is not RE2: invalid escape sequence: \1"),
    ('foo=~"' + "[ab]" * 300 + '"', 5, f"the regular expression is longer than {MAX_PATTERN} bytes"),
    ('a="b",,c="d"', 6, "expected a label name, found ','"),
    (r'a="\ud800"', 3, r"\ud800 is no character"),
]

MATCHED = [
    ('a=~"|.+"', {}, True),
    ('a=~"x|x.+"', {"a": "x"}, True),
    ('a="x"', {"a": "x"}, True),
    ('a="x"', {}, False),
    ('a=""', {}, True),
    ('a=""', {"a": "x"}, False),
    ('a!=""', {}, False),
    ('a!=""', {"a": "x"}, True),
    ('a!="x"', {}, True),
    ('a=~"x"', {"a": "xx"}, False),
    ('a=~"x|"', {}, True),
    ('a=~".*"', {}, True),
    ('a=~".+"', {}, False),
    ('a=~".+"', {"a": "x"}, True),
    ('a=~"x.*"', {"a": "xyz"}, True),
    ('a=~"x.*"', {"a": "zx"}, False),
    ('a=~"x.+"', {"a": "x"}, False),
    ('a=~"x.*"', {"a": "x\ny"}, False),
    ('a=~"(one|two)"', {"a": "two"}, True),
    ('a=~"(one)|(two)"', {"a": "two"}, True),
    (r'a=~"1\.2"', {"a": "1.2"}, True),
    (r'a=~"1\.2"', {"a": "1x2"}, False),
    (r'a=~"\d{3}"', {"a": "503"}, True),
    ('a=~"(?i)crit(ical)?"', {"a": "CRIT"}, True),
    ('a!~"x|y"', {"a": "y"}, False),
    ('a!~"x|y"', {}, True),
    ('a=~"ä.c"', {"a": "äöc"}, True),
]


@pytest.mark.parametrize(("text", "canonical"), READ)
def test_is_read(text: str, canonical: list[str]) -> None:
    assert [str(matcher) for matcher in parse_matchers(text)] == canonical


@pytest.mark.parametrize(("text", "offset", "message"), REFUSED)
def test_is_refused_at_its_place(text: str, offset: int, message: str) -> None:
    with pytest.raises(MatcherError) as caught:
        parse_matchers(text)
    assert (caught.value.message, caught.value.offset) == (message, offset)


@pytest.mark.parametrize(("text", "labels", "holds"), MATCHED)
def test_matches(text: str, labels: dict[str, str], holds: bool) -> None:
    assert [matcher.matches(labels) for matcher in parse_matchers(text)] == [holds]


@pytest.mark.parametrize(
    ("text", "served"),
    [
        ('a="x"', True),
        ('a=~"x|y"', True),
        ('a=~"(x|y)"', True),
        ('a=""', False),
        ('a=~"x|"', False),
        ('a=~"x.*"', False),
        ('a!="x"', False),
        ('a!~"x|y"', False),
    ],
)
def test_an_index_serves_equality_and_lists_only(text: str, served: bool) -> None:
    assert indexable(parse_matchers(text)[0]) is served


PIECES = st.lists(st.sampled_from(["a", "b", "ab", "|", "(", ")", ".*", ".+", r"\.", ".", "", "?", "-"]), max_size=7)


@given(PIECES.map("".join), st.text(alphabet="ab.-\n", max_size=5))
def test_the_quick_ways_agree_with_re2(pattern: str, value: str) -> None:
    try:
        matcher = Matcher("name", "=~", pattern)
    except ValueError:
        return
    assert matcher.accepts(value) is (re2.compile(pattern.encode()).fullmatch(value.encode()) is not None)


@given(st.text(min_size=1, max_size=8), st.sampled_from(["=", "!="]), st.text(max_size=8))
def test_the_canonical_text_is_read_as_the_same_matcher(name: str, operator: str, value: str) -> None:
    matcher = Matcher(name, operator, value)
    assert parse_matchers(str(matcher)) == [matcher]


@given(st.text(alphabet="ab={}!~,\"\\'` |(x", max_size=20))
def test_any_text_is_read_or_refused_within_it(text: str) -> None:
    try:
        parse_matchers(text)
    except MatcherError as error:
        assert 0 <= error.offset <= len(text)
