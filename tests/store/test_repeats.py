"""`Idempotency-Key` where it counts: the request is in the journal, and nobody heard of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.faults.proxy import Proxy, proxied
from tests.store.desk_support import DOWN, RULES, TOKEN, Town, town
from triage.model import DAY
from triage.store import keys, queries
from triage.store.appender import Appender
from triage.store.audit import audit
from triage.store.client import connect

SCHEDULE = """
schedules:
  main: {time_zone: UTC, layers: [{name: daily, users: [ada], start: "2025-12-31T09:00", every: 1d}]}
"""
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("/incidents/ID/note", {"text": "deployed"}),
    ("/incidents/ID/item", {"text": "Alert on queue age"}),
    ("/incidents", {"title": "The till is down", "severity": "P2", "service": "till"}),
    ("/oncall/main/overrides", {"person": "ada", "from": "2026-01-02T00:00", "to": "2026-01-03T00:00"}),
    ("/drills", {"target": "ada", "within": "5m"}),
    ("/subscriptions", {"name": "ada", "audience": "company"}),
]


@asynccontextmanager
async def losing(here: Town, url: str) -> AsyncIterator[Proxy]:
    """Let the desk append by a way on which answers get lost."""
    with proxied(url) as proxy:
        appender, here.desk.appender = here.desk.appender, Appender(proxy.url)
        await here.desk.appender.start()
        try:
            yield proxy
        finally:
            await here.desk.appender.close()
            here.desk.appender = appender


async def test_a_repeat_after_a_lost_answer_does_nothing_and_gets_the_first_answer(redis_url: str) -> None:
    async with town(redis_url) as here, losing(here, redis_url) as proxy:
        await here.load({**RULES, "oncall.yaml": RULES["oncall.yaml"] + SCHEDULE})
        await here.send(DOWN)
        (one,) = (await queries.incidents(here.client, queries.IncidentFilter())).items
        async with here.draining():
            for number, (path, body) in enumerate(ASKED):
                place, key = path.replace("ID", one.key), {"Idempotency-Key": f"k{number}"}
                before = await last_of(here)
                proxy.lose(b"XADD")
                status, lost = await here.ask("POST", place, headers=key, json=body)
                assert (status, proxy.lost) == (503, number + 1), lost
                again = await here.ask("POST", place, headers=key, json=body)
                assert again == await here.ask("POST", place, headers=key, json=body)
                assert (again[0], again[1]["ending"]) == (200, "done"), again
                assert again[1]["entry"] == await first_after(here, before), "the one of which nobody heard"
        lines = (await here.get(f"/incidents/{one.key}/timeline?limit=200"))["items"]
        assert len([line for line in lines if line["what"] == "note"]) == 1
        for path, count in (("/items", 1), ("/incidents", 2), ("/drills", 1), ("/subscriptions", 1)):
            assert len((await here.get(path))["items"]) == count, path
        with connect(redis_url) as client:
            report = await asyncio.to_thread(audit, client, replay=True)
        assert report.ok, report.lines


async def last_of(here: Town) -> str:
    found: Any = await here.client.xrevrange(keys.JOURNAL, count=1)
    return str(found[0][0].decode())


async def first_after(here: Town, before: str) -> str:
    """Return the first entry after `before` that is no tick."""
    found: Any = await here.client.xrange(keys.JOURNAL, f"({before}")
    return next(str(entry.decode()) for entry, fields in found if fields[b"k"] != b"tick")


async def test_a_repeat_says_that_it_is_one_and_two_at_once_are_done_once(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        (one,) = (await queries.incidents(here.client, queries.IncidentFilter())).items
        path, key, body = f"/incidents/{one.key}/note", {"Idempotency-Key": "k"}, {"text": "deployed"}
        async with here.draining():
            answers = await asyncio.gather(*(here.ask("POST", path, headers=key, json=body) for _ in range(5)))
            assert {status for status, _ in answers} == {200}
            assert len({said["entry"] for _, said in answers}) == 1
            token = {"Authorization": f"Bearer {TOKEN}"}
            async with here.session.post(f"{here.url}/api/v1{path}", json=body, headers={**token, **key}) as answer:
                assert answer.headers["Idempotency-Replayed"] == "true"
            here.clock.now += DAY
            later = await here.ask("POST", path, headers=key, json=body)
            assert later[1]["entry"] != answers[0][1]["entry"], "a name stands for a day"
        lines = (await here.get(f"/incidents/{one.key}/timeline?limit=200"))["items"]
        assert len([line for line in lines if line["what"] == "note"]) == 2
