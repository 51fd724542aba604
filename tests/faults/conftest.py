"""A store of one's own for each module: these tests flush it, stop it and kill it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import running_valkey


@pytest.fixture(scope="module")
def quick_store() -> Iterator[str]:
    """Yield the URL of a store without fsync, for tests in which only workers die."""
    with running_valkey("--appendonly", "no") as server:
        yield server.url
