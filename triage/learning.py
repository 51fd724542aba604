"""What people learn from an incident: its postmortem, written, reviewed and published, and what is to be done after it.

The timer `learn:<incident>` reminds of a postmortem that is due and of items that are; it is set for what comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, cast

import msgspec

from triage import responding, telling
from triage.figures import KEPT
from triage.memory import POSTMORTEM, VERSION
from triage.model import DAY, ENDED, Answer, Command, EffectKind, Incident, Millis, key_of, short
from triage.postmortem import Item, ItemState, Postmortem, Priority, State, Version
from triage.rulebook.durations import parse_duration
from triage.rulebook.quiet import parse_instant
from triage.scene import Scene

ASKS: Final = "asks"
LINES_MAX: Final = 20
"""How many whys, causes or lessons one postmortem lists."""
LINE_MAX: Final = 500
ITEMS_MAX: Final = 50
VERSIONS_MAX: Final = 50
"""How many saved texts are kept, the newest."""
TEXT_MAX: Final = 50_000
"""Longest text of a postmortem, in characters."""
BEFORE: Final[Millis] = DAY
"""How long before something is due its owner is reminded first; then every day."""
REMINDERS_MAX: Final = 14
"""How often one is reminded; nobody reads the fifteenth."""
LISTS: Final = {
    "whys": "why",
    "contributing": "contributed",
    "well": "went well",
    "badly": "went badly",
}
"""Fields that are lists of lines, and what the timeline calls them."""
FIELDS: Final = {"resolution": "how it ended", "root_cause": "root cause"}
"""Fields that are the incident's own."""


def of(scene: Scene, incident: Incident) -> Postmortem | None:
    """Return the postmortem of an incident for reading, or None."""
    return cast("Postmortem | None", scene.draft.get((POSTMORTEM, incident.key)))


def _edit(scene: Scene, incident: Incident) -> Postmortem:
    """Return the postmortem for changing; it begins with what is known of the incident."""
    if of(scene, incident) is None:
        made = Postmortem(incident.title, incident.service, incident.severity, incident.opened_at)
        scene.draft.put((POSTMORTEM, incident.key), made)
    found = cast("Postmortem", scene.draft.edit((POSTMORTEM, incident.key)))
    found.title, found.service, found.severity = incident.title, incident.service, incident.severity
    return found


def ended(scene: Scene, incident: Incident) -> None:
    """An incident ended: if its severity asks for a postmortem, one is owed from now on."""
    within = scene.rulebook.learning.within.get(incident.severity.name)
    if within is None:
        return
    found = _edit(scene, incident)
    if found.published_at is None:
        found.due_at = scene.now + within
        found.owner = found.owner or next(iter(incident.roles.values()), "") or incident.last_acker
        arm(scene, incident.key, found)


