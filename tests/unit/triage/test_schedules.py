"""Who is on call: by example, at every kind of edge that a clock has."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from triage.model import HOUR, MINUTE, Millis, Override
from triage.rulebook import Rulebook, compile_files
from triage.rulebook.types import Schedule
from triage.rulebook.wall import first, last, parse_wall, show_wall, wall_of
from triage.schedules import gaps, joined, on_call, quiet_until, shifts, whom

PEOPLE = """
people:
  ana: {contact: ["terminal://"]}
  ben: {contact: ["terminal://"]}
  carl: {contact: ["terminal://"], time_zone: Europe/Berlin}
"""


def book(text: str) -> Rulebook:
    return compile_files({"oncall.yaml": PEOPLE + text})


def schedule(layers: str, zone: str = "Europe/Berlin", more: str = "") -> Schedule:
    text = f"schedules: {{one: {{time_zone: {zone}, layers: [{layers}]{more}}}}}"
    return book(text).schedules["one"]


def at(text: str, zone: str = "UTC", fold: int = 0) -> Millis:
    """The instant of a wall time; the second one of an ambiguous time with fold 1."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone), fold=fold)
    return int(moment.timestamp() * 1_000)


def berlin(text: str, fold: int = 0) -> Millis:
    return at(text, "Europe/Berlin", fold)


WEEKLY = '{name: weekly, users: [ana, ben, carl], start: "2026-01-05T09:00", every: 1w}'


@pytest.mark.parametrize(
    ("when", "who"),
    [
        ("2026-01-05T08:59", ()),
        ("2026-01-05T09:00", ("ana",)),
        ("2026-01-12T08:59", ("ana",)),
        ("2026-01-12T09:00", ("ben",)),
        ("2026-01-26T09:00", ("ana",)),
        ("2026-03-30T08:59", ("carl",)),  # the clocks went forward the day before: still at nine on the wall
        ("2026-03-30T09:00", ("ana",)),
        ("2026-10-26T08:59", ("carl",)),
        ("2026-10-26T09:00", ("ana",)),
    ],
)
def test_a_weekly_rotation_hands_off_at_nine_on_the_wall(when: str, who: tuple[str, ...]) -> None:
    assert on_call(schedule(WEEKLY), berlin(when)) == who


def test_hand_offs_at_chosen_times_of_the_week() -> None:
    """A week and a weekend: Monday to Friday evening, Friday evening to Monday."""
    layer = """{users: [ana, ben, carl], start: "2026-01-05T09:00", handoffs: [
        {weekdays: [monday], time: "09:00"}, {weekdays: [friday], time: "18:00"}]}"""
    one = schedule(layer)
    found = shifts(one, berlin("2026-01-05T00:00"), berlin("2026-01-20T00:00"))
    assert [(shift.person, show_wall(wall_of(shift.start, "Europe/Berlin"))) for shift in found] == [
        ("ana", "2026-01-05T09:00"),
        ("ben", "2026-01-09T18:00"),
        ("carl", "2026-01-12T09:00"),
        ("ana", "2026-01-16T18:00"),
        ("ben", "2026-01-19T09:00"),
    ]


def test_a_first_hand_off_beside_the_slots_is_a_turn_of_its_own() -> None:
    layer = '{users: [ana, ben], start: "2026-01-07T12:00", handoffs: [{weekdays: [monday], time: "09:00"}]}'
    one = schedule(layer)
    assert on_call(one, berlin("2026-01-07T11:59")) == ()
    assert on_call(one, berlin("2026-01-07T12:00")) == ("ana",)
    assert on_call(one, berlin("2026-01-12T09:00")) == ("ben",)
    assert on_call(one, berlin("2026-01-19T09:00")) == ("ana",)


def test_the_hour_that_comes_twice_has_both() -> None:
    """Sunday 2026-10-25, 03:00 becomes 02:00: ben begins at the first 02:30, ana ends at the second."""
    one = schedule('{users: [ana, ben], start: "2026-10-24T02:30", every: 1d}')
    assert on_call(one, berlin("2026-10-25T02:29")) == ("ana",)
    assert on_call(one, berlin("2026-10-25T02:30")) == ("ana", "ben")
    assert on_call(one, berlin("2026-10-25T02:29", fold=1)) == ("ana", "ben")
    assert on_call(one, berlin("2026-10-25T02:30", fold=1)) == ("ben",)


def test_a_hand_off_that_the_clock_jumps_over_is_the_jump() -> None:
    """Sunday 2026-03-29, 02:00 becomes 03:00."""
    one = schedule('{users: [ana, ben], start: "2026-03-28T02:30", every: 1d}')
    jump = at("2026-03-29T01:00")
    assert on_call(one, jump - 1) == ("ana",)
    assert on_call(one, jump) == ("ben",)


def test_a_day_that_never_was() -> None:
    """Samoa had no 2011-12-30: whose turn was that day has none, and the next hand-off is on time."""
    one = schedule('{users: [ana, ben, carl], start: "2011-12-29T00:00", every: 1d}', "Pacific/Apia")
    skip = at("2011-12-30T10:00")
    assert on_call(one, skip - 1) == ("ana",)
    assert on_call(one, skip) == ("carl",)
    assert on_call(one, skip + 24 * HOUR) == ("ana",)


def test_a_half_hour_change() -> None:
    """Lord Howe goes back by 30 minutes: 2026-04-05, 02:00 becomes 01:30."""
    zone = "Australia/Lord_Howe"
    assert last(parse_wall("2026-04-05T01:45"), zone) - first(parse_wall("2026-04-05T01:45"), zone) == 30 * MINUTE
    assert first(parse_wall("2026-04-05T02:00"), zone) == last(parse_wall("2026-04-05T02:00"), zone)


