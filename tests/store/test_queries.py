"""The state as people read it, written by the real drain into a real store."""

from __future__ import annotations

import asyncio

import pytest

from tests.store.desk_support import DOWN, NOW, RULES, event, town
from triage.model import AlertState, Command, DeadLetter, Events, Phase, Severity, Verb
from triage.store import client, keys, queries, standing
from triage.store import why as reasons


async def test_incidents_are_listed_newest_first_and_paged_without_gaps(redis_url: str) -> None:
    async with town(redis_url) as here:
        for number in range(7):
            here.clock.now = NOW + number // 2  # two open in the same millisecond
            await here.send(event(alertname="A", service=f"s{number}"))
        seen: list[str] = []
        after: str | None = None
        while True:
            page = await queries.incidents(here.client, queries.IncidentFilter(), 2, after)
            seen += [one.service for one in page.items]
            if page.next is None:
                break
            after = page.next
        assert sorted(seen) == [f"s{number}" for number in range(7)]
        assert seen[0] == "s6"


async def test_a_page_mark_survives_that_its_incident_is_forgotten(redis_url: str) -> None:
    async with town(redis_url) as here:
        for number in range(4):
            here.clock.now = NOW + number
            await here.send(event(alertname="A", service=f"s{number}"))
        page = await queries.incidents(here.client, queries.IncidentFilter(), 2)
        await here.client.zrem(keys.ALL, page.items[-1].key)
        rest = await queries.incidents(here.client, queries.IncidentFilter(), 2, page.next)
        assert [one.service for one in rest.items] == ["s1", "s0"]


async def test_filters_choose_by_severity_service_phase_text_and_openness(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN, event(alertname="A", service="blog", severity="warning"))
        await here.send(event("resolved", alertname="A", service="blog", severity="warning"))

        async def services(**wanted: object) -> list[str]:
            found = await queries.incidents(here.client, queries.IncidentFilter(**wanted))  # type: ignore[arg-type]
            return [one.service for one in found.items]

        assert await services(severity=Severity.P0) == ["checkout"]
        assert await services(service="blog") == ["blog"]
        assert await services(text="CHECKOUT is") == ["checkout"]
        assert await services(text="nowhere") == []
        assert await services(phase=Phase.DETECTED) == ["checkout"]
        one = (await queries.incidents(here.client, queries.IncidentFilter(service="blog"))).items[0]
        assert one.phase in {Phase.MONITORING, Phase.RESOLVED}
        assert await services(open=True) == (["checkout"] if one.phase is Phase.RESOLVED else ["blog", "checkout"])


