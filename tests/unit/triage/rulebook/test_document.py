"""docs/write-a-rule.md says what is true: its examples compile, its tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.triage.rulebook.making import ONCALL
from triage.model import Severity
from triage.rulebook import compile_files
from triage.rulebook.cases import parse_cases
from triage.rulebook.lint import CATALOGUE_LABELS
from triage.rulebook.shapes import DefaultsShape, RuleShape
from triage.rulebook.words import MEANING

TEXT = (Path(__file__).parents[4] / "docs" / "write-a-rule.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
FILES = {"people": "oncall.yaml", "sources": "sources.yaml", "tests": "tests/x.yaml"}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split(":")[0])
def test_an_example_is_right(block: str) -> None:
    path = FILES.get(block.split(":")[0], "severity.yaml")
    files = {"oncall.yaml": ONCALL, path: block}
    rulebook = compile_files(files)
    assert rulebook.problems == []
    assert len(parse_cases(files, rulebook)) == (1 if path.startswith("tests/") else 0)


@pytest.mark.parametrize("severity", list(Severity))
def test_the_table_of_words_is_that_of_the_code(severity: Severity) -> None:
    assert f"| {severity} | {', '.join(MEANING[severity])} |" in TEXT


def test_every_field_is_explained() -> None:
    fields = [field.alias or name for name, field in RuleShape.model_fields.items()]
    assert [field for field in fields if f"`{field}`" not in TEXT and f"`{field}: drop`" not in TEXT] == []
    assert [name for name in DefaultsShape.model_fields if name not in TEXT] == []
    assert [name for name in CATALOGUE_LABELS if f"`{name}`" not in TEXT] == []
