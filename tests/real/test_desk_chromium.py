"""The desk in a real Chromium: hostile text, live updates, no JavaScript, a phone, a keyboard."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from playwright.async_api import BrowserContext, Dialog, Page, Request, ViewportSize, async_playwright, expect

from tests.hostile import ADDRESSES, HTML, MARKDOWN
from tests.store.desk_support import DOWN, NOW, RULES, TOKEN, Town, event, town
from triage.model import Command, Curve, Measured, Verb
from triage.store import queries, readings

pytestmark = pytest.mark.needs("chromium")

PHONE: ViewportSize = {"width": 360, "height": 740}


@contextlib.asynccontextmanager
async def browsing(here: Town, **options: Any) -> AsyncIterator[tuple[BrowserContext, Page, list[str]]]:
    """Yield a signed-in browser, its view, and the list of everything bad that it met."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium") or "chromium", args=["--no-sandbox"]
        )
        context = await browser.new_context(viewport=PHONE, **options)
        page = await context.new_page()
        bad: list[str] = []

        async def dismiss(dialog: Dialog) -> None:
            bad.append(f"dialog: {dialog.message}")
            await dialog.dismiss()

        def left(request: Request) -> None:
            if not request.url.startswith((here.url, "data:")):
                bad.append(f"request to {request.url}")

        page.on("dialog", dismiss)
        page.on("request", left)
        page.on("pageerror", lambda error: bad.append(f"error: {error}"))
        await page.goto(here.url + "/")
        await page.get_by_label("Token").fill(TOKEN)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(here.url + "/")
        try:
            yield context, page, bad
        finally:
            await browser.close()


async def incident_of(here: Town) -> str:
    """Return the newest incident's six characters."""
    return (await queries.incidents(here.client, queries.IncidentFilter())).items[0].key[:6]


HARMFUL = """() => {
  const found = [];
  for (const one of document.querySelectorAll("*")) {
    for (const attribute of one.attributes) {
      if (attribute.name.startsWith("on")) found.push(one.outerHTML);
      if (/^\\s*(javascript|data|vbscript):/i.test(attribute.value)
          && ["href", "src", "action", "formaction"].includes(attribute.name)) found.push(one.outerHTML);
    }
    if (one.tagName === "SCRIPT" && !one.src.includes("/static/desk.js")) found.push(one.outerHTML);
    const away = one.tagName === "A" && one.origin !== location.origin;
    if (away && !one.rel.includes("noopener")) found.push(one.outerHTML);
    if (["IMG", "IFRAME", "OBJECT", "EMBED", "BASE", "STYLE", "SVG"].includes(one.tagName.toUpperCase())) {
      found.push(one.outerHTML);
    }
  }
  return found;
}"""


async def test_the_policy_stops_a_script_that_would_get_into_a_view(redis_url: str) -> None:
    """The second wall: were the escaping to fail, the browser would not run what got in."""
    async with town(redis_url) as here, browsing(here) as (_, page, bad):
        await page.evaluate(
            """() => {
              document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=\\"document.title='hit'\\">");
              const script = document.createElement("script");
              script.textContent = "document.title='hit'";
              document.body.append(script);
            }"""
        )
        await page.wait_for_timeout(100)
        assert await page.title() != "hit"
        assert [one for one in bad if one.startswith("dialog")] == []


async def test_the_board_updates_itself(redis_url: str) -> None:
    async with town(redis_url) as here, browsing(here) as (_, page, bad):
        await expect(page.get_by_role("heading", name="0 open incidents")).to_be_visible()
        await expect(page.get_by_role("status")).to_have_text("live")
        await here.send(DOWN)
        await expect(page.get_by_role("link", name="checkout is down")).to_be_visible()
        await expect(page).to_have_title("1 open · Tocsin")
        await here.send(event("resolved", alertname="Down", service="checkout", region="eu", instance="a"))
        await expect(page.get_by_text("monitoring")).to_be_visible()
        assert bad == []


