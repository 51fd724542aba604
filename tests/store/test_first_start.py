"""The first start of all: an alert that waits at the door is decided by the rules of the folder, not by none."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp

from tests.store.desk_support import RULES
from tocsin.serve import Receiver
from tocsin.settings import Address, load
from tocsin.supervisor import listen
from triage.model import Events, RulesLoaded
from triage.store import journal
from triage.store.client import connect


async def test_the_rules_are_in_the_journal_before_the_first_alert(redis_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    for name, text in RULES.items():
        (folder / name).write_text(text)
    given = {"storage_path": str(tmp_path), "rules_path": str(folder), "redis_url": redis_url, "admin_token": "x" * 32}
    listener = listen(Address("127.0.0.1", 0))
    receiver = Receiver(load(given, {}), [])
    await receiver.check_exposure()
    alert = {"title": "Down", "status": "firing", "labels": {"alertname": "Down", "service": "payments"}}
    client = connect(redis_url)
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/events/generic"
        waits = asyncio.create_task(session.post(url, data=json.dumps(alert)))  # before anybody listens
        await asyncio.sleep(0)
        serving = asyncio.create_task(receiver.serve(listener))
        assert (await waits).status == 202
        receiver.stop.set()
        await serving
    entries = [type(entry.body) for entry in journal.read(client, "0-0", 10)]
    client.close()
    assert entries == [RulesLoaded, Events]
