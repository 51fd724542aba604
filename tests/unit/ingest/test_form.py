"""The report form: a page, an entry, and a thank-you, without JavaScript."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from ingest.adapters import load
from ingest.form import _FORM
from ingest.settings import DoorSettings
from tests.unit.ingest.doors import NOW, Shelf, opened
from triage.model import DeadLetter, Events, Kind, Severity
from triage.rulebook.types import Source
from triage.rulebook.words import BUILT_IN

FIELDS = {"title": "Checkout <b>hangs</b>", "description": "since noon", "service": "checkout", "severity": "high"}
AWAY = DoorSettings(listen_host="0.0.0.0")
REPORT = Source(name="report", adapter="report")


def test_what_the_form_offers_is_the_scale_of_p0_to_p4() -> None:
    offered = re.findall(r'<option value="(p\d)">(P\d): ', _FORM)
    assert offered == [(severity.name.lower(), severity.name) for severity in Severity]
    assert [BUILT_IN[value] for value, _ in offered] == list(Severity)


class Inputs(HTMLParser):
    """Collects the names of form fields, and whatever could run a script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.active: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one tag."""
        found = dict(attrs)
        if tag in {"input", "textarea", "select"} and (name := found.get("name")):
            self.names.add(name)
        self.active += [tag] if tag in {"script", "iframe", "img"} else []
        self.active += [name for name in found if name.startswith("on")]


@pytest.mark.parametrize(("settings", "sources"), [(DoorSettings(), []), (AWAY, [REPORT])])
async def test_what_the_form_sends_becomes_an_anonymous_report(settings: DoorSettings, sources: list[Source]) -> None:
    shelf = Shelf()
    async with opened(shelf, adapters=[load("report")], sources=sources, settings=settings) as door:
        async with door.client.get(door.url("/report")) as answer:
            assert answer.status == 200
            form = Inputs(await answer.text())
        async with door.client.post(door.url("/report"), data=FIELDS) as answer:
            page = await answer.text()
            assert (answer.status, answer.content_type) == (202, "text/html")
    assert form.names >= FIELDS.keys()
    assert form.active == Inputs(page).active == []
    assert f"{NOW}-0" in page
    [entry] = shelf.bodies
    assert isinstance(entry, Events)
    [event] = entry.events
    assert (event.kind, event.anonymous, event.title) == (Kind.REPORT, True, FIELDS["title"])


async def test_pages_forbid_everything_but_their_own_style() -> None:
    async with opened(Shelf(), adapters=[load("report")]) as door, door.client.get(door.url("/report")) as answer:
        page = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "same-origin", "no-referrer turns the form's Origin into null"
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert "unsafe" not in policy


async def test_a_report_without_a_title_is_not_stored_as_one() -> None:
    shelf = Shelf()
    async with (
        opened(shelf, adapters=[load("report")]) as door,
        door.client.post(door.url("/report"), data={"description": "<script>x</script>"}) as answer,
    ):
        assert (answer.status, answer.content_type) == (400, "text/html")
        assert "title" in await answer.text()
    assert [type(body) for body in shelf.bodies] == [DeadLetter]


async def test_a_store_that_is_away_is_said_on_the_page() -> None:
    async with (
        opened(Shelf(fault="<gone>"), adapters=[load("report")]) as door,
        door.client.post(door.url("/report"), data=FIELDS) as answer,
    ):
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        assert "&lt;gone&gt;" in await answer.text()


async def test_programs_report_in_json() -> None:
    shelf = Shelf()
    async with opened(shelf, adapters=[load("report")]) as door:
        for path in ("/v1/reports", "/report", "/v1/events/report"):
            async with door.client.post(door.url(path), json=FIELDS) as answer:
                assert (answer.status, answer.content_type) == (202, "application/json")
    assert len(shelf.bodies) == 3


async def test_beyond_loopback_there_is_no_form_unless_the_operator_wants_reports() -> None:
    async with opened(Shelf(), adapters=[load("report")], settings=AWAY) as door:
        async with door.client.get(door.url("/report")) as answer:
            assert answer.status == 404
        async with door.client.post(door.url("/report"), data=FIELDS) as answer:
            assert answer.status == 401


async def test_another_web_site_cannot_fill_the_form_on_this_machine() -> None:
    shelf = Shelf()
    async with opened(shelf, adapters=[load("report")]) as door:
        headers = {"Origin": "https://evil.example"}
        async with door.client.post(door.url("/report"), data=FIELDS, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (403, "text/html")
        async with door.client.get(door.url("/report"), headers={"Sec-Fetch-Site": "cross-site"}) as answer:
            assert answer.status == 200, "a link to the form may stand anywhere"
    assert shelf.bodies == []
