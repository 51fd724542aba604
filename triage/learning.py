"""What people learn from an incident: its postmortem, written, reviewed and published, and what is to be done after it.

The timer `learn:<incident>` reminds of a postmortem that is due and of items that are; it is set for what comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from triage import lessons, responding, telling
from triage.figures import KEPT
from triage.memory import POSTMORTEM, VERSION
from triage.model import DAY, ENDED, Answer, Command, EffectKind, Incident, Millis, short
from triage.postmortem import ItemState, Postmortem, State, Version, day_of
from triage.rulebook.durations import counted
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


def edit(scene: Scene, incident: Incident) -> Postmortem:
    """Return the postmortem for changing; it begins with what is known of the incident."""
    if of(scene, incident) is None:
        made = Postmortem(incident.title, incident.service, incident.severity, incident.opened_at)
        scene.draft.put((POSTMORTEM, incident.key), made)
    found = cast("Postmortem", scene.draft.edit((POSTMORTEM, incident.key)))
    found.title, found.service, found.severity = incident.title, incident.service, incident.severity
    found.group, found.rule = incident.group, incident.rule
    return found


def ended(scene: Scene, incident: Incident) -> None:
    """An incident ended: if its severity asks for a postmortem, one is owed from now on."""
    within = scene.rulebook.learning.within.get(incident.severity.name)
    if within is None:
        return
    found = edit(scene, incident)
    if found.published_at is None:
        found.due_at = scene.now + within
        found.owner = found.owner or next(iter(incident.roles.values()), "") or incident.last_acker
        arm(scene, incident.key, found)


def postmortem(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Write into the postmortem: fields, its owner, a new text, or that it is reviewed or published."""
    data, changed = {name: value.replace("\r\n", "\n") for name, value in command.data.items()}, False
    fault = _fault(scene, command)
    if fault:
        return Answer(responding.REFUSED, fault)
    found = edit(scene, incident)
    for field, name in FIELDS.items():
        text = data.get(field, getattr(incident, field)).strip()[: responding.TEXT_MAX]
        if text != getattr(incident, field):
            setattr(incident, field, text)
            scene.line(incident, "postmortem", f"{name}: {getattr(incident, field) or 'nothing'}", by=command.by)
            changed = True
    for field, name in LISTS.items():
        lines = _lines(data[field]) if field in data else getattr(found, field)
        if lines != getattr(found, field):
            setattr(found, field, lines)
            scene.line(incident, "postmortem", f"{name}: {'; '.join(lines) or 'nothing'}", by=command.by)
            changed = True
    if data.get("owner", found.owner) != found.owner:
        found.owner = data["owner"]
        scene.line(incident, "postmortem", f"{found.owner or 'nobody'} writes it", by=command.by)
    if data.get("document"):
        changed = _save(scene, incident, found, data["document"], command.by) or changed
    if changed:
        found.edited_at, found.edited_by, found.reminded = scene.now, command.by, 0
        found.state = State.DRAFT if found.state is State.REVIEWED else found.state
    answer = _DO[data.get("do", "")](scene, incident, found, command)
    arm(scene, incident.key, found)
    return answer


def _lines(text: str) -> tuple[str, ...]:
    lines = [line.strip()[:LINE_MAX] for line in text.splitlines() if line.strip()]
    return tuple(lines[:LINES_MAX])


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


def _save(scene: Scene, incident: Incident, found: Postmortem, text: str, by: str) -> bool:
    """Keep a text as a new version, which nobody has reviewed, unless it is the last one. Return whether it is new."""
    last: Version | None = scene.draft.get((VERSION, version_key(incident.key, found.versions)))
    if last is not None and last.text == text:
        return False
    _keep_version(scene, incident.key, found, Version(scene.now, by, text))
    scene.line(incident, "postmortem", f"version {found.versions} of its text", by=by)
    return True


