"""Calendars as others export them become shifts; hostile ones become a sentence; our own feed reads back as it was."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.calendar import feed
from tests.unit.workers.http_server import Provider, serving
from triage.model import DAY, HOUR, MINUTE, Millis
from triage.rulebook import Rulebook, compile_files
from triage.schedules import Shift, gaps, joined
from workers import calendars, outbound
from workers.calendar_job import Answer, Job
from workers.calendar_names import Names, names_of, source_of
from workers.calendar_reader import SHIFTS_MAX, answer

SAMPLES = Path(__file__).parents[2] / "calendars"
START = datetime(2026, 3, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMES = {
    "ana": "ana",
    "ben": "ben",
    "ana example": "ana",
    "ben example": "ben",
    "ana@example.org": "ana",
    "ben@example.org": "ben",
}


def at(day: int, clock: str = "00:00", month: int = 3) -> Millis:
    """An instant of spring 2026, in UTC."""
    hours, minutes = clock.split(":")
    moment = datetime(2026, month, day, tzinfo=UTC) + timedelta(hours=int(hours), minutes=int(minutes))
    return (moment - EPOCH) // timedelta(milliseconds=1)


def job(text: str, by: str = "summary", zone: str = "Europe/Berlin", days: int = 60) -> Job:
    return Job(at(1), at(1) + days * DAY, zone, by, NAMES, text=text)


def sample(name: str, by: str = "summary", days: int = 60) -> Answer:
    text = (SAMPLES / f"{name}.ics").read_bytes().decode()
    assert "\r\n" in text
    return answer(job(text, by, days=days))


def test_google_a_weekly_rule_with_exceptions_over_a_change_of_the_clock() -> None:
    found = sample("google", days=31)
    assert found.fault == ""
    assert found.unknown == ["Team lunch"]
    ana = [one[:2] for one in found.shifts if one[2] == "ana"]
    ben = [one[:2] for one in found.shifts if one[2] == "ben"]
    assert ana[:3] == [
        (at(2, "08:00"), at(3, "08:00")),
        (at(3, "08:00"), at(4, "08:00")),
        (at(9, "08:00"), at(10, "08:00")),
    ]
    assert (at(4, "08:00"), at(5, "08:00")) not in ana  # EXDATE
    assert (at(10, "08:00"), at(11, "08:00")) not in ana  # moved, and given to ben
    assert (at(30, "07:00"), at(31, "07:00")) in ana  # nine o'clock in Berlin, in summer time
    assert ben == [(at(10, "11:00"), at(11, "08:00")), (at(27, "23:00"), at(29, "22:00"))]


def test_pagerduty_by_title_and_by_attendee() -> None:
    expected = [(at(2, "08:00"), at(9, "08:00"), "ana"), (at(9, "08:00"), at(16, "08:00"), "ben")]
    by_title, by_attendee = sample("pagerduty"), sample("pagerduty", "attendee")
    assert (by_title.shifts, by_title.unknown) == (expected, ["On Call - Carol Gone - Primary"])
    assert (by_attendee.shifts, by_attendee.unknown) == (expected, ["carol@example.org"])


def test_opsgenie_titles_that_are_addresses() -> None:
    found = sample("opsgenie")
    assert [one[2] for one in found.shifts] == ["ana", "ben"]
    assert found.unknown == ["diana@example.org"]


def test_outlook_a_zone_by_its_windows_name_floating_times_and_who_declined() -> None:
    found = sample("outlook", "attendee")
    assert (found.fault, found.unknown) == ("", [])
    assert found.shifts == [
        (at(27, "17:00"), at(28, "08:00"), "ana"),
        (at(28, "17:00"), at(29, "07:00"), "ana"),
        (at(29, "16:00"), at(30, "07:00"), "ana"),
        (at(30, "16:00"), at(31, "07:00"), "ana"),
        (at(1, "07:00", 4), at(1, "15:00", 4), "ben"),
    ]


def event(*lines: str) -> str:
    inside = "\r\n".join(("BEGIN:VEVENT", "UID:1", "DTSTAMP:20260101T000000Z", *lines, "END:VEVENT"))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{inside}\r\nEND:VCALENDAR\r\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<html>Sign in</html>", "no calendar"),
        ("", "no calendar"),
        ("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n", ""),
        ("BEGIN:VCALENDAR\r\n" * 5_000, ""),
        (event("DTSTART:20260302T000000Z", "DTEND:nonsense", "SUMMARY:ana"), ""),
        (event("DTSTART:20260302T000000Z", "DURATION:PT1H", "RRULE:FREQ=HOURLY;COUNT=1400", "SUMMARY:ana"), ""),
        (event("DTSTART:20260302T000000Z", "DURATION:PT1H", "RRULE:FREQ=YEARLY;BYMONTHDAY=99", "SUMMARY:ana"), ""),
        ("BEGIN:VCALENDAR\r\n" + "X:" + "y" * 5_000_000, "larger than"),
    ],
)
def test_a_calendar_that_is_none_or_too_much_is_a_sentence(text: str, says: str) -> None:
    found = answer(job(text))
    assert says in found.fault
    assert found.fault == "" or found.fault.endswith(".")
    assert len(found.shifts) <= SHIFTS_MAX


@pytest.mark.parametrize("since", [1970, 2026])
def test_a_rule_for_every_second_is_ended_from_outside(since: int) -> None:
    text = event(f"DTSTART:{since}0101T000000Z", "DURATION:PT1S", "RRULE:FREQ=SECONDLY", "SUMMARY:ana")
    book = rulebook("  primary: {time_zone: UTC, ical: {file: a.ics}}")
    begun = time.monotonic()
    found = calendars.read(book.schedules["primary"], NAMES, text, (at(1), at(30)), lambda _: None, limit_s=1.5)
    assert "took more than 1.5 s" in found.fault
    assert time.monotonic() - begun < 15  # ended, not waited for


@pytest.mark.parametrize(
    ("title", "person"),
    [
        ("Ana", "ana"),
        ("on call: ANA  example", "ana"),
        ("Ana covers for Ben", ""),
        ("diana", ""),
        ("ana@elsewhere.example", ""),
        ("Ana.", "ana"),
        ("ANA@Example.org", "ana"),
        ("", ""),
    ],
)
def test_a_title_means_one_person_or_nobody(title: str, person: str) -> None:
    assert Names(NAMES).within(title) == person


def rulebook(schedules: str) -> Rulebook:
    people = (
        'people:\n  ana: {name: Ana Example, contact: ["terminal://"]}\n  ben: {name: Ben, contact: ["terminal://"]}\n'
    )
    return compile_files({"oncall.yaml": f"{people}schedules:\n{schedules}\n"})


def test_names_are_the_mapping_then_everybody_and_what_two_share_means_neither() -> None:
    book = rulebook('  primary: {time_zone: UTC, ical: {file: a.ics, people: {Benny: ben, "Ana Example": ben}}}')
    names = names_of(book, book.schedules["primary"])
    assert names == {"ana": "ana", "ben": "ben", "benny": "ben", "ana example": "ben"}
    kims = "people: {ana: {name: Kim}, ben: {name: kim}}\n"
    twins = compile_files({"oncall.yaml": f"{kims}schedules: {{one: {{time_zone: UTC, ical: {{file: a.ics}}}}}}"})
    assert names_of(twins, twins.schedules["one"]) == {"ana": "ana", "ben": "ben"}


def test_another_name_or_text_is_another_source() -> None:
    book = rulebook("  primary: {time_zone: UTC, ical: {file: a.ics}}")
    one = book.schedules["primary"]
    sources = {source_of(one, NAMES, ""), source_of(one, NAMES, "x"), source_of(one, {**NAMES, "kim": "ana"}, "")}
    assert len(sources) == 3
    assert source_of(one, NAMES, "x") in sources


SPANS = st.lists(
    st.tuples(st.integers(0, 80_000), st.integers(1, 20_000), st.sampled_from(["ana", "ben", "zoë; x", "a,b\\c"])),
    max_size=12,
    unique_by=lambda one: (one[0], one[2]),
)


@settings(max_examples=40, deadline=None)
@given(SPANS)
def test_our_own_feed_reads_back_as_it_was(spans: list[tuple[int, int, str]]) -> None:
    shifts = [Shift(at(1) + a * MINUTE, at(1) + (a + n) * MINUTE, who, "weekly") for a, n, who in spans]
    text = feed("On call: primary", [("primary", one) for one in sorted(shifts)], at(1))
    names = {one.person: one.person for one in shifts}
    found = answer(Job(at(1), at(1) + 100 * DAY, "Europe/Berlin", "summary", names, text=text))
    assert (found.fault, found.unknown) == ("", [])
    assert found.shifts == sorted((one.start, one.end, one.person) for one in shifts)


@settings(max_examples=25, deadline=None)
@given(
    zone=st.sampled_from(["Australia/Lord_Howe", "Africa/Casablanca", "Europe/Berlin", "America/New_York"]),
    hour=st.integers(0, 23),
    minute=st.sampled_from([0, 30]),
    floating=st.booleans(),
)
def test_a_daily_shift_leaves_no_gap_at_any_change_of_the_clock(
    zone: str, hour: int, minute: int, floating: bool
) -> None:
    """Half a year of days, one after the other, by the wall clock of a zone: at every instant somebody is on call."""
    where = "" if floating else f";TZID={zone}"
    begin, end = f"20260215T{hour:02}{minute:02}00", f"20260216T{hour:02}{minute:02}00"
    text = event(f"DTSTART{where}:{begin}", f"DTEND{where}:{end}", "RRULE:FREQ=DAILY;COUNT=300", "SUMMARY:ana")
    found = answer(job(text, zone=zone, days=250))
    shifts = [Shift(*one, "calendar") for one in found.shifts]
    assert gaps(shifts, at(1), at(1) + 250 * DAY) == []
    assert len(joined(shifts)) == 1


@pytest.mark.parametrize("where", ["", ";TZID=Pacific/Apia"])
@pytest.mark.parametrize("hour", [0, 9, 23])
def test_a_day_that_a_zone_leaves_out_is_no_gap(where: str, hour: int) -> None:
    """Samoa had no 30th of December 2011."""
    begin, end = f"20111201T{hour:02}0000", f"20111202T{hour:02}0000"
    text = event(f"DTSTART{where}:{begin}", f"DTEND{where}:{end}", "RRULE:FREQ=DAILY;COUNT=60", "SUMMARY:ana")
    start = (datetime(2011, 12, 20, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
    found = answer(Job(start, start + 25 * DAY, "Pacific/Apia", "summary", NAMES, text=text))
    assert gaps([Shift(*one, "calendar") for one in found.shifts], start, start + 25 * DAY) == []


def test_what_is_fetched_is_asked_for_again_by_its_etag() -> None:
    book = rulebook('  primary: {time_zone: UTC, ical: {url: "http://127.0.0.1:${PORT}/cal.ics?k=${KEY}"}}')
    one = book.schedules["primary"]
    provider = Provider(200, (SAMPLES / "pagerduty.ics").read_bytes(), {"ETag": '"v1"'})
    outbound.allow(["127.0.0.0/8"])
    try:
        with serving(provider) as port:
            secrets = {"PORT": str(port), "KEY": "hidden-key"}
            found = calendars.read(one, NAMES, "", (at(1), at(30)), secrets.get)
            assert (found.fault, len(found.shifts), found.etag) == ("", 2, '"v1"')
            provider.status = 304
            provider.body = b""
            again = calendars.read(one, NAMES, "", (at(1), at(30)), secrets.get, ('"v1"', ""), run=inside)
            assert again.unchanged
            assert provider.got[-1][1]["if-none-match"] == '"v1"'
            provider.status = 500
            assert "HTTP 500" in calendars.read(one, NAMES, "", (at(1), at(30)), secrets.get, run=inside).fault
    finally:
        outbound.allow([])


def inside(job: bytes, _limit_s: float) -> Answer:
    """Do a job in this process: quicker, where it is not about the limits."""
    return answer(msgspec.json.decode(job, type=Job))


def test_a_private_address_is_refused_and_no_secret_is_told() -> None:
    book = rulebook('  primary: {time_zone: UTC, ical: {url: "http://127.0.0.1:9/${KEY}"}}')
    found = calendars.read(book.schedules["primary"], NAMES, "", (at(1), at(30)), {"KEY": "hidden-key"}.get, run=inside)
    assert "private address" in found.fault
    assert "hidden-key" not in found.fault
    unset = calendars.read(book.schedules["primary"], NAMES, "", (at(1), at(30)), lambda _: None)
    assert "KEY is not set" in unset.fault


def test_a_server_that_drips_is_ended() -> None:
    book = rulebook('  primary: {time_zone: UTC, ical: {url: "http://127.0.0.1:${PORT}/"}}')
    provider = Provider(200, b"BEGIN:VCALENDAR", sleeps=20)
    outbound.allow(["127.0.0.0/8"])
    try:
        with serving(provider) as port:
            read = calendars.read(
                book.schedules["primary"], NAMES, "", (at(1), at(30)), {"PORT": str(port)}.get, limit_s=1.5
            )
            provider.sleeps = 0
        assert "took more than" in read.fault
    finally:
        outbound.allow([])


def test_hours_are_bounded() -> None:
    assert calendars.window(at(5, "13:37")) == calendars.window(at(5, "01:00"))
    start, end = calendars.window(at(5))
    assert end - start < 430 * DAY
    assert end - start > HOUR
