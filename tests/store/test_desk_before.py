"""What changed and what was seen before: over the API, in the view, and on the command line."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from click.testing import CliRunner

from tests.store.desk_support import DOWN, RULES, TOKEN, Town, event, town
from tocsin.cli import main
from triage.model import HOUR, MINUTE, Change, ChangesTold, Status

SERVICES = {**RULES, "services.yaml": "services: {checkout: {depends_on: [payments]}, payments: {}}"}


async def told(here: Town, service: str, version: str, **more: Any) -> None:
    body = ChangesTold("ci", [Change(service, "deploy", more.pop("summary", ""), version, **more)])
    await here.desk.appender.append(body, here.clock())
    await here.decide()


async def opened(here: Town) -> str:
    found = await here.get("/incidents?limit=1")
    return str(found["items"][0]["id"])


async def command(here: Town, *words: str) -> tuple[int, str]:
    env = {"TOCSIN_URL": here.url, "TOCSIN_ADMIN_TOKEN": TOKEN}
    result = await asyncio.to_thread(CliRunner().invoke, main, list(words), env=env)
    return result.exit_code, result.output


async def deploys_and_an_outage(here: Town) -> str:
    """One good version, a bad one, a change elsewhere, then the outage."""
    await here.load(SERVICES)
    await told(here, "checkout", "4.18.1")
    here.clock.now += 25 * HOUR
    await told(here, "payments", "7")
    here.clock.now += 20 * MINUTE
    await told(here, "checkout", "4.18.2", summary="<b>fix</b>", by="mira", url="https://ci.example/881")
    await told(here, "search", "1")
    here.clock.now += 7 * MINUTE
    await here.send(DOWN)
    here.clock.now += 5 * MINUTE
    await told(here, "checkout", "4.18.3")
    return await opened(here)


async def test_the_api_says_what_changed_nearest_first_and_what_to_go_back_to(redis_url: str) -> None:
    async with town(redis_url) as here:
        key = await deploys_and_an_outage(here)
        found = await here.get(f"/incidents/{key}/before")
        assert [(one["service"], one["version"], one["minutes_before"]) for one in found["changes"]] == [
            ("checkout", "4.18.3", -5),
            ("checkout", "4.18.2", 7),
            ("payments", "7", 27),
        ]
        assert found["stands"]["running"]["version"] == "4.18.3"
        assert found["stands"]["last_known_good"]["version"] == "4.18.1"
        assert (await here.get(f"/incidents/{key}"))["changed"] == "deploy of checkout 4.18.2: <b>fix</b>, 7 min before"


async def test_what_changed_lately_of_all_and_of_one_service(redis_url: str) -> None:
    async with town(redis_url) as here:
        assert await here.get("/changes") == {"items": [], "stands": None}
        await deploys_and_an_outage(here)
        every = await here.get("/changes?limit=3")
        assert [one["service"] for one in every["items"]] == ["checkout", "checkout", "search"]
        one = await here.get("/changes?service=payments")
        assert [change["version"] for change in one["items"]] == ["7"]
        assert (one["stands"]["running"]["version"], one["stands"]["last_known_good"]) == ("7", None)
        assert (await here.get("/changes?service=unheard"))["stands"] == {"running": None, "last_known_good": None}


async def test_earlier_incidents_say_how_they_ended_those_that_share_most_first(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        first = await opened(here)
        here.clock.now += MINUTE
        await here.send(event(alertname="Slow", service="checkout", severity="warning"))
        slow = await opened(here)
        here.clock.now += MINUTE
        await here.send(event(alertname="Down", service="payments"))
        async with here.draining():
            for key, text in ((first, "rolled back to 4.18.1"), (slow, "")):
                body = {"text": text, "confirm": True}
                status, _ = await here.ask("POST", f"/incidents/{key}/resolve", json=body)
                assert status == 200
        await here.send(event("resolved", alertname="Down", service="checkout", region="eu", instance="a"))
        here.clock.now += 2 * HOUR
        await here.decide()
        await here.send(DOWN)
        again = await opened(here)
        assert again != first
        found = (await here.get(f"/incidents/{again}/before"))["seen"]
        assert [(one["id"], one["shares"]) for one in found] == [(first, "alert"), (slow, "service")]
        assert (found[0]["resolved_by"], "rolled back to 4.18.1" in found[0]["ended"]) == ("admin", True)
        assert (await here.get(f"/incidents/{first}/before"))["seen"] == []


async def test_the_view_shows_both_and_no_markup_of_a_deploy_job(redis_url: str) -> None:
    async with town(redis_url) as here:
        key = await deploys_and_an_outage(here)
        await here.sign_in()
        _, text = await here.view(f"/incidents/{key}")
        section = text.partition('<section id="before"')[2].partition("</section>")[0]
        assert "deploy of checkout 4.18.2: &lt;b&gt;fix&lt;/b&gt;" in section
        assert 'href="https://ci.example/881"' in section
        assert "7 min before" in section and "5 min after it began" in section
        assert "4.18.1 is the last known good" in section
        assert "Nothing like it." in section


async def test_the_command_line_says_both(redis_url: str) -> None:
    async with town(redis_url) as here:
        code, output = await command(here, "changes")
        assert (code, output.startswith("Nothing changed that was told")) == (0, True)
        key = await deploys_and_an_outage(here)
        code, output = await command(here, "incident", "before", key)
        assert code == 0, output
        assert "  7 min before       deploy of checkout 4.18.2: <b>fix</b> (mira)" in output.splitlines()
        assert "  4.18.1 is the last known good, of 2026-01-01 00:00:00 UTC" in output
        assert output.splitlines()[-1] == "  nothing like it"
        code, output = await command(here, "changes", "checkout")
        assert (code, len(output.splitlines())) == (0, 5), output


async def test_why_says_what_an_entry_told(redis_url: str) -> None:
    async with town(redis_url) as here:
        body = ChangesTold("ci", [Change("checkout", "deploy", "fix", "4.18.2")])
        entry = await here.desk.appender.append(body, here.clock())
        await here.decide()
        (section,) = (await here.get(f"/why?of={entry}"))["sections"]
        assert {"name": "checkout", "text": "deploy 4.18.2 fix"} in section["facts"]


async def test_an_item_that_was_done_is_offered_with_the_next_incident_and_opened_again_by_one_press(
    redis_url: str,
) -> None:
    async with town(redis_url) as here:
        await here.load(SERVICES)
        await here.send(DOWN)
        before = await opened(here)
        async with here.draining():
            for path, body in (
                ("resolve", {"confirm": True}),
                ("item", {"text": "Alert on <b>queues</b>", "person": "ada", "state": "done"}),
                ("item", {"text": "Buy a disk", "person": "ada", "due": "1d"}),
            ):
                assert (await here.ask("POST", f"/incidents/{before}/{path}", json=body))[0] == 200
        await here.send(msgspec.structs.replace(DOWN, status=Status.RESOLVED))
        here.clock.now += 2 * HOUR
        await here.send(msgspec.structs.replace(DOWN, starts_at=here.clock.now))
        new = await opened(here)
        assert (await here.get(f"/incidents/{new}"))["still_open"].startswith("Buy a disk (ada, due 2026-01-02; from")
        found = (await here.get(f"/incidents/{new}/before"))["items"]
        assert [(one["incident"], one["state"], one["recurred"]) for one in found] == [
            (before, "open", 1),
            (before, "done", 0),
        ]
        code, text = await command(here, "incident", "before", new)
        assert f"do it again: tocsin incident item {before} --id {found[1]['id']} --state open" in text, code
        await here.sign_in()
        _, text = await here.view(f"/incidents/{new}")
        assert "Alert on &lt;b&gt;queues" in text
        async with here.draining():
            fields = {"csrf": here.csrf, "id": found[1]["id"], "state": "open", "other": found[1]["incident"]}
            answer, text = await here.post(f"/incidents/{before}/item", fields)
            assert answer.status == 303, text
        _, listed = await command(here, "postmortems")
        assert "came back 1×  Alert on <b>queues" in listed