def test_restrictions_are_hours_of_the_wall_and_lower_layers_cover_the_rest() -> None:
    office = """{name: office, users: [carl], start: "2026-01-05T00:00", every: 1w, restrict: [
        {weekdays: ["monday:friday"], times: [{start_time: "09:00", end_time: "17:00"}]}]}"""
    one = schedule(f"{WEEKLY}, {office}")
    assert on_call(one, berlin("2026-01-06T08:59")) == ("ana",)
    assert on_call(one, berlin("2026-01-06T09:00")) == ("carl",)
    assert on_call(one, berlin("2026-01-06T17:00")) == ("ana",)
    assert on_call(one, berlin("2026-01-10T12:00")) == ("ana",)
    (night,) = shifts(one, berlin("2026-01-06T18:00"), berlin("2026-01-07T08:00"))
    assert (night.person, night.via) == ("ana", "weekly")


def test_a_night_that_is_two_ranges_is_one_shift() -> None:
    night = """{users: [ana], start: "2026-01-05T00:00", every: 52w, restrict: [
        {times: [{start_time: "22:00", end_time: "24:00"}, {start_time: "00:00", end_time: "06:00"}]}]}"""
    found = shifts(schedule(night), berlin("2026-01-06T12:00"), berlin("2026-01-08T12:00"))
    assert [(shift.start, shift.end) for shift in found] == [
        (berlin("2026-01-06T22:00"), berlin("2026-01-07T06:00")),
        (berlin("2026-01-07T22:00"), berlin("2026-01-08T06:00")),
    ]


def test_overrides_win_and_the_later_one_wins_over_the_earlier() -> None:
    text = ', overrides: [{user: ben, start: "2026-01-06T00:00", end: "2026-01-08T00:00"}]'
    one = schedule(WEEKLY, more=text)
    live = [
        Override("carl", berlin("2026-01-06T12:00"), berlin("2026-01-07T12:00"), "a"),
        Override("ana", berlin("2026-01-07T06:00"), berlin("2026-01-07T08:00"), "b"),
        Override("gone", berlin("2026-01-07T09:00"), berlin("2026-01-07T10:00"), "c"),
    ]
    found = shifts(one, berlin("2026-01-05T12:00"), berlin("2026-01-09T00:00"), live, {"ana", "ben", "carl"})
    assert [(shift.person, show_wall(wall_of(shift.start, "Europe/Berlin"))[5:], shift.via) for shift in found] == [
        ("ana", "01-05T12:00", "weekly"),
        ("ben", "01-06T00:00", "override"),
        ("carl", "01-06T12:00", "override"),
        ("ana", "01-07T06:00", "override"),
        ("carl", "01-07T08:00", "override"),
        ("ben", "01-07T12:00", "override"),
        ("ana", "01-08T00:00", "weekly"),
    ]


def test_a_layer_ends() -> None:
    one = schedule('{users: [ana], start: "2026-01-05T09:00", every: 1w, end: "2026-01-06T09:00"}')
    begin, end = berlin("2026-01-01T00:00"), berlin("2026-02-01T00:00")
    found = shifts(one, begin, end)
    assert [(shift.start, shift.end) for shift in found] == [(berlin("2026-01-05T09:00"), berlin("2026-01-06T09:00"))]
    assert gaps(found, begin, end) == [(begin, found[0].start), (found[0].end, end)]


def test_turns_of_the_same_person_are_joined() -> None:
    one = schedule('{users: [ana, ana, ben], start: "2026-01-05T00:00", every: 1d}')
    found = joined(shifts(one, berlin("2026-01-05T00:00"), berlin("2026-01-10T00:00")))
    assert [(shift.person, (shift.end - shift.start) // (24 * HOUR)) for shift in found] == [
        ("ana", 2),
        ("ben", 1),
        ("ana", 2),
    ]


def test_the_targets_of_a_step() -> None:
    rules = book(f"""
teams: {{shop: [ana, carl], carl: [ben]}}
schedules:
  primary: {{time_zone: Europe/Berlin, layers: [{WEEKLY}]}}
  empty: {{time_zone: UTC}}
""")
    now = berlin("2026-01-12T10:00")
    found = whom(rules, ["schedule:primary", "team:shop", "carl", "ben", "team:carl"], now, {})
    assert [(one.person, one.why) for one in found.called] == [
        ("ben", "on call in primary"),
        ("ana", "of team shop"),
        ("carl", "of team shop"),
    ]
    nobody = whom(rules, ["empty", "ghost"], now, {})
    assert nobody.called == ()
    assert nobody.empty == (
        "nobody is on call in schedule empty",
        "there is no person, schedule or team “ghost”",
    )
    taken = {"primary": (Override("ana", now - 1, now + 1, "x"),)}
    assert [one.person for one in whom(rules, ["primary"], now, taken).called] == ["ana"]


def test_quiet_hours_end_on_the_persons_clock() -> None:
    hours = """people:
  dora: {time_zone: America/New_York, quiet_hours: [
    {times: [{start_time: "00:00", end_time: "07:00"}, {start_time: "22:00", end_time: "24:00"}]}]}
"""
    dora = compile_files({"oncall.yaml": hours}).people["dora"]
    zone = "America/New_York"
    assert quiet_until(dora.quiet, at("2026-06-01T21:59", zone)) is None
    assert quiet_until(dora.quiet, at("2026-06-01T22:00", zone)) == at("2026-06-02T07:00", zone)
    assert quiet_until(dora.quiet, at("2026-06-02T06:59", zone)) == at("2026-06-02T07:00", zone)
    assert quiet_until((), at("2026-06-02T06:59", zone)) is None
