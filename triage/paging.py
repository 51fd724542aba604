"""Whom to wake, when, and when to stop: escalation by policy, one page per incident, step and person.

Paging begins as a timer, so that whatever was appended before it fires is decided first: a queued resolve cancels the
page. The timer `page:<incident>` is the whole state of an escalation besides the incident's round and step.
"""

from __future__ import annotations

from typing import Final

from triage import digests, figures, overrides, own_steps, pausing, publishing, quiet, storms, telling, waking
from triage.memory import EFFECT
from triage.model import (
    ENDED,
    MINUTE,
    Effect,
    EffectKind,
    Incident,
    Millis,
    Phase,
    Severity,
    key_of,
    short,
)
from triage.rulebook.budgets import OFFICE
from triage.rulebook.types import Policy, Step
from triage.scene import Scene
from triage.schedules import Called, Whom

LATE_AFTER: Final[Millis] = MINUTE
"""A page this much later than it was due says so."""
LAST_STEP: Final = 999
"""The step number of the last resort. Greater ones belong to people whom somebody asked to join."""


def pages_people(severity: Severity) -> bool:
    """Tell whether incidents of this severity demand an acknowledgement."""
    return severity <= Severity.P1


def begin(scene: Scene, incident: Incident, wait: Millis = 0) -> None:
    """Begin an episode of paging at step 1, `wait` from now; low severities notify, or are only shown."""
    pausing.goes_on(scene, incident)
    if scene.old:
        _doubt(scene, incident)
        return
    if not incident.pageable:
        scene.line(incident, "not-paged", "an anonymous report alone never pages")
        return
    if incident.severity is Severity.P2:
        _begin_notifying(scene, incident)
        return
    if not pages_people(incident.severity):
        digests.gather(scene, incident)
        return
    incident.episode += 1
    incident.round, incident.step, incident.paged, incident.spared = 0, -1, False, ""
    incident.storm = ""
    let_go(scene, incident)
    incident.page_at = scene.now + wait
    scene.draft.timer(f"page:{incident.key}", incident.page_at)
    if wait:
        scene.line(incident, "waiting", f"first page in {wait // 1_000} s if it still fires")


def _doubt(scene: Scene, incident: Incident) -> None:
    """What old memory would page for is told in one digest; what no provider has taken is withdrawn."""
    cancel_pending(scene, incident)
    waking.doubt(scene, incident)


def hasten(scene: Scene, incident: Incident, wait: Millis) -> None:
    """An alert came that waits less than the one before it: the first page, if still to come, waits no longer."""
    due = scene.now + wait
    if incident.page_at is not None and not incident.paged and due < incident.page_at:
        incident.page_at = due
        scene.draft.timer(f"page:{incident.key}", due)


def _begin_notifying(scene: Scene, incident: Incident) -> None:
    """P2: tell step 1 of the policy, without asking for an acknowledgement; outside office hours in a digest."""
    if scene.old:
        waking.gather(scene, incident)
    elif scene.rulebook.is_open(OFFICE, scene.now):
        scene.draft.timer(f"notify:{incident.key}", scene.now)
    else:
        digests.gather(scene, incident)


def raised(scene: Scene, incident: Incident, before: Severity, wait: Millis) -> None:
    """Page anew, `wait` from now, after a raise into P1 or P0; raises within a minute, not acknowledged between, count
    as one.
    """
    if not pages_people(incident.severity):
        if incident.severity is Severity.P2 and incident.pageable:
            _begin_notifying(scene, incident)
        return
    together = scene.rulebook.defaults.raise_together
    last, incident.raised_at = incident.raised_at, scene.now
    owed = incident.page_at is not None and not incident.acked_by
    if owed and not incident.paged:
        hasten(scene, incident, wait)  # its first page is still to come, and will show the new severity
        return
    if owed and pages_people(before) and last is not None and scene.now - last <= together:
        scene.line(incident, "not-paged", "raised again within a minute of the last raise: one page for both")
        return
    if incident.acked_by:
        scene.line(incident, "unacknowledged", f"{incident.severity} voids the acknowledgement of {incident.acked_by}")
    cancel_pending(scene, incident)
    begin(scene, incident, wait)


def lowered(scene: Scene, incident: Incident) -> None:
    """Page no longer when the severity demands no acknowledgement any more; who was asked to join stays asked."""
    if pages_people(incident.severity):
        return
    incident.page_at, incident.lead, incident.lead_why = None, "", ""
    for timer in ("page", "remind"):
        scene.draft.timer(f"{timer}:{incident.key}", None)
    cancel_pending(scene, incident, keep_asked=True)
    if incident.severity is Severity.P2 and incident.pageable and not incident.acked_by:
        _begin_notifying(scene, incident)


