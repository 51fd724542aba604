"""People's verbs as the API and the views take them: whom, for how long, and what is said when it cannot be."""

from __future__ import annotations

from tests.store.desk_support import DOWN, Town, town
from triage.store import queries


async def opened(here: Town) -> str:
    """Let an alert fire; return the incident's six characters."""
    await here.send(DOWN)
    return (await queries.incidents(here.client, queries.IncidentFilter())).items[0].key[:6]


async def test_the_api_takes_every_verb(redis_url: str) -> None:
    async with town(redis_url) as here:
        ref = await opened(here)
        asked = [
            ("snooze", {"duration": "30m"}, "admin has it for 30m; then it pages again"),
            ("unacknowledge", {}, "nobody has it now; paging begins again at step 1"),
            ("assign", {"person": "ada", "text": "yours"}, "ada is paged; nobody has it until they take it"),
            ("escalate", {}, "the next step is being paged already"),
            ("page", {"person": "ada"}, "ada is paged"),
        ]
        async with here.draining():
            for verb, body, said in asked:
                status, found = await here.ask("POST", f"/incidents/{ref}/{verb}", json=body)
                assert (status, found["text"]) in ((200, said), (200, "the next step is paged now")), (verb, found)
        shown = await here.get(f"/incidents/{ref}")
        assert shown["responders"] == ["admin", "ada"]
        assert (shown["snoozed_until"], shown["acknowledged_by"]) == (None, None)


async def test_a_snooze_is_shown_with_its_end(redis_url: str) -> None:
    async with town(redis_url) as here:
        ref = await opened(here)
        async with here.draining():
            _, found = await here.ask("POST", f"/incidents/{ref}/snooze", json={"duration": "1h"})
        assert found["incident"]["snoozed_until"] == "2026-01-01T01:00:00.000Z"
        await here.sign_in()
        _, text = await here.view(f"/incidents/{ref}")
        assert "snoozed until 2026-01-01 01:00:00 UTC" in text


async def test_what_cannot_be_is_said_with_the_field(redis_url: str) -> None:
    async with town(redis_url) as here:
        ref = await opened(here)
        async with here.draining():
            status, found = await here.ask("POST", f"/incidents/{ref}/snooze", json={"duration": "soon"})
            assert (status, found["errors"][0]["field"]) == (400, "duration")
            status, found = await here.ask("POST", f"/incidents/{ref}/assign", json={})
            assert (status, found["errors"][0]["field"]) == (400, "person")
            status, found = await here.ask("POST", f"/incidents/{ref}/page", json={"person": "bob"})
            assert (status, found["detail"]) == (409, "oncall.yaml knows nobody called “bob”; there are ada")
            status, found = await here.ask("POST", f"/incidents/{ref}/unacknowledge", json={})
            assert (status, found["detail"]) == (409, "nobody has it")


async def test_the_buttons_of_the_view(redis_url: str) -> None:
    async with town(redis_url) as here:
        ref = await opened(here)
        await here.sign_in()
        fields = {"csrf": here.csrf}
        async with here.draining():
            for verb, more in (("snooze", {"duration": "2h"}), ("unacknowledge", {}), ("assign", {"person": "ada"})):
                answer, _ = await here.post(f"/incidents/{ref}/{verb}", {**fields, **more})
                assert (answer.status, answer.headers["Location"]) == (303, f"/incidents/{ref}?done={verb}")
            answer, text = await here.post(f"/incidents/{ref}/snooze", {**fields, "duration": "x"})
            assert answer.status == 400
            assert "is no duration" in text
            answer, _ = await here.post(f"/incidents/{ref}/mistap", fields)
            assert answer.status == 404
        _, text = await here.view(f"/incidents/{ref}")
        assert "<option>ada</option>" in text
