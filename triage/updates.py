"""Status updates: sent to an audience after a look at what will be said, with a promise of the next one (`promise`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, cast

from triage import promise, publishing, subscriptions
from triage.memory import EFFECT, UPDATES
from triage.model import (
    DAY,
    ENDED,
    HOUR,
    Answer,
    Command,
    Effect,
    EffectKind,
    Incident,
    Millis,
    key_of,
    short,
)
from triage.public import address_of
from triage.responding import DONE, REFUSED
from triage.rulebook import Rulebook
from triage.rulebook.durations import parse_duration, show_duration
from triage.scene import Scene
from triage.schedules import quiet_until
from triage.status import Audience, Standing, StatusUpdate, StatusUpdates

ASKS: Final = "asks"
TEXT_MAX: Final = 2_000
TITLE_MAX: Final = 200
IMPACT_MAX: Final = 500
KEPT: Final = 100
"""How many updates of one incident are kept, the last ones."""
NEXT_MAX: Final[Millis] = 7 * DAY
"""How far ahead the next update can be promised."""
RENDERED_MAX: Final = 4_000


def of(scene: Scene, key: str) -> StatusUpdates:
    """Return the updates of an incident."""
    return cast("StatusUpdates | None", scene.draft.get((UPDATES, key))) or StatusUpdates()


def update(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Send an update to one audience. Unconfirmed it is answered with what would be sent, and to how many.

    `data` holds `audience`, `status`, and if need be `title`, `impact`, `next` (a duration, or `none`); `rendered` is
    the text as the desk made it by the operators' template.
    """
    made = _read(scene, incident, command)
    if isinstance(made, str):
        return Answer(REFUSED, made)
    rendered = command.data.get("rendered", "").strip()[:RENDERED_MAX] or f"[INCIDENT] {made.title}\n{made.text}"
    title, _, text = rendered.partition("\n")
    places = _places(scene, incident, made)
    public = made.audience is Audience.PUBLIC
    fault = publishing.fault(scene.rulebook, command.data) if public else ""
    if fault:
        return Answer(REFUSED, fault)
    many = "1 place" if len(places) == 1 else f"{len(places)} places"
    if not command.confirm:
        page = " and onto the public status page" if public else ""
        return Answer(ASKS, f"It goes to {many}{page}, and reads:\n\n{rendered}\n\nSend it?")
    known = of(scene, incident.key)
    scene.draft.put((UPDATES, incident.key), StatusUpdates((*known.items, made)[-KEPT:], known.total + 1))
    said = f"to {made.audience}, {made.status}: {made.text}"
    scene.line(incident, "update", said, by=command.by)
    if public:
        publishing.publish(scene, incident, made, command.data)
    for target, (name, why) in places.items():
        facts = {"title": title, "text": text} | _named(scene, incident, made.audience) | ({"why": why} if why else {})
        _send(scene, incident, made, name, target, facts)
    promise.make(scene, incident, made.next_at)
    promised = f"; the next one is due in {show_duration(made.next_at - scene.now)}" if made.next_at else ""
    return Answer(DONE, f"sent to {many}{promised}")


def _read(scene: Scene, incident: Incident, command: Command) -> StatusUpdate | str:
    name = key_of("update", incident.key, scene.entry)[:10]
    return draft(scene.rulebook, incident, command.data, command.text, command.by, scene.now, name)


