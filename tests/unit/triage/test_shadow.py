"""Paging in shadow: everything goes on as if people were told, and what they would have got is kept, to a bound."""

from __future__ import annotations

from typing import cast

import msgspec

from tests.unit.triage.stage import Stage
from triage.memory import SHADOW
from triage.model import Effect, EffectKind, Ending, Result, Verb
from triage.rehearsal import accepts
from triage.shadow import KEPT, Shadowed


def nobody(effect: Effect) -> Result:
    """A worker in shadow."""
    return msgspec.structs.replace(accepts(effect), ending=Ending.SHADOWED)


def kept(stage: Stage) -> list[Shadowed]:
    found = [cast("Shadowed", value) for key, value in stage.memory.values.items() if key[0] == SHADOW]
    return sorted(found, key=lambda one: one.at)


def test_escalation_goes_on_as_if_everybody_were_told_and_nobody_is() -> None:
    live, shadow = Stage(), Stage(nobody)
    for stage in (live, shadow):
        stage.fires()
        stage.minutes(60)
    assert shadow.delivered == []
    pages = [one for one in kept(shadow) if one.kind is EffectKind.PAGE]
    assert [(one.person, one.scheme) for one in pages] == [
        (one.person, one.target.partition(":")[0]) for one in live.pages
    ]
    assert [one.person for one in pages] == ["ana", "ben", "ana", "ben", "eve"]
    assert pages[0].why == "Ana, step 1 of policy “default”"
    lines = [line.text for line in shadow.lines(shadow.incident.key) if line.what == "shadowed"]
    assert lines[0] == "would have sent the page to ana by terminal: Ana, step 1 of policy “default”"
    assert "delivered" not in shadow.whats(shadow.incident)


def test_an_acknowledgement_ends_it_as_ever() -> None:
    stage = Stage(nobody)
    stage.fires()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    stage.minutes(30)
    assert [one.person for one in kept(stage) if one.kind is EffectKind.PAGE] == ["ana"]


def test_only_so_many_are_kept_the_newest() -> None:
    stage = Stage(nobody)
    for number in range(KEPT + 2):
        stage.fires(service=f"s{number}", severity="outage")  # P0s, which no budget holds back
    assert len(kept(stage)) == KEPT
    assert kept(stage)[-1].title == "Down"
