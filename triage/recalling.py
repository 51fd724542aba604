"""Seen before: what was to be done after earlier incidents is brought up again when one like them opens.

Items that are still open are shown on the new incident, in its first message, and counted as having let it happen
again; their owners hear of it at once, and reminders start anew. Their dates stay: people agreed on them. Items that
were done lately are shown where the same alert or rule is back, and a person may open them again by one press: whether
that one should have prevented this one, Tocsin cannot know.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from triage import learning, lessons, telling
from triage.memory import POSTMORTEM
from triage.model import DAY, Incident, Millis, short
from triage.postmortem import Item, ItemState, Postmortem, day_of
from triage.scene import Scene

LOOKED_AT: Final = 20
"""How many earlier incidents with action items are looked at, those that share most first."""
RECALLED_MAX: Final = 20
"""How many items of earlier incidents one incident shows."""
PHRASE_MAX: Final = 300
TOLD_EVERY: Final[Millis] = DAY
"""How often the owner of an item hears at most that it happened again."""

Found = tuple[str, str, Item]
"""What is shared, the key of the earlier incident, and its item."""


def onset(scene: Scene, incident: Incident) -> None:
    """An incident opens: bring up what was to be done after those before it."""
    found = _recalled(scene, incident)
    if not found:
        return
    incident.recalled = tuple((key, one.id) for _, key, one in found)
    still_open = [each for each in found if each[2].state is ItemState.OPEN]
    incident.still_open = _phrase(still_open)
    for shares, key, one in found:
        scene.line(incident, "recalled", f"{_stands(one)}, of {short(key)} (same {shares}): {one.text}", one.owner)
    if incident.pageable:  # what somebody said who did not prove who they are has not happened yet
        _again(scene, incident, still_open)


def _recalled(scene: Scene, incident: Incident) -> list[Found]:
    found: list[Found] = []
    for shares, lesson in list(lessons.like(scene, incident))[:LOOKED_AT]:
        known: Postmortem | None = scene.draft.get((POSTMORTEM, lesson.incident))
        for one in known.items if known is not None else ():
            done = one.state is ItemState.DONE
            if lessons.matters(one, scene.now) and not (done and shares == "service"):
                found.append((shares, lesson.incident, one))
    found.sort(key=lambda each: each[2].state is not ItemState.OPEN)  # stable: what is open comes first
    return found[:RECALLED_MAX]


def _stands(one: Item) -> str:
    if one.state is not ItemState.OPEN:
        return f"item {one.id} was done on {day_of(one.changed_at)}"
    due = f", due {day_of(one.due)}" if one.due is not None else ", without a date"
    return f"item {one.id} is still open{due}"


def _phrase(still_open: list[Found]) -> str:
    """Return what is still open as a phrase for the first message: the first item, and how many more."""
    if not still_open:
        return ""
    _, key, one = still_open[0]
    due = f", due {day_of(one.due)}" if one.due is not None else ""
    more = f"; {len(still_open) - 1} more" if len(still_open) > 1 else ""
    return f"{one.text[:PHRASE_MAX]} ({one.owner or 'nobody'}{due}; from {short(key)}){more}"


def _again(scene: Scene, incident: Incident, still_open: list[Found]) -> None:
    """Count that items did not prevent it, and tell their owners, each once for all of theirs."""
    told: dict[str, list[str]] = {}
    for key in dict.fromkeys(key for _, key, _ in still_open):
        ids = {one.id for _, other, one in still_open if other == key}
        found: Postmortem = scene.draft.edit((POSTMORTEM, key))
        for one in found.items:
            owner = one.owner or found.owner
            silent = one.recurred_at is not None and scene.now - one.recurred_at < TOLD_EVERY
            if one.id in ids and owner and not silent:
                told.setdefault(owner, []).append(f"{one.text} ({_stands(one)}, of {short(key)})")
        found.items = tuple(_recurred(one, scene.now) if one.id in ids else one for one in found.items)
        found.reminded = 0
        learning.arm(scene, key, found)
        _note(scene, key, f"{short(incident.key)} ({incident.title}) opened while {_listed(ids)} is open")
    for owner, texts in told.items():
        text = "\n".join(["It is not done yet, and something like it happened again:", *texts])
        telling.notify(scene, incident, owner, "recalled", f"Again: {incident.title}", text, "the item is yours")


def _recurred(one: Item, now: Millis) -> Item:
    return msgspec.structs.replace(one, recurred=one.recurred + 1, recurred_at=now)


def _listed(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids))


def _note(scene: Scene, key: str, text: str) -> None:
    earlier = scene.draft.incident(key)
    if earlier is not None:
        scene.line(scene.draft.edit_incident(key), "recalled", text, minor=True)


def hand_over(scene: Scene, gone: Incident, into: Incident) -> None:
    """Let what a merged incident brought up be shown with the one that goes on."""
    own = {gone.key, into.key, *gone.merged, *into.merged}
    both = dict.fromkeys((*into.recalled, *gone.recalled))
    into.recalled = tuple(pair for pair in both if pair[0] not in own)[:RECALLED_MAX]
    into.still_open = into.still_open or gone.still_open
