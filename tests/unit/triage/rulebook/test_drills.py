"""Planned drills in oncall.yaml: what is refused, and in which words."""

from __future__ import annotations

import pytest

from tests.unit.triage.rulebook.making import ONCALL, said
from triage.model import MINUTE
from triage.rulebook import compile_files
from triage.rulebook.drills import DrillPlan


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('{target: anna, cron: "0 10 * * mon"}', 'did you mean "ana"?'),
        ('{target: ana, cron: "mondays"}', "five fields"),
        ('{target: ana, cron: "0 10 * * mon", time_zone: Mars/Base}', '"Mars/Base" is no time zone'),
        ('{target: ana, cron: "0 10 * * mon", within: 1s}', "a drill waits for 1m to 12h"),
        ("{target: ana}", "cron"),
    ],
)
def test_what_cannot_be_is_said_with_its_place(entry: str, words: str) -> None:
    before = ONCALL.count("\n")
    (problem,) = said({"oncall.yaml": f"{ONCALL}drills:\n  weekly: {entry}\n"})
    assert words in problem
    assert problem.startswith(f"oncall.yaml:{before + 2}:")


def test_it_is_as_it_was_written() -> None:
    text = f'{ONCALL}drills:\n  weekly: {{target: "policy:default", cron: "0 10 * * mon", everybody: true}}\n'
    (plan,) = compile_files({"oncall.yaml": text}).drills.values()
    assert plan == DrillPlan("weekly", "policy:default", "0 10 * * mon", "UTC", 15 * MINUTE, True)
