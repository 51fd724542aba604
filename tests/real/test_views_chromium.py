"""Every view in a real Chromium: on a phone, light and dark, and with hostile text wherever somebody can write."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from playwright.async_api import Page, expect

from ingest import form
from tests.real.house import Scene, busy
from tests.real.test_desk_chromium import PHONE, browsing
from tests.store.desk_support import Town, town

pytestmark = pytest.mark.needs("chromium")

NOT_VIEWS: Final = frozenset({"/login", "/status.json", "/status.atom", "/status.css", "/static/{name}"})
"""What the desk serves to GET besides the API and its views; `/login` is seen by everybody who signs in."""
SMALL: Final = """() => [...document.querySelectorAll("button, input:not([type=hidden]), select, textarea")]
    .filter((one) => !["checkbox", "radio"].includes(one.type) && one.offsetHeight > 0 && one.offsetHeight < 44)
    .map((one) => one.outerHTML)"""
NAMELESS: Final = """() => [...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
    .filter((one) => !one.labels.length && !one.ariaLabel).map((one) => one.outerHTML)"""

CONTRAST: Final = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (css) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = css; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const back = (one) => {
    for (; one; one = one.parentElement) {
      const color = rgb(getComputedStyle(one).backgroundColor);
      if (color[3] > 0) return color;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !one.offsetParent || one.closest(".skip")) continue;
    const [a, b] = [light(rgb(getComputedStyle(one).color)), light(back(one))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push(`${one.tagName}.${one.className}: ${one.textContent.trim()}`);
  }
  return found;
}"""


def views_of(here: Town, scene: Scene) -> dict[str, str]:
    """Return name and path of everything that a person can open; a view that is new is among them."""
    found = {}
    for route in here.routes():
        path = route.resource.canonical if route.resource is not None else ""
        if route.method != "GET" or path.startswith(("/api/", "/a/")) or path in NOT_VIEWS:
            continue
        for id_, which in ((scene.now, "now"), (scene.over, "over")) if "{id}" in path else (("", ""),):
            name = re.sub(r"\W+", "-", path.replace("{id}", which)).strip("-") or "board"
            found[name] = path.replace("{id}", id_).replace("{path}", "severity.yaml")
    return {
        **found,
        "update": f"/incidents/{scene.now}#updates",
        "postmortem-write": f"/incidents/{scene.over}/postmortem?write=yes",
        "silences-form": "/silences?matchers=service%3D%22shop%22",
        "unknown": "/incidents/zzzzzz",
    }


@asynccontextmanager
async def reporting() -> AsyncIterator[str]:
    """Serve the machines' door's one view, the form for users; yield where."""
    app = web.Application()
    app.router.add_get(form.PATH, _form)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{form.PATH}"
    finally:
        await runner.cleanup()


async def _form(_request: web.Request) -> web.Response:
    return form.page()


async def faults_of(page: Page, name: str) -> dict[str, list[Any]]:
    """Return what nobody could read, press or hear, by view and colours. Pictures are kept where they are asked for."""
    found = {}
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        faults: list[Any] = await page.evaluate(CONTRAST)
        width = await page.evaluate("document.documentElement.scrollWidth")
        faults += [f"scrolls sideways: {width} px"] if width > PHONE["width"] else []
        if scheme == "light":  # the dark one has the same parts
            faults += [*await page.evaluate(SMALL), *await page.evaluate(NAMELESS)]
            heads = await page.locator("h1").count()
            faults += [f"{heads} h1"] if heads != 1 else []
        if folder := os.environ.get("TOCSIN_TESTS_SCREENSHOTS"):
            await page.screenshot(path=Path(folder) / f"{name}-{scheme}.png", full_page=True)
        if faults:
            found[f"{name} {scheme}"] = faults
    return found


async def _asked_back(page: Page, incident: str, here: Town) -> None:
    """Write an update by the form, and come to the question that shows how it reads."""
    await page.goto(incident)
    await page.get_by_text("Write one").click()
    await page.get_by_label("For", exact=True).select_option("public")
    await page.get_by_label("What is known, and what is being done").fill("We are back on the last version. " * 8)
    async with here.draining():
        await page.get_by_role("button", name="Preview").click()
        await expect(page.get_by_text("Next update:")).to_be_visible()
        await expect(page.get_by_role("button", name="Yes, send it")).to_be_visible()


async def test_every_view_is_read_and_pressed_on_a_phone_in_light_and_dark(redis_url: str) -> None:
    async with town(redis_url) as here, reporting() as report:
        scene = await busy(here)
        paths = {name: here.url + path for name, path in views_of(here, scene).items()} | {"report": report}
        assert len(paths) > 12
        faults: dict[str, list[Any]] = {}
        async with browsing(here) as (_, page, bad):
            page.on("console", lambda said: bad.append(f"console: {said.text}") if said.type == "error" else None)
            for name, path in paths.items():
                await page.goto(path)
                faults |= await faults_of(page, name)
            await _asked_back(page, f"{here.url}/incidents/{scene.now}", here)
            faults |= await faults_of(page, "preview")
        assert faults == {}
        assert [one for one in bad if not one.endswith((report, "(Not Found)", "(Conflict)"))] == []
