"""A store of one's own for each module: these tests flush it, stop it and kill it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.conftest import running_valkey
from workers import deliver


@pytest.fixture(scope="module")
def quick_store() -> Iterator[str]:
    """Yield the URL of a store without fsync, for tests in which only workers die."""
    with running_valkey("--appendonly", "no") as server:
        yield server.url


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the order of calls the same in each run: one message on its way, patience, and no log lines."""
    monkeypatch.setattr(deliver, "SEATS", 1)
    monkeypatch.setattr(deliver, "LOOK_S", 5.0)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
