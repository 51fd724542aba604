"""Verified before it resolves: the real desk, store and worker, and a service that is well again late."""

from __future__ import annotations

import asyncio

import msgspec

from tests.store.desk_support import DOWN, RULES, town
from tests.unit.workers.http_server import Provider, serving
from triage.model import HOUR, MINUTE, Status
from triage.store import keys
from triage.store.audit import audit
from triage.store.client import connect
from workers.outbound import allow
from workers.reader import Reader

SERVICES = 'services: {{checkout: {{verify: [{{http: "http://127.0.0.1:{port}/health", after: 1m, within: 1m}}]}}}}'


async def test_what_fails_keeps_it_open_until_it_passes_or_a_person_means_it(redis_url: str) -> None:
    allow(["127.0.0.0/8"])
    service, client = Provider(status=503), connect(redis_url)
    try:
        with serving(service) as port:
            async with town(redis_url) as here:
                await here.load({**RULES, "services.yaml": SERVICES.format(port=port)})
                await here.send(DOWN)
                await here.send(msgspec.structs.replace(DOWN, status=Status.RESOLVED))
                reader = Reader(client, here.clock, lambda _: None)

                async def later(span: int) -> str:
                    here.clock.now += span
                    await here.decide()
                    async with here.draining():
                        while await asyncio.to_thread(reader.begin):
                            await asyncio.to_thread(reader.settle)
                    (incident,) = (await here.get("/incidents"))["items"]
                    return str(incident["phase"])

                assert await later(MINUTE) == "monitoring"
                assert await later(HOUR) == "monitoring"
                (incident,) = (await here.get("/incidents"))["items"]
                async with here.draining():
                    status, asked = await here.ask("POST", f"/incidents/{incident['id']}/resolve", json={})
                assert (status, asked["confirm"], "HTTP 503" in asked["detail"]) == (409, True, True)
                detail = await here.get(f"/incidents/{incident['id']}")
                assert detail["verification"] == "fails, so it does not resolve by itself: HTTP 503"
                await here.sign_in()
                assert detail["verification"] in (await here.view(f"/incidents/{incident['id']}"))[1]
                service.status = 204
                assert await later(HOUR) == "resolved"
                lines = (await here.get(f"/incidents/{incident['id']}/timeline"))["items"]
                said = [line["text"] for line in lines if line["what"] in ("verification", "resolved")]
                assert said[:2] == ["quiet for its settle time, and verified", "it passes: HTTP 204"]
                assert (await here.get(f"/incidents/{incident['id']}"))["verification"] == ""
                assert client.zcard(keys.VERIFICATIONS) == 0
                report = audit(client, replay=True)
                assert report.ok, report.lines
    finally:
        client.close()
        allow([])
