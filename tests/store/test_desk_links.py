"""The link of a page: a mail scanner acknowledges nothing with it, the person who got the page does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import cast
from urllib.parse import urljoin

from tests.store.desk_support import DOWN, Town, town
from triage import links
from triage.model import Effect, EffectKind, Incident, Phase
from triage.store import keys, queries
from triage.store.memory import value_of
from workers.wording import message

SECRET = b"a secret of the tests"


@asynccontextmanager
async def paged(redis_url: str) -> AsyncIterator[tuple[Town, str, int]]:
    """A town with one page: its link and its number, as the message carries them."""
    async with town(redis_url, link_secret=SECRET) as here:
        await here.send(DOWN)
        raws = await here.client.hvals(keys.family("effect"))
        effects = [value_of("effect", cast("bytes", raw)) for raw in raws]
        (page,) = [one for one in effects if isinstance(one, Effect) and one.kind is EffectKind.PAGE]
        made = message(page, here.url, link_secret=SECRET)
        said = re.match(r"Acknowledge: tap (\d\d) at (\S+) or tocsin ack \w{6}\n", made.body)
        assert said is not None
        assert (made.answer_url, made.number) == (said[2], said[1])
        yield here, said[2].removeprefix(here.url), int(said[1])


async def incident(here: Town) -> Incident:
    return (await queries.incidents(here.client, queries.IncidentFilter())).items[0]


class Forms(HTMLParser):
    """What a scanner finds in a page: links, and forms with the values they have by themselves."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[tuple[str, str, dict[str, str], list[dict[str, str]]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "form":
            self.forms.append((given.get("method", "get"), given.get("action", ""), {}, []))
        if not self.forms:
            return
        _, _, fields, buttons = self.forms[-1]
        if tag == "button":
            buttons.append({given["name"]: given.get("value", "")} if "name" in given else {})
        elif tag == "input" and "name" in given:
            fields[given["name"]] = given.get("value", "")


class Scanner:
    """A mail scanner: fetches each link with GET and HEAD, and submits each form by its first button, to any depth."""

    def __init__(self, here: Town, every_button: bool = False) -> None:
        self._here = here
        self._every_button = every_button
        self._seen: set[str] = set()
        self.posts = 0

    async def visit(self, path: str) -> None:
        if path in self._seen or not path.startswith("/"):
            return
        self._seen.add(path)
        async with self._here.session.head(self._here.url + path) as answer:
            assert await answer.read() == b""
        async with self._here.session.get(self._here.url + path) as answer:
            await self._read(str(answer.url.path), await answer.text())

    async def _read(self, path: str, text: str, depth: int = 0) -> None:
        found = Forms(text)
        for link in found.links:
            await self.visit(urljoin(path, link).partition("#")[0])
        for method, action, fields, buttons in found.forms:
            pressed = buttons if self._every_button else buttons[:1]
            for button in pressed if depth < 6 else ():
                self.posts += 1
                goal = self._here.url + urljoin(path, action)
                sent = self._here.session.request(method, goal, data={**fields, **button})
                async with sent as answer:
                    await self._read(path, await answer.text(), depth + 1)


async def test_a_scanner_that_follows_and_submits_everything_acknowledges_nothing(redis_url: str) -> None:
    async with paged(redis_url) as (here, path, _):
        scanner = Scanner(here)
        async with here.draining():
            await scanner.visit(path)
        assert scanner.posts > 3
        now = await incident(here)
        assert (now.phase, now.acked_by, now.human_at) == (Phase.DETECTED, "", None)
        assert list(now.mistaps.values()) == [3]
        _, text = await here.view(path)
        assert "this link is no longer taken" in text


async def test_a_scanner_that_presses_every_button_acknowledges_nothing(redis_url: str) -> None:
    async with paged(redis_url) as (here, path, _):
        async with here.draining():
            await Scanner(here, every_button=True).visit(path)
        assert (await incident(here)).acked_by == ""


