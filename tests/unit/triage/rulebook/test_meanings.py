"""What P0 to P4 mean is what the operators' page says, and the page that is shipped says it of each."""

from __future__ import annotations

from pathlib import Path

from triage.model import Severity
from triage.rulebook import compile_files
from triage.rulebook.meanings import BUILT_IN, PATH, Meaning, read

SHIPPED = (Path(__file__).parents[4] / "rules" / PATH).read_text("utf-8")


def test_the_shipped_page_says_what_each_severity_means() -> None:
    found = compile_files({PATH: SHIPPED}).meanings
    assert list(found) == list(Severity)
    assert found[Severity.P0].text == "critical: complete outage, or data is being lost"
    assert found[Severity.P1].examples == "search is down; one region fails"
    assert all(one.examples for one in found.values())


def test_what_the_page_does_not_say_is_built_in() -> None:
    assert read({}) == BUILT_IN
    found = read({PATH: "| P0 | the shop is shut |\n| P1 | | x |\n| P7 | no |\n"})
    assert found == {**BUILT_IN, Severity.P0: Meaning("the shop is shut")}
