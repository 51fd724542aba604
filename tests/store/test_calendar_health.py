"""A calendar that cannot be read is seen by who asks whether all is ready, and by who asks who is on call."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

from ingest.stats import DoorStats
from tests.store.desk_support import RULES, town
from tests.store.test_oncall_api import ONCALL
from tocsin.health import Health
from triage.model import HOUR, CalendarRead


async def test_a_calendar_that_fails_is_a_warning_and_its_last_content_stays(redis_url: str) -> None:
    async with town(redis_url) as here:
        text = ONCALL.replace("  empty: {time_zone: UTC}", "  empty: {time_zone: UTC, ical: {file: a.ics}}")
        await here.load({**RULES, "oncall.yaml": text})
        assert (await here.get("/oncall"))["schedules"][0]["calendar"] == {"read_at": None, "unknown": [], "fault": ""}
        now = here.clock()
        read = CalendarRead("empty", "s", ((now - HOUR, now + HOUR, "bob"),), now - HOUR, now + HOUR, ("Zoe",))
        await here.desk.appender.append(read, now)
        await here.desk.appender.append(CalendarRead("empty", "s", fault="The server does not give it: HTTP 500."), now)
        await here.decide()
        found = (await here.get("/oncall"))["schedules"][0]
        assert [(one["person"], one["via"]) for one in found["on_call"]] == [("bob", "calendar")]
        assert (found["calendar"]["unknown"], found["calendar"]["fault"][-9:]) == (["Zoe"], "HTTP 500.")
        health = Health(here.client, [], cast("Any", SimpleNamespace(errors=[])), DoorStats())
        said = json.loads(cast("Any", await health.ready(cast("Any", None))).text)
        assert "the calendar of schedule empty: The server does not give it: HTTP 500." in said["warnings"]
