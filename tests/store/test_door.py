"""The door on a real store: what is answered 202 is there, once, and is counted."""

from __future__ import annotations

import redis

from ingest.adapters import load
from tests.unit.ingest.doors import NOW, opened
from triage.model import Events
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
    async with opened(appender, adapters=[load("alertmanager")]) as door:
        async with door.client.post(door.url("/v1/events/alertmanager"), json=ALERT) as answer:
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
