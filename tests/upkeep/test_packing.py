"""The wheel holds what a running Tocsin needs, and nothing of the workshop."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.upkeep.tracked import PACKAGES, ROOT, tracked


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the names in a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [str(Path(sys.executable).parent / "hatchling"), "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=120)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return set(wheel.namelist())


def test_every_file_of_every_package_is_packed(packed: set[str]) -> None:
    wanted = {str(path.relative_to(ROOT)) for package in PACKAGES for path in tracked(f"{package}/*")}
    assert wanted - packed == set()


def test_the_starting_rules_are_packed(packed: set[str]) -> None:
    wanted = {f"tocsin/starting_rules/{path.relative_to(ROOT / 'rules')}" for path in tracked("rules/*")}
    assert "tocsin/starting_rules/severity.yaml" in wanted
    assert wanted - packed == set()


def test_the_workshop_stays_out(packed: set[str]) -> None:
    rooms = {name.partition("/")[0] for name in packed}
    assert {room for room in rooms if not room.endswith(".dist-info")} == set(PACKAGES)
