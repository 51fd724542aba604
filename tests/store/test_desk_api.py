"""The REST API over a real store: what it answers, who may ask, and how it says no."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from desk.api import BASE
from desk.application import EVERY_ROUTE
from tests.conftest import running_valkey
from tests.store.desk_support import DOWN, NOW, TOKEN, Town, event, town
from triage.model import DeadLetter, Events
from triage.model.roles import Scope
from triage.store import queries


async def opened(here: Town) -> str:
    """Open one incident; return the six characters that people see."""
    await here.send(DOWN)
    page = await queries.incidents(here.client, queries.IncidentFilter())
    return page.items[0].key[:6]


async def test_an_incident_has_the_promised_fields(redis_url: str) -> None:
    async with town(redis_url, external_url="https://tocsin.example") as here:
        name = await opened(here)
        found = (await here.get("/incidents?open=true"))["items"]
        assert len(found) == 1
        one = found[0]
        assert one["id"] == name == one["key"][:6]
        assert one["severity"] == "P0"
        assert one["phase"] == "detected"
        assert one["service"] == "checkout"
        assert one["alerts"] == {"firing": 1, "stale": 0, "total": 1}
        assert one["opened_at"] == one["changed_at"] == "2026-01-01T00:00:00.000Z"
        assert one["acknowledged_by"] is one["resolved_at"] is one["earlier"] is None
        assert (one["policy"], one["pages"], one["rule"]) == ("default", 1, "checkout down")
        assert one["url"] == f"https://tocsin.example/incidents/{name}"
        whole = await here.get(f"/incidents/{name}")
        assert [line["what"] for line in whole["timeline"]["items"]][-1] == "opened"
        assert whole["alert_page"]["items"][0]["labels"]["service"] == "checkout"


async def test_an_event_is_shown_with_its_decision(redis_url: str) -> None:
    async with town(redis_url) as here:
        body = Events(source="alertmanager", events=[DOWN, event(alertname="Noise", service="x", severity="page")])
        entry = await here.desk.appender.append(body, NOW)
        waiting = await here.get(f"/events?entry={entry}")
        assert waiting["decided"] is False
        assert [one["outcome"] for one in waiting["events"]] == [None, None]
        await here.decide()
        found = await here.get(f"/events?entry={entry}")
        first, second = found["events"]
        assert (found["decided"], found["source"], found["entry"]) == (True, "alertmanager", entry)
        assert (first["status"], first["severity"], first["outcome"], first["reason"]) == (
            "firing",
            "P0",
            "opened",
            "new-group",
        )
        assert (first["rule"], first["fingerprint"]) == ("checkout down", DOWN.fingerprint)
        assert first["incident"] == first["incident_key"][:6]
        assert (second["outcome"], second["incident"], second["raw_severity"]) == ("dropped", None, "page")


async def test_events_can_be_waited_for(redis_url: str) -> None:
    async with town(redis_url) as here:
        entry = await here.desk.appender.append(Events(source="alertmanager", events=[DOWN]), NOW)
        asking = asyncio.create_task(here.get(f"/events?entry={entry}&wait=10"))
        async with here.draining():
            assert (await asking)["decided"] is True


async def test_the_ledger_holds(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN, DOWN, event(alertname="Noise", service="x"))
        await here.desk.appender.append(Events(source="grafana", events=[DOWN]), NOW)
        found = await here.get("/ledger")
        assert found["accepted"] == 4
        assert found["undecided"] == 1
        assert found["outcomes"] == {"opened": 1, "deduplicated": 1, "dropped": 1}
        assert found["accepted"] == sum(found["outcomes"].values()) + found["undecided"]


async def test_commands_say_what_became_of_them(redis_url: str) -> None:
    async with town(redis_url) as here:
        name = await opened(here)
        async with here.draining():
            status, found = await here.ask("POST", f"/incidents/{name}/acknowledge")
            assert (status, found["ending"]) == (200, "done")
            assert (found["incident"]["acknowledged_by"], found["incident"]["phase"]) == ("admin", "triaged")
            status, found = await here.ask("POST", f"/incidents/{name}/note", json={"text": "rolled back"})
            assert status == 200
            status, found = await here.ask("POST", f"/incidents/{name}/resolve", json={})
            assert (status, found["confirm"]) == (409, True)
            assert "1 alert still fires" in found["detail"]
            status, found = await here.ask("POST", f"/incidents/{name}/resolve", json={"confirm": True})
            assert (status, found["incident"]["phase"]) == (200, "resolved")
            status, found = await here.ask("POST", f"/incidents/{name}/acknowledge")
            assert (status, found["type"]) == (409, "urn:tocsin:problem:refused")
            assert "confirm" not in found
        lines = (await here.get(f"/incidents/{name}/timeline"))["items"]
        notes = [(line["by"], line["text"]) for line in lines if line["what"] == "note"]
        assert notes == [("admin", "rolled back")]


async def test_a_command_that_is_not_decided_in_time_says_where_to_look(redis_url: str) -> None:
    async with town(redis_url, answer_wait_s=0.02) as here:
        name = await opened(here)
        status, found = await here.ask("POST", f"/incidents/{name}/acknowledge")
        assert (status, found["ending"]) == (202, "pending")
        look = found["look"].removeprefix(BASE)
        assert "not decided yet" in str(await here.get(look))
        await here.decide()
        assert "done: admin has it" in str(await here.get(look))


@pytest.mark.parametrize("token", [None, "wrong", "", "Ünicode \udcff".encode("utf-8", "replace").decode()])
@pytest.mark.parametrize("open_reads", [True, False])
async def test_every_route_needs_a_token_and_reading_may_be_open_on_loopback(
    redis_url: str, token: str | None, open_reads: bool
) -> None:
    async with town(redis_url, open_reads=open_reads) as here:
        before = await here.client.xlen("{tocsin}:journal")
        for route in EVERY_ROUTE:
            path = re.sub(r"\{\w+\}", "aaaaaa", route.path)
            status, _ = await here.ask(route.method, path, token=token, json={})
            anonymous_read = open_reads and route.needs is Scope.READ and not route.changes and not token
            expected = {200, 400, 404} if anonymous_read else {401, 429}
            assert status in expected, (route, status)
        assert await here.client.xlen("{tocsin}:journal") == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:9911"},
        {"Host": "localhost.evil.example"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
    ],
)
async def test_open_reading_is_for_this_machine_only(redis_url: str, headers: dict[str, str]) -> None:
    async with town(redis_url, open_reads=True) as here:
        assert (await here.ask("GET", "/ledger", token=None))[0] == 200
        assert (await here.ask("GET", "/ledger", token=None, headers={"Host": "localhost:1"}))[0] == 200
        assert (await here.ask("GET", "/ledger", token=None, headers=headers))[0] == 401
        assert (await here.ask("GET", "/ledger", headers=headers))[0] == 200


async def test_guessing_tokens_is_slowed_down_and_a_minute_later_allowed_again(redis_url: str) -> None:
    async with town(redis_url) as here:
        for _ in range(10):
            assert (await here.ask("GET", "/ledger", token="guess"))[0] == 401
        assert (await here.ask("GET", "/ledger", token=TOKEN))[0] == 429
        here.clock.now += 60_001
        assert (await here.ask("GET", "/ledger", token=TOKEN))[0] == 200


FAULTS: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/incidents?sevrity=P0", {}, 400, "sevrity"),
    ("GET", "/incidents?severity=P9", {}, 400, "severity"),
    ("GET", "/incidents?limit=0", {}, 400, "limit"),
    ("GET", "/incidents?limit=100000", {}, 400, "limit"),
    ("GET", "/incidents?after=rubbish", {}, 400, "next"),
    ("GET", "/incidents/zzzzzz", {}, 404, "zzzzzz"),
    ("GET", "/incidents/ab", {}, 404, "first 6 characters"),
    ("GET", "/events", {}, 400, "entry"),
    ("GET", "/events?entry=12", {}, 400, "entry id"),
    ("GET", "/events?entry=12-0", {}, 404, "journal holds no entry"),
    ("GET", "/alerts?label=x", {}, 400, "name=value"),
    ("GET", "/alerts?after=-1", {}, 400, "next"),
    ("GET", "/why?of=", {}, 400, "of"),
    ("GET", "/nowhere", {}, 404, "openapi.json"),
    ("DELETE", "/incidents/zzzzzz", {}, 405, "openapi.json"),
    ("POST", "/incidents/zzzzzz/acknowledge", {"data": "{"}, 415, "application/json"),
    ("POST", "/incidents/zzzzzz/acknowledge", {"json": {"txt": "x"}}, 400, "txt"),
    ("POST", "/incidents/zzzzzz/acknowledge", {"json": []}, 400, "body"),
    ("POST", "/incidents/zzzzzz/note", {"json": {}}, 400, "text"),
    ("POST", "/incidents/zzzzzz/note", {"json": {"text": "x" * 4001}}, 400, "text"),
    ("POST", "/incidents/zzzzzz/note", {"json": {"text": "x" * 530_000}}, 413, "524288"),
    ("POST", "/incidents/zzzzzz/note", {"json": {"text": "x"}}, 404, "zzzzzz"),
]


@pytest.mark.parametrize(("method", "path", "more", "status", "word"), FAULTS)
async def test_bad_requests_are_told_what_is_wrong(
    redis_url: str, method: str, path: str, more: dict[str, Any], status: int, word: str
) -> None:
    async with town(redis_url) as here:
        got, found = await here.ask(method, path, **more)
        assert got == status, found
        assert word in str(found)
        assert found["type"].startswith("urn:tocsin:problem:")
        assert found["status"] == status


async def test_an_ambiguous_beginning_lists_the_candidates(redis_url: str) -> None:
    async with town(redis_url) as here:
        name = await opened(here)
        await here.client.zadd("{tocsin}:incidents:names", {name + "2" * 20: 0})
        status, found = await here.ask("POST", f"/incidents/{name}/acknowledge")
        assert (status, len(found["candidates"])) == (409, 2)


async def test_dead_letters_are_previewed(redis_url: str) -> None:
    async with town(redis_url) as here:
        letter = DeadLetter(source="generic", reason="no JSON", field="body", body=b"\xff<script>" + b"x" * 9_000)
        await here.desk.appender.append(letter, NOW)
        await here.decide()
        found = (await here.get("/dead-letters"))["items"]
        assert [(one["source"], one["reason"], one["field"]) for one in found] == [("generic", "no JSON", "body")]
        assert len(found[0]["preview"]) == 400


async def test_rules_in_force_are_listed_with_the_last_refusal(redis_url: str) -> None:
    async with town(redis_url) as here:
        found = await here.get("/rules")
        assert [one["path"] for one in found["files"]] == ["oncall.yaml", "severity.yaml"]
        assert found["refused"] == []


async def test_a_store_that_is_gone_is_said_to_be_gone() -> None:
    with running_valkey() as server:
        async with town(server.url) as here:
            name = await opened(here)
            server.process.kill()
            server.process.wait()
            for method, path in (("GET", "/incidents"), ("POST", f"/incidents/{name}/acknowledge")):
                status, found = await here.ask(method, path)
                assert (status, found["type"]) == (503, "urn:tocsin:problem:store-unavailable")


async def test_the_document_names_every_route_and_its_shapes_can_be_found(redis_url: str) -> None:
    async with town(redis_url) as here:
        status, document = await here.ask("GET", "/openapi.json", token=None)
        assert (status, document["openapi"]) == (200, "3.1.0")
        served = {
            (route.method, route.resource.canonical)
            for route in here.routes()
            if route.resource is not None and str(route.name or "").startswith("api:")
        }
        described = {(method.upper(), path) for path, one in document["paths"].items() for method in one}
        assert served == described == {(route.method, BASE + route.path) for route in EVERY_ROUTE}
        schemas = document["components"]["schemas"]
        wanted = {text.split('"')[0] for text in str(document).replace("'", '"').split("#/components/schemas/")[1:]}
        assert wanted <= set(schemas)
        names = {one["name"] for one in document["paths"][f"{BASE}/incidents"]["get"]["parameters"]}
        assert names == {"open", "phase", "severity", "service", "q", "limit", "after"}


async def test_answers_have_the_shape_that_the_document_promises(redis_url: str) -> None:
    async with town(redis_url) as here:
        name = await opened(here)
        schemas = (await here.ask("GET", "/openapi.json"))[1]["components"]["schemas"]
        whole = await here.get(f"/incidents/{name}")
        assert set(whole) == set(schemas["IncidentDetail"]["properties"])
        assert set(whole["alert_page"]["items"][0]) == set(schemas["Alert"]["properties"])
        assert set(await here.get("/ledger")) == set(schemas["Ledger"]["properties"])


async def test_a_stream_tells_of_changes_and_ends_with_the_application(redis_url: str) -> None:
    async with town(redis_url) as here:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with here.session.get(f"{here.url}{BASE}/stream", headers=headers) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            assert (await answer.content.readline()).startswith(b"retry:")
            await asyncio.sleep(0.1)  # the first reading of the cursor is nobody's news
            await here.send(DOWN)
            lines = [await asyncio.wait_for(answer.content.readline(), 5) for _ in range(3)]
            assert b"event: changed\n" in lines
            await here.runner.shutdown()
            assert (await asyncio.wait_for(answer.content.read(), 5)).strip() == b""


async def test_streams_are_limited_and_need_somebody(redis_url: str) -> None:
    async with town(redis_url, streams_max=1) as here:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert (await here.ask("GET", "/stream", token=None))[0] == 401
        async with here.session.get(f"{here.url}{BASE}/stream", headers=headers) as first:
            assert first.status == 200
            assert (await here.ask("GET", "/stream"))[0] == 503
