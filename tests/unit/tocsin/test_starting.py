"""What `tocsin init` writes, and that it never overwrites."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tocsin import starting


def test_the_token_is_for_this_user_only_and_is_written_once(tmp_path: Path) -> None:
    storage = tmp_path / "state"
    assert starting.write_token(storage).wrote == [storage / "admin.token"]
    token = starting.read_token(storage)
    assert len(token) >= 40
    assert stat.S_IMODE((storage / "admin.token").stat().st_mode) == 0o600
    assert starting.write_token(storage).kept == [storage / "admin.token"]
    assert starting.read_token(storage) == token


def test_without_a_token_there_is_none(tmp_path: Path) -> None:
    assert starting.read_token(tmp_path) == ""


def test_the_starting_rules_are_copied_whole_and_kept_when_there(tmp_path: Path) -> None:
    target = tmp_path / "rules"
    mine = target / "severity.yaml"
    target.mkdir()
    mine.write_text("# mine\n")
    done = starting.write_rules(target)
    origin = starting.starting_rules()
    expected = {file.relative_to(origin) for file in origin.rglob("*") if file.is_file()}
    assert {path.relative_to(target) for path in done.wrote + done.kept} == expected
    assert done.kept == [mine]
    assert mine.read_text() == "# mine\n"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(starting.InitError, match=str(blocked)):
        starting.write_token(blocked / "state")
