"""What `tocsin init` writes, and that it never overwrites."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
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


def test_the_secret_of_links_is_made_once_readable_by_its_owner_only_and_the_same_for_all(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: starting.link_secret(tmp_path / "new"), range(8)))
    assert len(found) == 1
    (path,) = (tmp_path / "new").iterdir()
    assert (path.name, stat.S_IMODE(path.stat().st_mode)) == ("link.secret", 0o600)
    assert starting.link_secret(tmp_path / "new", "given") not in found
    assert starting.link_secret(tmp_path / "new", "given") == starting.link_secret(tmp_path / "other", "given")


def test_without_a_place_for_the_secret_there_are_no_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert starting.link_secret(tmp_path / "file" / "state") == b""