def _keep_version(scene: Scene, key: str, found: Postmortem, version: Version) -> None:
    found.versions += 1
    found.state = State.DRAFT
    scene.draft.put((VERSION, version_key(key, found.versions)), version)
    if found.versions > VERSIONS_MAX:
        scene.draft.put((VERSION, version_key(key, found.versions - VERSIONS_MAX)), None)


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
    found.published_version = found.versions
    targets = scene.rulebook.learning.publish
    title = f"Postmortem: {incident.title}"
    for target in targets:
        telling.send_out(scene, incident, EffectKind.DOCUMENT, target, {"text": version.text}, title=title)
    where = f", to {counted(len(targets), 'place')}" if targets else ""
    scene.line(incident, "postmortem", f"version {found.versions} published{where}", by=command.by)
    return Answer(responding.DONE, f"published{where}")


_DO: Final[dict[str, Callable[[Scene, Incident, Postmortem, Command], Answer]]] = {
    "": _written,
    "review": _review,
    "publish": _publish,
}


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
    """Set the timer for the next reminder, or none; and let its items be found when something like it happens."""
    lessons.note(scene, key, found)
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
    found = edit(scene, incident)
    owed = [one for one in _owed(incident, found) if one[0] - BEFORE <= scene.now]
    for due, owner, what in owed:
        late = "is overdue since" if due < scene.now else "is due on"
        name = owner or incident.last_acker
        if name:
            text = f"{what[:1].upper()}{what[1:]} {late} {day_of(due)}."
            telling.notify(scene, incident, name, f"learn:{what}", f"Due: {what}", text, "it is yours")
    if owed:
        found.reminded += 1
        scene.line(incident, "reminded", f"{len(owed)} of what is to be learned from it is due", minor=True)
    arm(scene, incident.key, found)


def hand_over(scene: Scene, gone: Incident, into: Incident) -> None:
    """Let what was written of a merged incident be part of the other's postmortem, which is owed if one of both is."""
    theirs = of(scene, gone)
    if theirs is None:
        return
    found = edit(scene, into)
    items = sorted((*found.items, *theirs.items), key=lambda one: one.state is not ItemState.OPEN)  # stable
    found.items = tuple(items[:ITEMS_MAX])
    for one in items[ITEMS_MAX:]:
        scene.line(into, "item", f"{one.id} is left out, there are {ITEMS_MAX} already ({one.state}): {one.text}")
    found.owner = found.owner or theirs.owner
    if theirs.published_at is None and theirs.due_at is not None:
        found.due_at = theirs.due_at if found.due_at is None else min(found.due_at, theirs.due_at)
    if found.edited_at is None:
        found.edited_at, found.edited_by = theirs.edited_at, theirs.edited_by
    _hand_over_text(scene, gone, into, theirs, found)
    for field in LISTS:
        both = dict.fromkeys((*getattr(found, field), *getattr(theirs, field)))
        setattr(found, field, tuple(both)[:LINES_MAX])
    scene.draft.put((POSTMORTEM, gone.key), None)
    lessons.drop(scene, gone.key)
    scene.draft.timer(f"learn:{gone.key}", None)
    arm(scene, into.key, found)


def _hand_over_text(scene: Scene, gone: Incident, into: Incident, theirs: Postmortem, found: Postmortem) -> None:
    """Keep the last text of a merged incident as a version of the other's, before that one's own last text."""
    last: Version | None = scene.draft.get((VERSION, version_key(gone.key, theirs.versions)))
    own: Version | None = scene.draft.get((VERSION, version_key(into.key, found.versions)))
    for number in range(max(1, theirs.versions - VERSIONS_MAX + 1), theirs.versions + 1):
        scene.draft.put((VERSION, version_key(gone.key, number)), None)
    was, stands = found.versions, found.state
    if last is not None:
        _keep_version(scene, into.key, found, last)
        scene.line(into, "postmortem", f"version {found.versions} is the text of {short(gone.key)}", by=last.by)
    if last is not None and own is not None:
        _keep_version(scene, into.key, found, own)
        found.state = stands
        if found.published_version == was:
            found.published_version = found.versions


def keeps(scene: Scene, incident: Incident) -> bool:
    """Tell whether an incident must not be forgotten yet: somebody has begun to learn from it, and is not done."""
    found = of(scene, incident)
    if found is None or scene.now - (incident.resolved_at or 0) >= KEPT:
        return False
    begun = found.edited_at is not None and found.due_at is not None and found.published_at is None
    return begun or any(lessons.matters(one, scene.now) for one in found.items)
