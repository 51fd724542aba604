"""Who is on call, by the REST API: now and later, overrides, and feeds that a calendar can subscribe to."""

from __future__ import annotations

import asyncio

import icalendar
import pytest
from click.testing import CliRunner

from tests.store.desk_support import RULES, TOKEN, Town, town
from tocsin.cli import main

ONCALL = """
people:
  ada: {name: Ada, contact: ["terminal://"]}
  bob: {name: Bob, contact: ["terminal://"], time_zone: America/New_York}
schedules:
  primary:
    time_zone: Europe/Berlin
    layers: [{name: daily, users: [ada, bob], start: "2025-12-31T09:00", every: 1d}]
  empty: {time_zone: UTC}
policies: {default: {steps: [{notify: [schedule:primary], wait: 5m}]}}
last_resort: [ada]
operators: [ada]
"""


async def loaded(here: Town) -> None:
    await here.load({**RULES, "oncall.yaml": ONCALL})


async def test_who_is_on_call_now_and_who_is_next(redis_url: str) -> None:
    """The clock stands at 2026-01-01 00:00 UTC, an hour later in Berlin."""
    async with town(redis_url) as here:
        await loaded(here)
        found = await here.get("/oncall")
        empty, primary = found["schedules"]
        assert (empty["schedule"], empty["on_call"], empty["next"]) == ("empty", [], None)
        assert [(one["person"], one["name"], one["via"]) for one in primary["on_call"]] == [("ada", "Ada", "daily")]
        assert primary["on_call"][0]["end"] == "2026-01-01T08:00:00.000Z"
        assert primary["next"]["person"] == "bob"
        later = await here.get("/oncall?at=2026-01-01T09:00:00%2B01:00")
        assert later["schedules"][1]["on_call"][0]["person"] == "bob"


async def test_an_override_is_asked_for_shown_and_withdrawn(redis_url: str) -> None:
    async with town(redis_url) as here:
        await loaded(here)
        async with here.draining():
            body = {"person": "bob", "from": "2026-01-01T02:00", "to": "2026-01-01T03:00"}
            status, done = await here.ask("POST", "/oncall/primary/overrides", json=body)
            assert (status, done["ending"]) == (200, "done"), done
            (why,) = (await here.get(f"/why?of={done['entry']}"))["sections"]
            assert {"by": "admin (api)", "schedule": "primary"}.items() <= {
                fact["name"]: fact["text"] for fact in why["facts"]
            }.items()
            found = await here.get("/oncall/primary?from=2026-01-01T00:00&to=2026-01-01T09:00")
            assert [(one["person"], one["start"][11:16], one["via"]) for one in found["shifts"]] == [
                ("ada", "23:00", "daily"),
                ("bob", "01:00", "override"),
                ("ada", "02:00", "daily"),
            ]
            (one,) = found["overrides"]
            assert (one["person"], one["by"], one["end"]) == ("bob", "admin", "2026-01-01T02:00:00.000Z")
            mine = await here.get("/oncall/people/bob?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z")
            assert [shift["via"] for shift in mine["shifts"]] == ["override", "daily"]
            status, _ = await here.ask("DELETE", f"/oncall/primary/overrides/{one['id']}")
            assert status == 200
            assert (await here.get("/oncall/primary"))["overrides"] == []
            status, refused = await here.ask("DELETE", f"/oncall/primary/overrides/{one['id']}")
            assert (status, refused["type"]) == (409, "urn:tocsin:problem:refused")


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("primary", {"person": "bop", "to": "2026-01-02T00:00"}, 409, 'did you mean "bob"?'),
        ("primary", {"person": "bob", "to": "2025-12-31T00:00"}, 409, "ends before it starts"),
        ("primary", {"person": "bob", "to": "tomorrow"}, 400, "tomorrow"),
        ("primary", {"person": "bob"}, 400, "to"),
        ("primery", {"person": "bob", "to": "2026-01-02T00:00"}, 404, 'did you mean "primary"?'),
    ],
)
async def test_an_override_that_cannot_be_says_why(
    redis_url: str, path: str, body: dict[str, str], status: int, says: str
) -> None:
    async with town(redis_url) as here:
        await loaded(here)
        async with here.draining():
            found, problem = await here.ask("POST", f"/oncall/{path}/overrides", json=body)
            assert found == status, problem
            assert says in problem["detail"]


async def test_changing_needs_a_token(redis_url: str) -> None:
    async with town(redis_url, open_reads=True) as here:
        await loaded(here)
        body = {"person": "bob", "to": "2026-01-02T00:00"}
        status, _ = await here.ask("POST", "/oncall/primary/overrides", token=None, json=body)
        assert status == 401
        assert (await here.get("/oncall", token=None))["schedules"]


