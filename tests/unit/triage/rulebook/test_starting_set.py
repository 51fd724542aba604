"""The starting set that `tocsin init` writes: it compiles without a word, and so do its tests and schemas."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from triage.rulebook import Rulebook, compile_files
from triage.rulebook.cases import parse_cases
from triage.rulebook.schemas import schemas

RULES = Path(__file__).parents[4] / "rules"


def files() -> dict[str, str]:
    return {
        path.relative_to(RULES).as_posix(): path.read_text("utf-8")
        for path in sorted(RULES.rglob("*"))
        if path.suffix in (".yaml", ".md")
    }


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    return compile_files(files())


def test_compiles_without_a_word(rulebook: Rulebook) -> None:
    assert rulebook.problems == []
    assert (rulebook.operators, rulebook.last_resort) == (("you",), ("you",))
    assert rulebook.people["you"].methods == ("terminal://",)


def test_ships_tests(rulebook: Rulebook) -> None:
    cases = parse_cases(files(), rulebook)
    assert len(cases) >= 5
    assert all(case.given and case.expect for case in cases)


def test_the_commented_examples_of_sources_are_right() -> None:
    text = files()["sources.yaml"]
    example = "\n".join(line.removeprefix("# ") for line in text.split("sources: {}\n\n")[1].splitlines())
    folder = {**files(), "sources.yaml": example}
    sources = compile_files(folder).sources
    assert [*sources] == ["alertmanager", "grafana", "batch-jobs"]
    assert sources["batch-jobs"].mapping["labels.service"] == "service"


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_schema_is_up_to_date(name: str) -> None:
    """When this fails, a file's shape changed: write the new schema to rules/schema/."""
    assert json.loads((RULES / "schema" / name).read_text("utf-8")) == schemas()[name]


def test_no_schema_is_left_over() -> None:
    assert sorted(path.name for path in (RULES / "schema").iterdir()) == sorted(schemas())


def test_every_file_names_its_schema() -> None:
    for path in RULES.rglob("*.yaml"):
        first = path.read_text("utf-8").splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=")
        assert (path.parent / first.partition("=")[2]).resolve().is_file()


def test_there_is_a_checklist_for_each_phase_of_the_process() -> None:
    names = {path.stem for path in (RULES / "procedures").glob("*.md")}
    assert {"severity", "roles", "1-detect", "2-triage", "3-mitigate", "4-resolve", "5-postmortem"} <= names
