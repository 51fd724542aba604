"""Lists in the terminal: when the next update is promised, and that it is overdue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tocsin.cli.incident import action
from tocsin.cli.listing import promised

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("due", "words"),
    [
        ("2026-03-02T12:35:00.000Z", "12:35 UTC (13:35 CET)"),
        ("2026-03-02T11:55:00.000Z", "OVERDUE since 11:55 UTC (12:55 CET)"),
        ("2026-03-03T01:00:00.000Z", "2026-03-03 01:00 UTC (02:00 CET)"),
        (None, ""),
    ],
)
def test_the_next_update_is_told_by_both_clocks(due: str | None, words: str) -> None:
    assert promised({"next_update": due}, NOW) == words


def test_a_list_of_actions_says_on_what_and_by_whom_each_may_be_run() -> None:
    asked = {"parameters": [], "title": "Restart", "services": ["checkout"], "severities": ["P0"]}
    actions = [{"name": "restart", "who": ["ana", "team:shop"], **asked}, {"name": "scale", "who": [], **asked}]
    first, second = action.told({"actions": actions, "runs": []})
    assert first.endswith("Restart [checkout, P0, by ana, team:shop]")
    assert second.endswith("Restart [checkout, P0]")