async def test_an_incident_is_found_by_six_characters_and_ambiguity_is_said(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        one = (await queries.incidents(here.client, queries.IncidentFilter())).items[0]
        assert (await queries.incident(here.client, one.key[:6].upper())).key == one.key
        assert (await queries.incident(here.client, one.key)).key == one.key
        twin = one.key[:6] + "2" * 20
        await here.client.zadd(keys.NAMES, {twin: 0})
        with pytest.raises(queries.Ambiguous) as told:
            await queries.incident(here.client, one.key[:6])
        assert sorted(told.value.candidates) == sorted([one.key, twin])


@pytest.mark.parametrize("ref", ["abc", "", "../../x", "ABC!EF", "a" * 27, "zzzzzz", "[zzzzz", "1" * 6])
async def test_what_names_no_incident_is_unknown(redis_url: str, ref: str) -> None:
    asking = client.connect_async(redis_url)
    with pytest.raises(queries.Unknown):
        await queries.incident(asking, ref)
    await asking.aclose()


async def test_a_thousand_alerts_of_one_incident_are_paged_each_once(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(*[event(alertname="Down", service="checkout", region="eu", i=str(i)) for i in range(1_000)])
        one = (await queries.incidents(here.client, queries.IncidentFilter())).items[0]
        assert (one.alerts, one.firing) == (1_000, 1_000)
        seen: list[str] = []
        after: str | None = None
        while True:
            page = await queries.alerts_of(here.client, one.key, 50, after)
            assert len(page.items) <= 50 + queries.CHUNK
            seen += [view.fingerprint for view in page.items]
            after = page.next
            if after is None:
                break
        assert len(set(seen)) == 1_000


async def test_alerts_are_filtered_by_state_source_and_labels(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN, event(alertname="Down", service="checkout", region="eu", instance="b"))
        await here.send(event("resolved", alertname="Down", service="checkout", region="eu", instance="b"))

        async def instances(**wanted: object) -> list[str]:
            found = await queries.alerts(here.client, queries.AlertFilter(**wanted))  # type: ignore[arg-type]
            return [view.details.labels["instance"] for view in found.items if view.details]

        assert await instances() == ["a", "b"]
        assert await instances(state=AlertState.RESOLVED) == ["b"]
        assert await instances(labels=(("instance", True, "a"),)) == ["a"]
        assert await instances(labels=(("instance", False, "a"), ("nothing", True, ""))) == ["b"]
        assert await instances(source="grafana") == []


@pytest.mark.parametrize("length", [8, 9, 31, 32])
async def test_an_alert_is_found_by_the_beginning_of_its_fingerprint(redis_url: str, length: int) -> None:
    async with town(redis_url) as here:
        special = [event(alertname="A", service="s", i=str(i)) for i in range(300)]  # bytes such as * ? [ \ among them
        await here.send(*special)
        for one in special[::37]:
            assert (await queries.alert(here.client, one.fingerprint[:length])).fingerprint == one.fingerprint


async def test_every_fingerprint_is_found_whatever_bytes_it_begins_with(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        name = keys.family("alert")
        raw = (await here.client.hgetall(name))[bytes.fromhex(DOWN.fingerprint)]
        for first in b"*?[]\\^-\n\x00\xff":
            field = bytes([first]) * 4 + bytes(12)
            await here.client.hset(name, field, raw)
            assert (await queries.alert(here.client, field.hex()[:8])).fingerprint == field.hex()
            assert (await queries.alert(here.client, field.hex()[:9])).fingerprint == field.hex()


async def test_the_ledger_counts_what_waits_in_the_journal(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN, event(alertname="Noise", service="x"))
        await here.desk.appender.append(_events(3), NOW)
        found = await standing.ledger(here.client)
        assert (found.accepted, found.undecided, found.counted) == (5, 3, True)
        assert found.accepted == sum(found.ledger.outcomes.values()) + found.undecided
        await here.decide()
        found = await standing.ledger(here.client)
        assert (found.undecided, sum(found.ledger.outcomes.values())) == (0, 5)


async def test_a_backlog_too_long_to_count_is_derived_and_says_so(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "UNDECIDED_ENTRIES_MAX", 100)
    async with town(redis_url) as here:
        for _ in range(150):
            await here.desk.appender.append(_events(2), NOW)
        found = await standing.ledger(here.client)
        assert (found.accepted, found.undecided, found.counted) == (300, 300, False)


def _events(count: int) -> Events:
    return Events(source="generic", events=[event(alertname="B", service="s", i=str(i)) for i in range(count)])


async def test_waiting_for_a_decision_ends_when_the_cursor_passes_it(redis_url: str) -> None:
    async with town(redis_url) as here:
        entry = await here.desk.appender.append(_events(1), NOW)
        assert not await queries.wait_decided(here.client, entry, 0.03)
        waiting = asyncio.create_task(queries.wait_decided(here.client, entry, 10))
        await here.decide()
        assert await waiting
        assert await queries.wait_decided(here.client, "0-1", 0)


async def test_commands_have_answers_and_entries_their_kind(redis_url: str) -> None:
    async with town(redis_url) as here:
        await here.send(DOWN)
        one = (await queries.incidents(here.client, queries.IncidentFilter())).items[0]
        command = Command(verb=Verb.ACKNOWLEDGE, incident=one.key, by="ada", via="api")
        entry = await here.desk.appender.append(command, NOW)
        assert await queries.answer(here.client, entry) is None
        await here.decide()
        answer = await queries.answer(here.client, entry)
        assert answer is not None
        assert answer.ending == "done"
        with pytest.raises(queries.Unknown, match="holds no events"):
            queries.events_of(await queries.entry(here.client, entry))


async def test_dead_letters_come_newest_first_and_paged(redis_url: str) -> None:
    async with town(redis_url) as here:
        for number in range(3):
            letter = DeadLetter(source="generic", reason="no JSON", field="body", body=b"<%d>" % number, length=3)
            await here.desk.appender.append(letter, NOW)
        await here.decide()
        first = await standing.dead_letters(here.client, 2)
        assert [view.letter.body for view in first.items] == [b"<2>", b"<1>"]
        rest = await standing.dead_letters(here.client, 2, first.next)
        assert [view.letter.body for view in rest.items] == [b"<0>"]
        assert rest.next is None


async def test_why_names_the_deciding_rule_the_nearest_missed_one_and_who_was_told(redis_url: str) -> None:
    async with town(redis_url) as here:
        entry = await here.send(DOWN)
        here.clock.now += 10
        await here.decide()
        one = (await queries.incidents(here.client, queries.IncidentFilter())).items[0]
        for asked in (f"{entry}/0", DOWN.fingerprint[:8], one.key[:6]):
            text = "\n".join(reasons.text(await reasons.why(here.client, asked)))
            assert "“checkout down” (severity.yaml:" in text
            assert "wants service=\"payments\", but service is 'checkout'" in text
            assert "page: paging ada by terminal" in text
        text = "\n".join(reasons.text(await reasons.why(here.client, entry)))
        assert "outcome   opened" in text
        assert "new-group" in text


async def test_why_answers_for_commands_and_says_what_it_does_not_know(redis_url: str) -> None:
    async with town(redis_url) as here:
        entry = await here.send(DOWN)
        one = (await queries.incidents(here.client, queries.IncidentFilter())).items[0]
        command = Command(verb=Verb.RESOLVE, incident=one.key, by="ada", via="cli")
        asked = await here.desk.appender.append(command, NOW)
        assert "not decided yet" in "\n".join(reasons.text(await reasons.why(here.client, asked)))
        await here.decide()
        assert "asks: 1 alert still fires" in "\n".join(reasons.text(await reasons.why(here.client, asked)))
        for unknown in (f"{entry}/1", "99-0", "deadbeef00", "zzzzzz", "?"):
            with pytest.raises(queries.Unknown):
                await reasons.why(here.client, unknown)


async def test_the_rules_are_compiled_once_for_many_questions(redis_url: str) -> None:
    async with town(redis_url) as here:
        books = reasons.Rulebooks()
        rules = await standing.rules(here.client)
        assert rules is not None
        assert rules.files == RULES
        assert books.of(rules) is books.of(rules)
