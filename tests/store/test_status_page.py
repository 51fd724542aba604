"""The public status page over HTTP and as files: for everybody, cacheable, and there when the store is not."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import redis.exceptions
from click.testing import CliRunner

from desk import status
from tests.store.desk_support import RULES, TOKEN, Town, event, town
from tocsin.cli import main
from triage.store import publications, queries
from triage.store.audit import audit
from triage.store.client import connect

FILES = {
    **RULES,
    "services.yaml": "services: {checkout: {status_component: Shop}, payments: {status_component: Payments}}",
    "status.yaml": "{title: How we are, about: All of it., components: {Shop: Buying}}",
}
SAID = {"audience": "public", "status": "investigating", "text": "We look into it.", "effects": "partial"}
ATOM = "{http://www.w3.org/2005/Atom}"


async def opened(here: Town) -> str:
    """An incident of the shop, whose title nobody outside may see."""
    await here.load(FILES)
    await here.send(event(title="db-7 INTERNAL is down", alertname="Down", service="checkout", region="eu"))
    return str((await here.get("/incidents"))["items"][0]["id"])


async def test_a_person_publishes_after_a_look_and_everybody_may_read_it(redis_url: str) -> None:
    async with town(redis_url) as here:
        incident = await opened(here)
        async with here.draining():
            answer, text = await here.view("/status")
            assert (answer.status, "Everything works" in text) == (200, True)
            path = f"/incidents/{incident}/update"
            code, asks = await here.ask("POST", path, json=SAID)
            assert (code, "public status page" in asks["detail"]) == (409, True)
            code, done = await here.ask("POST", path, json={**SAID, "confirm": True})
            assert (code, done["ending"]) == (200, "done"), done
        here.clock.now += status.FRESH
        answer, text = await here.view("/status")
        for words in ("Partial outage", "How we are", "All of it.", "Trouble with Shop", "We look into it.", "Buying"):
            assert words in text
        assert "INTERNAL" not in text
        assert incident not in text
        assert "<script" not in text
        assert "script-src" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"].startswith("public, max-age=")
        assert "Set-Cookie" not in answer.headers
        _, found = await here.view("/status.json")
        assert '"state":"partial"' in found
        answer, feed = await here.view("/status.atom")
        (entry,) = ET.fromstring(feed).findall(f"{ATOM}entry")
        assert entry.findtext(f"{ATOM}title") == "Trouble with Shop (investigating)"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        report = await asyncio.to_thread(audit, connect(redis_url), True)
        assert report.ok, report.lines


async def test_what_has_not_changed_is_not_sent_again(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.load(FILES)
        for name in ("status", "status.json", "status.atom", "status.css"):
            answer, _ = await here.view(f"/{name}")
            tag = answer.headers["ETag"]
            here.clock.now += 10 * status.FRESH
            answer, text = await here.view(f"/{name}", headers={"If-None-Match": f'"x", {tag}'})
            assert (answer.status, text) == (304, "")


async def test_while_the_store_is_away_it_is_as_it_was(redis_url: str, monkeypatch: Any) -> None:
    async with town(redis_url) as here:
        await here.load(FILES)
        _, before = await here.view("/status")

        async def away(_client: Any) -> None:
            raise redis.exceptions.ConnectionError("gone")

        monkeypatch.setattr(publications, "every", away)
        here.clock.now += 10 * status.FRESH
        answer, text = await here.view("/status")
        assert (answer.status, text) == (200, before)
        assert isinstance(redis.exceptions.ConnectionError("gone"), queries.DOWN)


async def test_before_it_was_ever_made_it_says_that_it_does_not_know(redis_url: str, monkeypatch: Any) -> None:
    async with town(redis_url) as here:

        async def away(_client: Any) -> None:
            raise redis.exceptions.ConnectionError("gone")

        monkeypatch.setattr(publications, "every", away)
        answer, _ = await here.view("/status")
        assert answer.status == 503


async def test_resolving_asks_for_the_last_words_which_the_page_then_says(redis_url: str) -> None:
    async with town(redis_url) as here:
        incident = await opened(here)
        await here.send(event("resolved", alertname="Down", service="checkout", region="eu"))
        async with here.draining():
            await here.ask("POST", f"/incidents/{incident}/update", json={**SAID, "confirm": True})
            code, asks = await here.ask("POST", f"/incidents/{incident}/resolve", json={})
            assert (code, "The status page still shows it" in asks["detail"]) == (409, True)
            said = {"public": "It is mended.", "text": "INTERNAL: the disk of db-7"}
            code, _ = await here.ask("POST", f"/incidents/{incident}/resolve", json=said)
            assert code == 200
        here.clock.now += status.FRESH
        _, text = await here.view("/status")
        assert ("It is mended." in text, "INTERNAL" in text, "Everything works" in text) == (True, False, True)


async def test_what_is_no_component_is_refused_before_anything_is_sent(redis_url: str) -> None:
    async with town(redis_url) as here:
        incident = await opened(here)
        async with here.draining():
            said = {**SAID, "components": "Shop, Paiments"}
            code, problem = await here.ask("POST", f"/incidents/{incident}/update", json=said)
            assert (code, 'did you mean "Payments"?' in problem["detail"]) == (409, True), problem


async def run(here: Town, *words: str) -> tuple[int, str]:
    env = {"TOCSIN_URL": here.url, "TOCSIN_ADMIN_TOKEN": TOKEN}
    result = await asyncio.to_thread(CliRunner().invoke, main, [*words], env=env)
    return result.exit_code, result.output


async def test_it_is_exported_as_files_that_stand_by_themselves(redis_url: str, tmp_path: Path) -> None:
    async with town(redis_url) as here:
        incident = await opened(here)
        async with here.draining():
            words = (
                "-m",
                "We look into it.",
                "--audience",
                "public",
                "--status",
                "investigating",
                "--effects",
                "major",
            )
            code, output = await run(here, "incident", "update", incident, *words, "--confirm")
            assert code == 0, output
        here.clock.now += status.FRESH
        folder = tmp_path / "out"
        code, output = await run(here, "status", "export", str(folder))
        assert (code, sorted(path.name for path in folder.iterdir())) == (
            0,
            ["index.html", "status.atom", "status.css", "status.json"],
        ), output
        _, page = await here.view("/status")
        assert (folder / "index.html").read_text() == page
        for name in ("status.css", "status.atom"):
            assert f'href="{name}"' in page
        code, output = await run(here, "status", "export", str(folder))
        assert output.endswith("nothing changed\n")
        code, output = await run(here, "status")
        assert output.splitlines()[:3] == ["How we are: major", "  major        Shop", "  operational  Payments"]
    code, output = await run(here, "status", "export", str(folder))
    assert (code, "cannot be had" in output) == (4, True)
    assert (folder / "index.html").read_text() == page


async def test_the_view_of_the_incident_says_that_it_is_public(redis_url: str) -> None:
    async with town(redis_url) as here:
        incident = await opened(here)
        await here.sign_in()
        async with here.draining():
            _, before = await here.view(f"/incidents/{incident}")
            assert "public status page" not in before
            await here.ask("POST", f"/incidents/{incident}/update", json={**SAID, "confirm": True})
            _, text = await here.view(f"/incidents/{incident}")
            assert 'href="/status#' in text
            answer, text = await here.post(f"/incidents/{incident}/resolve", {"csrf": here.csrf})
            assert answer.status == 409
            assert 'name="public"' in text
            fields = {"csrf": here.csrf, "confirm": "yes", "public": "Over."}
            answer, _ = await here.post(f"/incidents/{incident}/resolve", fields)
            assert answer.status == 303
        here.clock.now += status.FRESH
        _, text = await here.view("/status")
        assert "Over." in text
