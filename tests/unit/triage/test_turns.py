"""Whose turn it is when more is due than one tick fires."""

from __future__ import annotations

from tests.unit.triage.stage import FILES, START, Stage, alert
from triage import turns
from triage.memory import DictMemory
from triage.model import Severity

LATER = START + 60_000


def test_what_one_tick_can_fire_goes_in_its_order() -> None:
    memory = DictMemory()
    memory.timers = {f"forget:{n}": START + n for n in range(turns.LIMIT)}
    assert turns.due(memory, LATER) == [f"forget:{n}" for n in range(turns.LIMIT)]


def test_where_more_is_due_the_most_severe_go_first() -> None:
    stage = Stage(files={**FILES, "quiet.yaml": "storm: {pages: 1000, at_once: 1000}"})
    events = [alert(service=f"s{n}") for n in range(400)]
    events.append(alert("Out", severity="outage", service="last"))
    stage.events("am", events)
    severities = [page.severity for page in stage.pages]
    assert severities[: turns.LIMIT].count(Severity.P0) == 1
    assert len(severities) == 401


def test_what_may_tell_somebody_goes_before_housekeeping_and_nothing_is_left_out() -> None:
    memory = DictMemory()
    memory.timers = {f"alert:{n:032x}": START for n in range(600)}
    memory.timers["hold:ff"] = START + 1
    first = turns.due(memory, LATER)
    assert first[0] == "hold:ff"
    seen = set(first)
    while first:
        for name in first:
            del memory.timers[name]
        first = turns.due(memory, LATER)
        seen.update(first)
    assert len(seen) == 601


def test_an_incident_that_is_forgotten_has_no_turn_before_others() -> None:
    memory = DictMemory()
    memory.timers = {f"page:{n}": START for n in range(300)} | {"beat:x": START + 1}
    assert turns.due(memory, LATER)[0] == "beat:x"
