"""Drills and the shadow as people meet them: asked for over the API, answered by the link of the page, listed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from tests.store.desk_support import DOWN, RULES, TOKEN, Town, town
from tocsin.cli import main
from triage.model import rules_digest
from triage.store.audit import audit
from triage.store.client import connect
from workers import channel
from workers.deliver import Deliver

SECRET = b"a secret that signs"


def files(pages: Path) -> dict[str, str]:
    return {**RULES, "oncall.yaml": RULES["oncall.yaml"].replace("terminal://", f"file://{pages}")}


def deliverer(here: Town, redis_url: str, **more: Any) -> Deliver:
    return Deliver(connect(redis_url), here.clock, channel.load(), lambda _: None, here.url, link_secret=SECRET, **more)


def got(pages: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pages.read_text().splitlines()] if pages.exists() else []


async def run(here: Town, *words: str) -> tuple[int, str]:
    env = {"TOCSIN_URL": here.url, "TOCSIN_ADMIN_TOKEN": TOKEN}
    result = await asyncio.to_thread(CliRunner().invoke, main, [*words], env=env)
    return result.exit_code, result.output


async def test_a_drill_goes_the_way_of_a_page_and_is_answered_by_its_link(redis_url: str, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    async with town(redis_url, link_secret=SECRET) as here:
        await here.load(files(pages))
        async with here.draining():
            status, done = await here.ask("POST", "/drills", json={"target": "default", "within": "5m"})
            assert (status, done["text"]) == (200, "a drill pages ada")
            await asyncio.to_thread(deliverer(here, redis_url).pump)
            (page,) = got(pages)
            assert page["title"] == "DRILL, no incident: acknowledge to show that pages reach you"
            assert (page["kind"], "Nothing is broken" in page["body"]) == ("page", True)
            link = page["body"].partition(" at ")[2].partition(" ")[0].removeprefix(here.url)
            number = page["body"].partition("tap ")[2].partition(" ")[0]
            _, text = await here.view(link)
            assert "DRILL, no incident" in text
            here.clock.now += 30_000
            answer, _ = await here.post(link, {"tries": "0", "number": number})
            assert answer.status == 303
            _, text = await here.view(link)
            assert "You have it." in text
            (one,) = (await here.get(f"/drills?entry={done['entry']}"))["items"]
            assert (one["state"], one["answered_s"], one["answered_via"], one["delivered_by"]) == (
                "answered",
                30.0,
                "link",
                "file",
            )
            assert (await here.get("/incidents"))["items"] == []
            assert (await here.get(f"/incidents/{one['id']}"))["title"].startswith("DRILL")
            await asyncio.to_thread(deliverer(here, redis_url).pump)
            assert [page["title"] for page in got(pages)][1:] == ["DRILL is over"]
        await here.decide()
        report = audit(connect(redis_url), replay=True)
        assert report.ok, report.lines


async def test_the_command_waits_for_the_answer_and_fails_without_one(redis_url: str, tmp_path: Path) -> None:
    async with town(redis_url) as here:
        await here.load(files(tmp_path / "pages"))
        async with here.draining():
            code, output = await run(here, "drill", "ada", "--no-wait")
            assert (code, output.splitlines()[0]) == (0, "a drill pages ada")
            (one,) = (await here.get("/drills"))["items"]
            code, output = await run(here, "ack", one["id"])
            assert (code, "the drill is acknowledged" in output) == (0, True), output
            code, output = await run(here, "drill", "list")
            assert (code, output.splitlines()[1].split()[1:3]) == (0, ["answered", "ada"])
            assert "answered by admin" in output
            code, output = await run(here, "drill", "adda")
            assert (code, 'did you mean "ada"?' in output) == (1, True)
            await asyncio.to_thread(deliverer(here, redis_url, shadow=True).pump)
            waiting = asyncio.create_task(run(here, "drill", "ada"))
            while len((await here.get("/drills"))["items"]) < 2:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(deliverer(here, redis_url, shadow=True).pump)
            code, output = await waiting
            assert (code, "No answer from ada." in output, "shadowed" in output) == (1, True, True)


async def test_a_schedule_is_printed_as_the_rules_take_it(redis_url: str) -> None:
    async with town(redis_url) as here:
        code, output = await run(here, "drill", "default", "--schedule", "0 10 * * mon", "--all")
        assert code == 0
        folder = {**RULES, "oncall.yaml": RULES["oncall.yaml"] + output}
        await here.load(folder)
        assert (await here.get("/rules"))["digest"] == rules_digest(folder)
        code, output = await run(here, "drill", "default", "--schedule", "mondays")
        assert (code, "five fields" in output) == (2, True)


async def test_in_shadow_every_view_and_list_says_so_and_tells_whom_it_would_have_told(
    redis_url: str, tmp_path: Path
) -> None:
    pages = tmp_path / "pages"
    async with town(redis_url, shadow=True) as here:
        await here.load(files(pages))
        code, output = await run(here, "shadow")
        assert output == "Nobody would have been told. Paging is in shadow.\n"
        await here.send(DOWN)
        await asyncio.to_thread(deliverer(here, redis_url, shadow=True).pump)
        await here.decide()
        assert got(pages) == []
        found = await here.get("/shadow?limit=1")
        (one,) = found["items"]
        assert (found["shadow"], one["person"], one["by"], one["severity"]) == (True, "ada", "file", "P0")
        assert one["why"] == "Ada, step 1 of policy “default”"
        code, output = await run(here, "shadow")
        assert (code, "step 1 of policy" in output) == (0, True)
        code, output = await run(here, "incidents")
        assert output.startswith("Paging is in shadow: nobody is told.")
        await here.sign_in()
        for path in ("/", "/alerts", f"/incidents/{one['incident']}"):
            _, text = await here.view(path)
            assert "Paging is in shadow: nobody is told." in text, path
        why = await here.get(f"/why?of={one['incident']}")
        assert "would have sent the page to ada" in json.dumps(why, ensure_ascii=False)
        report = audit(connect(redis_url), replay=True)
        assert report.ok, report.lines
