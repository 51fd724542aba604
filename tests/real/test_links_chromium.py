"""A person, a phone and the link of a page."""

from __future__ import annotations

import shutil

import pytest
from playwright.async_api import ViewportSize, async_playwright, expect

from tests.store.test_desk_links import incident, paged

pytestmark = pytest.mark.needs("chromium")
PHONE: ViewportSize = {"width": 360, "height": 740}


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_person_taps_the_number_of_the_message_and_has_it(redis_url: str, scripts: bool) -> None:
    async with paged(redis_url) as (here, path, number), async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium") or "chromium", args=["--no-sandbox"]
        )
        try:
            context = await browser.new_context(viewport=PHONE, java_script_enabled=scripts)
            view = await context.new_page()
            await view.goto(here.url + path)
            await expect(view.get_by_role("button", name="My number is not here")).to_be_visible()
            async with here.draining():
                await view.get_by_role("button", name="My number is not here").click()
                await expect(view.get_by_role("alert")).to_contain_text("Look at it once more")
                assert (await incident(here)).acked_by == ""
                await view.get_by_role("button", name=str(number), exact=True).click()
                await expect(view.get_by_role("status")).to_have_text("You have it.")
            assert (await incident(here)).acked_by == "ada"
        finally:
            await browser.close()