async def test_fetching_changes_nothing_and_shows_the_number_among_three(redis_url: str) -> None:
    async with paged(redis_url) as (here, path, number):
        before = await incident(here)
        entries = await here.client.xlen(keys.JOURNAL)
        for _ in range(3):
            answer, text = await here.view(path)
            assert answer.status == 200
            shown = re.findall(r'name="number" value="(\d+)"', text)
            assert len(shown) == 3
            assert str(number) in shown
        assert await incident(here) == before
        assert await here.client.xlen(keys.JOURNAL) == entries


async def tap(here: Town, path: str, number: int, tries: int = 0, **more: dict[str, str]) -> tuple[int, str]:
    async with here.draining():
        answer, text = await here.post(path, {"number": str(number), "tries": str(tries)}, **more)
    return answer.status, text


async def test_the_right_number_acknowledges_as_the_person_once(redis_url: str) -> None:
    async with paged(redis_url) as (here, path, number):
        assert (await tap(here, path, number))[0] == 303
        now = await incident(here)
        assert (now.acked_by, now.phase) == ("ada", Phase.TRIAGED)
        lines = await queries.timeline(here.client, now.key)
        assert [one.text for one in lines.items if one.what == "acknowledged"] == ["ada has it (by link)"]
        assert "You have it." in (await here.view(path))[1]
        status, text = await tap(here, path, number)
        assert (status, "You have it." in text) == (409, True)


async def test_a_used_link_does_not_take_it_again(redis_url: str) -> None:
    async with paged(redis_url) as (here, path, number):
        await tap(here, path, number)
        async with here.draining():
            await here.ask("POST", f"/incidents/{(await incident(here)).key}/unacknowledge", json={})
        status, text = await tap(here, path, number)
        assert (status, "This link was used. Nobody has it now: sign in to take it." in text) == (409, True)
        assert (await incident(here)).acked_by == ""


async def test_a_wrong_number_voids_nothing_three_end_the_link(redis_url: str) -> None:
    async with paged(redis_url) as (here, path, number):
        wrong = 10 if number != 10 else 11
        status, text = await tap(here, path, wrong)
        assert (status, "Look at it once more" in text) == (409, True)
        status, text = await tap(here, path, number)  # the view from before
        assert (status, "out of date" in text) == (409, True)
        assert (await incident(here)).acked_by == ""
        assert (await tap(here, path, number, tries=1))[0] == 303
        assert (await incident(here)).acked_by == "ada"


async def test_a_late_link_says_who_has_it_and_takes_it_from_nobody(redis_url: str) -> None:
    async with paged(redis_url) as (here, path, number):
        async with here.draining():
            await here.ask("POST", f"/incidents/{(await incident(here)).key}/acknowledge", json={})
        assert "admin has it. You can say that you respond too." in (await here.view(path))[1]
        assert (await tap(here, path, number))[0] == 303
        now = await incident(here)
        assert (now.acked_by, now.responders) == ("admin", ("admin", "ada"))


async def test_what_is_not_ours_too_old_or_from_another_site_is_refused(redis_url: str) -> None:
    async with paged(redis_url) as (here, path, number):
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert (await tap(here, path, number, headers=foreign))[0] == 403
        assert (await here.view(path[:-3]))[0].status == 404
        assert (await here.view("/a/nonsense"))[0].status == 404
        here.clock.now += links.HOLDS + 1
        assert (await here.view(path))[0].status == 410
        assert (await tap(here, path, number))[0] == 410
        assert (await incident(here)).acked_by == ""


async def test_without_a_secret_no_link_is_taken(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        key = (await incident(here)).key
        forged = links.token_for(
            b"guess", Effect("p", EffectKind.PAGE, key, "ada", "x://", "t", {}, here.clock.now, 0, 0)
        )
        assert (await here.view(f"/a/{forged}"))[0].status == 404
