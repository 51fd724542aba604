"""A night in which somebody promised an update, and fell asleep."""

from __future__ import annotations

from tests.stories.town import SEVERITY, Town, oncall
from triage.model import Command, Verb

SUBSCRIBED = "subscribers: {{management: {{contact: ['file://{pages}']}}}}"


async def says(town: Town, by: str, text: str, status: str = "investigating", confirm: bool = True) -> None:
    data = {"audience": "company", "status": status}
    await town.appender.append(Command(Verb.UPDATE, town.incident.key, by, "story", text, confirm, data=data), town.now)
    town.settle()


def overdue(town: Town) -> list[str]:
    """Who was paged because an update was overdue; other pages only say that it is."""
    return [
        one["person"] for one in town.messages if one["kind"] == "page" and "it is overdue: send one" in one["body"]
    ]


async def test_a_promise_that_is_broken_at_night(town: Town) -> None:
    asleep = "quiet_hours: [{times: [{start_time: '10:00', end_time: '18:00'}]}]"
    quiet = oncall(town.pages).replace("ben: {name: Ben,", f"ben: {{name: Ben, time_zone: UTC, {asleep},")
    await town.loads(
        {
            "severity.yaml": SEVERITY,
            "oncall.yaml": quiet,
            "updates.yaml": SUBSCRIBED.format(pages=town.pages),
        }
    )
    await town.fires("Down", service="checkout")
    await town.acks("ana")
    role = Command(Verb.ROLE, town.incident.key, "ana", "story", person="ben", data={"role": "communications"})
    await town.appender.append(role, town.now)
    await says(town, "ben", "Looking into it.", confirm=False)
    assert not [one for one in town.messages if one["person"] == "management"]
    await says(town, "ben", "Looking into it.")
    assert [one["title"] for one in town.messages if one["person"] == "management"] == ["[INCIDENT] Down"]
    town.wait(minutes=21)
    assert "Update due in 10 min: Down" in town.told
    assert town.paged == ["ana"]
    town.wait(minutes=10)
    assert overdue(town) == ["ben"]
    await says(town, "ben", "A bad deploy, rolled back.", "monitoring")
    await town.ends("Down", service="checkout")
    town.wait(minutes=25)
    await says(town, "ben", "It is over.", "resolved")
    town.wait(hours=2)
    assert overdue(town) == ["ben"]
    assert [line.what for line in town.timeline(town.incident)].count("update") == 3
