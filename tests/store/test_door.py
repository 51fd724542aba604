"""The door on a real store: what is answered 202 is there, once, and is counted."""

from __future__ import annotations

import asyncio
import signal

import redis

from ingest.adapters import load
from tests.conftest import running_valkey
from tests.unit.ingest.doors import NOW, Opened, opened
from triage.model import DeadLetter, Events
from triage.store import journal, keys
from triage.store.appender import Appender

ALERT = {
    "version": "4",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "DiskFull", "severity": "critical"},
            "annotations": {"summary": "the disk is full"},
            "startsAt": "2026-11-24T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
        }
    ],
}


async def test_an_accepted_webhook_is_in_the_journal_and_counted(redis_url: str) -> None:
    appender = Appender(redis_url)
    await appender.start()
    async with (
        opened(appender, adapters=[load("alertmanager")]) as door,
        door.client.post(door.url("/v1/events/alertmanager"), json=ALERT) as answer,
    ):
        assert answer.status == 202, await answer.text()
        said = await answer.json()
    await appender.close()
    assert said.keys() == {"accepted", "rejected", "entry"}
    assert (said["accepted"], said["rejected"]) == (1, 0)
    with redis.Redis.from_url(redis_url) as client:
        [(entry_id, raw)] = client.xrange(keys.JOURNAL)
        entry = journal.decode(entry_id, raw)
        assert client.get(keys.ACCEPTED) == b"1"
    assert entry.id == said["entry"]
    assert entry.at == NOW
    assert isinstance(entry.body, Events)
    assert entry.body.source == "alertmanager"
    assert entry.body.events[0].labels["alertname"] == "DiskFull"


BODY = {"alerts": [{"title": "disk full"}]}


async def post_many(door: Opened, count: int) -> list[tuple[int, dict[str, object]]]:
    async def post() -> tuple[int, dict[str, object]]:
        async with door.client.post(door.url("/v1/events/plain"), json=BODY) as answer:
            if answer.status == 503:
                assert "Retry-After" in answer.headers
            return answer.status, await answer.json()

    return list(await asyncio.gather(*[post() for _ in range(count)]))


async def test_each_of_many_senders_hears_of_its_own_entry(redis_url: str) -> None:
    appender = Appender(redis_url)
    await appender.start()
    async with opened(appender) as door:
        answers = await post_many(door, 80)
    await appender.close()
    assert {status for status, _ in answers} == {202}
    with redis.Redis.from_url(redis_url) as client:
        ids = {entry_id.decode() for entry_id, _ in client.xrange(keys.JOURNAL)}
        assert client.get(keys.ACCEPTED) == b"80"
    assert {said["entry"] for _, said in answers} == ids
    assert len(ids) == 80


async def test_a_store_that_hangs_is_a_503_for_all_that_wait_and_what_was_202_is_there() -> None:
    with running_valkey() as server:
        appender = Appender(server.url, timeout_s=0.5)
        await appender.start()
        async with opened(appender) as door:
            [(first, said)] = await post_many(door, 1)
            server.process.send_signal(signal.SIGSTOP)
            try:
                async with asyncio.timeout(3):
                    answers = await post_many(door, 30)
            finally:
                server.process.send_signal(signal.SIGCONT)
            [(last, said_last)] = await post_many(door, 1)
        await appender.close()
        assert {status for status, _ in answers} == {503}
        assert (first, last) == (202, 202)
        with redis.Redis.from_url(server.url) as client:
            ids = [entry_id.decode() for entry_id, _ in client.xrange(keys.JOURNAL)]
            assert client.get(keys.ACCEPTED) == b"%d" % len(ids)
        assert {said["entry"], said_last["entry"]} <= set(ids)


async def test_a_store_that_is_not_there_is_a_503_until_it_comes() -> None:
    with running_valkey() as server:
        server.process.kill()
        server.process.wait()
        appender = Appender(server.url)
        await appender.start()
        async with opened(appender) as door:
            [(status, said)] = await post_many(door, 1)
            assert status == 503
            assert "store" in str(said["detail"])
            with running_valkey(directory=server.directory):
                [(status, _)] = await post_many(door, 1)
                assert status == 202
        await appender.close()


async def test_the_refused_items_of_a_body_are_a_dead_letter_beside_its_entry(redis_url: str) -> None:
    appender = Appender(redis_url)
    await appender.start()
    async with (
        opened(appender) as door,
        door.client.post(door.url("/v1/events/plain"), json={"alerts": [{"title": "good"}, {}]}) as answer,
    ):
        said = await answer.json()
    await appender.close()
    with redis.Redis.from_url(redis_url) as client:
        entries = [journal.decode(entry_id, raw) for entry_id, raw in client.xrange(keys.JOURNAL)]
        assert client.get(keys.ACCEPTED) == b"1"
    assert [type(entry.body) for entry in entries] == [Events, DeadLetter]
    assert entries[0].id == said["entry"]
