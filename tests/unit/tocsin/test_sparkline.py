"""Curves in a terminal."""

from __future__ import annotations

from tocsin.cli.incident.metrics import WIDTH, sparkline, told


def test_bars_go_from_the_lowest_to_the_highest_value_and_a_gap_is_blank() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, None, 1]) == "▁ █"
    assert (sparkline([5, 5]), sparkline([None]), sparkline([])) == ("▁▁", "", "")
    assert sparkline([-1e308, 1e308]) == "▁█"


def test_each_bar_is_the_highest_of_its_stretch() -> None:
    line = sparkline([0.0] * 100 + [1.0] + [0.0] * 139)
    assert (len(line), line.count("█")) == (WIDTH, 1)


def test_hostile_text_does_not_reach_the_terminal() -> None:
    curve = {"labels": {"pod": "\x1b[31mred"}, "values": [1.0, 2.0]}
    at = "2026-03-02T10:00:00.000Z"
    one = {"around": "onset", "start": at, "end": at, "text": "x: highest 2", "curves": [curve]}
    lines = told({"query": "x\x1b]0;t\x07", "origin": "the alert", "pending": True, "snapshots": [one]})
    assert not any("\x1b" in line or "\x07" in line for line in lines)
    assert "▁█" in lines[2]
    assert told({"query": ""}) == []
