"""A store of one's own for each module: these tests flush it, stop it and kill it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import cache

import pytest
import structlog

from tests.conftest import running_valkey
from triage import reloads
from triage.rulebook import Rulebook, compile_files
from triage.store import audit
from workers import deliver, drain


@pytest.fixture(scope="module")
def quick_store() -> Iterator[str]:
    """Yield the URL of a store without fsync, for tests in which only workers die."""
    with running_valkey("--appendonly", "no") as server:
        yield server.url


@cache
def _compiled(files: tuple[tuple[str, str], ...]) -> Rulebook:
    return compile_files(dict(files))


def _compiled_once(files: Mapping[str, str]) -> Rulebook:
    """Compile rules that are the same in a thousand plays of one history."""
    return _compiled(tuple(sorted(files.items())))


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make each run the same, and quick: one message at a time, patience, no log lines, rules compiled once."""
    monkeypatch.setattr(deliver, "SEATS", 1)
    monkeypatch.setattr(deliver, "LOOK_S", 5.0)
    for module in (reloads, audit, drain):
        monkeypatch.setattr(module, "compile_files", _compiled_once)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
