"""Action items: what is to be done after an incident, by whom and by when."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from triage import learning, responding, telling, tickets
from triage.model import DAY, Answer, Command, EffectKind, Incident, Millis, key_of, short
from triage.postmortem import Item, ItemState, Priority, day_of
from triage.rulebook.durations import parse_duration
from triage.rulebook.quiet import parse_instant
from triage.scene import Scene

AGAIN_WITHIN: Final[Millis] = 7 * DAY
"""By when an item that is opened again is due, where its own date has gone by or there was none."""


def item(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Add an action item (without `id`), or change one."""
    kept = learning.of(scene, incident)
    known = next((one for one in kept.items if one.id == command.data.get("id")), None) if kept is not None else None
    try:
        fields = _fields(scene, incident, command, known, len(kept.items) if kept is not None else 0)
    except ValueError as error:
        return Answer(responding.REFUSED, str(error))
    found = learning.edit(scene, incident)
    if known is None:
        known = _new(scene, incident)
        found.items = (*found.items, known)
    one = msgspec.structs.replace(known, changed_at=scene.now, **fields)
    back = _came_back(scene, command) if known.state is not ItemState.OPEN and one.state is ItemState.OPEN else ""
    if back:
        one = _opened_again(scene, one)
    if command.data.get("export") or (known.text == "" and one.state is ItemState.OPEN):
        one = tickets.send(scene, incident, one, command.by)
    found.items = tuple(one if each.id == one.id else each for each in found.items)
    found.reminded = 0
    due = f", due {day_of(one.due)}" if one.due is not None else ""
    said = f"{one.id} {one.state}{back} ({one.priority}, {one.owner or 'nobody'}{due}): {one.text}"
    scene.line(incident, "item", said, by=command.by)
    owner = one.owner or found.owner
    if back and owner != command.by:
        telling.notify(scene, incident, owner, "item", f"To do again: {one.text}", f"Item {said}", "the item is yours")
    _send(scene, incident, one, said)
    learning.arm(scene, incident.key, found)
    return Answer(responding.DONE, f"item {one.id} is {one.state}")


def _new(scene: Scene, incident: Incident) -> Item:
    return Item(
        id=key_of("item", incident.key, scene.entry)[:6],
        text="",
        owner="",
        due=None,
        priority=Priority.MEDIUM,
        state=ItemState.OPEN,
        made_at=scene.now,
        changed_at=scene.now,
    )


def _came_back(scene: Scene, command: Command) -> str:
    """Say that an item is opened again, and by which incident where one is named."""
    other = scene.draft.incident(command.data["other"]) if command.data.get("other") else None
    return f" again: it came back as {short(other.key)}" if other is not None else " again"


def _opened_again(scene: Scene, one: Item) -> Item:
    """It did not do what it should: it counts as having come back, and a date that has gone by becomes a new one."""
    due = one.due if one.due is not None and one.due > scene.now else scene.now + AGAIN_WITHIN
    return msgspec.structs.replace(one, recurred=one.recurred + 1, recurred_at=scene.now, due=due)


def _fields(scene: Scene, incident: Incident, command: Command, known: Item | None, count: int) -> dict[str, Any]:
    """Return the fields that are given, as they are kept. Raises ValueError for people to read."""
    data = command.data
    if known is not None and data.get("export") and (fault := tickets.may_send(scene, known)):
        raise ValueError(fault)
    if known is None and data.get("id"):
        raise ValueError(f"there is no item {data['id'][:20]} of incident {short(incident.key)}")
    if known is None and not command.text.strip():
        raise ValueError("say what is to be done")
    if known is None and count >= learning.ITEMS_MAX:
        raise ValueError(f"{learning.ITEMS_MAX} items are more than anybody will do; drop some")
    found: dict[str, Any] = {}
    if command.text.strip():
        found["text"] = " ".join(command.text.split())[: learning.LINE_MAX]
    if command.person:
        fault = responding.stranger(scene, command.person) if command.person != command.by else ""
        if fault:
            raise ValueError(fault)
        found["owner"] = command.person
    if "due" in data:
        found["due"] = due_of(data["due"], scene.now)
    for field, words in (("priority", Priority), ("state", ItemState)):
        if data.get(field):
            if data[field] not in [one.value for one in words]:
                raise ValueError(f"“{data[field][:40]}” is no {field}: there are {', '.join(words)}")
            found[field] = words(data[field])
    if "follow_up" in data:
        found["follow_up"] = data["follow_up"] == "yes"
    return found


def due_of(text: str, now: Millis) -> Millis | None:
    """Return what a due date means: a day (its end, in UTC), a time, so long from now, or "" for none.

    Raises ValueError for people to read.
    """
    if not text:
        return None
    if "T" in text:
        return parse_instant(text)
    return parse_instant(f"{text}T23:59:59Z") if "-" in text else now + parse_duration(text)


def _send(scene: Scene, incident: Incident, one: Item, said: str) -> None:
    """Let an item go to the places that postmortems.yaml names, with what a template may say of it."""
    facts = {
        "text": said,
        "item": one.id,
        "item_text": one.text,
        "owner": one.owner,
        "priority": one.priority.value,
        "state": one.state.value,
        "due": day_of(one.due) if one.due is not None else "",
    }
    title = f"Action item: {one.text}"[: learning.LINE_MAX]
    for target in scene.rulebook.learning.items:
        telling.send_out(scene, incident, EffectKind.ITEM, target, facts, title=title)
