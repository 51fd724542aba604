"""A test that needs a program is skipped without it, with the reason, and fails where everything must run."""

from __future__ import annotations

import pytest

from tests.conftest import REQUIRE_ALL, program


def test_a_missing_program_skips_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRE_ALL, raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs no-such-program or nor-this"):
        program("no-such-program", "nor-this")


def test_a_missing_program_fails_where_all_must_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_ALL, "1")
    with pytest.raises(pytest.fail.Exception, match="needs no-such-program"):
        program("no-such-program")


def test_one_of_several_names_is_enough() -> None:
    assert program("no-such-program", "sh").endswith("/sh")
