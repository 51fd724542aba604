"""The picture of a reading: what is in it, that it stays well-formed whatever it is given, and its scale."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.chart import Mark, draw, marks_of, scale
from desk.metrics import shown
from triage.measured import Measures, Query, Snapshot
from triage.model import HOUR, MINUTE, Around, Curve, Incident, Phase, Severity

START = 1_772_442_000_000  # 2026-03-02, 09:00 UTC
QUERY = Query("main", "http://p", {}, "rate(errors[5m]) > 0.5", "rate(errors[5m])", ">", 0.5, {}, "the alert")
VALUES = (0.1, 0.2, None, 0.9, 1.4, 0.3)
SVG = "{http://www.w3.org/2000/svg}"


def snapshot(*curves: Curve, around: Around = Around.ONSET) -> Snapshot:
    known = curves or (Curve({"pod": "a"}, VALUES),)
    steps = max(len(one.values) for one in known) - 1
    return Snapshot(around, START, START + steps * 20 * MINUTE, 20 * MINUTE, START, known)


def incident(**more: int) -> Incident:
    made = Incident(
        "k" * 26, "g", "title", "shop", Severity.P0, Phase.DETECTED, "default", "", "", START + HOUR, "1-1", START
    )
    return msgspec.structs.replace(made, **more)


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ET.fromstring(svg).iter() if one.tag.endswith("text")]


def test_it_says_in_words_what_is_to_be_seen() -> None:
    root = ET.fromstring(draw(QUERY, snapshot(), [Mark("onset", START + HOUR)], "one"))
    title, desc = root[0], root[1]
    assert (title.tag, desc.tag, root.get("role")) == ("title", "desc", "img")
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}" == "one-title one-desc"
    assert title.text == "rate(errors[5m]), onset of the incident"
    assert desc.text is not None
    assert "From 09:00 UTC to 10:40 UTC." in desc.text
    assert "highest 1.4 at 10:20 UTC, > 0.5 since 10:00 UTC, no longer from 10:40 UTC on" in desc.text
    assert "Marked: onset at 10:00 UTC." in desc.text


def test_axes_have_values_and_times_and_what_happened_is_marked() -> None:
    times = {"taken_at": START + HOUR + 5 * MINUTE, "monitoring_at": START + 90 * MINUTE}
    marks = marks_of(incident(**times, mitigating_at=START + 9 * HOUR))
    assert [one.name for one in marks] == ["onset", "acknowledged", "mitigating", "recovered"]
    found = texts(draw(QUERY, snapshot(), marks, "one"))
    assert {"0", "0.5", "1", "1.5", "> 0.5", "09:00", "10:00", "10:30"} <= set(found)
    assert {"onset", "acknowledged", "recovered"} <= set(found)
    assert "mitigating" not in found, "it is outside of what is shown"


def test_the_words_of_marks_never_meet() -> None:
    for at in (START, START + HOUR, START + 100 * MINUTE):
        marks = [Mark(name, at) for name in ("onset", "acknowledged", "mitigating", "recovered")]
        root = ET.fromstring(draw(QUERY, snapshot(), marks, "one"))
        names = [one for one in root.iter() if one.get("class") == "name"]
        assert len({one.get("y") for one in names}) == len(marks)
        assert len({one.get("text-anchor") for one in names}) == 1
    apart = [Mark("onset", START), Mark("recovered", START + HOUR)]
    root = ET.fromstring(draw(QUERY, snapshot(), apart, "one"))
    assert len({one.get("y") for one in root.iter() if one.get("class") == "name"}) == 1


def test_a_gap_is_no_line_and_a_lone_value_is_a_dot() -> None:
    root = ET.fromstring(draw(QUERY, snapshot(), [], "one"))
    (path,) = [one.get("d", "") for one in root.iter() if one.tag == "path"]
    assert (path.count("M"), path.count("L")) == (2, 3)


def test_curves_are_told_apart_by_more_than_colour() -> None:
    many = snapshot(*[Curve({"pod": f"p{i}"}, VALUES) for i in range(10)])
    paths = [one for one in ET.fromstring(draw(QUERY, many, [], "one")).iter() if one.tag == "path"]
    assert len({one.get("stroke-dasharray", "") for one in paths}) == 10
    assert {one[0].text for one in paths} == {f"pod=p{i}" for i in range(10)}


def test_alone_it_brings_its_style_for_light_and_dark_and_in_a_view_it_brings_none() -> None:
    alone = ET.fromstring(draw(QUERY, snapshot(), [], "one", alone=True))
    (style,) = [one.text or "" for one in alone.iter() if one.tag == f"{SVG}style"]
    assert "prefers-color-scheme: dark" in style
    inside = draw(QUERY, snapshot(), [], "one")
    assert "style" not in inside, "the view's policy of contents would refuse it"


hostile = st.one_of(
    st.text(max_size=30), st.sampled_from(["</svg><script>alert(1)</script>", "\x00\ud800", "]]>", "&amp;", "\"'><a"])
)


@settings(max_examples=40)
@given(hostile, hostile, st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), max_size=8))
def test_whatever_it_is_given_it_is_well_formed_and_holds_only_what_it_draws(
    query: str, label: str, values: list[float | None]
) -> None:
    known = snapshot(Curve({label: label}, tuple(values or [None])))
    svg = draw(
        msgspec.structs.replace(QUERY, text=query, curve=query), known, [Mark("onset", START)], "one", alone=True
    )
    root = ET.fromstring(svg)
    kinds = {one.tag.removeprefix(SVG) for one in root.iter()}
    assert kinds <= {"svg", "title", "desc", "style", "rect", "line", "text", "path"}
    assert not any("nan" in value or "inf" in value for one in root.iter() for value in one.attrib.values())


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([0.1, 1.4], (0.0, 1.5, 0.5)),
        ([95.0, 100.0], (94.0, 100.0, 2.0)),
        ([0.0, 0.0], (0.0, 1.0, 0.5)),
        ([7.0], (0.0, 15.0, 5.0)),
        ([-3.0], (-6.0, 0.0, 2.0)),
        ([], (0.0, 1.0, 0.5)),
    ],
)
def test_lines_stand_at_round_values(values: list[float], found: tuple[float, float, float]) -> None:
    assert scale(values) == found


def test_a_reading_of_the_whole_incident_shows_its_onset_as_well() -> None:
    onset = snapshot()
    recovery = snapshot(Curve({}, (*VALUES, *VALUES)), around=Around.RECOVERY)
    found = shown(incident(), Measures(QUERY, onset=onset, recovery=recovery)) or {}
    assert [one["around"] for one in found["snapshots"]] == ["recovery"]
    failed = Snapshot(Around.RECOVERY, START, START + HOUR, MINUTE, START, fault="HTTP 503")
    found = shown(incident(), Measures(QUERY, onset=onset, recovery=failed)) or {}
    assert [(one["around"], bool(one["svg"])) for one in found["snapshots"]] == [("onset", True), ("recovery", False)]
    assert shown(incident(), None) is None


def test_values_that_are_next_to_nothing_have_a_scale() -> None:
    low, high, row = scale([0.0, 2e-323])
    assert low < high
    assert row > 0
