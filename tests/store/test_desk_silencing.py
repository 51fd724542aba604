"""The view of silences, without a browser's help: list, look first, put, end; what an alert or incident fills in."""

from __future__ import annotations

import re

import pytest

from tests.store.desk_support import RULES, Town, event, town

DOWN = event(alertname="Down", service="checkout", region="eu", instance='"><script>')


async def put(here: Town, **fields: str) -> tuple[int, str]:
    known = {"csrf": here.csrf, "matchers": 'service="checkout"', "duration": "1h", **fields}
    async with here.draining():
        answer, text = await here.post("/silences", known)
    return answer.status, text


async def test_a_silence_is_looked_at_put_listed_and_ended(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        await here.sign_in()
        _, text = await here.view("/silences")
        assert "None stand." in text
        status, text = await put(here, look="yes", comment="deploy", spare="yes")
        assert status == 200
        assert "0 alerts that fire now would be silenced." in text, "P0 is told all the same"
        status, text = await put(here, look="yes", comment="deploy")
        assert "1 alert that fires now would be silenced." in text
        assert (await here.get("/silences"))["items"] == []
        status, _ = await put(here, comment="<b>deploy</b>", spare="yes", follow="yes")
        assert status == 303
        (one,) = (await here.get("/silences"))["items"]
        assert (one["by"], one["spares"], one["after_resolve"]) == ("admin", ["P0"], "10m")
        _, text = await here.view("/silences?done=put")
        assert "&lt;b&gt;deploy&lt;/b&gt;" in text and "service=&#34;checkout&#34;" in text
        async with here.draining():
            answer, _ = await here.post(f"/silences/{one['key']}/end", {"csrf": here.csrf})
        assert answer.status == 303
        _, text = await here.view("/silences")
        assert "None stand." in text
        _, text = await here.view("/silences?ended=yes")
        assert one["key"] in text and "End it now" not in text


async def test_an_alert_and_an_incident_fill_in_what_they_are_about(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        await here.sign_in()
        (alert,) = (await here.get("/alerts"))["items"]
        _, text = await here.view("/alerts")
        assert f'href="/silences?alert={alert["fingerprint"]}#put-title"' in text
        _, text = await here.view(f"/silences?alert={alert['fingerprint']}")
        filled = text.partition("<textarea")[2].partition("</textarea>")[0]
        assert "alertname=&#34;Down&#34;" in filled and "service=&#34;checkout&#34;" in filled
        assert "<script>" not in filled
        (incident,) = (await here.get("/incidents"))["items"]
        _, text = await here.view(f"/incidents/{incident['id']}")
        assert f'href="/silences?incident={incident["id"]}#put-title"' in text
        _, text = await here.view(f"/silences?incident={incident['id']}")
        filled = text.partition("<textarea")[2].partition("</textarea>")[0]
        assert re.findall(r"(\w+)=&#34;(\w+)&#34;", filled) == [("service", "checkout"), ("region", "eu")]
        answer, _ = await here.view("/silences?alert=ffffffffffffffff")
        assert answer.status == 404


@pytest.mark.parametrize(
    ("matchers", "says"), [('service=~".*"', "nearly everything"), ("service", "expected one of"), ("", "matchers")]
)
async def test_what_cannot_be_a_silence_says_why_and_keeps_what_was_typed(
    redis_url: str, matchers: str, says: str
) -> None:
    async with town(redis_url) as here:
        await here.sign_in()
        status, text = await put(here, matchers=matchers, comment="as typed")
        assert (status, says in text, "as typed" in text) == (400, True, True), text


async def test_strangers_and_foreign_forms_put_and_end_nothing(redis_url: str) -> None:
    async with town(redis_url) as here:
        answer, _ = await here.post("/silences", {"matchers": 'a="b"', "duration": "1h"})
        assert (answer.status, answer.headers["Location"][:6]) == (303, "/login")
        await here.sign_in()
        for path in ("/silences", "/silences/k/end"):
            answer, _ = await here.post(path, {"csrf": "guess", "matchers": 'a="b"', "duration": "1h"})
            assert answer.status == 403
            answer, _ = await here.post(path, {"csrf": here.csrf}, headers={"Origin": "https://evil.example"})
            assert answer.status == 403
        assert (await here.get("/silences"))["items"] == []


async def test_those_of_the_file_are_listed_and_ended_there(redis_url: str) -> None:
    ends = '"2026-02-01T00:00:00Z"'
    quiet = f"silences: {{old: {{matchers: ['cluster=\"eu0\"'], ends_at: {ends}, comment: it goes}}}}"
    async with town(redis_url) as here:
        await here.load({**RULES, "quiet.yaml": quiet})
        await here.sign_in()
        _, text = await here.view("/silences")
        assert "file/old" in text and "End it now" not in text