def stop(scene: Scene, incident: Incident) -> None:
    """Stop paging: no step is due any more, and pages not yet delivered are withdrawn."""
    incident.page_at = None
    pausing.goes_on(scene, incident)
    for timer in ("page", "remind", "notify", "joined"):
        scene.draft.timer(f"{timer}:{incident.key}", None)
    end_snooze(scene, incident)
    incident.joined = 0
    cancel_pending(scene, incident)


def let_go(scene: Scene, incident: Incident) -> None:
    """Nobody has it any more, snoozed or not."""
    incident.acked_by, incident.acked_at = "", None
    end_snooze(scene, incident)


def end_snooze(scene: Scene, incident: Incident) -> None:
    """Whoever has it has it without an end, or nobody does."""
    if incident.snoozed_until is not None:
        incident.snoozed_until = None
        scene.draft.timer(f"snooze:{incident.key}", None)


def cancel_pending(scene: Scene, incident: Incident, keep_asked: bool = False) -> None:
    """Withdraw the pages that no provider has taken yet; with `keep_asked` not those that a person asked for."""
    kept: list[str] = []
    for effect_id in incident.pending:
        effect: Effect | None = scene.draft.get((EFFECT, effect_id))
        if effect is not None and keep_asked and effect.step > LAST_STEP:
            kept.append(effect_id)
        elif effect is not None:
            scene.draft.put((EFFECT, effect_id), None)
            scene.line(incident, "withdrawn", f"page to {effect.person} withdrawn before it was delivered", minor=True)
    incident.pending = tuple(kept)


def fire(scene: Scene, incident: Incident) -> None:
    """The timer `page:<incident>` is due: page the next step, and set the timer for the one after."""
    due = incident.page_at
    if due is None or incident.acked_by or incident.phase is Phase.MONITORING or incident.phase in ENDED:
        return
    if due > scene.now:  # moved by what fired before it in the same tick
        scene.draft.timer(f"page:{incident.key}", due)
        return
    if scene.old:
        if due < scene.draft.meta().woke_at:
            _doubt(scene, incident)
            return
        scene.old = False  # it began after memory woke
    if _pauses(scene, incident) or storms.stands(scene, incident):
        return
    publishing.by_rule(scene, incident)
    late = scene.now - due
    late = late if late > LATE_AFTER else 0
    policy = _policy(scene, incident)
    steps, rounds = _plan(incident, policy)
    if incident.lead:
        lead, why = incident.lead, incident.lead_why or "had it last"
        incident.lead = incident.lead_why = ""
        if lead in scene.rulebook.people:
            _page_step(scene, incident, Step((lead,), steps[0].wait if steps else 5 * MINUTE), policy, late, why)
            return
    incident.step += 1
    if incident.step >= len(steps):
        incident.step, incident.round = 0, incident.round + 1
    if not steps or incident.round >= rounds:
        _last_resort(scene, incident, policy, late, "nobody acknowledged" if steps else "the policy has no steps")
        return
    why = f"step {incident.step + 1} of policy “{policy.name}”"
    if incident.round:
        why += f", round {incident.round + 1}"
    _page_step(scene, incident, steps[incident.step], policy, late, why)


def _plan(incident: Incident, policy: Policy) -> tuple[tuple[Step, ...], int]:
    """Return the steps and rounds of this escalation: once it runs, new rules do not change them, unless they delete
    its policy. Whom a step means is found anew each time.
    """
    if not incident.paged or not incident.plan:
        incident.plan = tuple((step.notify, step.wait) for step in policy.steps_for(incident.severity))
        incident.rounds = policy.rounds
    return tuple(Step(notify, wait) for notify, wait in incident.plan), incident.rounds


def _pauses(scene: Scene, incident: Incident) -> bool:
    """Pause if every firing alert is silenced; what no provider has taken yet is withdrawn then."""
    paused = pausing.pause(scene, incident)
    if paused:
        cancel_pending(scene, incident, keep_asked=True)
    return paused


def resume(scene: Scene, incident: Incident) -> None:
    """The timer `quiet:<incident>` is due: begin anew at step 1 if an alert fires that nothing silences any more."""
    if not incident.paused:
        return
    if incident.acked_by or incident.phase is Phase.MONITORING or incident.phase in ENDED:
        pausing.goes_on(scene, incident)
        return
    if _pauses(scene, incident):
        return
    scene.line(incident, "resumed", "an alert fires that nothing silences any more: it is told anew, from step 1")
    begin(scene, incident)
    quiet.incident_changed(scene, incident)


