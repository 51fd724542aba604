"""Stories of a night on call, through the real door, a real store and the real workers."""

from __future__ import annotations

from tests.stories.town import Town
from triage.model import Command, Phase, Severity, Verb
from triage.store import keys


async def test_one_alert_one_incident_one_page_then_the_all_clear(town: Town) -> None:
    await town.fires("Down", service="checkout")
    await town.fires("Down", service="checkout")
    assert town.paged == ["ana"]
    assert town.incident.severity == Severity.P0
    await town.acks("ana")
    await town.ends("Down", service="checkout")
    assert town.incident.phase is Phase.MONITORING
    assert town.told == ["All clear: Down"]
    town.wait(hours=1)
    assert town.incident.phase.value == "resolved"
    assert town.paged == ["ana"]


async def test_nobody_answers(town: Town) -> None:
    await town.fires("Down")
    town.wait(hours=3)
    assert town.paged == ["ana", "ben", "ana", "ben", "eve"]
    assert "Tocsin needs care: Nobody has acknowledged: Down" in town.told


async def test_the_second_answers_while_the_first_is_asleep(town: Town) -> None:
    await town.fires("Down")
    town.wait(minutes=6)
    await town.acks("ben")
    town.wait(minutes=50)
    assert town.paged == ["ana", "ben"]
    assert town.incident.acked_by == "ben"


async def test_forty_five_minutes_of_downtime_fire_one_step_marked_late(town: Town) -> None:
    await town.fires("Down")
    town.sleep(minutes=45)
    town.settle()
    assert town.paged == ["ana", "ben"]
    assert "late by 40 min" in town.messages[-1]["body"]


async def test_a_resolve_in_the_backlog_cancels_the_page(town: Town) -> None:
    await town.fires("Down", settle=False)
    await town.ends("Down", settle=False)
    town.settle()
    assert town.paged == []
    assert town.incident.phase is Phase.MONITORING


async def test_an_acknowledgement_before_the_timer_is_decided_first(town: Town) -> None:
    await town.fires("Down")
    town.sleep(minutes=6)  # step 2 is due, and nobody has ticked yet
    await town.acks("ana")
    town.wait(minutes=30)
    assert town.paged == ["ana"]


async def test_every_line_of_the_timeline_has_its_reason(town: Town) -> None:
    await town.fires("Down")
    await town.asks(Verb.NOTE, "ana", "looking")
    whats = [line.what for line in town.timeline(town.incident)]
    assert whats == ["opened", "page", "delivered", "note"]
    assert town.timeline(town.incident)[1].text == "paging ana by file: step 1 of policy “default”"


async def test_a_storm_is_one_incident_and_one_page(town: Town) -> None:
    for start in range(0, 5_000, 500):
        alerts = [
            {
                "title": "Storm",
                "dedup_key": str(n),
                "labels": {"alertname": "Storm", "service": "shop", "n": str(n)},
                "severity": "critical",
            }
            for n in range(start, start + 500)
        ]
        await town.post_only("generic", alerts)
    town.settle()
    assert town.paged == ["ana"]
    assert (town.incident.alerts, town.incident.firing) == (5_000, 5_000)


async def test_a_command_and_an_event_decided_in_one_batch_are_both_answered(town: Town) -> None:
    await town.fires("Down")
    entry = await town.appender.append(Command(Verb.NOTE, town.incident.key, "ana", "story", "one"), town.now)
    await town.fires("Slow")
    assert town.client.xrange(keys.DECISIONS, entry, entry)