def postmortem(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Write into the postmortem: fields, its owner, a new text, or that it is reviewed or published."""
    data, changed = command.data, False
    fault = _fault(scene, command)
    if fault:
        return Answer(responding.REFUSED, fault)
    found = _edit(scene, incident)
    for field, name in FIELDS.items():
        if field in data:
            setattr(incident, field, data[field].strip()[: responding.TEXT_MAX])
            scene.line(incident, "postmortem", f"{name}: {getattr(incident, field) or 'nothing'}", by=command.by)
            changed = True
    for field, name in LISTS.items():
        if field in data:
            lines = [line.strip()[:LINE_MAX] for line in data[field].splitlines() if line.strip()]
            setattr(found, field, tuple(lines[:LINES_MAX]))
            scene.line(incident, "postmortem", f"{name}: {'; '.join(lines[:LINES_MAX]) or 'nothing'}", by=command.by)
            changed = True
    if "owner" in data:
        found.owner = data["owner"]
        scene.line(incident, "postmortem", f"{found.owner or 'nobody'} writes it", by=command.by)
    if data.get("document"):
        changed = _save(scene, incident, found, command) or changed
    if changed:
        found.edited_at, found.edited_by, found.reminded = scene.now, command.by, 0
        found.state = State.DRAFT if found.state is State.REVIEWED else found.state
    answer = _DO[data.get("do", "")](scene, incident, found, command)
    arm(scene, incident.key, found)
    return answer


def _fault(scene: Scene, command: Command) -> str:
    data = command.data
    if data.get("do", "") not in _DO:
        return f"“{data['do'][:40]}” is nothing to do with a postmortem: there are review and publish"
    known = {"do", "owner", "document", *FIELDS, *LISTS}
    if not known & data.keys():
        return f"say what to write: {', '.join(sorted(known))}"
    if len(data.get("document", "")) > TEXT_MAX:
        return f"a postmortem has up to {TEXT_MAX} characters"
    owner = data.get("owner", "")
    return responding.stranger(scene, owner) if owner not in ("", command.by) else ""


def _save(scene: Scene, incident: Incident, found: Postmortem, command: Command) -> bool:
    """Keep a text as a new version, unless it is the last one. Return whether it is new."""
    text = command.data["document"]
    last: Version | None = scene.draft.get((VERSION, version_key(incident.key, found.versions)))
    if last is not None and last.text == text:
        return False
    found.versions += 1
    scene.draft.put((VERSION, version_key(incident.key, found.versions)), Version(scene.now, command.by, text))
    if found.versions > VERSIONS_MAX:
        scene.draft.put((VERSION, version_key(incident.key, found.versions - VERSIONS_MAX)), None)
    scene.line(incident, "postmortem", f"version {found.versions} of its text", by=command.by)
    return True


def version_key(incident: str, number: int) -> str:
    """Return the id of one saved text."""
    return f"{incident}/{number}"


def _written(_scene: Scene, _incident: Incident, _found: Postmortem, _command: Command) -> Answer:
    return Answer(responding.DONE, "written")


def _review(scene: Scene, incident: Incident, found: Postmortem, command: Command) -> Answer:
    if not found.versions:
        return Answer(responding.REFUSED, "save a text first: what is reviewed must not change any more")
    if found.edited_by == command.by and not command.confirm:
        return Answer(ASKS, "you wrote it yourself; somebody who was not there should read it. Review it all the same?")
    found.state, found.reviewed_at, found.reviewed_by = State.REVIEWED, scene.now, command.by
    scene.line(incident, "postmortem", f"version {found.versions} reviewed", by=command.by)
    return Answer(responding.DONE, "reviewed")


def _publish(scene: Scene, incident: Incident, found: Postmortem, command: Command) -> Answer:
    version: Version | None = scene.draft.get((VERSION, version_key(incident.key, found.versions)))
    if version is None:
        return Answer(responding.REFUSED, "save a text first: it is what is published")
    if found.state is State.DRAFT and not command.confirm:
        return Answer(ASKS, "nobody has reviewed this text; publish it all the same?")
    found.state, found.published_at, found.published_by = State.PUBLISHED, scene.now, command.by
    targets = scene.rulebook.learning.publish
    title = f"Postmortem: {incident.title}"
    for target in targets:
        telling.send_out(scene, incident, EffectKind.DOCUMENT, target, title, {"text": version.text})
    where = f", to {len(targets)} places" if targets else ""
    scene.line(incident, "postmortem", f"version {found.versions} published{where}", by=command.by)
    return Answer(responding.DONE, f"published{where}")


_DO: Final[dict[str, Callable[[Scene, Incident, Postmortem, Command], Answer]]] = {
    "": _written,
    "review": _review,
    "publish": _publish,
}


# --------------------------------------------------------------------------------------------------------------------
# Items.


def item(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Add an action item (without `id`), or change one."""
    data, found = command.data, _edit(scene, incident)
    known = next((one for one in found.items if one.id == data.get("id")), None)
    if known is None and data.get("id"):
        return Answer(responding.REFUSED, f"there is no item {data['id'][:20]} of incident {short(incident.key)}")
    if known is None and len(found.items) >= ITEMS_MAX:
        return Answer(responding.REFUSED, f"{ITEMS_MAX} items are more than anybody will do; drop some")
    try:
        fields = _item_fields(scene, command)
    except ValueError as error:
        return Answer(responding.REFUSED, str(error))
    if known is None:
        if not fields.get("text"):
            return Answer(responding.REFUSED, "say what is to be done")
        known = Item(
            id=key_of("item", incident.key, scene.entry)[:6],
            text="",
            owner="",
            due=None,
            priority=Priority.MEDIUM,
            state=ItemState.OPEN,
            made_at=scene.now,
            changed_at=scene.now,
        )
        found.items = (*found.items, known)
    one = msgspec.structs.replace(known, changed_at=scene.now, **fields)
    found.items = tuple(one if each.id == one.id else each for each in found.items)
    found.reminded = 0
    due = f", due {_day(one.due)}" if one.due is not None else ""
    said = f"{one.id} {one.state} ({one.priority}, {one.owner or 'nobody'}{due}): {one.text}"
    scene.line(incident, "item", said, by=command.by)
    _send(scene, incident, one, said)
    arm(scene, incident.key, found)
    return Answer(responding.DONE, f"item {one.id} is {one.state}")


def _item_fields(scene: Scene, command: Command) -> dict[str, Any]:
    """Return the fields that are given, as they are kept. Raises ValueError for people to read."""
    data = command.data
    found: dict[str, Any] = {}
    if command.text.strip():
        found["text"] = " ".join(command.text.split())[:LINE_MAX]
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


def _day(at: Millis) -> str:
    return datetime.fromtimestamp(at / 1_000, UTC).strftime("%Y-%m-%d")


def _send(scene: Scene, incident: Incident, one: Item, said: str) -> None:
    """Let an item go to the places that postmortems.yaml names, with what a template may say of it."""
    facts = {
        "text": said,
        "item": one.id,
        "item_text": one.text,
        "owner": one.owner,
        "priority": one.priority.value,
        "state": one.state.value,
        "due": _day(one.due) if one.due is not None else "",
    }
    for target in scene.rulebook.learning.items:
        telling.send_out(scene, incident, EffectKind.ITEM, target, f"Action item: {one.text}"[:LINE_MAX], facts)


# --------------------------------------------------------------------------------------------------------------------
# Reminders.


def _owed(incident: Incident | None, found: Postmortem) -> list[tuple[Millis, str, str]]:
    """Return what is due and not done: when, who owes it, and what."""
    owed = [
        (one.due, one.owner, one.text) for one in found.items if one.state is ItemState.OPEN and one.due is not None
    ]
    if found.due_at is not None and found.published_at is None and (incident is None or incident.phase in ENDED):
        owed.append((found.due_at, found.owner, f"the postmortem of {found.title}"))
    return sorted(owed)


def arm(scene: Scene, key: str, found: Postmortem) -> None:
    """Set the timer for the next reminder, or none."""
    owed = _owed(scene.draft.incident(key), found)
    if not owed or found.reminded >= REMINDERS_MAX:
        scene.draft.timer(f"learn:{key}", None)
        return
    first = owed[0][0] - BEFORE
    scene.draft.timer(f"learn:{key}", first if first > scene.now else scene.now + DAY)


def remind(scene: Scene, incident: Incident) -> None:
    """The timer `learn:<incident>` is due: remind those who owe something by tomorrow, once a day."""
    if of(scene, incident) is None:
        return
    found = _edit(scene, incident)
    owed = [one for one in _owed(incident, found) if one[0] - BEFORE <= scene.now]
    for due, owner, what in owed:
        late = "is overdue since" if due < scene.now else "is due on"
        name = owner or incident.last_acker
        if name:
            text = f"{what[:1].upper()}{what[1:]} {late} {_day(due)}."
            telling.notify(scene, incident, name, f"learn:{what}", f"Due: {what}", text, "it is yours")
    if owed:
        found.reminded += 1
        scene.line(incident, "reminded", f"{len(owed)} of what is to be learned from it is due", minor=True)
    arm(scene, incident.key, found)


def hand_over(scene: Scene, gone: Incident, into: Incident) -> None:
    """Let what was written of a merged incident be part of the other's postmortem."""
    theirs = of(scene, gone)
    if theirs is None:
        return
    found = _edit(scene, into)
    found.items = (*found.items, *theirs.items)[:ITEMS_MAX]
    found.owner = found.owner or theirs.owner
    for field in LISTS:
        both = dict.fromkeys((*getattr(found, field), *getattr(theirs, field)))
        setattr(found, field, tuple(both)[:LINES_MAX])
    scene.draft.put((POSTMORTEM, gone.key), None)
    scene.draft.timer(f"learn:{gone.key}", None)
    arm(scene, into.key, found)


def keeps(scene: Scene, incident: Incident) -> bool:
    """Tell whether an incident must not be forgotten yet: somebody has begun to learn from it, and is not done."""
    found = of(scene, incident)
    if found is None or scene.now - (incident.resolved_at or 0) >= KEPT:
        return False
    begun = found.edited_at is not None and found.due_at is not None and found.published_at is None
    return begun or any(one.state is ItemState.OPEN for one in found.items)


def missing(scene: Scene, incident: Incident) -> list[str]:
    """Return what is not there yet that closing asks for."""
    found = of(scene, incident)
    lacks = []
    if not incident.resolution:
        lacks.append("no resolution note")
    if not incident.root_cause:
        lacks.append("no root cause")
    if found is not None and found.due_at is not None and found.published_at is None:
        lacks.append("its postmortem is not published")
    return lacks
