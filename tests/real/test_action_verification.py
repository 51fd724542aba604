"""Whether an action helped, asked of a real Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.real.prometheus import prometheus, target
from tests.unit.workers.test_actor import run
from triage.rulebook.actions import fill_query
from triage.rulebook.types import Verification
from workers.actor import helped
from workers.outbound import allow

pytestmark = pytest.mark.needs("prometheus")


@pytest.fixture(autouse=True)
def _near() -> Iterator[None]:
    allow(["127.0.0.0/8"])
    yield
    allow([])


async def test_promql_says_whether_it_helped(tmp_path: Path) -> None:
    async with target() as watched, prometheus(watched, tmp_path) as server:

        async def looked(query: str) -> tuple[bool, str]:
            made = msgspec.structs.replace(run(1), verify=Verification(server.url, query, 0, 0, 0))
            return await asyncio.to_thread(helped, made, lambda _: None)

        async def until(query: str, wanted: bool) -> str:
            for _ in range(200):
                ok, text = await looked(query)
                if ok is wanted:
                    return text
                await asyncio.sleep(0.05)
            raise AssertionError(f"{query} never became {wanted}: {text}")

        query = fill_query('max(broken{service="{service}"}) < 1', {"service": "checkout"})
        await until("max(broken)", True)
        assert (await looked(query))[0] is False, "it is still broken"
        assert "has 0 results" in (await looked(query))[1]
        watched.broken = False
        assert "has 1 results, the first 0" in await until(query, True)
        assert (await looked("scalar(max(broken))"))[0] is False
        assert (await looked("1"))[0] is True
        ok, text = await looked("sum(")
        assert (ok, "Prometheus answers HTTP 400" in text, "parse error" in text) == (False, True, True)
        injected = fill_query('max(broken{service="{service}"}) < 1', {"service": 'x"} or vector(1) #'})
        assert (await looked(injected))[0] is False, "a value stays in its quotes"
