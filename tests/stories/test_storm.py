"""A night in which everything breaks at once, through the real store and the real workers."""

from __future__ import annotations

import redis.asyncio

from tests.stories.town import Town, oncall
from triage.model import Command, Incident, Phase, Verb, short
from triage.store import why as reasons


async def breaks(town: Town, count: int, word: str = "critical", first: int = 0) -> None:
    """Let so many services break at once, in one request."""
    alerts = [
        {
            "title": f"Down {n}",
            "dedup_key": f"{word}{n}",
            "labels": {"alertname": "Down", "service": f"s{n}"},
            "severity": word,
        }
        for n in range(first, first + count)
    ]
    await town.post("generic", alerts)


async def does(town: Town, verb: Verb, incident: Incident, by: str, text: str = "") -> None:
    await town.appender.append(Command(verb, incident.key, by, "story", text), town.now)
    town.settle()


def storm_of(town: Town) -> Incident:
    (only,) = [one for one in town.incidents if one.stands_for]
    return only


async def test_a_hundred_incidents_are_three_pages_and_a_storm_page(town: Town) -> None:
    await breaks(town, 100)
    town.wait(minutes=1)
    assert town.paged == ["ana"] * 4
    storm = storm_of(town)
    page = town.messages[-1]
    assert page["title"] == "P1 Storm: 97 pages more than the budget of ana"
    assert "and 85 more" in page["body"]
    assert f"tocsin ack {short(storm.key)}" in page["body"]
    withheld = next(one for one in town.incidents if one.storm == storm.key)
    async with redis.asyncio.from_url(town.url) as client:
        told = reasons.text(await reasons.why(client, withheld.key))
    assert any(f"page to ana withheld: 3 others come at once; storm page {short(storm.key)}" in line for line in told)
    await does(town, Verb.ACKNOWLEDGE, storm, "ana")
    town.wait(minutes=9)
    assert "ben" not in [one["person"] for one in town.messages if "Storm" in one["title"]]
    for one in town.incidents:
        if not one.stands_for:
            await does(town, Verb.ACKNOWLEDGE, one, "ana")
    pages = len(town.paged)
    town.wait(minutes=40)
    assert storm_of(town).phase is Phase.RESOLVED
    assert len(town.paged) == pages


async def test_nobody_answers_a_storm(town: Town) -> None:
    await breaks(town, 40)
    town.wait(hours=4)
    storms = [one["person"] for one in town.messages if one["kind"] == "page" and "Storm" in one["title"]]
    assert storms[:2] == ["ana", "ben"]
    assert "eve" in storms
    assert len(town.paged) < 30


async def test_a_storm_hides_no_p0(town: Town) -> None:
    await town.loads(
        {
            "severity.yaml": "rules: [{name: out, matchers: ['severity=\"fatal\"'], severity: P0}]",
            "oncall.yaml": oncall(town.pages),
        }
    )
    await breaks(town, 20)
    await breaks(town, 5, "fatal", first=100)
    assert [one["title"][:2] for one in town.messages if one["kind"] == "page"] == ["P1"] * 3 + ["P0"] * 5
