"""Status updates over the API and in the view: seen before they are sent, and the promise shown everywhere."""

from __future__ import annotations

from tests.store.desk_support import DOWN, Town, town
from triage.model import MINUTE
from triage.store import queries


async def opened(here: Town) -> str:
    """Let an alert fire; return the incident's six characters."""
    await here.send(DOWN)
    return (await queries.incidents(here.client, queries.IncidentFilter())).items[0].key[:6]


async def test_the_preview_is_what_is_sent(redis_url: str) -> None:
    async with town(redis_url) as here:
        ref = await opened(here)
        body = {"status": "identified", "audience": "company", "text": "Rolling back.", "title": "Checkout is down"}
        async with here.draining():
            status, found = await here.ask("POST", f"/incidents/{ref}/update", json=body)
            assert (status, found["confirm"]) == (409, True)
            assert "[INCIDENT] Checkout is down\nStatus: Identified" in found["detail"]
            assert "Rolling back." in found["detail"]
            assert (await here.get(f"/incidents/{ref}/updates")) == {"items": [], "total": 0}
            status, found = await here.ask("POST", f"/incidents/{ref}/update", json={**body, "confirm": True})
        assert status == 200
        assert found["text"].startswith("sent to 0 places; the next one is due in ")
        shown = await here.get(f"/incidents/{ref}")
        (one,) = (await here.get(f"/incidents/{ref}/updates"))["items"]
        assert (one["text"], one["status"], one["next_at"]) == ("Rolling back.", "identified", shown["next_update"])
        await here.sign_in()
        _, text = await here.view(f"/incidents/{ref}")
        assert 'id="next-update"' in text
        assert "Rolling back." in text
        _, board = await here.view("/")
        assert '<span class="promised">next update <time' in board
        here.clock.now += 90 * MINUTE
        for where in ("/", f"/incidents/{ref}"):
            _, text = await here.view(where)
            assert '<span class="promised overdue">update overdue since <time' in text


async def test_what_cannot_be_said_is_refused_with_its_field(redis_url: str) -> None:
    async with town(redis_url) as here:
        ref = await opened(here)
        async with here.draining():
            for body, field in (
                ({"status": "fine", "text": "x"}, "status"),
                ({"status": "resolved", "text": ""}, "text"),
                ({"status": "resolved", "text": "x", "next": "soon"}, "next"),
                ({"status": "resolved", "text": "x", "audience": "world"}, "audience"),
            ):
                status, found = await here.ask("POST", f"/incidents/{ref}/update", json=body)
                assert (status, found["errors"][0]["field"]) == (400, field)
            asked = {"status": "monitoring", "text": "x", "next": "1m", "confirm": True}
            status, found = await here.ask("POST", f"/incidents/{ref}/update", json=asked)
            assert status == 409
            assert "more than 10 minutes" in found["detail"]
