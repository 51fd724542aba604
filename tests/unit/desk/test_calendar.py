"""The iCalendar feed, read back by a library that is not ours."""

from __future__ import annotations

from datetime import UTC, datetime

import icalendar
from hypothesis import given
from hypothesis import strategies as st

from desk.calendar import feed
from desk.oncall import feed_token, opens_feeds
from triage.schedules import Shift

NOW = 1_772_445_600_000
HOUR = 3_600_000


def events(text: str) -> list[icalendar.Event]:
    (calendar,) = icalendar.Calendar.from_ical(text, multiple=True)
    return [one for one in calendar.walk("VEVENT") if isinstance(one, icalendar.Event)]


def test_a_shift_is_an_event_in_utc() -> None:
    text = feed("On call: primary", [("primary", Shift(NOW, NOW + 12 * HOUR, "ana", "weekly"))], NOW)
    (one,) = events(text)
    assert one.decoded("dtstart") == datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert one.decoded("dtend") == datetime(2026, 3, 2, 22, tzinfo=UTC)
    assert str(one["summary"]) == "ana on call: primary"
    assert str(one["description"]) == "layer weekly"


def test_a_uid_stays_with_its_shift_and_is_of_nobody_else() -> None:
    shift = Shift(NOW, NOW + HOUR, "ana", "weekly")
    longer = Shift(NOW, NOW + 2 * HOUR, "ana", "weekly")
    other = Shift(NOW, NOW + HOUR, "ben", "weekly")
    uids = [str(events(feed("x", [("primary", one)], now))[0]["uid"]) for one, now in ((shift, NOW), (longer, NOW + 5))]
    assert uids[0] == uids[1]
    assert str(events(feed("x", [("primary", other)], NOW))[0]["uid"]) != uids[0]
    assert str(events(feed("x", [("second", shift)], NOW))[0]["uid"]) != uids[0]


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=120)


@given(name=TEXT, layer=TEXT.filter(lambda text: text != "override"), title=TEXT)
def test_any_name_survives_and_no_line_is_too_long(name: str, layer: str, title: str) -> None:
    text = feed(title, [("primary", Shift(NOW, NOW + HOUR, name, layer))], NOW)
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert text.count("BEGIN:VEVENT") == text.count("\r\nBEGIN:VEVENT") == len(events(text)) or "BEGIN:VEVENT" in (
        name + layer + title
    )
    (one,) = events(text)
    assert str(one["summary"]) == f"{name} on call: primary"
    assert str(one["description"]) == f"layer {layer}"


def test_a_name_cannot_add_lines() -> None:
    text = feed("x", [("primary", Shift(NOW, NOW + HOUR, "ana\r\nATTACH:http://evil", "a\x0bb"))], NOW)
    (one,) = events(text)
    assert "attach" not in one
    assert str(one["summary"]) == "ana\nATTACH:http://evil on call: primary"


def test_the_token_of_a_feed_is_made_of_the_persons_and_is_not_it() -> None:
    tokens = {"ana": "a" * 64, "ben": "b" * 64}
    assert opens_feeds(feed_token("a" * 64), tokens)
    assert not opens_feeds(feed_token("c" * 64), tokens)
    assert not opens_feeds("a" * 64, tokens)
    assert not opens_feeds("", {})