def _policy(scene: Scene, incident: Incident) -> Policy:
    """Return the incident's policy as the rules have it today; a deleted one becomes the default one."""
    policies, defaults = scene.rulebook.policies, scene.rulebook.defaults
    policy = policies.get(incident.policy)
    if policy is not None:
        return policy
    scene.line(incident, "rules", f"policy “{incident.policy}” is gone; using “{defaults.policy}”")
    telling.tell_operator(
        scene,
        f"policy:{incident.policy}",
        f"Escalation policy “{incident.policy}” is gone",
        f"Incident {short(incident.key)} was escalating by it; “{defaults.policy}” is used instead.",
    )
    incident.policy, incident.plan = defaults.policy, ()
    return policies.get(defaults.policy) or Policy(defaults.policy, {})


def _page_step(scene: Scene, incident: Incident, step: Step, policy: Policy, late: Millis, why: str) -> None:
    incident.paged = True
    found = overrides.whom(scene, step.notify)
    spared = incident.spared if incident.round == 0 else ""  # later it is because nobody acknowledged
    called = [one for one in found.called if one.person != spared]
    reached = sum(_page(scene, incident, one.person, incident.step, late, telling.by(why, one)) for one in called)
    incident.page_at = scene.now + step.wait if reached else scene.now
    faults = _faults(found, reached)
    if len(called) < len(found.called):
        scene.line(incident, "not-paged", f"{why}: {spared} knows, and made it page")
    if faults and (called or not found.called):
        next_ = "" if reached else ": the next step begins now"
        scene.line(incident, "unreachable", f"{why}: {faults}{next_}")
        telling.tell_operator(
            scene,
            f"unreachable:{policy.name}:{incident.step}",
            f"{'Not everybody' if reached else 'Nobody'} can be reached in {why}",
            f"{faults[:1].upper()}{faults[1:]}. Mend oncall.yaml, or add an override with `tocsin oncall override`.",
        )
    scene.draft.timer(f"page:{incident.key}", incident.page_at)


def _faults(found: Whom, reached: int) -> str:
    """Return why a step reaches nobody, or not all that it names; "" when it reaches somebody by each target."""
    faults = [*found.empty]
    if not reached and found.called:
        faults.append(f"nobody of {', '.join(one.person for one in found.called)} has a contact method")
    return "; ".join(faults) or ("" if reached else "it names nobody")


def _last_resort(scene: Scene, incident: Incident, policy: Policy, late: Millis, why: str) -> None:
    """Page the last resort once, tell the operator, and end this escalation."""
    incident.page_at, incident.paged = None, True
    scene.draft.timer(f"page:{incident.key}", None)
    people = scene.rulebook.last_resort
    reached = sum(_page(scene, incident, name, LAST_STEP, late, f"last resort: {why}") for name in people)
    for others, whose in ((scene.rulebook.operators, "the operators"), (scene.rulebook.people, "everybody")):
        if not reached:
            people = tuple(others)
            scene.line(incident, "unreachable", f"the last resort reaches nobody: paging {whose}")
            reached = sum(_page(scene, incident, name, LAST_STEP, late, f"last resort: {why}") for name in people)
    if not reached:
        scene.line(incident, "unreachable", f"{why}, and nobody in oncall.yaml has a contact method")
    if incident.storm:  # the storm page comes to the last resort for all that it stands for
        return
    telling.tell_operator(
        scene,
        f"exhausted:{incident.key}:{incident.episode}",
        f"Nobody has acknowledged: {incident.title}",
        f"Policy “{policy.name}” is at its end ({why}); last resort: {', '.join(people) or 'nobody'}.",
    )


def _page(
    scene: Scene,
    incident: Incident,
    name: str,
    step: int,
    late: Millis,
    why: str,
    method: int = 0,
    after: Millis | None = None,
) -> int:
    """Make the page for one person by one contact method, or those of their own steps, each `after` its time.

    Return how many were made: 0 when there is no method.
    """
    person = scene.rulebook.people.get(name)
    if person is None or method >= len(person.methods):
        return 0
    if scene.old:
        waking.gather(scene, incident)
        return 1  # a digest reaches them instead
    if after is None and not method and step <= LAST_STEP and storms.withholds(scene, incident, name, step):
        return 1  # a storm page reaches them instead
    if person.high and after is None:
        return sum(_page(scene, incident, name, step, late, why, one.method, one.after) for one in person.high)
    page_id = _page_id(incident, step, name, method)
    facts = {**telling.facts_of(incident, f"{person.display or name}, {why}"), "zone": person.time_zone}
    if incident.stands_for:
        facts["text"] = storms.words(scene, incident)
    if late:
        facts["late"] = f"{late // MINUTE} min"
    facts |= telling.thread_of(incident, person.methods[method])
    effect = Effect(
        id=page_id,
        kind=EffectKind.PAGE,
        incident=incident.key,
        person=name,
        target=person.methods[method],
        title=incident.title,
        facts=facts,
        made_at=scene.now,
        due=scene.now + (after or 0),
        deadline=scene.now + (after or 0) + scene.rulebook.defaults.page_deadline,
        methods=person.methods,
        method=method,
        severity=incident.severity,
        episode=incident.episode,
        round=incident.round,
        step=step,
        after=after,
    )
    scene.draft.put((EFFECT, page_id), effect)
    incident.pending = (*incident.pending, page_id)
    if name not in incident.told and len(incident.told) < telling.TOLD_MAX:
        incident.told = (*incident.told, name)
    if after:
        own_steps.planned(scene, incident, effect)
        return 1
    incident.pages += 1
    figures.called(scene, incident, name)
    by = effect.target.partition(":")[0]
    delayed = f", {late // MINUTE} min late" if late else ""
    scene.line(incident, "page", f"paging {name} by {by}: {why}{delayed}")
    return 1


