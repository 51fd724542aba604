"""Documents that are made from code are as the code says, and no file names a machine or a package registry."""

from __future__ import annotations

import re

import pytest

from tests.upkeep import keys as keys_document
from tests.upkeep.tracked import ROOT, text_files, tracked
from tocsin import settings

REGISTRY = re.compile(
    r"python"
    + r"hosted\.org|pypi"
    + r"\.org|--(?:extra-)?index"
    + r"-url|proxy\.golang"
    + r"\.org|registry\.npm"
    + "js"
)
MACHINE = re.compile(r"(?<![\w.])/(?:home|Users|root|work|opt/pypi)/[\w.-]+")


def test_docs_settings_is_made_from_the_table() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == settings.reference(), "run `make docs`"


def test_docs_keys_is_made_from_the_table() -> None:
    assert (ROOT / "docs" / "keys.md").read_text() == keys_document.document(), "run `make docs`"


def test_no_file_names_a_package_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}" for path, text in text_files() for match in REGISTRY.finditer(text)
    ]
    assert found == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    allowed = {"/home/ada", "/root/.cache"}
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in text_files()
        if not path.is_relative_to(ROOT / "tests" / "payloads")
        for match in MACHINE.finditer(text)
        if match[0] not in allowed
    ]
    assert found == []


def test_pins_are_versions_and_nothing_else() -> None:
    for path in tracked("constraints/*.txt"):
        for line in path.read_text().splitlines():
            assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), f"{path.name}: {line}"


@pytest.mark.parametrize("group", ["dependencies", "dev", "fast"])
def test_every_dependency_is_pinned(group: str) -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] if group == "dependencies" else project["optional-dependencies"][group]
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints" / "py311.txt").read_text().splitlines()}
    normal = {re.sub(r"[-_.]+", "-", name).lower() for name in pinned}
    names = [re.sub(r"[-_.]+", "-", re.split(r"[<>=!;\[ ]", line)[0]).lower() for line in wanted]
    assert [name for name in names if name not in normal] == []


def test_files_end_with_a_newline_and_hold_no_tabs_where_none_belong() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path, text in text_files()
        if not path.is_relative_to(ROOT / "tests" / "payloads")
        and path.suffix in {".py", ".md", ".yaml", ".toml", ".txt"}
        and text
        and (not text.endswith("\n") or "\t" in text)
    ]
    assert wrong == []
