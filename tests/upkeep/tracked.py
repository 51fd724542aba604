"""The files of the project, as git knows them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("tocsin", "ingest", "desk", "triage", "workers")


def tracked(*patterns: str) -> list[Path]:
    """Return the tracked files that match (all without patterns), and new ones that nobody ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(path for path in {ROOT / name for name in names} if path.is_file())


def modules(*packages: str) -> list[Path]:
    """Return the Python files of these top-level folders."""
    return tracked(*(f"{package}/*.py" for package in packages or PACKAGES))


def text_files() -> list[tuple[Path, str]]:
    """Return every tracked file that is UTF-8 text, with its text."""
    found = []
    for path in tracked():
        try:
            found.append((path, path.read_text("utf-8")))
        except UnicodeDecodeError:
            continue
    return found
