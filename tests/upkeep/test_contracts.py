"""Who may import whom holds, and the walls would notice a breach."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.upkeep.tracked import PACKAGES, ROOT

LINT = Path(sys.executable).parent / "lint-imports"


def test_the_walls_between_the_rooms_hold() -> None:
    run = subprocess.run([LINT, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-2000:]


def test_every_package_is_watched_and_packed() -> None:
    config = (ROOT / ".importlinter").read_text()
    packed = (ROOT / "pyproject.toml").read_text()
    for package in PACKAGES:
        assert f"\n    {package}\n" in config
        assert f'"{package}"' in packed
