"""Silences over the REST API and on the command line: put, changed, ended, previewed; what a deploy job's token may."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest
from click.testing import CliRunner

from tests.store.desk_support import RULES, TOKEN, Town, event, town
from tocsin.cli import main
from triage.model import HOUR, MINUTE
from triage.rulebook.quiet import Silencer

JOB = "a token for the deploy job of the shop"
OTHER = "a token for another deploy job"
SILENCERS = {
    name: Silencer(name, hashlib.sha256(token.encode()).hexdigest(), 2 * HOUR)
    for name, token in (("deploy-shop", JOB), ("deploy-search", OTHER))
}
SHOP = {"matchers": ['service="checkout"'], "duration": "1h", "comment": "deploy 481"}
QUIET = {
    **RULES,
    "quiet.yaml": """
silences:
  old cluster: {matchers: ['cluster="eu0"'], ends_at: "2026-02-01T00:00:00Z", comment: it is going, by: ada}
""",
}
DOWN = event(alertname="Down", service="checkout", region="eu")


async def put(here: Town, key: str, body: dict[str, Any], token: str = TOKEN) -> tuple[int, Any]:
    return await change(here, "PUT", key, token, json=body)


async def change(here: Town, method: str, key: str, token: str = TOKEN, **more: Any) -> tuple[int, Any]:
    """Ask, and decide meanwhile."""
    async with here.draining():
        return await here.ask(method, f"/silences/{key}", token=token, **more)


async def test_a_silence_is_put_repeated_changed_shown_and_ended(redis_url: str) -> None:
    async with town(redis_url) as here:
        status, done = await put(here, "deploy", SHOP)
        assert (status, done["ending"], done["text"]) == (200, "done", "silence deploy stands for 1h")
        status, done = await put(here, "deploy", SHOP)
        assert (status, done["text"]) == (200, "silence deploy stands already")
        one = await here.get("/silences/deploy")
        assert (one["key"], one["state"], one["by"], one["hits"]) == ("deploy", "active", "admin", 0)
        assert (one["starts_at"], one["ends_at"]) == ("2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00.000Z")
        changed = {"matcher_sets": [['a="b"'], ['c=~"d|e"']], "ends_at": "2026-01-01T04:00:00+02:00", "except": ["P0"]}
        status, done = await put(here, "deploy", {**changed, "annotations": {"ticket": "OPS-1"}})
        assert done["text"] == "silence deploy is changed for 2h"
        one = await here.get("/silences/deploy")
        assert (one["matcher_sets"], one["spares"]) == ([['a="b"'], ['c=~"d|e"']], ["P0"])
        assert (one["annotations"], one["ends_at"]) == ({"ticket": "OPS-1"}, "2026-01-01T02:00:00.000Z")
        status, done = await change(here, "DELETE", "deploy")
        assert (status, done["text"]) == (200, "silence deploy has ended; what it held back is decided again")
        status, done = await change(here, "DELETE", "deploy")
        assert (status, done["text"]) == (200, "silence deploy has ended already")
        one = await here.get("/silences/deploy")
        assert (one["state"], one["ended_by"], one["ended_at"]) == ("ended", "admin", "2026-01-01T00:00:00.000Z")


async def test_what_is_silenced_is_counted_and_told_when_the_silence_is_ended(redis_url: str) -> None:
    async with town(redis_url) as here:
        await put(here, "deploy", SHOP)
        entry = await here.send(DOWN)
        (decided,) = (await here.get(f"/events?entry={entry}"))["events"]
        assert (decided["outcome"], decided["reason"]) == ("silenced", "silenced")
        assert (await here.get("/silences/deploy"))["hits"] == 1
        assert (await here.get("/incidents"))["items"] == []
        await change(here, "DELETE", "deploy")
        await here.decide()
        (opened,) = (await here.get("/incidents"))["items"]
        assert opened["title"] == "checkout is down"
        why = await here.get(f"/why?of={entry}")
        assert "silence “deploy” by admin: deploy 481" in json.dumps(why, ensure_ascii=False)


async def test_silences_are_listed_page_by_page_those_of_the_file_included(redis_url: str) -> None:
    async with town(redis_url) as here:
        assert await here.get("/silences") == {"items": [], "next": None}
        await here.load(QUIET)
        for key in ("b", "a", "gone"):
            await put(here, key, SHOP)
        await put(here, "later", {**SHOP, "starts_at": "2026-01-01T06:00:00Z"})
        await change(here, "DELETE", "gone")
        first = await here.get("/silences?limit=2")
        rest = await here.get(f"/silences?limit=2&after={first['next']}")
        found = first["items"] + rest["items"]
        assert [(one["key"], one["state"]) for one in found] == [
            ("a", "active"),
            ("b", "active"),
            ("file/old cluster", "active"),
            ("later", "pending"),
        ]
        assert (found[2]["by"], found[2]["starts_at"], rest["next"]) == ("ada", None, None)
        every = await here.get("/silences?ended=true")
        assert [one["key"] for one in every["items"] if one["state"] == "ended"] == ["gone"]


async def test_one_that_follows_its_alerts_knows_those_that_fire_already(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        body = {"matchers": ['service="checkout"'], "after_resolve": "10m"}
        _, done = await put(here, "mend", body)
        assert done["text"] == "silence mend stands, until 10m after the last of its alerts resolved"
        await here.send(event("resolved", alertname="Down", service="checkout", region="eu"))
        assert (await here.get("/silences/mend"))["ends_at"] == "2026-01-01T00:10:00.000Z"
        here.clock.now += 11 * MINUTE
        await here.decide()
        assert (await here.get("/silences/mend"))["state"] == "ended"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"duration": "1h"}, "give either matchers or matcher_sets"),
        ({**SHOP, "matcher_sets": [["a=b"]]}, "give either matchers or matcher_sets"),
        ({**SHOP, "ends_at": "2026-01-02T00:00:00Z"}, "give either duration or ends_at"),
        ({"matchers": ['a="b"']}, "a silence needs an end"),
        ({**SHOP, "duration": "soon"}, "duration"),
        ({**SHOP, "duration": "0s"}, "longer than nothing"),
        ({"matchers": ['a="b"'], "ends_at": "tomorrow"}, "write date, time and offset"),
        ({"matchers": ['a="b"'], "ends_at": "2025-12-31T00:00:00Z"}, "ends before it starts"),
        ({**SHOP, "duration": "400d"}, "a year at most"),
        ({**SHOP, "matchers": ['service=~".*"']}, "nearly everything"),
        ({**SHOP, "matchers": ["service"]}, "expected one of"),
        ({**SHOP, "matchers": ['a=~"("']}, "("),
        ({**SHOP, "except": ["P9"]}, "except"),
        ({**SHOP, "matcher": ["a=b"]}, "matcher"),
        ({**SHOP, "annotations": {"a": "x" * 3_000}}, "2000 characters at most"),
    ],
)
async def test_what_cannot_be_a_silence_is_refused_and_says_why(
    redis_url: str, body: dict[str, Any], says: str
) -> None:
    async with town(redis_url) as here:
        for method, path in (("PUT", "/silences/k"), ("POST", "/silences/preview")):
            status, problem = await here.ask(method, path, json=body)
            assert status == 400, problem
            assert says in problem["detail"], problem
        assert await here.get("/silences") == {"items": [], "next": None}


async def test_a_key_that_cannot_be_and_a_silence_that_is_not_there(redis_url: str) -> None:
    async with town(redis_url) as here:
        status, problem = await put(here, "no%20spaces", SHOP)
        assert (status, problem["type"]) == (409, "urn:tocsin:problem:refused")
        assert "letters, digits, dots" in problem["detail"]
        status, problem = await here.ask("GET", "/silences/nothing")
        assert (status, "silence list --all" in problem["detail"]) == (404, True)
        status, problem = await change(here, "DELETE", "nothing")
        assert (status, "those of quiet.yaml are ended there" in problem["detail"]) == (409, True)


async def test_a_preview_says_what_would_be_silenced_now_and_would_have_been(redis_url: str) -> None:
    async with town(redis_url) as here:
        for region in ("eu", "us"):
            await here.send(event(alertname="Down", service="checkout", region=region))
        await here.send(event(alertname="Down", service="checkout", region="eu"))
        await here.send(event("resolved", alertname="Down", service="checkout", region="us"))
        await here.send(event(alertname="Down", service="payments"))
        body = {"matchers": ['service="checkout"'], "duration": "1h"}
        status, found = await here.ask("POST", "/silences/preview", json=body)
        assert status == 200, found
        assert (found["firing"], found["events"], found["alerts"], found["incidents"], found["pages"]) == (
            1,
            3,
            2,
            2,
            2,
        )
        assert [one["title"] for one in found["sample"]] == ["checkout is down"]
        assert (found["complete"], found["since"] is not None) == (True, True)
        status, spared = await here.ask("POST", "/silences/preview", json={**body, "except": ["P0"]})
        assert (spared["firing"], spared["events"], spared["pages"]) == (0, 0, 0)
        assert await here.get("/silences") == {"items": [], "next": None}


# ------------------------------------------------------------------------------------- the token of a deploy job


async def test_a_deploy_job_puts_reads_and_ends_its_own_silences(redis_url: str) -> None:
    async with town(redis_url, silencers=SILENCERS) as here:
        for _ in range(2):
            status, done = await put(here, "deploy-shop", SHOP, JOB)
            assert (status, done["ending"]) == (200, "done"), done
        status, one = await here.ask("GET", "/silences/deploy-shop", token=JOB)
        assert (status, one["by"]) == (200, "deploy-shop")
        status, _ = await change(here, "DELETE", "deploy-shop", token=JOB)
        assert status == 200


async def test_a_deploy_job_may_not_touch_what_is_somebody_elses(redis_url: str) -> None:
    async with town(redis_url, silencers=SILENCERS) as here:
        await put(here, "mine", SHOP, JOB)
        await put(here, "admins", SHOP)
        for key in ("mine", "admins"):
            status, problem = await put(here, key, SHOP, OTHER)
            assert (status, "may change its own only" in problem["detail"]) == (409, True)
            status, _ = await change(here, "DELETE", key, token=OTHER)
            assert status == 409
            status, problem = await here.ask("GET", f"/silences/{key}", token=OTHER)
            assert (status, problem["type"]) == (403, "urn:tocsin:problem:not-yours")
        assert [one["state"] for one in (await here.get("/silences"))["items"]] == ["active", "active"]


async def test_a_deploy_job_may_do_nothing_else(redis_url: str) -> None:
    async with town(redis_url, silencers=SILENCERS, open_reads=False) as here:
        await here.send(DOWN)
        key = (await here.get("/incidents"))["items"][0]["id"]
        routes = [
            ("GET", "/incidents"),
            ("GET", f"/incidents/{key}"),
            ("GET", "/silences"),
            ("GET", "/rules"),
            ("GET", "/ledger"),
            ("POST", "/silences/preview"),
            ("POST", f"/incidents/{key}/acknowledge"),
            ("POST", f"/incidents/{key}/resolve"),
        ]
        for method, path in routes:
            status, _ = await here.ask(method, path, token=JOB)
            assert status == 401, (method, path)
            here.clock.now += 2 * MINUTE  # each was a wrong token
        answer, _ = await here.post("/login", {"token": JOB})
        assert answer.status == 401
        assert (await here.get(f"/incidents/{key}"))["phase"] == "detected"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"duration": "2h"}, 200),
        ({"duration": "2h1m"}, 403),
        ({"ends_at": "2026-01-01T02:00:00Z"}, 200),
        ({"ends_at": "2026-01-01T02:00:01Z"}, 403),
        ({"starts_at": "2026-01-01T01:30:00Z", "duration": "1h"}, 403),
    ],
)
async def test_a_deploy_job_may_silence_so_long_and_no_longer(
    redis_url: str, more: dict[str, str], status: int
) -> None:
    async with town(redis_url, silencers=SILENCERS) as here:
        found, answer = await put(here, "deploy", {"matchers": ['service="checkout"'], **more}, JOB)
        assert found == status, answer
        if status == 403:
            assert answer["detail"] == "the token of deploy-shop may silence for 2h from now at most"


async def test_a_silence_of_a_job_that_follows_its_alerts_ends_by_itself_all_the_same(redis_url: str) -> None:
    async with town(redis_url, silencers=SILENCERS) as here:
        await put(here, "deploy", {"matchers": ['service="checkout"'], "after_resolve": "10m"}, JOB)
        assert (await here.get("/silences/deploy"))["ends_at"] == "2026-01-01T02:00:00.000Z"


async def test_a_stranger_may_not_silence_and_is_slowed_down(redis_url: str) -> None:
    async with town(redis_url, silencers=SILENCERS, open_reads=True) as here:
        status, _ = await here.ask("PUT", "/silences/k", json=SHOP, token=None)
        assert status == 401
        for _ in range(10):
            status, _ = await put(here, "k", SHOP, "guess")
            assert status == 401
        status, _ = await put(here, "k", SHOP, JOB)
        assert status == 429


# -------------------------------------------------------------------------------------------- the command line


async def command(here: Town, *words: str) -> tuple[int, str]:
    env = {"TOCSIN_URL": here.url, "TOCSIN_ADMIN_TOKEN": TOKEN}
    async with here.draining():
        result = await asyncio.to_thread(CliRunner().invoke, main, ["silence", *words], env=env)
    return result.exit_code, result.output


async def test_the_command_line_puts_lists_and_ends(redis_url: str) -> None:
    async with town(redis_url) as here:
        assert (await command(here, "list"))[1].startswith("No silences. `tocsin silence add")
        code, output = await command(
            here, "add", "--key", "db", "DiskFull", 'instance=~"db.*"', "-d", "2h", "-c", "move"
        )
        assert (code, output) == (0, "db\nsilence db stands for 2h\n")
        code, output = await command(here, "add", "service=a", "--or", "service=b,env=dev", "--except", "P0")
        assert code == 0, output
        made = output.splitlines()[0]
        one = await here.get(f"/silences/{made}")
        assert (one["matcher_sets"], one["spares"]) == ([["service=a"], ["service=b,env=dev"]], ["P0"])
        assert one["ends_at"] == "2026-01-01T01:00:00.000Z"
        code, output = await command(here, "list")
        rows = [" ".join(line.split()) for line in output.splitlines()]
        assert rows[0] == "key state ends hits by what comment"
        assert 'db active 2026-01-01 02:00 0 admin alertname="DiskFull", instance=~"db.*" move' in rows
        assert await command(here, "expire", "db", made) == (
            0,
            f"silence db has ended; what it held back is decided again\n"
            f"silence {made} has ended; what it held back is decided again\n",
        )
        code, output = await command(here, "list", "--all", "-o", "json")
        assert {one["state"] for one in json.loads(output)} == {"ended"}


async def test_the_command_line_previews(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        code, output = await command(here, "preview", "service=checkout")
        assert code == 0, output
        first, second, third = output.splitlines()
        assert first == "1 alerts fire now that it would silence."
        assert second.endswith("checkout is down") and "P0" in second
        assert third.endswith(": 1 events of 1 alerts, 1 incidents, which paged 1 times.")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("add", "a=b", "-d", "1h", "--end", "2026-01-02T00:00:00Z"), 2, "Give either -d or --end."),
        (("add", "a=b", "-a", "ticket"), 2, "An annotation is written NAME=VALUE."),
        (("add",), 2, "Missing argument"),
        (("add", "a=b", "-d", "soon"), 1, "duration"),
        (("add", "a=~(", "-d", "1h"), 1, "("),
        (("expire", "nothing"), 1, "there is no silence nothing"),
    ],
)
async def test_what_the_command_line_cannot_do_it_explains(
    redis_url: str, words: tuple[str, ...], code: int, says: str
) -> None:
    async with town(redis_url) as here:
        found, output = await command(here, *words)
        assert (found, says in output) == (code, True), output
