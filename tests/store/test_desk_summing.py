"""The view of insights, without a browser's help: the API's figures as tables, and of how long."""

from __future__ import annotations

from tests.store.desk_support import RULES, event, town
from triage.model import DAY, MINUTE, Command, Verb
from triage.store import queries

HOSTILE = "<img src=x onerror=alert(1)>"


async def test_the_figures_of_the_api_stand_in_tables_and_hostile_names_as_text(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.load({**RULES, "severity.yaml": RULES["severity.yaml"].replace("payments down", HOSTILE)})
        await here.send(event(alertname="Down", service="payments"))
        one = (await queries.incidents(here.client, queries.IncidentFilter())).items[0]
        for verb, minutes in ((Verb.ACKNOWLEDGE, 4), (Verb.RESOLVE, 125)):
            here.clock.now += minutes * MINUTE
            body = Command(verb, one.key, "ada", "api", "done", confirm=True)
            await here.desk.appender.append(body, here.clock())
            await here.decide()
        await here.sign_in()
        _, text = await here.view("/insights")
        assert "1 incident ended since 2025-10-03" in text
        assert '<span class="text">payments</span></th><td>1</td><td>4 min</td><td>–</td><td>2 h 9 min</td>' in text
        assert '<span class="badge P1">P1</span></th><td>1</td>' in text and ">2026-W01<" in text
        assert HOSTILE not in text and "&lt;img src=x" in text.partition("noisiest rules")[2]
        assert 'href="/rules/severity.yaml%3A7"' in text, "where the rule stands"
        answer, _ = await here.view("/rules/severity.yaml%3A7")
        assert answer.headers["Location"] == "/rules/severity.yaml#L7"
        assert '<option value="90" selected>' in text
        here.clock.now += 2 * DAY
        _, text = await here.view("/insights?days=1")
        assert "0 incidents ended" in text and "None ended." in text and '<option value="1" selected>' in text


async def test_a_number_of_days_that_cannot_be_says_so(redis_url: str) -> None:
    async with town(redis_url) as here:
        answer, _ = await here.view("/insights")
        assert (answer.status, answer.headers["Location"]) == (303, "/login?next=/insights")
        await here.sign_in()
        for days in ("0", "801", "many"):
            answer, text = await here.view(f"/insights?days={days}")
            assert (answer.status, "days" in text) == (400, True)
