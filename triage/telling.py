"""Telling people what asks nothing of them: notifications of an incident, words to a person, words to the operators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from triage import waking
from triage.memory import EFFECT
from triage.model import ENDED, HOUR, MINUTE, Effect, EffectKind, Incident, Millis, Phase, Severity, key_of, short
from triage.scene import Scene
from triage.schedules import Called, quiet_until

JOINED_WAIT: Final[Millis] = MINUTE
"""How long alerts that join an acknowledged incident gather before the acknowledger is told."""
TOLD_MAX: Final = 50
"""How many people of one incident are remembered for its all-clear."""
TOPICS_MAX: Final = 30
"""How many topics the operators are told of in an hour: alert text can make up topics without end."""
BY_POSTMORTEMS: Final = "postmortems.yaml"
"""Who gets what postmortems.yaml sends out, as the timeline says it."""
THREAD: Final = "thread"
"""The fact that names the message to reply to, or to change."""
ASLEEP: Final = "Nobody was woken."


def facts_of(incident: Incident, why: str) -> dict[str, str]:
    """Return what a message says, as texts; times in milliseconds since the epoch."""
    return {
        "severity": incident.severity.name,
        "title": incident.title,
        "service": incident.service,
        "since": str(incident.opened_at),
        "why": why,
        "alerts": str(incident.alerts),
        "firing": str(incident.firing),
        "runbook": incident.runbook,
        "incident": short(incident.key),
        "phase": incident.phase.value,
        "acked_by": incident.acked_by,
        "flapping": incident.flaps,
        "changed": incident.changed,
        "next_update": promised(incident),
        "still_open": incident.still_open,
        "reopened": incident.reopened,
    }


def promised(incident: Incident) -> str:
    """Return when the next status update is promised for, in milliseconds since the epoch, or ""."""
    return "" if incident.next_update is None or incident.phase in ENDED else str(incident.next_update)


def thread_of(incident: Incident, target: str) -> dict[str, str]:
    """Return the fact that makes a message by this contact method a reply to its first one, where there is one."""
    return next(({THREAD: one.receipt} for one in incident.threads if one.target == target), {})


def tell(scene: Scene, incident: Incident, what: str, title: str, text: str, but: str = "") -> None:
    """Send a low-urgency notification to everybody who was paged for this incident, except `but`."""
    for name in incident.told:
        if name != but:
            notify(scene, incident, name, what, title, text, "you were told of this incident before")


def notify(scene: Scene, incident: Incident, name: str, what: str, title: str, text: str, why: str) -> bool:
    """Send one person a notification, by their first contact method or their own. Return whether they have one.

    It asks nothing. In their quiet hours it waits, unless they have the incident, and so are up.
    """
    person = scene.rulebook.people.get(name)
    if person is None or not person.methods:
        return False
    if scene.old:
        waking.gather(scene, incident)
        return True
    facts = facts_of(incident, f"{person.display or name}, {why}")
    facts |= {"text": text, "zone": person.time_zone}
    up = name == incident.acked_by or name in incident.roles.values()
    quiet = None if up else quiet_until(person.quiet, scene.now)
    for method in person.low or (0,):
        own = (str(method),) if person.low else ()
        effect_id = key_of("notify", incident.key, what, scene.entry, str(incident.lines), name, *own)
        effect = Effect(
            id=effect_id,
            kind=EffectKind.NOTIFICATION,
            incident=incident.key,
            person=name,
            target=person.methods[method],
            title=title,
            facts={**facts, **thread_of(incident, person.methods[method])},
            made_at=scene.now,
            due=scene.now if quiet is None else quiet,
            deadline=(scene.now if quiet is None else quiet) + HOUR,
            methods=person.methods,
            method=method,
            severity=incident.severity,
        )
        scene.draft.put((EFFECT, effect_id), effect)
    held = "" if quiet is None else " when their quiet hours end"
    scene.line(incident, "notification", f"telling {name}{held}: {title}", minor=True)
    return True


def notify_all(scene: Scene, incident: Incident, called: Iterable[Called], why: str) -> int:
    """Notify these people of an incident that wakes nobody. Return how many can be told."""
    told = 0
    for one in called:
        name, title = one.person, f"{incident.severity}: {incident.title}"
        if not notify(scene, incident, name, "opened", title, ASLEEP, by(why, one)):
            continue
        told += 1
        if name not in incident.told and len(incident.told) < TOLD_MAX:
            incident.told = (*incident.told, name)
    return told


def by(why: str, one: Called) -> str:
    """Return why somebody is told, and on which schedule or team they were found."""
    return f"{why}, {one.why}" if one.why else why


def note_joined(scene: Scene, incident: Incident) -> None:
    """An alert joined: an acknowledger hears of it, gathered over a minute."""
    if not incident.acked_by or incident.phase is Phase.MONITORING or incident.phase in ENDED:
        return
    if incident.joined == 0:
        scene.draft.timer(f"joined:{incident.key}", scene.now + JOINED_WAIT)
    incident.joined += 1


def tell_joined(scene: Scene, incident: Incident) -> None:
    """The timer `joined:<incident>` is due: tell the acknowledger how many alerts joined."""
    count, incident.joined = incident.joined, 0
    if incident.acked_by and count:
        alerts = "1 more alert" if count == 1 else f"{count} more alerts"
        text = f"{alerts} joined; {incident.firing} fire now. You have it; nobody else is paged."
        notify(scene, incident, incident.acked_by, "joined", f"{alerts}: {incident.title}", text, "you have it")


def can_be_told(scene: Scene, name: str) -> bool:
    """Tell whether somebody is a person of oncall.yaml with a contact method."""
    person = scene.rulebook.people.get(name)
    return person is not None and bool(person.methods)


def tell_person(scene: Scene, name: str, topic: str, title: str, text: str, urgent: bool = False) -> bool:
    """Tell one person, outside their quiet hours unless it is urgent, what belongs to no incident.

    Return whether they can be told.
    """
    person = scene.rulebook.people.get(name)
    if person is None or not person.methods or scene.old:
        return False
    quiet_hours = None if urgent else quiet_until(person.quiet, scene.now)
    due = scene.now if quiet_hours is None else quiet_hours
    return _say_to(scene, EffectKind.NOTIFICATION, name, topic, title, text, due)


def _say_to(scene: Scene, kind: EffectKind, name: str, topic: str, title: str, text: str, due: Millis) -> bool:
    """Tell somebody what belongs to no incident. Return whether they can be told."""
    person = scene.rulebook.people.get(name)
    if person is None or not person.methods:
        return False
    effect_id = key_of("operator" if kind is EffectKind.OPERATOR else "person", topic, scene.entry, name)
    effect = Effect(
        id=effect_id,
        kind=kind,
        incident="",
        person=name,
        target=person.methods[0],
        title=title,
        facts={"title": title, "text": text, "topic": topic},
        made_at=scene.now,
        due=due,
        deadline=due + HOUR,
        methods=person.methods,
    )
    scene.draft.put((EFFECT, effect_id), effect)
    return True


def send_out(
    scene: Scene,
    incident: Incident,
    kind: EffectKind,
    target: str,
    facts: dict[str, str],
    *,
    title: str = "",
    person: str = BY_POSTMORTEMS,
    severity: Severity | None = None,
    due: Millis = 0,
) -> str:
    """Send something of an incident to a place that the rules name, not to a person. Return the effect's id."""
    effect_id = key_of(kind.value, incident.key, scene.entry, str(incident.lines), target)
    due = max(due, scene.now)
    effect = Effect(
        id=effect_id,
        kind=kind,
        incident=incident.key,
        person=person,
        target=target,
        title=title or incident.title,
        facts={**facts_of(incident, ""), **facts},
        made_at=scene.now,
        due=due,
        deadline=due + HOUR,
        methods=(target,),
        severity=incident.severity if severity is None else severity,
    )
    scene.draft.put((EFFECT, effect_id), effect)
    return effect_id


def tell_operator(scene: Scene, topic: str, title: str, text: str) -> None:
    """Tell the operators that Tocsin needs care: once per topic and hour."""
    if scene.old:  # they are told in one digest that memory was old
        return
    meta = scene.draft.meta()
    last = meta.operator_told.get(topic)
    if last is not None and scene.now - last < HOUR:
        return
    from_now = {name: at for name, at in meta.operator_told.items() if scene.now - at < HOUR}
    if len(from_now) > TOPICS_MAX:
        return
    if len(from_now) == TOPICS_MAX:
        topic, title = "more", "There is more that needs care"
        text = f"{TOPICS_MAX} topics within an hour; the others are in the log and on the timelines only."
    scene.edit_meta().operator_told = {**from_now, topic: scene.now}
    for name in scene.rulebook.operators:
        _say_to(scene, EffectKind.OPERATOR, name, topic, title, text, scene.now)
