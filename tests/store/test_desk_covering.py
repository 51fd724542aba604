"""The view of who is on call, without a browser's help: who, gaps, faults of a calendar, overrides by form."""

from __future__ import annotations

import hashlib

from tests.store.desk_support import RULES, Town, town
from triage.model import CalendarRead
from triage.model.roles import Role

VIEWER = "a viewer's token, long enough"
ONCALL = """
people:
  ada: {name: Ada, contact: ["terminal://"]}
  admin: {name: Boss, contact: ["terminal://"], time_zone: America/New_York}
schedules:
  primary:
    time_zone: Europe/Berlin
    layers: [{name: daily, users: [ada, admin], start: "2025-12-31T09:00", every: 1d, end: "2026-01-10T09:00"}]
    overrides: [{user: ada, start: "2026-01-05T00:00", end: "2026-01-06T00:00"}]
  nights: {time_zone: UTC, partial: true}
  bought: {time_zone: UTC, ical: {url: "https://calendar.example/x.ics"}}
policies: {default: {steps: [{notify: [schedule:primary], wait: 5m}]}}
last_resort: [ada]
operators: [ada]
"""


async def loaded(here: Town) -> None:
    await here.load({**RULES, "oncall.yaml": ONCALL})


def card(text: str, schedule: str) -> str:
    """Return what the view says of one schedule."""
    return text.partition(f'id="schedule-{schedule}"')[2].partition('id="schedule-')[0].partition("</section>")[0]


async def test_who_is_on_call_on_both_clocks_and_where_nobody_is(redis_url: str) -> None:
    """The clock stands at 2026-01-01 00:00 UTC, an hour later in Berlin."""
    async with town(redis_url) as here:
        await loaded(here)
        await here.sign_in()
        _, text = await here.view("/oncall")
        primary = card(text, "primary")
        assert "Thu 2026-01-01 09:00 CET" in primary and ">(03:00 EST)<" in primary
        assert primary.index("Ada") < primary.index("then <strong")
        assert "for the rest of them" in primary.partition("four weeks to come")[2].partition("</ul>")[0]
        assert "Sat 2026-01-10 09:00 CET" in primary.partition("four weeks to come")[2], "the layer ends"
        assert "in oncall.yaml" in primary and "Withdraw it" not in primary
        assert "as the schedule means it" in card(text, "nights") and "four weeks" not in card(text, "nights")
        gaps = {one["schedule"]: one["gaps"] for one in (await here.get("/oncall"))["schedules"]}
        ends = "2026-01-29T00:00:00.000Z"
        assert gaps["nights"] == [] and gaps["primary"] == [{"start": "2026-01-10T08:00:00.000Z", "end": ends}]


async def test_a_calendar_that_says_html_says_it_as_text(redis_url: str) -> None:
    hostile = "<script>alert(1)</script>"
    async with town(redis_url) as here:
        await loaded(here)
        await here.sign_in()
        _, text = await here.view("/oncall")
        assert "Its calendar was not read yet." in card(text, "bought")
        read = CalendarRead("bought", "", unknown=(hostile,), fault=f"HTTP 500 {hostile}")
        await here.desk.appender.append(read, here.clock())
        await here.decide()
        (one,) = [one for one in (await here.get("/oncall"))["schedules"] if one["schedule"] == "bought"]
        assert one["calendar"]["fault"]
        _, text = await here.view("/oncall")
        assert hostile not in text and "HTTP 500 &lt;script&gt;" in card(text, "bought")


async def test_a_shift_is_taken_over_and_given_back_by_forms(redis_url: str) -> None:
    async with town(redis_url) as here:
        await loaded(here)
        await here.sign_in()
        _, text = await here.view("/oncall?take=primary")
        assert 'name="to" type="datetime-local" required value="2026-01-01T09:00"' in text
        assert '<option selected value="admin">' in text, "whoever looks"
        fields = {"csrf": here.csrf, "schedule": "primary", "person": "admin", "from": "", "to": "2026-01-01T04:00"}
        async with here.draining():
            answer, text = await here.post("/oncall", {**fields, "to": "2025-12-01T04:00"})
            assert (answer.status, "ends before it starts" in text, "2025-12-01T04:00" in text) == (409, True, True)
            answer, _ = await here.post("/oncall", fields)
            assert (answer.status, answer.headers["Location"]) == (303, "/oncall?done=take")
            one = (await here.get("/oncall/primary"))["overrides"][0]
            assert (one["person"], one["by"], one["end"]) == ("admin", "admin", "2026-01-01T03:00:00.000Z")
            _, text = await here.view("/oncall?done=take")
            assert "by an override" in card(text, "primary") and "asked for by admin" in card(text, "primary")
            path = f"/oncall/primary/overrides/{one['id']}/end"
            assert f'action="{path}"' in text
            answer, _ = await here.post(path, {"csrf": here.csrf})
            assert (answer.status, answer.headers["Location"]) == (303, "/oncall?done=end")
            answer, text = await here.post(path, {"csrf": here.csrf})
            assert (answer.status, 'id="fault"' in text) == (409, True), "twice"
        assert (await here.get("/oncall/primary"))["overrides"] == []


async def test_a_viewer_sees_it_and_takes_nothing_over(redis_url: str) -> None:
    hashed = hashlib.sha256(VIEWER.encode()).hexdigest()
    async with town(redis_url, tokens={"vera": hashed}, roles={"vera": Role.VIEWER}) as here:
        await loaded(here)
        await here.sign_in(VIEWER)
        _, text = await here.view("/oncall?take=primary")
        assert "Ada" in text and 'action="/oncall' not in text and "Take it over" not in text
        fields = {"csrf": here.csrf, "schedule": "primary", "person": "ada", "to": "2026-01-01T04:00"}
        for path in ("/oncall", "/oncall/primary/overrides/x/end"):
            answer, _ = await here.post(path, fields)
            assert answer.status == 403


async def test_of_many_gaps_the_first_are_shown_and_the_others_are_behind_a_word(redis_url: str) -> None:
    hours = 'every: 1d, restrict: [{times: [{start_time: "09:00", end_time: "17:00"}]}]'
    async with town(redis_url) as here:
        await here.load({**RULES, "oncall.yaml": ONCALL.replace("every: 1d", hours, 1)})
        await here.sign_in()
        _, text = await here.view("/oncall")
        shown, _, rest = card(text, "primary").partition('<details id="gaps-primary">')
        assert (shown.count("<li>from"), rest.partition("</details>")[0].count("<li>from")) == (3, 7)
        assert "tocsin oncall check" in rest
