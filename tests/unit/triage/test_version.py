"""The version of the judgement: another one whenever its sources are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import triage
from triage.version import VERSION, of_sources


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    source = Path(triage.__file__).parent
    return Path(shutil.copytree(source, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("__pycache__")))


def test_it_is_the_same_wherever_the_same_sources_are_installed(copy: Path) -> None:
    assert of_sources(copy) == VERSION


@pytest.mark.parametrize("path", ["decide.py", "rulebook/compiling.py", "model/kept.py", "store/commit.py"])
def test_it_is_another_one_when_any_source_is(copy: Path, path: str) -> None:
    with (copy / path).open("a") as source:
        source.write("# one more line\n")
    assert of_sources(copy) != VERSION


def test_it_is_another_one_when_a_line_moves_to_another_file(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "b.py").write_text("")
    before = of_sources(tmp_path)
    (tmp_path / "a.py").write_text("")
    (tmp_path / "b.py").write_text("x = 1\n")
    assert of_sources(tmp_path) != before


def test_without_sources_it_is_that_of_the_compiled_files(tmp_path: Path) -> None:
    (tmp_path / "a.pyc").write_bytes(b"one")
    before = of_sources(tmp_path)
    (tmp_path / "a.pyc").write_bytes(b"two")
    assert of_sources(tmp_path) != before