async def test_a_calendar_subscribes_with_the_token_of_the_feed_and_with_that_alone(redis_url: str) -> None:
    async with town(redis_url) as here:
        await loaded(here)
        for path, people in (("/oncall/primary", {"ada", "bob"}), ("/oncall/people/bob", {"bob"})):
            url = (await here.get(path))["feed"]
            assert url.startswith(here.url)
            assert TOKEN not in url
            async with here.session.get(url) as answer:
                assert (answer.status, answer.content_type) == (200, "text/calendar")
                text = await answer.text()
            found = icalendar.Calendar.from_ical(text)
            assert isinstance(found, icalendar.Calendar)
            events = found.walk("VEVENT")
            assert {str(one["summary"]).split()[0] for one in events} == people
            assert len({str(one["uid"]) for one in events}) == len(events) > 80
            for wrong in (url.partition("?")[0], f"{url}0"):
                async with here.session.get(wrong) as answer:
                    assert answer.status == 401


async def test_a_token_of_a_feed_cannot_act_or_read_more(redis_url: str) -> None:
    async with town(redis_url) as here:
        await loaded(here)
        token = (await here.get("/oncall/primary"))["feed"].partition("token=")[2]
        for path in ("/oncall", "/incidents"):
            status, _ = await here.ask("GET", path, token=token)
            assert status == 401


async def command(here: Town, *words: str) -> tuple[int, str]:
    """Run a command against this town."""
    env = {"TOCSIN_URL": here.url, "TOCSIN_ADMIN_TOKEN": TOKEN}
    result = await asyncio.to_thread(CliRunner().invoke, main, ["oncall", *words], env=env)
    return result.exit_code, result.output


async def test_the_command_line_says_who_lets_take_over_and_shows_it(redis_url: str) -> None:
    async with town(redis_url) as here:
        await loaded(here)
        async with here.draining():
            code, output = await command(here, "now", "--at", "2026-01-01T00:00:00Z")
            assert code == 0, output
            assert [" ".join(line.split()) for line in output.splitlines()] == [
                "schedule on call until then",
                "empty nobody - -",
                "primary ada 2026-01-01 09:00 bob from 2026-01-01 09:00",
            ]
            taken = ("override", "primary", "bob", "--from", "2026-01-01T02:00", "--to", "2026-01-01T03:00")
            code, output = await command(here, *taken)
            assert (code, output[:34]) == (0, "primary: bob takes schedule primary"[:34]), output
            name = output.partition("(override ")[2].partition(")")[0]
            code, output = await command(here, "show", "primary", "--from", "2026-01-01T00:00", "--days", "1")
            assert output.splitlines() == [
                "primary, wall clock of Europe/Berlin",
                "2026-01-01 00:00  -  2026-01-01 02:00  ada",
                "2026-01-01 02:00  -  2026-01-01 03:00  bob  (override)",
                "2026-01-01 03:00  -  2026-01-01 09:00  ada",
                "2026-01-01 09:00  -  2026-01-02 00:00  bob",
                f"override {name}: bob 2026-01-01 02:00 - 2026-01-01 03:00, by admin",
            ]
            assert await command(here, "override", "primary", "--withdraw", name) == (
                0,
                f"primary: the override {name} is withdrawn\n",
            )
            code, output = await command(here, "override", "primary", "--withdraw", name)
            assert (code, name in output) == (1, True)
            code, output = await command(here, "feed", "bob", "--person")
            assert output.startswith(f"{here.url}/api/v1/oncall/people/bob.ics?token=")


async def test_a_swap_exchanges_two_shifts_both_or_none(redis_url: str) -> None:
    """Ada has the last day of 2025 from nine o'clock, bob the next, then ada again."""
    async with town(redis_url) as here:
        await loaded(here)
        async with here.draining():
            path, given = "/oncall/primary/swaps", {"person": "ada", "at": "2026-01-02T12:00", "other": "bob"}
            status, done = await here.ask("POST", path, json={**given, "other_at": "2026-01-01T12:00"})
            assert (status, done["ending"]) == (200, "done"), done
            found = await here.get("/oncall/primary?from=2026-01-01T09:00&to=2026-01-03T09:00")
            assert [(one["person"], one["start"][8:13], one["via"]) for one in found["shifts"]] == [
                ("ada", "01T08", "override"),
                ("bob", "02T08", "override"),
            ]
            first, second = found["overrides"]
            assert first["id"] == second["id"]
            status, refused = await here.ask("POST", path, json={**given, "other_at": "2026-01-01T12:00"})
            assert status == 409
            assert refused["detail"].startswith("ada is not on call in primary at 2026-01-02T11:00")
            assert (await here.ask("DELETE", f"/oncall/primary/overrides/{first['id']}"))[0] == 200
            assert (await here.get("/oncall/primary"))["overrides"] == []
            code, output = await command(here, "swap", "primary", "ada", "2026-01-02T12:00", "bob", "2026-01-03T12:00")
            assert (code, "ada and bob swap shifts of schedule primary" in output) == (0, True), output
            code, output = await command(here, "swap", "primary", "ada", "2026-01-01T12:00", "bob", "2026-01-02T12:00")
            assert (code, "ada is not on call in primary" in output) == (1, True), output
