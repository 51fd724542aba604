from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.stories.town import Town, town_at
from tests.unit.workers.mattermost_server import Mattermost
from tests.unit.workers.mattermost_server import serving as serving_mattermost
from tests.unit.workers.slack_server import Slack, serving
from workers import slack
from workers.outbound import allow


@pytest.fixture
async def town(redis_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    """A fresh town; it ends with the audit."""
    async with town_at(redis_url, tmp_path) as built:
        yield built


@pytest.fixture
def workspace() -> Iterator[Slack]:
    """A Slack that workers speak to."""
    with serving(Slack()) as one:
        slack.use(one.api)
        yield one
    slack.use("https://slack.com/api")


@pytest.fixture
def server() -> Iterator[Mattermost]:
    """A Mattermost that workers may reach."""
    allow(["127.0.0.0/8"])
    with serving_mattermost(Mattermost()) as one:
        yield one
    allow([])
