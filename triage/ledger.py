"""The ledger: where every accepted event ended. `accepted == sum(outcomes) + undecided` holds at every moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

from triage.memory import THE_LEDGER
from triage.model import DeadLetter, Decision, Events, Ledger, Outcome, Reason, Result
from triage.scene import Scene


def _edit(scene: Scene) -> Ledger:
    if scene.draft.get(THE_LEDGER) is None:
        scene.draft.put(THE_LEDGER, Ledger())
    return cast("Ledger", scene.draft.edit(THE_LEDGER))


def _added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Return the sums as a new dict: the old one belongs to the memory."""
    sums = dict(counts)
    for name, number in more.items():
        sums[name] = sums.get(name, 0) + number
    return sums


def count_events(scene: Scene, body: Events, decisions: Sequence[Decision]) -> None:
    """Book each event of an entry under its outcome and reason, and under its source and status."""
    ledger = _edit(scene)
    ends = Counter([f"{one.outcome.value}/{one.reason.value}" for one in decisions])
    ledger.outcomes = _added(ledger.outcomes, ends)
    statuses = Counter([event.status for event in body.events])
    ledger.sources = _added(ledger.sources, {f"{body.source}/{name.value}": n for name, n in statuses.items()})


def count_delivery(scene: Scene, result: Result) -> None:
    """Book one attempt to deliver under its scheme and ending."""
    ledger = _edit(scene)
    ledger.deliveries = _added(ledger.deliveries, {f"{result.scheme}/{result.ending.value}": 1})


def count_dead_letter(scene: Scene, body: DeadLetter) -> None:
    """Book one dead letter under its source."""
    ledger = _edit(scene)
    ledger.dead_letters = _added(ledger.dead_letters, {body.source: 1})
    if body.events:
        unread = f"{Outcome.DEAD_LETTER.value}/{Reason.DECIDE_ERROR.value}"
        ledger.outcomes = _added(ledger.outcomes, {unread: body.events})
