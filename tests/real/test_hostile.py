"""Hostile text through every surface: views in a real Chromium, the terminal, tables, feeds, calendars, mail."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from click.testing import CliRunner
from playwright.async_api import BrowserContext

from desk import status
from tests.hostile import ADDRESSES, CHATS, FORMULAS, HTML, MARKDOWN, TEMPLATES, TERMINALS, TEXTS, UNSEEN
from tests.real.house import HOSTILE, ask, hostile
from tests.real.test_desk_chromium import HARMFUL, browsing
from tests.store.desk_support import TOKEN, Town, town
from tocsin.cli import main

DRIVES: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200b\u202a-\u202e\u2066-\u2069\ufeff]")
"""What moves a cursor, turns a line around or hides: no terminal gets any of it."""
PUBLIC: Final = "document.querySelectorAll('script, iframe, object, embed, base, form, img, style').length"


@asynccontextmanager
async def beset(redis_url: str, texts: tuple[str, ...]) -> AsyncIterator[tuple[Town, list[str]]]:
    """Yield a town in which each text has an incident of its own, and their ids."""
    async with town(redis_url) as here:
        await here.load(HOSTILE)
        yield here, [await hostile(here, number, text) for number, text in enumerate(texts)]


@pytest.mark.needs("chromium")
async def test_hostile_text_stays_text_in_every_view(redis_url: str) -> None:
    """Addresses one by one, since they are whole attributes; of the others several together."""
    kinds = (HTML[:4], HTML[4:8], HTML[8:], MARKDOWN, (*TEMPLATES, *CHATS), TERMINALS, (*UNSEEN, *FORMULAS))
    async with (
        beset(redis_url, (*ADDRESSES, *map("\n".join, kinds))) as (here, names),
        browsing(here) as (context, page, bad),
    ):
        page.on("console", lambda said: bad.append(f"console: {said.text}") if said.type == "error" else None)
        here.clock.now += status.FRESH
        for path in ("/", "/alerts", "/postmortems", *[f"/incidents/{name}" for name in names]):
            await page.goto(here.url + path)
            assert await page.evaluate(HARMFUL) == [], path
        for name in names:
            await page.goto(f"{here.url}/incidents/{name}/postmortem")
            assert await page.evaluate(HARMFUL) == [], name
        await page.goto(here.url + "/alerts?label=a%3D%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&source=%22%3E%3C")
        assert await page.evaluate(HARMFUL) == []
        await page.goto(here.url + "/status")
        assert await page.evaluate(PUBLIC) == 0
        assert await page.locator("article:not(.maintenance)").count() == len(names)
        await _read_without_scripts(context, here.url + "/status")
        assert bad == []


async def _read_without_scripts(context: BrowserContext, address: str) -> None:
    """The status page needs no JavaScript, and says what was written as it was written."""
    assert context.browser is not None
    plain = await context.browser.new_context(java_script_enabled=False)
    page = await plain.new_page()
    await page.goto(address)
    assert await page.get_by_role("heading", name="Past incidents").is_visible()
    assert HTML[0] in await page.locator("main").inner_text()


async def told(here: Town, *words: str) -> str:
    """Run a command of `tocsin` against the town and return what it prints."""
    env = {"TOCSIN_URL": here.url, "TOCSIN_ADMIN_TOKEN": TOKEN}
    done = await asyncio.to_thread(CliRunner().invoke, main, [*words], env=env)
    assert done.exit_code == 0, (words, done.output, done.exception)
    return done.output


async def test_nothing_that_anybody_writes_drives_a_terminal(redis_url: str) -> None:
    """Whatever a command prints for people or as JSON, and whatever was written into what it shows."""
    texts = (*TERMINALS, *UNSEEN)
    async with beset(redis_url, texts) as (here, names):
        silence = {"matchers": [f"service={json.dumps(TERMINALS[0])}"], "duration": "1h", "comment": "".join(texts)}
        async with here.draining():
            await ask(here, "PUT", "/silences/one", **silence)
        for one in (
            ("incidents", "--all"),
            *[
                ("incident", verb, name)
                for verb in ("show", "before", "updates", "postmortem", "action")
                for name in names
            ],
            *[("incident", "postmortem", name, "--version", "0") for name in names],
            *[("runbook", "show", name) for name in names],
            ("why", names[0], "--redis.url", redis_url),
            ("dead-letters", "list", "--redis.url", redis_url),
            *[
                (name,)
                for name in ("postmortems", "insights", "changes", "status", "audit-log", "checks", "heartbeats")
            ],
            *[(name, "-o", "json") for name in ("postmortems", "insights")],
            ("incidents", "--all", "-o", "json"),
            ("silence", "list"),
            ("silence", "list", "-o", "json"),
            ("silence", "preview", f"label={json.dumps(TERMINALS[0])}"),
        ):
            printed = await told(here, *one)
            assert printed.strip(), one
            assert DRIVES.findall(printed) == [], (one, printed)


async def test_tables_and_feeds_hold_it_as_text(redis_url: str) -> None:
    async with beset(redis_url, TEXTS) as (here, names):
        here.clock.now += status.FRESH
        rows = list(csv.reader(io.StringIO(await told(here, "insights", "-o", "csv"), newline="")))
        assert [cell for row in rows for cell in row if cell[:1] in "=+@-\t\r" and cell and not _is_number(cell)] == []
        _, feed = await here.view("/status.atom")
        assert len(ET.fromstring(feed).findall("{http://www.w3.org/2005/Atom}entry")) == len(names)
        _, page = await here.view("/status.json")
        assert len(json.loads(page)["past"]) == len(names)
        async with here.session.get(
            f"{here.url}/api/v1/incidents", headers={"Authorization": f"Bearer {TOKEN}"}
        ) as got:
            assert got.headers["X-Content-Type-Options"] == "nosniff"
            found: dict[str, Any] = await got.json()
        assert {one["title"] for one in found["items"]} <= set(TEXTS)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", cell) is not None
