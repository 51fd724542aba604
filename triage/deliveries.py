"""What a worker's report of one attempt changes: delivered, tried again, or given up for the next way.

Some providers take a message and say later what became of it: a call, a text. Until then the effect is HANDED: nobody
sends it again, and the word of the provider, or its silence, decides whether the next way begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from triage import drills, outlets, own_steps, paging, retries, ringing, rooms, shadow, telling, threads, tickets
from triage.memory import EFFECT, HANDED, INCIDENT, SHADOW
from triage.model import LATER, MINUTE, Effect, EffectKind, Ending, Incident, Millis, Result
from triage.rulebook.durations import show_duration
from triage.scene import Scene

WORD_WITHIN: Final[Millis] = 3 * MINUTE
"""How long a provider may take to say what became of a message that it took."""
_TAKEN: Final = (Ending.DELIVERED, Ending.HANDED_OVER)
_OWN: Final[dict[EffectKind, Callable[[Scene, Incident | None, Effect, Result], None]]] = {
    EffectKind.ROOM: rooms.kept,
    EffectKind.POST: outlets.posted,
    EffectKind.UPDATE: threads.updated,
    EffectKind.TICKET: tickets.reported,
}
"""Kinds that are no message to anybody, and who says what becomes of them."""


def report(scene: Scene, result: Result) -> None:
    """Apply the result of one attempt to its effect and its incident's timeline."""
    known: Effect | None = scene.draft.get((EFFECT, result.effect))
    if known is None:
        handed: Effect | None = scene.draft.get((HANDED, result.effect))
        if handed is None:
            _too_late(scene, result)
        elif result.ending is not Ending.HANDED_OVER:
            _word_came(scene, handed, result)
        return
    if result.attempt not in (LATER, known.attempt) and result.ending not in _TAKEN:
        return  # a second report of an attempt that is already accounted for
    effect: Effect = scene.draft.edit((EFFECT, result.effect))
    incident = _incident(scene, effect)
    if result.ending is Ending.TOO_OLD and effect.kind not in _OWN:
        _done(scene, effect, incident)
        if incident is not None:
            scene.line(incident, "too-old", f"{_word(effect)} to {effect.person} not sent: {result.reason}")
        return
    effect.attempt += 1
    effect.ambiguous = effect.ambiguous or result.ambiguous
    if effect.kind in _OWN:
        _OWN[effect.kind](scene, _whose(scene, effect, incident), effect, result)
        return
    if result.ending is Ending.SHADOWED:
        _shadow(scene, effect)
    if effect.facts.get("drill"):
        if result.ending is Ending.HANDED_OVER:
            _hand_over(scene, effect, None, "", result)
        drills.reported(scene, effect, result)
        return
    if result.remark:
        telling.tell_operator(scene, f"remark:{result.remark[:100]}", "A message went out otherwise", result.remark)
    way = f"{effect.person} by {effect.target.partition(':')[0]}"
    if incident is not None and effect.attempt == 1:
        own_steps.sent(scene, incident, effect)
    if result.ending.told:
        _done(scene, effect, incident)
        threads.begun(scene, incident, result, effect.target, effect.facts)
        if incident is not None:
            if effect.kind is EffectKind.PAGE:
                incident.reached = (effect.episode, effect.round, effect.step)
            again = f" at attempt {effect.attempt}" if effect.attempt > 1 else ""
            text = f"{_word(effect)} to {way} delivered{again}: {result.reason or 'accepted'}"
            if result.ending is Ending.SHADOWED:
                text = f"would have sent the {_word(effect)} to {way}: {effect.facts.get('why', '') or effect.title}"
            scene.line(incident, result.ending.value, text)
            _drop_siblings(scene, effect, incident)
        return
    if result.ending is Ending.HANDED_OVER:
        _hand_over(scene, effect, incident, way, result)
        return
    if result.ending is Ending.UNANSWERED:
        _unanswered(scene, effect, incident, way, result.reason)
        return
    if retries.again(effect, result, scene.now):
        if incident is not None:
            wait = (effect.due - scene.now) // 1_000
            text = f"{_word(effect)} to {way} failed, trying again in {wait} s: {result.reason or result.ending.value}"
            scene.line(incident, "failed", text, minor=True)
            if effect.kind is EffectKind.PAGE and effect.attempt == 1:
                paging.next_method(scene, incident, effect)
        return
    _give_up(scene, effect, incident, way, result)


def _whose(scene: Scene, effect: Effect, incident: Incident | None) -> Incident | None:
    """Return the incident that an effect is of: a merged one keeps its messages, and its room if it has it still."""
    known: Incident | None = scene.draft.get((INCIDENT, effect.incident)) if effect.incident else None
    if known is None or not known.merged_into:
        return incident
    shown = [one.update for one in known.threads] + [one.post for one in known.outlets]
    its_own = effect.id in shown or (known.room is not None and known.room.effect == effect.id)
    return cast("Incident", scene.draft.edit((INCIDENT, known.key))) if its_own else incident


def _hand_over(scene: Scene, effect: Effect, incident: Incident | None, way: str, result: Result) -> None:
    _done(scene, effect, incident)
    scene.draft.put((HANDED, effect.id), effect)
    scene.draft.timer(f"handed:{effect.id}", scene.now + WORD_WITHIN)
    if incident is not None:
        if result.receipt:
            ringing.begun(incident, effect, result.receipt)
        scene.line(incident, "handed-over", f"{_word(effect)} to {way} is on its way: {result.reason}", minor=True)


