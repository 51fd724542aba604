"""Stories of who is paged: by a schedule, on either side of a hand-off, by an override, and when nobody is on call."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import msgspec
import pytest

from tests.stories.town import SEVERITY, START, Town
from triage.model import HOUR, MINUTE, OverrideAsked, Overrides, Verb
from triage.store import keys

HEAD = """
people:
  ana: {{name: Ana, contact: ['file://{pages}']}}
  ben: {{name: Ben, contact: ['file://{pages}']}}
  carl: {{name: Carl, contact: ['file://{pages}']{carl}}}
  eve: {{name: Eve, contact: ['file://{pages}']}}
teams: {{shop: [ben, carl]}}
operators: [eve]
last_resort: [eve]
"""
PRIMARY = """
schedules:
  primary:
    time_zone: Europe/Berlin
    layers:
      - {name: weekly, users: [ana, ben], start: "2026-03-02T12:00", every: 1d}
  empty: {time_zone: UTC}
"""
POLICY = """
policies:
  default:
    rounds: 1
    steps: [{notify: [%s], wait: 5m}, {notify: carl, wait: 10m}]
"""


def files(pages: Path, target: str, carl: str = "") -> dict[str, str]:
    text = HEAD.format(pages=pages, carl=carl) + PRIMARY + POLICY % target
    return {"severity.yaml": SEVERITY, "oncall.yaml": text}


async def asks(town: Town, person: str, start: int, end: int, withdraw: str = "") -> None:
    await town.appender.append(OverrideAsked("primary", person, start, end, "ana", "story", withdraw), town.now)
    town.settle()


async def test_the_page_goes_to_whoever_is_on_call_on_either_side_of_a_hand_off(town: Town) -> None:
    """The town's clock begins at 11:00 in Berlin; ana is on call from 12:00, ben a day later."""
    await town.loads(files(town.pages, "schedule:primary"))
    town.wait(hours=24, minutes=59)
    await town.fires("Down", service="checkout")
    assert town.paged == ["ana"]
    await town.acks("ana")
    assert "on call in primary" in town.messages[0]["body"]
    town.wait(minutes=1)
    await town.fires("Full", service="billing")
    assert town.paged == ["ana", "ben"]
    texts = [line.text for line in town.timeline(town.incidents[1]) if line.what == "page"]
    assert texts == ["paging ben by file: step 1 of policy “default”, on call in primary"]


async def test_a_running_escalation_finds_its_people_anew(town: Town) -> None:
    """Round 2 comes after the hand-off: it pages who is on call then."""
    rules = files(town.pages, "schedule:primary")
    rules["oncall.yaml"] = rules["oncall.yaml"].replace("rounds: 1", "rounds: 2")
    await town.loads(rules)
    town.wait(hours=24, minutes=50)
    await town.fires("Down")
    town.wait(minutes=16)
    assert town.paged == ["ana", "carl", "ben"]


async def test_an_override_takes_effect_at_once_and_ends_by_itself(town: Town) -> None:
    await town.loads(files(town.pages, "schedule:primary"))
    town.wait(hours=2)
    await asks(town, "carl", town.now, town.now + HOUR)
    await town.fires("Down", service="checkout")
    assert town.paged == ["carl"]
    await town.asks(Verb.RESOLVE, "carl", confirm=True)
    assert town.client.hlen(keys.family("overrides")) == 1
    town.wait(hours=1)
    assert town.client.hlen(keys.family("overrides")) == 0
    await town.fires("Full", service="billing")
    assert town.paged == ["carl", "ana"]


async def test_two_overrides_are_a_swap(town: Town) -> None:
    await town.loads(files(town.pages, "schedule:primary"))
    noon = START + HOUR
    await asks(town, "ben", noon, noon + 24 * HOUR)
    await asks(town, "ana", noon + 24 * HOUR, noon + 48 * HOUR)
    town.wait(hours=2)
    await town.fires("Down", service="checkout")
    await town.asks(Verb.RESOLVE, "ben", confirm=True)
    town.wait(hours=24)
    await town.fires("Full", service="billing")
    assert town.paged == ["ben", "ana"]


async def test_an_override_withdrawn_is_gone(town: Town) -> None:
    await town.loads(files(town.pages, "schedule:primary"))
    town.wait(hours=2)
    await asks(town, "carl", town.now, town.now + HOUR)
    raw = town.client.hget(keys.family("overrides"), "primary")
    (made,) = msgspec.msgpack.decode(cast("bytes", raw), type=Overrides).items
    assert (made.person, made.by) == ("carl", "ana")
    await asks(town, "", 0, 0, withdraw=made.id)
    await town.fires("Down")
    assert town.paged == ["ana"]


async def test_an_override_that_cannot_be_changes_nothing(town: Town) -> None:
    await town.loads(files(town.pages, "schedule:primary"))
    await asks(town, "anna", town.now, town.now + HOUR)
    await asks(town, "ben", town.now - HOUR, town.now - MINUTE)
    await asks(town, "", 0, 0, withdraw="nosuch")
    assert town.client.hlen(keys.family("overrides")) == 0


async def test_an_empty_schedule_escalates_at_once_and_the_operator_hears_of_it(town: Town) -> None:
    await town.loads(files(town.pages, "schedule:empty"))
    await town.fires("Down")
    assert town.paged == ["carl"]
    assert town.told == ["Tocsin needs care: Nobody can be reached in step 1 of policy “default”"]
    whats = {line.what: line.text for line in town.timeline(town.incident)}
    assert whats["unreachable"].startswith("step 1 of policy “default”: nobody is on call in schedule empty")


async def test_an_empty_schedule_beside_a_team_is_told_but_holds_up_nobody(town: Town) -> None:
    await town.loads(files(town.pages, "schedule:empty, team:shop"))
    await town.fires("Down")
    assert sorted(town.paged) == ["ben", "carl"]
    assert town.told == ["Tocsin needs care: Not everybody can be reached in step 1 of policy “default”"]
    town.wait(minutes=4)
    assert sorted(town.paged) == ["ben", "carl"]


async def test_a_last_resort_that_reaches_nobody_becomes_the_operators(town: Town) -> None:
    rules = files(town.pages, "schedule:empty")
    rules["oncall.yaml"] = rules["oncall.yaml"].replace("last_resort: [eve]", "last_resort: []")
    await town.loads(rules)
    await town.fires("Down")
    town.wait(minutes=11)
    assert town.paged == ["carl", "eve"]


@pytest.mark.parametrize(("severity", "paged", "told_at_once"), [("warning", [], False), ("critical", ["carl"], False)])
async def test_quiet_hours_hold_notifications_but_never_a_page(
    town: Town, severity: str, paged: list[str], told_at_once: bool
) -> None:
    quiet = ", time_zone: UTC, quiet_hours: [{times: [{start_time: '08:00', end_time: '12:00'}]}]"
    rules = files(town.pages, "carl", quiet)
    rules["severity.yaml"] = "raw_severity: {warning: P2, critical: P1}\n" + rules["severity.yaml"]
    await town.loads(rules)
    await town.fires("Slow", severity=severity)
    assert town.paged == paged
    assert bool(town.told) is told_at_once
    if not paged:
        town.wait(hours=1, minutes=59)
        assert town.told == []
        town.wait(minutes=1)
        assert town.told == ["P2: Slow"]
