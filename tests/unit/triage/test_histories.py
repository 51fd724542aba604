"""After any history nothing is stuck, nothing was told twice, the journal tells the same again, and little is left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from tests.unit.triage.histories import History, all_ends, digest_of, encoded, replayed
from triage import telling
from triage.learning import ITEMS_MAX
from triage.memory import (
    BUDGET,
    EFFECT,
    HANDED,
    INCIDENT,
    LEDGER,
    LESSONS,
    META,
    POSTMORTEM,
    PUBLICATION,
    PUBLICATIONS,
    RULES,
    SHADOW,
    SUBSCRIPTIONS,
    VERSION,
)
from triage.model import DAY, ENDED, EffectKind, Incident
from triage.outlets import UNSAID_MAX

HISTORIES: Final = int(os.environ.get("TOCSIN_HISTORIES", "4"))
"""How many histories are played; each takes about a second."""
STAYS: Final = frozenset({BUDGET, LEDGER, LESSONS, META, PUBLICATION, PUBLICATIONS, RULES, SHADOW, SUBSCRIPTIONS})
"""What is remembered however long ago the last incident was. All of it is bounded; what is public goes by the next."""
OF_OPEN_ONES: Final = frozenset({"page", "remind", "snooze", "settle", "verifying"})
"""Kinds of timers that an incident that ended has no use for."""
ROOT: Final = Path(__file__).parents[3]


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_after_whatever_happened_nothing_is_stuck_or_twice_or_untrue_or_left(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step fails, no page comes twice, what waits will end, replay agrees, and what is over is forgotten."""
    faults = listen_for_faults(monkeypatch)
    history = History(seed)
    history.play()
    assert faults == []
    twice = [page for page, times in Counter(page.id for page in history.pages).items() if times > 1]
    assert twice == []
    for incident in history.incidents:
        nothing_of_it_is_stuck(history, incident)
    nothing_that_is_learned_is_stuck(history)
    the_journal_tells_the_same(history)
    only_what_is_meant_to_stay_is_left(history)
    assert faults == []


def test_a_history_is_the_same_in_another_process_whose_sets_have_another_order() -> None:
    """What iterates over a set of words, or asks the environment, comes out otherwise there."""
    code = "from tests.unit.triage.histories import digest_of; print(digest_of(1))"
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environ = {**os.environ, "PYTHONHASHSEED": other}
    there = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert (there.stderr, there.stdout.strip()) == ("", digest_of(1))


def listen_for_faults(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list to which every fault is added that `decide` catches, also one that no operator is told again."""
    faults: list[str] = []
    tell = telling.tell_operator

    def listen(scene: Any, topic: str, title: str, text: str) -> None:
        if topic.startswith("decide-error"):
            faults.append(f"{title}: {text}")
        tell(scene, topic, title, text)

    monkeypatch.setattr(telling, "tell_operator", listen)
    return faults


def nothing_of_it_is_stuck(history: History, incident: Incident) -> None:
    """What waits for an effect waits for one that there is; what ended or became part of another waits for none."""
    effects = {key for key, _ in history.held(EFFECT)}
    handed = {key for key, _ in history.held(HANDED)}
    for thread in incident.threads:
        assert not thread.update or thread.update in effects, thread
    for outlet in incident.outlets:
        assert not outlet.post or outlet.post in effects, outlet
        assert len(outlet.unsaid) <= UNSAID_MAX
    if incident.room is not None and incident.room.effect:
        assert incident.room.effect in effects, incident.room
    assert set(incident.pending) <= effects
    assert set(incident.ringing) <= handed
    if incident.merged_into:
        assert (incident.pending, incident.ringing, incident.runs) == ((), (), ())
    timers = [tuple(name.split(":", 1)) for name in history.memory.timers]
    if incident.phase in ENDED:
        assert [kind for kind, *key in timers if key == [incident.key] and kind in OF_OPEN_ONES] == []


def nothing_that_is_learned_is_stuck(history: History) -> None:
    """A ticket that was asked for is on its way, and every version belongs to a postmortem."""
    tickets = {one.facts["item"] for _, one in history.held(EFFECT) if one.kind is EffectKind.TICKET}
    postmortems: dict[str, Any] = dict(history.held(POSTMORTEM))
    for postmortem in postmortems.values():
        assert len(postmortem.items) <= ITEMS_MAX
        assert [one for one in postmortem.items if one.ticket == "asked" and one.id not in tickets] == []
    for name, _ in history.held(VERSION):
        incident, _, number = name.partition("/")
        assert incident in postmortems, name
        assert int(number) <= postmortems[incident].versions, name


def the_journal_tells_the_same(history: History) -> None:
    again = replayed(history.entries)
    before, after = encoded(history.memory), encoded(again)
    assert [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)] == []
    assert history.memory.timers == again.timers
    assert history.memory.members == again.members
    assert history.memory.lines == again.lines


def only_what_is_meant_to_stay_is_left(history: History) -> None:
    all_ends(history)
    assert [one.key for one in history.incidents if one.phase not in ENDED] == []
    history.advance(1_000 * DAY)
    assert history.held(INCIDENT) == []
    assert {family for family, _ in history.memory.values} <= STAYS