def _page_id(incident: Incident, step: int, name: str, method: int) -> str:
    place = (incident.episode, incident.severity.name, incident.round, step, name, method)
    return key_of("page", incident.key, *map(str, place))


def page_first(scene: Scene, incident: Incident, name: str, why: str) -> None:
    """Begin a new episode in which one person is paged before step 1; low severities page that person alone."""
    cancel_pending(scene, incident)
    let_go(scene, incident)
    if pages_people(incident.severity):
        incident.lead, incident.lead_why = name, why
        begin(scene, incident)
    elif not page_asked(scene, incident, name, why):
        begin(scene, incident)


def page_asked(scene: Scene, incident: Incident, name: str, why: str) -> int:
    """Page one person beside the escalation. Return how many pages were made: 0 without a contact method."""
    incident.added += 1
    return _page(scene, incident, name, LAST_STEP + incident.added, 0, why)


def hurry(scene: Scene, incident: Incident) -> None:
    """Page the next step at once; an escalation that was at its end, or never began, begins anew."""
    let_go(scene, incident)
    _, rounds = _plan(incident, _policy(scene, incident))
    if not incident.episode or incident.round >= rounds:
        begin(scene, incident)
        return
    incident.page_at = scene.now
    scene.draft.timer(f"page:{incident.key}", incident.page_at)


def wake(scene: Scene, incident: Incident) -> None:
    """The timer `snooze:<incident>` is due: page again, the snoozer first."""
    until, who = incident.snoozed_until, incident.acked_by
    if until is None or not who or incident.phase is Phase.MONITORING or incident.phase in ENDED:
        return
    if until > scene.now:
        scene.draft.timer(f"snooze:{incident.key}", until)
        return
    scene.line(incident, "snooze-over", f"{who} had snoozed it until now")
    page_first(scene, incident, who, "snoozed it until now")


def next_method(scene: Scene, incident: Incident, failed: Effect) -> bool:
    """Page the same person by their next contact method. Return whether there was one."""
    if failed.after is not None:
        return own_steps.hasten(scene, incident, failed)
    why = f"{failed.target.partition(':')[0]} failed; {failed.facts.get('why', '').partition(', ')[2]}"
    return bool(_page(scene, incident, failed.person, failed.step, 0, why, failed.method + 1))


def notify_step(scene: Scene, incident: Incident) -> None:
    """The timer `notify:<incident>` is due: tell step 1 of the policy, asking nothing."""
    if incident.phase is Phase.MONITORING or incident.phase in ENDED or incident.severity is not Severity.P2:
        return
    if _pauses(scene, incident):
        return
    steps = _policy(scene, incident).steps_for(incident.severity)
    found = overrides.whom(scene, steps[0].notify if steps else ())
    why = f"step 1 of policy “{incident.policy}”"
    if telling.notify_all(scene, incident, found.called, why):
        return
    fault = _faults(found, 0) if steps else "the policy has no steps"
    scene.line(incident, "unreachable", f"{why}: {fault}")
    telling.tell_operator(
        scene,
        f"unreachable:{incident.policy}:notify",
        f"Nobody can be told by {why}",
        f"{fault[:1].upper()}{fault[1:]}. Mend oncall.yaml; the last resort is told instead.",
    )
    telling.notify_all(scene, incident, [Called(name) for name in scene.rulebook.last_resort], f"last resort: {fault}")


def remind(scene: Scene, incident: Incident) -> None:
    """The timer `remind:<incident>` is due: acknowledged and forgotten, so page again from the acknowledger."""
    if incident.phase is not Phase.TRIAGED or not incident.acked_by or incident.snoozed_until is not None:
        return
    after = scene.rulebook.defaults.remind_after.get(incident.severity.name)
    if after is None or incident.human_at is None:
        return
    due = incident.human_at + after
    if due > scene.now:
        scene.draft.timer(f"remind:{incident.key}", due)
        return
    scene.line(
        incident, "forgotten", f"acknowledged by {incident.acked_by}, then {after // MINUTE} min without a human action"
    )
    incident.lead = incident.acked_by
    begin(scene, incident)
