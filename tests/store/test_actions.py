"""Actions from the button to what comes of them: the real desk, store and worker, and a server that counts calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.store.desk_support import DOWN, RULES, TOKEN, Town, town
from tests.unit.workers.http_server import Provider, serving
from tocsin.cli import main
from triage.model import MINUTE, Incident
from triage.store import actions, queries
from triage.store.client import connect
from workers.actor import Actor
from workers.outbound import allow

ACTIONS = """
actions:
  rollback:
    title: Roll back
    services: [checkout]
    parameters:
      version: {{pattern: 'v[0-9]+', description: "Version"}}
      hard: {{type: boolean, default: "false"}}
    request:
      url: "http://127.0.0.1:{port}/rollback/{{service}}"
      headers: {{Authorization: "Bearer ${{TOKEN}}"}}
      json: {{to: "{{version}}", hard: "{{hard}}", why: "{{title}}"}}
    verify: {{http: "http://127.0.0.1:{port}/health", after: 1m}}
  other: {{title: Other, services: [payments], request: {{url: "http://127.0.0.1:{port}/other"}}}}
"""
SECRETS = {"TOKEN": "deploy-token-1234"}


@dataclass
class Yard:
    """A town with a place that does what it is told."""

    here: Town
    service: Provider
    actor: Actor

    async def act(self) -> None:
        """Let the worker do what is asked for, and triage hear of it."""
        async with self.here.draining():
            while await asyncio.to_thread(self.actor.begin):
                await asyncio.to_thread(self.actor.settle)

    async def ask(self, **body: Any) -> tuple[int, Any]:
        async with self.here.draining():
            key = (await self.incident()).key
            return await self.here.ask("POST", f"/incidents/{key}/action", json={"action": "rollback", **body})

    async def incident(self) -> Incident:
        return (await queries.incidents(self.here.client, queries.IncidentFilter())).items[0]

    async def runs(self) -> list[dict[str, Any]]:
        found = await self.here.get(f"/incidents/{(await self.incident()).key}/runs")
        return list(found["items"])

    async def lines(self) -> list[str]:
        found = await queries.timeline(self.here.client, (await self.incident()).key)
        return [line.text for line in found.items if line.what == "action"]


@asynccontextmanager
async def yard(redis_url: str) -> AsyncIterator[Yard]:
    allow(["127.0.0.0/8"])
    service = Provider(status=200, body=b"rolled back")
    try:
        with serving(service) as port:
            async with town(redis_url) as here:
                await here.load({**RULES, "actions.yaml": ACTIONS.format(port=port)})
                await here.send(DOWN)
                client = connect(redis_url)
                yield Yard(here, service, Actor(client, here.clock, SECRETS.get))
                client.close()
    finally:
        allow([])


async def test_an_action_is_asked_back_then_run_once_and_seen_to_help(redis_url: str) -> None:
    async with yard(redis_url) as one:
        status, asked = await one.ask(parameters={"version": "v41"})
        assert (status, asked["confirm"]) == (409, True)
        assert "deploy-token" not in asked["detail"]
        await one.act()
        assert one.service.got == []
        status, done = await one.ask(parameters={"version": "v41"}, confirm=True)
        assert (status, done["ending"]) == (200, "done")
        await one.act()
        await one.act()
        [(path, headers, body)] = one.service.got
        assert (path, headers["authorization"]) == ("/rollback/checkout", "Bearer deploy-token-1234")
        assert json.loads(body) == {"to": "v41", "hard": False, "why": "checkout is down"}
        [run] = await one.runs()
        assert (run["state"], run["output"], run["helped"]) == ("done", "HTTP 200: rolled back", None)
        one.here.clock.now += MINUTE
        await one.here.decide()
        await one.act()
        assert (await one.runs())[0]["helped"] is True
        assert [path for path, _, _ in one.service.got] == ["/rollback/checkout", "/health"], "looking is no second run"
        assert (await one.lines())[0] == "rollback helped: HTTP 200"


async def test_a_dry_run_and_a_value_out_of_bounds_send_nothing(redis_url: str) -> None:
    async with yard(redis_url) as one:
        status, dry = await one.ask(parameters={"version": "v41"}, dry_run=True, confirm=True)
        assert (status, "nothing was sent" in dry["text"]) == (200, True)
        assert (await one.ask(parameters={"version": "main"}, confirm=True))[0] == 409
        assert (await one.ask(parameters={"version": "v1", "x": "1"}, confirm=True))[0] == 409
        assert (await one.ask(parameters={}, confirm=True))[0] == 409
        await one.act()
        assert (one.service.got, await one.runs()) == ([], [])


async def test_two_people_at_once_and_two_workers_make_one_call(redis_url: str) -> None:
    async with yard(redis_url) as one:
        body = {"action": "rollback", "parameters": {"version": "v41"}, "confirm": True}
        key = (await one.incident()).key
        async with one.here.draining():
            both = [one.here.ask("POST", f"/incidents/{key}/action", json=body) for _ in range(2)]
            answers = await asyncio.gather(*both)
        assert sorted(status for status, _ in answers) == [200, 409]
        other = Actor(connect(redis_url), one.here.clock, SECRETS.get)
        async with one.here.draining():
            await asyncio.gather(*(asyncio.to_thread(actor.begin) for actor in (one.actor, other)))
            await asyncio.gather(*(asyncio.to_thread(actor.settle) for actor in (one.actor, other)))
        assert len(one.service.got) == 1


async def test_without_their_courtesy_two_workers_still_make_one_call(redis_url: str) -> None:
    async with yard(redis_url) as one:
        await one.ask(parameters={"version": "v41"}, confirm=True)
        client = connect(redis_url)
        [run] = actions.waiting(client)
        other = Actor(client, one.here.clock, SECRETS.get)
        async with one.here.draining():
            await asyncio.gather(
                asyncio.to_thread(one.actor._act, run, "first"), asyncio.to_thread(other._act, run, "second")
            )
        client.close()
        assert len(one.service.got) == 1
        assert (await one.runs())[0]["state"] == "done"


async def test_what_triage_does_not_come_to_in_time_is_not_sent_and_not_unknown(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with yard(redis_url) as one:
        await one.ask(parameters={"version": "v41"}, confirm=True)
        monkeypatch.setattr("workers.actor.DECIDED_S", 0.05)
        for _ in range(2):
            assert await asyncio.to_thread(one.actor.begin) == 1
            await asyncio.to_thread(one.actor.settle)
        await one.here.decide()
        assert one.service.got == []
        [run] = await one.runs()
        assert (run["state"], run["output"]) == ("failed", "not sent: triage did not come to it in time")


async def test_the_view_has_a_form_for_what_fits_and_shows_what_was_run(redis_url: str) -> None:
    async with yard(redis_url) as one:
        await one.here.sign_in()
        path = f"/incidents/{(await one.incident()).key[:6]}"
        _, text = await one.here.view(path)
        assert 'name="p.version"' in text
        assert "Roll back" in text
        assert ">Other<" not in text
        fields = {"csrf": one.here.csrf, "action": "rollback", "p.version": "v41", "p.hard": "true"}
        async with one.here.draining():
            answer, text = await one.here.post(f"{path}/action", {**fields, "dry_run": "true"})
            assert (answer.status, "nothing was sent; it would be: POST" in text) == (200, True)
            answer, text = await one.here.post(f"{path}/action", fields)
            assert (answer.status, 'name="p.version" value="v41"' in text) == (409, True)
            answer, _ = await one.here.post(f"{path}/action", {**fields, "confirm": "yes"})
            assert answer.status == 303
            noted, _ = await one.here.post(
                f"{path}/mitigation", {"csrf": one.here.csrf, "what": "hotfix", "version": "v42"}
            )
            assert noted.status == 303
        await one.act()
        assert json.loads(one.service.got[0][2])["hard"] is True
        _, text = await one.here.view(path)
        assert "HTTP 200: rolled back" in text
        assert "hotfix version v42" in text


async def test_the_actions_are_listed(redis_url: str) -> None:
    async with yard(redis_url) as one:
        items = (await one.here.get("/actions"))["items"]
        assert [item["name"] for item in items] == ["other", "rollback"]
        assert [parameter["name"] for parameter in items[1]["parameters"]] == ["version", "hard"]
        assert "deploy-token" not in str(items)


async def test_the_command_line_asks_runs_and_lists(redis_url: str, tmp_path: Path) -> None:
    async with yard(redis_url) as one:
        key = (await one.incident()).key[:6]
        reach = ["--url", one.here.url, "--admin.token", TOKEN, "--storage.path", str(tmp_path)]

        async def tocsin(*words: str) -> tuple[int, str]:
            async with one.here.draining():
                found = await asyncio.to_thread(CliRunner().invoke, main, ["incident", *words, *reach])
            return found.exit_code, found.output

        asked = await tocsin("action", key, "rollback", "-p", "version=v41")
        assert (asked[0], "Run it now?" in asked[1]) == (1, True)
        assert "nothing was sent" in (await tocsin("action", key, "rollback", "-p", "version=v41", "--dry-run"))[1]
        assert (await tocsin("action", key, "rollback", "-p", "version"))[0] == 2
        assert (await tocsin("action", key, "rollback", "-p", "version=v41", "--confirm"))[0] == 0
        await one.act()
        assert len(one.service.got) == 1
        _, listed = await tocsin("action", key)
        assert "rollback" in listed
        assert "done (admin)" in listed
        assert "HTTP 200: rolled back" in listed
        assert (await tocsin("mitigation", key, "hotfix", "--commit", "1f2e3d4", "--pr", "812"))[0] == 0
        found = await queries.timeline(one.here.client, (await one.incident()).key)
        assert "hotfix commit 1f2e3d4, pr 812" in [line.text for line in found.items]


async def test_in_shadow_nothing_is_sent_whoever_is_asked(redis_url: str) -> None:
    async with yard(redis_url) as one:
        body = {"parameters": {"version": "v41"}, "confirm": True}
        loud, one.here.desk.settings = one.here.desk.settings, replace(one.here.desk.settings, shadow=True)
        status, refused = await one.ask(**body)
        assert (status, "paging is in shadow" in refused["detail"]) == (409, True)
        assert (await one.ask(**body, dry_run=True))[0] == 200
        one.here.desk.settings = loud
        assert (await one.ask(**body))[0] == 200
        one.actor = Actor(connect(redis_url), one.here.clock, SECRETS.get, shadow=True)
        await one.act()
        [run] = await one.runs()
        assert (run["state"], one.service.got) == ("failed", [])
        assert "--paging=shadow" in run["output"]
