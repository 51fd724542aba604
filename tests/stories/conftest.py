from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.stories.town import Town, town_at


@pytest.fixture
async def town(redis_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    """A fresh town; it ends with the audit."""
    async with town_at(redis_url, tmp_path) as built:
        yield built
