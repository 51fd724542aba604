"""Debian's Redis 7.0 instead of the Valkey that comes along."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.conftest import Valkey, program, running_valkey
from tests.stories.town import town_at
from triage.model import Phase
from triage.store.audit import audit
from triage.store.preflight import inspect

pytestmark = pytest.mark.needs("redis-server")


@contextlib.contextmanager
def redis_server(directory: Path | None = None) -> Iterator[Valkey]:
    with running_valkey(directory=directory, binary=program("redis-server")) as server:
        yield server


async def test_a_night_on_redis(tmp_path: Path) -> None:
    with redis_server() as server:
        async with town_at(server.url, tmp_path) as town:
            info = town.client.info("server")
            assert isinstance(info, dict)
            assert "valkey_version" not in info
            assert info["redis_version"].startswith("7.")
            assert inspect(town.client) == []
            await town.fires("Down", service="checkout")
            await town.fires("Down", service="checkout")
            town.wait(minutes=6)
            assert town.paged == ["ana", "ben"]
            await town.acks("ben")
            await town.ends("Down", service="checkout")
            town.wait(hours=1)
            assert town.incident.phase is Phase.RESOLVED
            assert town.paged == ["ana", "ben"]


async def test_what_valkey_wrote_redis_reads(tmp_path: Path) -> None:
    """Whoever began with the embedded store can go over to Redis with the directory as it is."""
    with tempfile.TemporaryDirectory(prefix="tsn-", ignore_cleanup_errors=True) as name:
        with running_valkey(directory=Path(name)) as server:
            async with town_at(server.url, tmp_path) as town:
                await town.fires("Down", service="checkout")
                await town.acks("ana")
                incident = town.incident
        with redis_server(Path(name)) as server, redis.Redis.from_url(server.url) as client:
            report = audit(client, replay=True)
            assert report.ok, report.lines
            assert (report.accepted, report.undecided) == (1, 0)
            town.client = client
            assert town.incident == incident