def _word_came(scene: Scene, effect: Effect, result: Result) -> None:
    """Apply what a provider says of a message that it took before."""
    if effect.facts.get("drill"):
        _done(scene, effect, None)
        drills.reported(scene, effect, result)
        return
    incident = _incident(scene, effect)
    way = f"{effect.person} by {effect.target.partition(':')[0]}"
    if result.ending is Ending.GIVE_UP:
        _give_up(scene, effect, incident, way, result)
    elif result.ending is Ending.DELIVERED:
        _done(scene, effect, incident)
        if incident is not None:
            incident.reached = (effect.episode, effect.round, effect.step)
            scene.line(incident, "delivered", f"{_word(effect)} to {way} delivered: {result.reason or 'accepted'}")
    else:
        _unanswered(scene, effect, incident, way, result.reason)


def no_word(scene: Scene, effect_id: str) -> None:
    """The timer `handed:<effect>` is due: a provider took a message and never said what became of it."""
    effect: Effect | None = scene.draft.get((HANDED, effect_id))
    if effect is None:
        return
    reason = f"no word of the provider within {show_duration(WORD_WITHIN)}"
    if effect.facts.get("drill"):
        _word_came(scene, effect, Result(effect_id, LATER, Ending.UNANSWERED, reason))
    else:
        way = f"{effect.person} by {effect.target.partition(':')[0]}"
        _unanswered(scene, effect, _incident(scene, effect), way, reason)


def _unanswered(scene: Scene, effect: Effect, incident: Incident | None, way: str, reason: str) -> None:
    """Nobody was there: the person's next way begins at once, if the page is still wanted."""
    _done(scene, effect, incident)
    if incident is None or effect.id in incident.answered:  # by a key, and then the call was over
        return
    wanted = ringing.wanted(incident, effect)
    scene.line(incident, "unanswered", f"{_word(effect)} to {way} not answered: {reason}", minor=not wanted)
    if wanted and effect.attempt == 1:
        paging.next_method(scene, incident, effect)


def _shadow(scene: Scene, effect: Effect) -> None:
    """Remember a message that nobody got."""
    meta = scene.edit_meta()
    place, meta.shadowed = meta.shadowed % shadow.KEPT, meta.shadowed + 1
    scene.draft.put(
        (SHADOW, str(place)),
        shadow.Shadowed(
            at=scene.now,
            kind=effect.kind,
            person=effect.person,
            scheme=effect.target.partition(":")[0],
            incident=effect.incident,
            severity=effect.severity,
            title=effect.title,
            why=effect.facts.get("why", ""),
        ),
    )


def _give_up(scene: Scene, effect: Effect, incident: Incident | None, way: str, result: Result) -> None:
    _done(scene, effect, incident)
    reason = result.reason or result.ending.value
    if effect.kind is not EffectKind.OPERATOR:
        telling.tell_operator(
            scene,
            f"given-up:{effect.person}:{effect.method}",
            f"Cannot reach {way}",
            f"{_word(effect)} given up: {reason}",
        )
    if incident is None:
        return
    scene.line(incident, "given-up", f"{_word(effect)} to {way} given up: {reason}")
    if not ringing.wanted(incident, effect):
        return
    if effect.attempt == 1 and paging.next_method(scene, incident, effect):
        return
    if effect.step > paging.LAST_STEP:  # somebody was asked to join: the escalation goes its own way
        return
    if incident.reached == (effect.episode, effect.round, effect.step):
        return
    if not incident.pending and incident.page_at is not None and incident.page_at > scene.now:
        scene.line(incident, "escalated", "nobody of this step could be reached: the next step begins now")
        incident.page_at = scene.now
        scene.draft.timer(f"page:{incident.key}", scene.now)


def _done(scene: Scene, effect: Effect, incident: Incident | None) -> None:
    if scene.draft.get((EFFECT, effect.id)) is None:
        scene.draft.put((HANDED, effect.id), None)
        scene.draft.timer(f"handed:{effect.id}", None)
        if incident is not None:
            ringing.over(incident, effect.id)
        return
    scene.draft.put((EFFECT, effect.id), None)
    if incident is not None and effect.id in incident.pending:
        incident.pending = tuple(one for one in incident.pending if one != effect.id)


def _drop_siblings(scene: Scene, delivered: Effect, incident: Incident) -> None:
    """One page per step and person: what another contact method was still trying is not needed any more."""
    if delivered.kind is not EffectKind.PAGE:
        return
    for other_id in incident.pending:
        other: Effect | None = scene.draft.get((EFFECT, other_id))
        if other is None or other.person != delivered.person:
            continue
        if own_steps.goes_on(other, delivered):
            continue
        if (other.episode, other.round, other.step) == (delivered.episode, delivered.round, delivered.step):
            _done(scene, other, incident)
            scene.line(
                incident, "withdrawn", f"page to {other.person} by {other.target.partition(':')[0]} not needed any more"
            )


def _too_late(scene: Scene, result: Result) -> None:
    """The page was withdrawn while the provider had it: the timeline still says so."""
    if not result.incident or scene.draft.incident(result.incident) is None:
        return
    if result.ending is Ending.HANDED_OVER and result.receipt:
        ringing.too_late(scene, scene.draft.edit_incident(result.incident), result)
    if result.ending is Ending.DELIVERED:
        incident = scene.draft.edit_incident(result.incident)
        threads.begun_late(scene, incident, result)
        scene.line(
            incident,
            "delivered",
            f"page to {result.person} by {result.scheme} was already on its way: delivered",
            minor=True,
        )


def _incident(scene: Scene, effect: Effect) -> Incident | None:
    if not effect.incident or scene.draft.incident(effect.incident) is None:
        return None
    return scene.draft.edit_incident(effect.incident)


def _word(effect: Effect) -> str:
    return effect.kind.value if effect.kind is not EffectKind.OPERATOR else "operator message"
