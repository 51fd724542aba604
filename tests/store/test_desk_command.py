"""Commanding an incident by plain forms and over the API: phase, severity, roles, merging, declaring."""

from __future__ import annotations

from tests.store.desk_support import DOWN, RULES, Town, event, town
from triage.model import Event, Events, Incident, Kind, Phase, Severity, Status, fingerprint_of
from triage.store import queries

SEVERITY_PAGE = "| **P0** | nobody can <pay> | the shop is shut | paged |\n"


async def opened(here: Town) -> str:
    """Open one incident; return the six characters that people see."""
    await here.send(DOWN)
    page = await queries.incidents(here.client, queries.IncidentFilter())
    return page.items[0].key[:6]


async def shown(here: Town, name: str) -> Incident:
    return await queries.incident(here.client, name)


async def test_an_incident_is_commanded_with_plain_forms(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.load({**RULES, "procedures/severity.md": SEVERITY_PAGE})
        name = await opened(here)
        await here.sign_in()
        at = f"/incidents/{name}"
        async with here.draining():
            _, text = await here.view(at)
            assert "P0 is nobody can &lt;pay&gt;." in text
            assert 'value="mitigating" title="you take it"' in text
            for path, fields in (
                ("phase", {"to": "mitigating"}),
                ("severity", {"to": "P2", "text": "only exports"}),
                ("role", {"role": "scribe", "person": "ada"}),
                ("impact", {"text": "exports fail"}),
                ("eta", {"eta": "45m"}),
                ("note", {"kind": "finding", "text": "the queue is full"}),
            ):
                answer, text = await here.post(f"{at}/{path}", {"csrf": here.csrf, **fields})
                assert answer.status == 303, text
                assert answer.headers["Location"] == f"{at}?done={path}"
            _, text = await here.view(f"{at}?done=severity")
        one = await shown(here, name)
        assert (one.phase, one.severity, one.impact) == (Phase.MITIGATING, Severity.P2, "exports fail")
        assert one.eta == here.clock.now + 45 * 60_000
        assert "The severity is changed." in text
        assert '<dt>Scribe</dt><dd class="text">ada</dd>' in text
        assert "admin: only exports" in text
        assert '<span class="what">finding</span>' in text


async def test_what_a_form_says_wrongly_is_refused_in_words(redis_url: str) -> None:
    async with town(redis_url) as here:
        name = await opened(here)
        await here.sign_in()
        async with here.draining():
            answer, text = await here.post(f"/incidents/{name}/severity", {"csrf": here.csrf, "to": "P9", "text": "x"})
            assert answer.status == 400
            assert "to: Input should be" in text
            answer, text = await here.post(f"/incidents/{name}/phase", {"csrf": here.csrf, "to": "closed"})
            assert answer.status == 409
            assert "it can go to triaged, mitigating, monitoring, resolved" in text


async def test_merged_over_the_api_the_alerts_are_listed_with_the_one_that_goes_on(redis_url: str) -> None:
    async with town(redis_url) as here:
        name = await opened(here)
        await here.send(event(alertname="Down", service="payments"))
        other = (await here.get("/incidents?service=payments"))["items"][0]["id"]
        async with here.draining():
            status, found = await here.ask("POST", f"/incidents/{name}/merge", json={"other": other, "text": "same"})
        assert (status, found["text"]) == (200, f"it is part of {other} now")
        gone, into = await here.get(f"/incidents/{name}"), await here.get(f"/incidents/{other}")
        assert (gone["merged_into"], gone["phase"]) == (other, "closed")
        assert (into["merged"], into["alerts"]["firing"]) == ([name], 2)
        assert len(into["alert_page"]["items"]) == 2
        assert gone["alert_page"]["items"] == []
        await here.sign_in()
        _, text = await here.view(f"/incidents/{name}")
        assert f'This is part of <a href="/incidents/{other}">' in text
        assert [one["id"] for one in (await here.get("/incidents?open=true"))["items"]] == [other]


async def test_declared_by_a_form_it_is_open_and_a_second_one_is_asked_about(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.sign_in()
        fields = {"csrf": here.csrf, "title": "Checkout <is> slow", "severity": "P1", "service": "shop"}
        async with here.draining():
            answer, _ = await here.post("/declare", fields)
            assert answer.status == 303
            name = answer.headers["Location"].rpartition("/")[2]
            answer, text = await here.post("/declare", fields)
            assert answer.status == 409
            assert f'<a href="/incidents/{name}">Look at it</a>' in text
            assert 'value="Checkout &lt;is&gt; slow"' in text
            answer, _ = await here.post("/declare", {**fields, "confirm": "yes", "take": "yes"})
            assert answer.status == 303
        one = await shown(here, name)
        assert (one.title, one.severity, one.alerts) == ("Checkout <is> slow", Severity.P1, 0)
        second = await shown(here, answer.headers["Location"].rpartition("/")[2])
        assert second.acked_by == "admin"


async def test_a_recorded_report_can_be_declared(redis_url: str) -> None:
    async with town(redis_url) as here:
        report = Event(
            Status.FIRING,
            fingerprint_of("report", "x"),
            "The export button is grey",
            {"alertname": "UserReport", "service": "shop"},
            kind=Kind.REPORT,
            raw_severity="P4",
        )
        entry = await here.desk.appender.append(Events(source="report", events=[report]), here.clock())
        await here.decide()
        await here.sign_in()
        _, text = await here.view(f"/declare?report={entry}/0")
        assert 'value="The export button is grey"' in text
        async with here.draining():
            status, found = await here.ask("POST", "/incidents", json={"severity": "P2", "report": f"{entry}/0"})
        assert (status, found["incident"]["title"]) == (200, "The export button is grey")
        assert found["incident"]["service"] == "shop"
        other = await here.send(DOWN)
        status, found = await here.ask("POST", "/incidents", json={"severity": "P2", "report": other})
        assert status == 404
        assert "is no user's report" in found["detail"]


async def test_closing_asks_in_the_desk_for_what_is_missing_and_takes_it_from_the_form(redis_url: str) -> None:
    async with town(redis_url) as here:
        name = await opened(here)
        await here.sign_in()
        async with here.draining():
            await here.post(f"/incidents/{name}/resolve", {"csrf": here.csrf, "confirm": "yes"})
            to = {"csrf": here.csrf, "to": "closed"}
            answer, text = await here.post(f"/incidents/{name}/phase", to)
            assert (answer.status, "no resolution note, no root cause" in text) == (409, True)
            for field in ("resolution", "root_cause", "text"):
                assert f'name="{field}"' in text
            assert 'name="public"' not in text  # it never was
            answer, text = await here.post(f"/incidents/{name}/phase", {**to, "confirm": "yes", "resolution": "back"})
            assert (answer.status, "or say why incident" in text) == (409, True)
            filled = {**to, "confirm": "yes", "resolution": "rolled back", "root_cause": "a deploy", "text": "small"}
            answer, _ = await here.post(f"/incidents/{name}/phase", filled)
            assert answer.status == 303
        one = await shown(here, name)
        assert (one.phase, one.resolution, one.root_cause) == (Phase.CLOSED, "rolled back", "a deploy")
