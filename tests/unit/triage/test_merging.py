"""Two incidents that are the same trouble become one: nobody is paged twice, and nothing that still pages is lost."""

from __future__ import annotations

from typing import Any

from tests.unit.triage.stage import Stage
from triage.model import Answer, Command, Incident, Phase, Verb


def two(first: str = "critical", second: str = "critical") -> tuple[Stage, str, str]:
    """A stage with an incident of shop and one of search; both keys."""
    stage = Stage()
    stage.fires(service="shop", severity=first)
    stage.seconds(1)
    stage.fires(service="search", severity=second)
    shop, search = stage.incidents
    return stage, shop.key, search.key


def ask(stage: Stage, verb: Verb, key: str, by: str = "ana", **more: Any) -> Answer:
    return stage.answers[stage.append(Command(verb, key, by, "test", **more))]


def merge(stage: Stage, gone: str, into: str, by: str = "ana") -> Answer:
    return ask(stage, Verb.MERGE, gone, by, data={"other": into})


def incident(stage: Stage, key: str) -> Incident:
    (found,) = [one for one in stage.incidents if one.key == key]
    return found


def test_the_merged_one_ends_and_its_alerts_belong_to_the_other() -> None:
    stage, shop, search = two()
    assert merge(stage, search, shop) == Answer("done", f"it is part of {shop[:6]} now")
    gone, into = incident(stage, search), incident(stage, shop)
    assert (gone.phase, gone.merged_into, gone.firing) == (Phase.CLOSED, shop, 0)
    assert (into.firing, into.alerts, into.merged) == (2, 2, (search,))
    assert len(stage.memory.members[shop]) == 2
    stage.ends(service="search")
    assert incident(stage, shop).firing == 1
    stage.fires(service="search", instance="b")  # its group leads to the other one
    assert (incident(stage, shop).firing, len(stage.incidents)) == (2, 2)
    stage.ends(service="search", instance="b")
    stage.ends(service="shop")
    assert incident(stage, shop).phase is Phase.MONITORING
