"""Tickets: an action item is sent to the operators' tracker, as postmortems.yaml words the call, at most once.

Most trackers cannot tell a repeat from a second item. So what certainly did not arrive is tried again, and what may
have is not: it becomes `unknown`, people are told to look, and only a person sends it again.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from triage import learning, telling
from triage.memory import EFFECT, POSTMORTEM
from triage.model import DAY, Effect, EffectKind, Ending, Incident, Millis, Result, key_of, short
from triage.postmortem import Item, ItemState, Postmortem, Ticket, day_of
from triage.retries import again
from triage.rulebook.postmortems import Tracker
from triage.scene import Scene

TRIED_FOR: Final[Millis] = DAY
"""How long it is tried to reach a tracker that is away."""


def send(scene: Scene, incident: Incident, one: Item, by: str) -> Item:
    """Let an item be sent to the tracker, if there is one. Return the item as it stands then."""
    tracker = scene.rulebook.learning.tracker
    if tracker is None:
        return one
    effect_id = key_of("ticket", incident.key, one.id, scene.entry)
    effect = Effect(
        id=effect_id,
        kind=EffectKind.TICKET,
        incident=incident.key,
        person="postmortems.yaml",
        target=tracker.url,
        title=one.text,
        facts={**_facts(incident, one, by), "tracker": msgspec.json.encode(tracker).decode()},
        made_at=scene.now,
        due=scene.now,
        deadline=scene.now + TRIED_FOR,
        severity=incident.severity,
    )
    scene.draft.put((EFFECT, effect_id), effect)
    return msgspec.structs.replace(one, ticket=Ticket.ASKED, ticket_url="")


def _facts(incident: Incident, one: Item, by: str) -> dict[str, str]:
    """Return what `{name}` in the call means."""
    return {
        "item": one.id,
        "title": one.text,
        "kind": "follow-up" if one.follow_up else "action",
        "owner": one.owner,
        "due": day_of(one.due) if one.due is not None else "",
        "priority": one.priority.value,
        "incident": short(incident.key),
        "incident_title": incident.title,
        "service": incident.service,
        "severity": incident.severity.name,
        "by": by,
    }


def tracker_of(effect: Effect) -> Tracker:
    """Return how the call of this effect is made."""
    return msgspec.json.decode(effect.facts["tracker"], type=Tracker)


def reported(scene: Scene, incident: Incident | None, effect: Effect, result: Result) -> None:
    """A worker has tried to send an item: it is there, is tried again, failed, or nobody knows."""
    if result.ending is Ending.TRY_AGAIN and not result.ambiguous and again(effect, result, scene.now):
        if incident is not None:
            text = f"item {effect.facts['item']} is not in the tracker yet, trying again: {result.reason}"
            scene.line(incident, "failed", text, minor=True)
        return
    scene.draft.put((EFFECT, effect.id), None)
    ticket = _ended(result)
    if incident is not None:
        _keep(scene, incident, effect, ticket, result)
    if ticket in (Ticket.UNKNOWN, Ticket.FAILED):
        title = f"Action item {effect.facts['item']} {_WORDS[ticket]}"
        telling.tell_operator(scene, f"ticket:{ticket}", title, f"{result.reason}. {_NEXT[ticket]}")


_WORDS: Final = {
    Ticket.SENT: "is in the tracker",
    Ticket.UNKNOWN: "may be in the tracker, or not",
    Ticket.FAILED: "could not be sent to the tracker",
    Ticket.NONE: "would have been sent to the tracker",
}
_NEXT: Final = {
    Ticket.UNKNOWN: "Look there; if it is not, send it again: `tocsin incident item ID --id ITEM --export`.",
    Ticket.FAILED: "Mend it, then send it again: `tocsin incident item ID --id ITEM --export`.",
}


def _ended(result: Result) -> Ticket:
    if result.ending is Ending.DELIVERED:
        return Ticket.SENT
    if result.ending is Ending.SHADOWED:
        return Ticket.NONE
    return Ticket.UNKNOWN if result.ambiguous else Ticket.FAILED


def _keep(scene: Scene, incident: Incident, effect: Effect, ticket: Ticket, result: Result) -> None:
    """Note on the item and on the timeline what came of it."""
    where = f": {result.receipt}" if result.receipt else ""
    reason = f": {result.reason}" if ticket in _NEXT else where
    scene.line(incident, "ticket", f"item {effect.facts['item']} {_WORDS[ticket]}{reason}")
    if learning.of(scene, incident) is None:
        return
    found = cast("Postmortem", scene.draft.edit((POSTMORTEM, incident.key)))
    more: dict[str, Any] = {"ticket": ticket, "ticket_url": result.receipt}
    found.items = tuple(
        msgspec.structs.replace(one, **more) if one.id == effect.facts["item"] else one for one in found.items
    )


def may_send(scene: Scene, one: Item) -> str:
    """Return why a person cannot have an item sent (again), or ""."""
    if scene.rulebook.learning.tracker is None:
        return "postmortems.yaml names no tracker"
    if one.state is not ItemState.OPEN:
        return f"item {one.id} is {one.state}"
    if one.ticket in (Ticket.ASKED, Ticket.SENT):
        return f"item {one.id} is in the tracker already" if one.ticket is Ticket.SENT else "it is on its way"
    return ""