async def test_an_update_never_takes_away_what_somebody_is_writing(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        one = (await queries.incidents(here.client, queries.IncidentFilter())).items[0]
        async with browsing(here) as (_, page, _bad):
            await page.goto(f"{here.url}/incidents/{one.key[:6]}")
            await expect(page.get_by_role("status")).to_have_text("live")
            await page.get_by_label("Note for the timeline").fill("half a sen")
            taken = Command(verb=Verb.ACKNOWLEDGE, incident=one.key, by="ada", via="api")
            await here.desk.appender.append(taken, NOW)  # which changes the very part that holds the note
            await here.decide()
            await expect(page.locator("#head").get_by_text("ada, since")).to_be_visible()
            await expect(page.get_by_label("Note for the timeline")).to_have_value("half a sen")
            await page.get_by_label("Note for the timeline").fill("")
            await page.get_by_label("Note for the timeline").blur()
            await here.send(event(alertname="Down", service="checkout", region="eu", instance="b"))
            await expect(page.get_by_role("button", name="Take over from ada")).to_be_visible()


async def test_an_update_never_changes_whom_somebody_chose(redis_url: str) -> None:
    async with town(redis_url) as here:
        two = RULES["oncall.yaml"].replace("people:", 'people:\n  zoe: {name: Zoe, contact: ["terminal://"]}')
        await here.load({**RULES, "oncall.yaml": two})
        await here.send(DOWN)
        one = (await queries.incidents(here.client, queries.IncidentFilter())).items[0]
        async with browsing(here) as (_, page, _bad):
            await page.goto(f"{here.url}/incidents/{one.key[:6]}")
            await expect(page.get_by_role("status")).to_have_text("live")
            await page.get_by_label("Somebody else").select_option("zoe")
            await page.get_by_label("Somebody else").blur()
            taken = Command(verb=Verb.ACKNOWLEDGE, incident=one.key, by="ada", via="api")
            await here.desk.appender.append(taken, NOW)
            await here.decide()
            await expect(page.get_by_role("button", name="Take over from ada")).to_be_visible()
            await expect(page.get_by_label("Somebody else")).to_have_value("zoe")
            async with here.draining():
                await page.get_by_role("button", name="Give it to them").click()
                await expect(page.get_by_text("They are being paged.")).to_be_visible()
        lines = (await queries.timeline(here.client, one.key)).items
        assert [line.text for line in lines if line.what == "assigned"] == ["admin gives it to zoe, taken from ada"]


async def work_through(here: Town, page: Page) -> None:
    """Acknowledge, note and resolve an incident by its buttons."""
    await page.goto(here.url + "/")
    await page.get_by_role("link", name="checkout is down").click()
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.get_by_text("You have it now.")).to_be_visible()
    await page.get_by_label("Note for the timeline").fill("rolled back <b>v2</b>")
    await page.get_by_role("button", name="Add note").click()
    await expect(page.get_by_text("rolled back <b>v2</b>")).to_be_visible()
    await page.get_by_role("button", name="Resolve", exact=True).click()
    await expect(page.get_by_text("1 alert still fires")).to_be_visible()
    await page.get_by_role("link", name="No, go back").click()
    await page.get_by_role("button", name="Resolve", exact=True).click()
    await page.get_by_role("button", name="Yes, resolve it").click()
    await expect(page.get_by_text("Resolved.", exact=True)).to_be_visible()
    await page.get_by_role("link", name="Board").click()
    await expect(page.get_by_role("heading", name="0 open incidents")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
async def test_an_incident_is_worked_through_with_and_without_javascript(redis_url: str, scripts: bool) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        async with browsing(here, java_script_enabled=scripts) as (_, page, bad), here.draining():
            await work_through(here, page)
            await page.get_by_role("button", name="Sign out admin").click()
            await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
            assert bad == []


async def test_without_javascript_the_board_reloads_itself_and_with_it_does_not(redis_url: str) -> None:
    async with town(redis_url) as here:
        async with browsing(here, java_script_enabled=False) as (_, page, _bad):
            assert await page.locator('noscript meta[http-equiv="refresh"], meta[http-equiv="refresh"]').count() == 1
        async with browsing(here) as (_, page, _bad):
            assert await page.locator('meta[http-equiv="refresh"]').count() == 0


async def test_another_site_cannot_acknowledge_with_our_cookie(redis_url: str) -> None:
    """A form on a stranger's page (another host name of loopback is another site) is sent, and refused."""
    async with town(redis_url) as here:
        await here.send(DOWN)
        name = await incident_of(here)
        async with browsing(here) as (context, page, _bad), here.draining():
            stranger = here.url.replace("127.0.0.1", "localhost")
            form = f'<form method="post" action="{here.url}/incidents/{name}/acknowledge"><button>Win</button></form>'
            await context.route(f"{stranger}/trap", lambda route: route.fulfill(body=form, content_type="text/html"))
            await page.goto(f"{stranger}/trap")
            await page.get_by_role("button", name="Win").click()
            await page.wait_for_load_state()
            one = await queries.incident(here.client, name)
            assert one.acked_by == ""


async def test_the_keyboard_is_enough(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        async with browsing(here) as (_, page, _bad), here.draining():
            await page.goto(f"{here.url}/incidents/{await incident_of(here)}")
            for _ in range(12):
                await page.keyboard.press("Tab")
                if await page.evaluate("document.activeElement.id") == "acknowledge":
                    break
            outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid"
            await page.keyboard.press("Enter")
            await expect(page.get_by_text("You have it now.")).to_be_visible()


async def test_hostile_labels_in_a_runbook_stay_text_and_a_step_is_checked_off(redis_url: str) -> None:
    """Whatever alerts bring into a runbook, its view has the tags that plain words give it, and its buttons work."""
    texts = [*HTML, *ADDRESSES, *MARKDOWN]
    lines = [
        f"- [ ] {{{{ l{n} }}}}, [there](https://wiki.example/{{{{ l{n} }}}}), `{{{{ l{n} }}}}`\n"
        for n in range(len(texts))
    ]
    runbook = "# On {{ l0 }}\n\n## Mitigation\n\n" + "".join(lines) + "\n<script>alert(1)</script> <img src=x>\n"
    procedure = "# Detect\n\n- [ ] Look\n- [x](javascript:alert(1)) no step\n"
    severity = "rules: [{name: all, matchers: [], severity: P3, runbook: runbooks/x.md, group_by: [number]}]"
    files = {**RULES, "severity.yaml": severity, "runbooks/x.md": runbook, "procedures/1-detect.md": procedure}
    async with town(redis_url) as here:
        await here.load(files)
        hostile_labels: dict[str, Any] = {f"l{n}": text for n, text in enumerate(texts)}
        plain_labels: dict[str, Any] = dict.fromkeys(hostile_labels, "node1")
        await here.send(event(alertname="A", number="1", **hostile_labels))
        await here.send(event(alertname="A", number="2", **plain_labels))
        found = (await queries.incidents(here.client, queries.IncidentFilter())).items
        async with browsing(here) as (_, page, bad):
            shapes = []
            for one in found:
                await page.goto(f"{here.url}/incidents/{one.key[:6]}")
                assert await page.evaluate(HARMFUL) == []
                shapes.append(
                    await page.evaluate(
                        "[...document.querySelectorAll('#runbook *')].map(one => one.tagName).join(' ')"
                    )
                )
            assert shapes[0] == shapes[1]
            assert shapes[0].count("FORM") == len(texts)
            async with here.draining():
                await page.locator("#procedure").get_by_role("button", name="Check off").click()
                await expect(page.locator("#procedure").get_by_role("button", name="Open again")).to_be_visible()
                await expect(page.locator("#timeline")).to_contain_text("Detect: Look")
            assert bad == []


async def test_hostile_metrics_stay_text_and_the_picture_can_be_read_in_light_and_dark(redis_url: str) -> None:
    texts = [*HTML, *ADDRESSES]
    async with town(redis_url) as here:
        await here.load({**RULES, "metrics.yaml": 'prometheus: {main: {url: "http://prometheus:9090"}}'})
        link = "http://prom/graph?g0.expr=" + quote(f"x{{a='{texts[3]}'}} > 0.5")
        await here.send(msgspec.structs.replace(DOWN, url=link))
        one = (await queries.incidents(here.client, queries.IncidentFilter())).items[0]
        wanted = (await readings.of(here.client, one)).wanted  # type: ignore[union-attr]
        assert wanted is not None
        curves = tuple(Curve({"pod": text, text[:200]: "v"}, (0.1, None, 0.9, 0.7)) for text in texts[:10])
        body = Measured(one.key, wanted.around, wanted.at, wanted.start, 15_000, curves, left_out=len(texts) - 10)
        await here.desk.appender.append(body, here.clock())
        await here.decide()
        backs: list[str] = []
        async with browsing(here) as (_, page, bad):
            await page.goto(f"{here.url}/incidents/{one.key[:6]}")
            chart = page.locator("#metrics svg.chart")
            await expect(chart).to_be_visible()
            await expect(page.get_by_role("img", name="onset of the incident")).to_have_count(1)
            await expect(chart.locator("path.curve")).to_have_count(10)
            await expect(chart.get_by_text("onset", exact=True)).to_be_visible()
            assert await chart.evaluate("one => one.getBoundingClientRect().right <= window.innerWidth")
            backs.append(await chart.locator(".back").evaluate("one => getComputedStyle(one).fill"))
            await page.emulate_media(color_scheme="dark")
            backs.append(await chart.locator(".back").evaluate("one => getComputedStyle(one).fill"))
            kinds = "one => [...new Set([...one.querySelectorAll('*')].map(each => each.tagName))].sort().join(' ')"
            assert await chart.evaluate(kinds) == "desc line path rect text title"
            await chart.evaluate(
                "one => one.remove()"
            )  # the only picture: what is left is looked at like any other view
            assert await page.evaluate(HARMFUL) == []
            assert bad == []
        assert backs[0] != backs[1], "light and dark are not the same"
