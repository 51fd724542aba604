"""What an incident's room, and other places of chat services, hear of its timeline: what matters, in order, and once.

A place gets one post at a time, and posts keep apart as chat services ask for. Lines that come meanwhile gather and go
together with the next one; alerts that join or end by the hundred are one line. Nobody waits for a post: it comes after
all pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec

from triage import telling
from triage.memory import EFFECT
from triage.model import ENDED, SECOND, Effect, EffectKind, Ending, Incident, Line, Millis, Outlet, Result, Severity
from triage.retries import again
from triage.scene import Scene

APART: Final[Millis] = 1_500
"""How far apart the posts to one place are; Slack takes one message a second in a channel."""
UNSAID_MAX: Final = 30
"""How many lines wait for one place; of more the oldest are left out, and counted."""
LINE_MAX: Final = 300
POST_MAX: Final = 1_900
"""Longest text of a post, in characters; what does not fit follows."""
OUTLETS_MAX: Final = 10
"""How many places hear of one incident."""
NOTES: Final = frozenset({"note", "finding", "hypothesis"})
"""Lines that the room they were said in has read already."""
TOLD: Final = {
    "opened": "opened",
    "confirmed": "",
    "changed": "changed",
    "recalled": "still to do",
    "page": "",
    "asked": "",
    "responds": "",
    "acknowledged": "",
    "snoozed": "",
    "snooze-over": "snooze over",
    "unacknowledged": "",
    "forgotten": "",
    "assigned": "",
    "escalated": "escalated",
    "unreachable": "nobody reached",
    "exhausted": "",
    "paused": "",
    "resumed": "",
    "raised": "severity raised",
    "lowered": "severity lowered",
    "phase": "phase",
    "all-clear": "all clear",
    "resolved": "resolved",
    "reopened": "reopened",
    "stale": "",
    "role": "",
    "impact": "impact",
    "eta": "",
    "note": "note",
    "finding": "finding",
    "hypothesis": "hypothesis",
    "checked": "checked off",
    "unchecked": "open again",
    "action": "",
    "mitigation": "done elsewhere",
    "update": "status update",
    "published": "published",
    "promise": "",
    "promise-broken": "",
    "merged": "merged",
    "linked": "linked",
    "joined": "alert joined",
    "ended": "alert ended",
    "fires-again": "fires again",
}
"""Kinds of lines that are told, and the words before them. What is said in rooms is not: they have heard it."""
GATHERED: Final = frozenset({"joined", "ended", "fires-again"})
"""Kinds of which one line stands for all that wait."""


def wanted(scene: Scene, incident: Incident) -> Iterable[str]:
    """Return the contact methods that rooms.yaml wants to hear of an incident, besides its room."""
    fits = (rule.target for rule in scene.rulebook.posts if rule.fits(incident.severity, incident.service))
    return fits if incident.phase not in ENDED else ()


def begin(scene: Scene, incident: Incident) -> None:
    """Let the incident's room and the places that rooms.yaml wants hear of it from now on."""
    known = {(one.target, one.room) for one in incident.outlets}
    found = [(incident.room.target, True)] if incident.room is not None else []
    found += [(target, False) for target in wanted(scene, incident)]
    new = tuple(Outlet(*one) for one in dict.fromkeys(found) if one not in known)
    if new:
        incident.outlets = (*incident.outlets, *new)[:OUTLETS_MAX]


def hear(incident: Incident, lines: Iterable[Line], said_in: bool) -> None:
    """Let each place hear these lines. `said_in`: they are of what was said in the incident's room."""
    for line in lines:
        if line.what in TOLD:
            incident.outlets = tuple(
                one if one.room and said_in and line.what in NOTES else _with(one, line) for one in incident.outlets
            )


def _with(outlet: Outlet, line: Line) -> Outlet:
    """Return an outlet that has one more line to say."""
    unsaid, count = outlet.unsaid, 1
    if line.what in GATHERED:
        count += sum(many for what, _, many in unsaid if what == line.what)
        unsaid = tuple(one for one in unsaid if one[0] != line.what)
    unsaid = (*unsaid, (line.what, _text(line), count))
    over = len(unsaid) - UNSAID_MAX
    dropped = outlet.dropped + max(0, over)
    return msgspec.structs.replace(outlet, unsaid=unsaid[max(0, over) :], dropped=dropped)


def _text(line: Line) -> str:
    at = datetime.fromtimestamp(line.at / SECOND, tz=UTC).strftime("%H:%M")
    by = f" ({line.by})" if line.by and line.by not in line.text else ""
    words = f"{TOLD[line.what]}: {line.text}" if TOLD[line.what] else line.text
    text = f"{at} {' '.join(words.split())}{by}"
    return text if len(text) <= LINE_MAX else f"{text[: LINE_MAX - 1]}…"


def is_full(incident: Incident) -> bool:
    """Tell whether no more places can hear of an incident."""
    return len(incident.outlets) >= OUTLETS_MAX


def behind(incident: Incident) -> bool:
    """Tell whether a place has something to hear, and may hear it now."""
    return any(_speaks(incident, one) for one in incident.outlets)


def room_is_busy(incident: Incident) -> bool:
    """Tell whether the incident's room has still something to hear, before it is archived."""
    return any(one.room and (one.post or _speaks(incident, one)) for one in incident.outlets)


def _speaks(incident: Incident, outlet: Outlet) -> bool:
    return bool(outlet.unsaid) and not outlet.post and (not outlet.room or _is_open(incident))


def _is_open(incident: Incident) -> bool:
    return incident.room is not None and bool(incident.room.place) and not incident.room.archived


def follow(scene: Scene, incident: Incident) -> None:
    """Make the posts that are wanted now."""
    incident.outlets = tuple(
        _saying(scene, incident, one) if _speaks(incident, one) else one for one in incident.outlets
    )


def _saying(scene: Scene, incident: Incident, outlet: Outlet) -> Outlet:
    texts = [f"{text}, and {many - 1} more like it" if many > 1 else text for _, text, many in outlet.unsaid]
    if outlet.dropped:
        texts.insert(0, f"… {outlet.dropped} earlier lines are in the timeline only")
    many, size = 0, 0
    for text in texts:
        size += len(text) + 1
        if many and size > POST_MAX:
            break
        many += 1
    place = incident.room.place if outlet.room and incident.room is not None else outlet.receipt
    facts = {"text": "\n".join(texts[:many]), "room": "yes" if outlet.room else "", telling.THREAD: place}
    due = outlet.said_at + APART
    post = telling.send_out(
        scene, incident, EffectKind.POST, outlet.target, facts, person="", severity=Severity.P4, due=due
    )
    left = outlet.unsaid[many - bool(outlet.dropped) :]
    return msgspec.structs.replace(outlet, unsaid=left, dropped=0, post=post)


def posted(scene: Scene, incident: Incident | None, effect: Effect, result: Result) -> None:
    """Apply the result of a post: said, again later, or given up, which costs nobody a page."""
    if again(effect, result, scene.now):
        return
    scene.draft.put((EFFECT, effect.id), None)
    if incident is None:
        return
    incident.outlets = tuple(
        msgspec.structs.replace(one, post="", said_at=scene.now, receipt=one.receipt or result.receipt)
        if one.post == effect.id
        else one
        for one in incident.outlets
    )
    if not result.ending.told and result.ending is not Ending.TOO_OLD:
        scheme = effect.target.partition(":")[0]
        text = f"a post by {scheme} was given up: {result.reason or result.ending.value}"
        scene.line(incident, "given-up", text, minor=True)
        telling.tell_operator(scene, f"post:{scheme}", f"A post by {scheme} did not arrive", text)
