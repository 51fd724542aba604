"""Stories of incident command: two people at once, and one incident made of two while a page is in flight."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.stories.town import Town
from triage.model import Answer, Command, Declared, Ending, Incident, Phase, Result, Severity, Verb
from triage.store import effects, queries
from triage.store.client import connect_async


async def answers(town: Town, *entries: str) -> list[Answer]:
    client = connect_async(town.url)
    try:
        found = [await queries.answer(client, entry) for entry in entries]
    finally:
        await client.aclose()
    assert all(found)
    return [one for one in found if one is not None]


async def both(town: Town, first: Command, second: Command) -> tuple[str, str]:
    """Two people ask at the same moment: both are in the journal before either is decided."""
    entries = await asyncio.gather(town.appender.append(first, town.now), town.appender.append(second, town.now))
    town.settle()
    found = await answers(town, *sorted(entries, key=queries.entry_order))
    return found[0].ending, found[1].ending


def asks(town: Town, verb: Verb, by: str, **more: Any) -> Command:
    return Command(verb, town.incident.key, by, "story", **more)


AT_ONCE: dict[str, tuple[tuple[Verb, dict[str, Any]], tuple[Verb, dict[str, Any]], tuple[str, str]]] = {
    "both take it": ((Verb.ACKNOWLEDGE, {}), (Verb.ACKNOWLEDGE, {}), ("done", "done")),
    "one resolves, one takes it": ((Verb.RESOLVE, {"confirm": True}), (Verb.ACKNOWLEDGE, {}), ("done", "refused")),
    "one raises, one lowers": (
        (Verb.SEVERITY, {"text": "worse", "data": {"to": "P0"}}),
        (Verb.SEVERITY, {"text": "better", "data": {"to": "P3"}}),
        ("done", "done"),
    ),
    "both raise": (
        (Verb.SEVERITY, {"text": "worse", "data": {"to": "P0"}}),
        (Verb.SEVERITY, {"text": "worse", "data": {"to": "P0"}}),
        ("done", "done"),
    ),
    "one mitigates, one says it is over": (
        (Verb.PHASE, {"data": {"to": "mitigating"}}),
        (Verb.PHASE, {"data": {"to": "monitoring"}}),
        ("done", "refused"),
    ),
    "both want to command": (
        (Verb.ROLE, {"person": "ana", "data": {"role": "commander"}}),
        (Verb.ROLE, {"person": "ben", "data": {"role": "commander"}}),
        ("done", "done"),
    ),
    "one snoozes, one gives it away": (
        (Verb.SNOOZE, {"duration": 3_600_000}),
        (Verb.ASSIGN, {"person": "eve"}),
        ("done", "done"),
    ),
}


@pytest.mark.parametrize("name", AT_ONCE)
async def test_two_people_act_at_once_and_each_is_answered_with_what_it_found(town: Town, name: str) -> None:
    """The journal has an order, so the later one acts on what the earlier one left; nobody is paged twice."""
    await town.fires("Down")
    (verb, more), (other, others), expected = AT_ONCE[name]
    assert await both(town, asks(town, verb, "ana", **more), asks(town, other, "ben", **others)) == expected
    one = town.incident
    if name == "both take it":
        assert (one.acked_by, one.responders) == ("ben", ("ana", "ben"))
    if name == "one raises, one lowers":
        assert (one.severity, one.page_at) == (Severity.P3, None)
    if name == "both raise":
        assert town.paged.count("ben") <= 1
    if name == "one mitigates, one says it is over":
        assert one.phase is Phase.MITIGATING
    if name == "one snoozes, one gives it away":
        assert (one.acked_by, town.paged[-1]) == ("", "eve")


async def test_one_merges_while_the_other_resolves_what_it_goes_into(town: Town) -> None:
    await town.fires("Down")
    await town.fires("Down", service="checkout")
    first, second = town.incidents
    resolve = Command(Verb.RESOLVE, second.key, "ana", "story", confirm=True)
    merge = Command(Verb.MERGE, first.key, "ben", "story", data={"other": second.key})
    assert await both(town, resolve, merge) == ("done", "refused")
    assert [one.phase for one in town.incidents] == [Phase.DETECTED, Phase.RESOLVED]


async def test_two_merge_the_same_two_in_opposite_directions_and_one_is_left(town: Town) -> None:
    await town.fires("Down")
    await town.fires("Down", service="checkout")
    first, second = town.incidents
    one_way = Command(Verb.MERGE, first.key, "ana", "story", data={"other": second.key})
    other_way = Command(Verb.MERGE, second.key, "ben", "story", data={"other": first.key})
    assert await both(town, one_way, other_way) == ("done", "refused")
    assert [one.merged_into for one in town.incidents] in (["", first.key], [second.key, ""])


def parts(town: Town) -> tuple[Incident, Incident]:
    gone, into = sorted(town.incidents, key=lambda one: not one.merged_into)
    return gone, into


async def test_merged_while_a_page_is_in_flight_it_arrives_once(town: Town) -> None:
    """A worker has the page in its hands, the incidents become one, the worker reports; nobody sends it again."""
    await town.fires("Slow", severity="info", service="search")
    await town.fires("Down", settle=False)
    while town.drain.step():
        pass
    (flying,) = effects.claim(town.client, town.now, 10, 60_000, "elsewhere").claimed
    low, high = sorted(town.incidents, key=lambda one: -one.severity)
    merge = Command(Verb.MERGE, high.key, "eve", "story", data={"other": low.key})
    await town.appender.append(merge, town.now)
    town.settle()
    assert town.paged == []
    gone, into = parts(town)
    assert (gone.key, into.pending, into.severity) == (high.key, (flying.effect.id,), Severity.P1)
    done = Result(flying.effect.id, 0, Ending.DELIVERED, incident=high.key, person="ana", scheme="file")
    effects.report(town.client, done, "elsewhere", town.now)
    town.settle()
    assert [line.what for line in town.timeline(parts(town)[1])][-1] == "delivered"
    town.wait(minutes=5)
    assert town.paged == ["ben"]  # the next step: the first one reached ana already
    await town.appender.append(Command(Verb.ACKNOWLEDGE, high.key, "ana", "link", page=flying.effect.id), town.now)
    town.settle()
    assert parts(town)[1].acked_by == "ana"
    town.wait(hours=1)
    assert town.paged == ["ben", "ana"]  # acknowledged, then an hour without a human action


async def test_merged_all_its_alerts_are_listed_with_the_one_that_goes_on(town: Town) -> None:
    await town.fires("Down")
    await town.fires("Down", service="checkout")
    first, second = town.incidents
    await town.appender.append(Command(Verb.MERGE, first.key, "ana", "story", data={"other": second.key}), town.now)
    await town.fires("Slow")
    client = connect_async(town.url)
    page = await queries.alerts_of(client, second.key)
    await client.aclose()
    assert len(page.items) == 3
    await town.ends("Slow")
    await town.ends("Down")
    await town.ends("Down", service="checkout")
    assert parts(town)[1].phase is Phase.MONITORING


async def test_declared_by_hand_it_pages_by_policy_and_people_end_it(town: Town) -> None:
    await town.appender.append(Declared("Nobody can pay", Severity.P0, "eve", "cli", "checkout"), town.now)
    town.settle()
    assert town.paged == ["ana"]
    await town.acks("ana")
    await town.asks(Verb.NOTE, "ana", "the card provider is down")
    entry = await town.appender.append(asks(town, Verb.PHASE, "ana", data={"to": "monitoring"}), town.now)
    town.settle()
    assert await answers(town, entry) == [Answer("done", "it is monitoring")]
    town.wait(hours=1)
    assert town.incident.phase is Phase.RESOLVED
    assert town.paged == ["ana"]
