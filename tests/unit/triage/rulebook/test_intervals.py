"""Time intervals with zones: open or not, and when next, across changes of the clock."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triage.rulebook.making import book
from triage.model import DAY, HOUR, MINUTE, Millis
from triage.rulebook import EMPTY, Rulebook
from triage.rulebook.durations import LONGEST, parse_duration, show_duration

INTERVALS = """
time_intervals:
  office: [{weekdays: ["monday:friday"], times: [{start_time: "09:00", end_time: "18:00"}], location: Europe/Berlin}]
  gap: [{times: [{start_time: "02:15", end_time: "02:45"}], location: Europe/Berlin}]
  over the gap: [{times: [{start_time: "02:30", end_time: "04:00"}], location: Europe/Berlin}]
  night: [{times: [{start_time: "22:00", end_time: "24:00"}, {start_time: "00:00", end_time: "06:00"}]}]
  month end: [{days_of_month: ["-1"]}]
  leap: [{months: [february], days_of_month: ["29"]}]
  christmas: [{months: ["12"], days_of_month: ["24:26"]}]
  past: [{years: ["2020:2021"]}]
  summer in kathmandu: [{months: ["june:august"], location: Asia/Kathmandu}]
  two: [{weekdays: [saturday]}, {times: [{start_time: "12:00", end_time: "12:30"}]}]
"""


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return book(INTERVALS)


def at(text: str) -> Millis:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("interval", "when", "is_open"),
    [
        ("office", "2026-03-02T08:59:59+01:00", False),
        ("office", "2026-03-02T09:00:00+01:00", True),
        ("office", "2026-03-02T17:59:59+01:00", True),
        ("office", "2026-03-02T18:00:00+01:00", False),
        ("office", "2026-03-01T12:00:00+01:00", False),
        ("office", "2026-03-30T07:30:00+00:00", True),
        ("office", "2026-03-27T07:30:00+00:00", False),
        ("night", "2026-03-02T23:59:59+00:00", True),
        ("night", "2026-03-02T06:00:00+00:00", False),
        ("month end", "2026-02-28T12:00:00+00:00", True),
        ("month end", "2028-02-28T12:00:00+00:00", False),
        ("christmas", "2026-12-26T23:00:00+00:00", True),
        ("christmas", "2026-12-27T00:00:00+00:00", False),
        ("summer in kathmandu", "2026-05-31T18:15:00+00:00", True),
        ("summer in kathmandu", "2026-05-31T18:14:59+00:00", False),
        ("two", "2026-03-07T20:00:00+00:00", True),
        ("two", "2026-03-06T12:15:00+00:00", True),
        ("two", "2026-03-06T12:45:00+00:00", False),
    ],
)
def test_is_open(rulebook: Rulebook, interval: str, when: str, is_open: bool) -> None:
    assert rulebook.is_open(interval, at(when)) is is_open


@pytest.mark.parametrize(
    ("interval", "after", "opens"),
    [
        ("office", "2026-03-02T10:00:00+01:00", "2026-03-02T10:00:00+01:00"),
        ("office", "2026-03-02T18:00:00+01:00", "2026-03-03T09:00:00+01:00"),
        ("office", "2026-03-27T18:00:00+01:00", "2026-03-30T09:00:00+02:00"),
        ("office", "2026-10-23T18:00:00+02:00", "2026-10-26T09:00:00+01:00"),
        ("gap", "2026-03-28T12:00:00+01:00", "2026-03-30T02:15:00+02:00"),
        ("gap", "2026-10-25T02:45:00+02:00", "2026-10-25T02:15:00+01:00"),
        ("over the gap", "2026-03-28T12:00:00+01:00", "2026-03-29T03:00:00+02:00"),
        ("night", "2026-03-02T07:00:00+00:00", "2026-03-02T22:00:00+00:00"),
        ("month end", "2026-02-27T12:00:00+00:00", "2026-02-28T00:00:00+00:00"),
        ("leap", "2026-03-01T00:00:00+00:00", "2028-02-29T00:00:00+00:00"),
        ("two", "2026-03-06T13:00:00+00:00", "2026-03-07T00:00:00+00:00"),
    ],
)
def test_opens_at(rulebook: Rulebook, interval: str, after: str, opens: str) -> None:
    assert rulebook.opens_at(interval, at(after)) == at(opens)


def test_what_never_opens_again_has_no_opening(rulebook: Rulebook) -> None:
    assert rulebook.opens_at("past", at("2026-01-01T00:00:00+00:00")) is None


def test_an_interval_that_is_gone_counts_as_open() -> None:
    assert EMPTY.is_open("office", 0)
    assert EMPTY.opens_at("office", 5) == 5


@settings(max_examples=60)
@given(
    st.sampled_from(["office", "gap", "over the gap", "night", "month end", "two"]),
    st.integers(at("2026-01-01T00:00:00+00:00") // MINUTE, at("2027-01-01T00:00:00+00:00") // MINUTE),
)
def test_the_opening_is_the_first_open_minute(interval: str, minute: int) -> None:
    rulebook = book(INTERVALS)
    after = minute * MINUTE
    opens = rulebook.opens_at(interval, after)
    assert opens is not None
    assert rulebook.is_open(interval, opens)
    before = range(after, min(opens, after + 4 * DAY), MINUTE)
    assert not any(rulebook.is_open(interval, instant) for instant in before)


def test_a_team_has_intervals_of_its_own() -> None:
    team = """
time_intervals: {office: [{weekdays: [sunday]}]}
rules: [{name: a, matchers: ['x="1"'], during: office}, {name: b, matchers: [], during: night}]
"""
    from_top = "time_intervals: {office: [{weekdays: [monday]}], night: [{weekdays: [tuesday]}]}"
    rulebook = book(from_top, **{"teams/t/severity": team})
    assert [rule.during for rule in rulebook.rules] == ["t/office", "night"]
    sunday = at("2026-03-01T12:00:00+00:00")
    assert (rulebook.is_open("t/office", sunday), rulebook.is_open("office", sunday)) == (True, False)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("0s", 0), ("60s", MINUTE), ("10m", 10 * MINUTE), ("1h30m", 90 * MINUTE), ("2d", 2 * DAY),
     ("1w", 7 * DAY), ("500ms", 500), ("1d1h1m1s1ms", DAY + HOUR + MINUTE + 1001)],
)  # fmt: skip
def test_a_duration_is_read(text: str, value: Millis) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize("text", ["", "5", "m", "1m1h", "-1m", "1.5h", "1 m", "1M", "1h 30m", "99999999999s"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


@given(st.integers(0, LONGEST))
def test_a_duration_is_shown_as_it_is_read(value: Millis) -> None:
    assert parse_duration(show_duration(value)) == value