def draft(
    rulebook: Rulebook, incident: Incident, data: Mapping[str, str], text: str, by: str, now: Millis, name: str = ""
) -> StatusUpdate | str:
    """Return the update that is asked for, or why it cannot be. The desk asks as well, to show what it would say."""
    text = text.strip()
    audience, status = data.get("audience", Audience.RESPONDERS), data.get("status", "")
    if audience not in [one.value for one in Audience]:
        return f"“{audience[:40]}” is no audience: there are {', '.join(Audience)}"
    if status not in [one.value for one in Standing]:
        return f"“{status[:40]}” is no status: there are {', '.join(Standing)}"
    if not text:
        return "an update needs text"
    if len(text) > TEXT_MAX:
        return f"an update has {TEXT_MAX} characters at most"
    title, impact = " ".join(data.get("title", "").split()), data.get("impact", "").strip()
    if len(title) > TITLE_MAX or len(impact) > IMPACT_MAX:
        return f"a title has {TITLE_MAX} characters at most, an impact {IMPACT_MAX}"
    if audience == Audience.PUBLIC:  # what alerts and responders call it is nobody else's business
        title = title or f"Trouble with {public_name(rulebook, incident) or 'our service'}"
    else:
        title, impact = title or incident.title[:TITLE_MAX], impact or incident.impact
    try:
        next_at = _next(rulebook, incident, data.get("next", "").strip(), Standing(status), now)
    except ValueError as error:
        return str(error)
    return StatusUpdate(
        id=name,
        at=now,
        by=by,
        audience=Audience(audience),
        status=Standing(status),
        title=title,
        text=text,
        impact=impact,
        eta=incident.eta,
        next_at=next_at,
    )


def public_name(rulebook: Rulebook, incident: Incident) -> str:
    """Return what the public knows the incident's service as, by the catalogue; "" when it is not in there."""
    service = rulebook.services.get(incident.service)
    return (service.status_component or service.name) if service is not None else ""


def _next(rulebook: Rulebook, incident: Incident, asked: str, status: Standing, now: Millis) -> Millis | None:
    """Return when the next update is promised. Raises ValueError for what cannot be promised."""
    if status is Standing.RESOLVED or incident.phase in ENDED or asked == "none":
        return None
    interval = parse_duration(asked) if asked else promise.interval_of(rulebook, incident.severity)
    if asked and not promise.REMIND_BEFORE < interval <= NEXT_MAX:
        raise ValueError("the next update is promised in more than 10 minutes and at most 7 days, or `none`")
    return now + interval if interval else None


def _places(scene: Scene, incident: Incident, made: StatusUpdate) -> dict[str, tuple[str, str]]:
    """Return where an update goes to, for whom and why: once to each contact method, however often it is asked for."""
    found: dict[str, tuple[str, str]] = {}
    for name, target, why in _told(scene, incident, made):
        found.setdefault(target, (name, why))
    return found


def _told(scene: Scene, incident: Incident, made: StatusUpdate) -> Iterator[tuple[str, str, str]]:
    """Yield whom an update goes to, by which contact method, and why, where that is to be said."""
    if made.audience is Audience.RESPONDERS:
        for name in dict.fromkeys((*incident.responders, *incident.told, *incident.roles.values())):
            person = scene.rulebook.people.get(name)
            if name != made.by and person is not None and person.methods:
                yield name, person.methods[person.low[0] if person.low else 0], ""
        return
    for subscriber in (*scene.rulebook.updates.subscribers, *subscriptions.listening(scene)):
        if subscriber.wants(made.audience, incident.service, incident.severity):
            yield from ((subscriber.name, method, subscriber.why) for method in subscriber.methods)


def _named(scene: Scene, incident: Incident, audience: Audience) -> dict[str, str]:
    """Return by what name a message speaks of its incident: for the public by the one of the status page."""
    if audience is Audience.PUBLIC:
        return {"public": address_of(incident.key, publishing.of(scene, incident.key))}
    return {"incident": short(incident.key)} if audience is Audience.RESPONDERS else {}


def _send(scene: Scene, incident: Incident, made: StatusUpdate, name: str, target: str, facts: dict[str, str]) -> None:
    effect_id = key_of("status-update", incident.key, made.id, name, target)
    inside = made.audience is Audience.RESPONDERS
    person = scene.rulebook.people.get(name) if not inside else None  # who responds is up
    due = (quiet_until(person.quiet, scene.now) if person is not None else None) or scene.now
    effect = Effect(
        id=effect_id,
        kind=EffectKind.NOTIFICATION,
        incident=incident.key,
        person=name,
        target=target,
        title=facts["title"],
        facts=facts,
        made_at=scene.now,
        due=due,
        deadline=due + HOUR,
        methods=(target,),
        severity=incident.severity,
    )
    scene.draft.put((EFFECT, effect_id), effect)
