"""A night in which an incident goes from hand to hand, through the real store and the real workers."""

from __future__ import annotations

from tests.stories.town import Town
from triage.model import HOUR, MINUTE, Command, Verb


async def asks(town: Town, verb: Verb, by: str, *, whom: str = "", duration: int = 0, page: str = "") -> None:
    command = Command(verb, town.incident.key, by, "story", person=whom, duration=duration, page=page)
    await town.appender.append(command, town.now)
    town.settle()


async def test_from_hand_to_hand_until_somebody_keeps_it(town: Town) -> None:
    await town.fires("Down")
    await asks(town, Verb.SNOOZE, "ana", duration=20 * MINUTE)
    town.wait(minutes=19)
    assert town.paged == ["ana"]
    town.wait(minutes=1)
    assert town.paged == ["ana", "ana"]
    await asks(town, Verb.ASSIGN, "ana", whom="ben")
    assert town.paged == ["ana", "ana", "ben"]
    await town.acks("ben")
    await asks(town, Verb.PAGE, "ben", whom="eve")
    assert (town.paged, town.incident.acked_by) == (["ana", "ana", "ben", "eve"], "ben")
    await asks(town, Verb.UNACKNOWLEDGE, "ben")
    await asks(town, Verb.ESCALATE, "eve")
    assert town.paged == ["ana", "ana", "ben", "eve", "ana", "ben"]
    await town.acks("eve")
    town.wait(minutes=50)
    assert (town.paged[6:], town.incident.acked_by) == ([], "eve")
    whats = [line.what for line in town.timeline(town.incident)]
    assert [what for what in whats if what not in ("page", "delivered", "role")] == [
        *("opened", "snoozed", "snooze-over", "assigned", "acknowledged", "asked", "unacknowledged", "escalated"),
        "acknowledged",
    ]
    assert town.incident.responders == ("ana", "ben", "eve")


async def test_a_snooze_that_ends_during_a_downtime_pages_once_late(town: Town) -> None:
    await town.fires("Down")
    await asks(town, Verb.SNOOZE, "ana", duration=10 * MINUTE)
    town.sleep(minutes=2 * HOUR / MINUTE)
    town.settle()
    assert town.paged == ["ana", "ana"]
    await town.acks("ben")
