"""Drills: an end-to-end test page with an acknowledgement that is waited for, and measured.

A drill goes the way of a real page: the same contact methods in the same order, the same channels, the same links, the
same command. It is no incident: it has no alerts, is in no list of them, counts in no figure, and spends no budget.
"""

from __future__ import annotations

from typing import Final, cast

from triage import overrides, telling
from triage.drill import TITLE, TITLE_OVER, Drill, Drills, DrillState
from triage.memory import DRILL, EFFECT, HANDED, INCIDENT, THE_DRILLS
from triage.model import (
    HOUR,
    Answer,
    Command,
    DrillAsked,
    Effect,
    EffectKind,
    Ending,
    Line,
    Millis,
    Result,
    Severity,
    Verb,
    key_of,
    short,
)
from triage.responding import ADMIN, MISTAPS_MAX
from triage.retries import next_attempt
from triage.rulebook import Rulebook
from triage.rulebook.cron import next_after
from triage.rulebook.drills import WITHIN_MAX, WITHIN_MIN, DrillPlan
from triage.rulebook.durations import show_duration
from triage.rulebook.problems import closest
from triage.scene import Scene
from triage.schedules import quiet_until

DONE: Final = "done"
REFUSED: Final = "refused"
KEPT: Final = 500
"""How many drills are kept; the oldest are forgotten."""
PEOPLE_MAX: Final = 50
"""How many people one drill may page."""
FAULTS_MAX: Final = 20
LATE_MAX: Final[Millis] = HOUR
"""A planned drill that comes later than this, since Tocsin was away, waits for its next turn."""
TEXT: Final = "This is a drill. Nothing is broken, and there is nothing to do but to acknowledge."


# --------------------------------------------------------------------------------------------------------------------
# Asked for, by a person or by the plan.


def obey(scene: Scene, asked: DrillAsked) -> Answer:
    """Page whom a drill means, and say who that is."""
    if not WITHIN_MIN <= asked.within <= WITHIN_MAX:
        return Answer(REFUSED, f"wait for {show_duration(WITHIN_MIN)} to {show_duration(WITHIN_MAX)}, like 15m")
    targets = targets_of(scene.rulebook, asked.target, asked.everybody)
    if targets is None:
        return Answer(REFUSED, _unknown(scene, asked.target))
    found = overrides.whom(scene, targets)
    names = [one.person for one in found.called]
    busy = set(_book(scene).calling.values())
    fresh = [name for name in names if name not in busy]
    if not names or not fresh:
        why = "; ".join(found.empty) or (
            "it names nobody" if not names else f"{', '.join(names)}: a drill runs already"
        )
        return Answer(REFUSED, f"nobody is paged for “{asked.target[:100]}”: {why}")
    if len(fresh) > PEOPLE_MAX:
        return Answer(REFUSED, f"a drill pages at most {PEOPLE_MAX} people, and this means {len(fresh)}")
    for name in fresh:
        _begin(scene, name, asked)
    return Answer(DONE, f"a drill pages {', '.join(fresh)}")


def targets_of(rulebook: Rulebook, text: str, everybody: bool = False) -> tuple[str, ...] | None:
    """Return the targets that a drill means: one of an escalation step, or those of a policy's first step for P1.

    `everybody`: those of all its steps. None: there is nothing of that name.
    """
    kind, mark, name = text.partition(":")
    name = name if mark and kind == "policy" else text
    if not (mark and kind == "policy") and rulebook.target(text)[0]:
        return (text,)
    policy = rulebook.policies.get(name)
    if policy is None:
        return None
    steps = policy.steps_for(Severity.P1)
    return tuple(dict.fromkeys(target for step in (steps if everybody else steps[:1]) for target in step.notify))


def _unknown(scene: Scene, text: str) -> str:
    book = scene.rulebook
    known = [*book.people, *book.policies, *book.schedules, *book.teams]
    hint = closest(text, known) or f"there are {', '.join(sorted(known)[:10]) or 'none'}"
    return f"there is no person, policy, schedule or team “{text[:100]}”; {hint}"


def _begin(scene: Scene, name: str, asked: DrillAsked) -> None:
    person = scene.rulebook.people[name]
    quiet = quiet_until(person.quiet, scene.now) if asked.plan else None
    due = scene.now if quiet is None else quiet
    key = key_of("drill", scene.entry, asked.plan, name)
    drill = Drill(
        name, asked.target, asked.by, asked.via, scene.now, due, due + asked.within, scene.entry, plan=asked.plan
    )
    scene.draft.put((DRILL, key), drill)
    _keep(scene, key, name)
    held = " when their quiet hours end" if quiet is not None else ""
    whose = f"planned as {asked.plan}" if asked.plan else f"asked for by {asked.by} (by {asked.via})"
    _line(scene, key, "drill", f"a drill of {name}{held}, {whose}", asked.by)
    if person.methods:
        scene.draft.timer(f"drill:{key}", drill.until)
        _page(scene, key, drill, person.methods, 0)
    else:
        _end(scene, key, drill, DrillState.UNREACHED, f"{name} has no contact method in oncall.yaml")


def _page(scene: Scene, key: str, drill: Drill, methods: tuple[str, ...], method: int) -> None:
    """Make the page by one contact method."""
    page = key_of("drill-page", key, str(method))
    person = scene.rulebook.people.get(drill.person)
    why = f"{person.display if person is not None else drill.person}, a drill of {drill.target}"
    due = max(drill.due, scene.now)
    effect = Effect(
        id=page,
        kind=EffectKind.PAGE,
        incident=key,
        person=drill.person,
        target=methods[method],
        title=TITLE,
        facts={"drill": "yes", "title": TITLE, "text": TEXT, "why": why, "incident": short(key)},
        made_at=due,
        due=due,
        deadline=drill.until,
        methods=methods,
        method=method,
        severity=Severity.P1,
    )
    scene.draft.put((EFFECT, page), effect)
    drill.pending = (*drill.pending, page)
    drill.pages = (*drill.pages, page)
    _line(scene, key, "page", f"paging {drill.person} by {_scheme(effect)}: a drill")


# --------------------------------------------------------------------------------------------------------------------
# What comes of it.


def reported(scene: Scene, effect: Effect, result: Result) -> None:
    """Apply the result of an attempt to the drill whose page it was. `effect` is a copy for changing."""
    known = cast("Drill | None", scene.draft.get((DRILL, effect.incident)))
    if known is None or known.state is not DrillState.CALLING:
        _forget(scene, effect.id)
        return
    key, way = effect.incident, _scheme(effect)
    drill: Drill = scene.draft.edit((DRILL, key))
    if result.ending is Ending.SHADOWED:
        _end(scene, key, drill, DrillState.SHADOWED, "paging is in shadow: nobody was told")
        return
    if result.ending is Ending.HANDED_OVER:  # it rings, say: what becomes of it is its provider's word
        _line(scene, key, "handed-over", f"page to {drill.person} by {way} is on its way: {result.reason}")
        return
    if result.ending is Ending.DELIVERED:
        _line(scene, key, "delivered", f"page to {drill.person} by {way} delivered: {result.reason or 'accepted'}")
        drill.scheme, drill.delivered_at = way, scene.now
        _withdraw(scene, drill)
        return
    reason = result.reason or result.ending.value
    drill.faults = (*drill.faults, f"{way}: {reason}")[-FAULTS_MAX:]
    _line(scene, key, "failed", f"page to {drill.person} by {way} failed: {reason}")
    due = next_attempt(effect, effect.attempt, scene.now, result.retry_after)
    if result.ending in (Ending.GIVE_UP, Ending.UNANSWERED) or due is None:
        scene.draft.put((EFFECT, effect.id), None)
        drill.pending = tuple(one for one in drill.pending if one != effect.id)
    else:
        effect.due = due
    if effect.attempt == 1 and effect.method + 1 < len(effect.methods):
        _page(scene, key, drill, effect.methods, effect.method + 1)
    if not drill.pending and drill.delivered_at is None:
        _end(scene, key, drill, DrillState.UNREACHED, "no contact method takes a page: " + "; ".join(drill.faults))


def answer(scene: Scene, command: Command) -> Answer | None:
    """Obey a command on a drill; None when its key is not that of one."""
    known = cast("Drill | None", scene.draft.get((DRILL, command.incident)))
    if known is None:
        return None
    if command.verb is Verb.MISTAP:
        drill: Drill = scene.draft.edit((DRILL, command.incident))
        count = drill.mistaps.get(command.page, 0) + 1
        drill.mistaps = {**drill.mistaps, command.page: count}
        _line(scene, command.incident, "mistapped", f"a wrong number was tapped behind the link sent to {command.by}")
        return Answer(DONE, "that is not the number")
    if command.verb is not Verb.ACKNOWLEDGE:
        return Answer(REFUSED, "this is a drill: it can only be acknowledged")
    fault = _fault(known, command)
    if fault:
        return Answer(REFUSED, fault)
    if known.acked_by:
        return Answer(DONE, f"the drill was acknowledged already, by {known.acked_by}")
    drill = scene.draft.edit((DRILL, command.incident))
    drill.acked_by, drill.acked_via, drill.acked_at = command.by, command.via, scene.now
    taken: Effect | None = scene.draft.get((HANDED, command.page)) if command.page else None
    if taken is not None and drill.delivered_at is None:  # by a key, while the call goes on
        drill.scheme, drill.delivered_at = _scheme(taken), scene.now
    took = _span(scene.now - drill.due)
    _end(scene, command.incident, drill, DrillState.ANSWERED, f"acknowledged by {command.by} (by {command.via}) {took}")
    return Answer(DONE, f"the drill is acknowledged, {took}")


def _fault(drill: Drill, command: Command) -> str:
    """Return why an acknowledgement does not count, or ""."""
    if command.by not in (drill.person, ADMIN):
        return f"this drill is for {drill.person}: only their own acknowledgement counts"
    if drill.state not in (DrillState.CALLING, DrillState.ANSWERED):
        return f"this drill is over: {drill.state}"
    mistaps = drill.mistaps.get(command.page, 0) if command.page else 0
    if mistaps >= MISTAPS_MAX:
        return f"{MISTAPS_MAX} wrong numbers were tapped: this link is no longer taken"
    if command.page and mistaps != command.tries:
        return "a wrong number was tapped meanwhile; open the link again"
    return ""


def _span(took: Millis) -> str:
    return f"after {show_duration(max(0, took) // 1_000 * 1_000)}"


def _end(scene: Scene, key: str, drill: Drill, state: DrillState, why: str) -> None:
    """End a drill, and tell the operators when it has shown that somebody cannot be reached."""
    drill.state, drill.ended_at = state, scene.now
    scene.draft.timer(f"drill:{key}", None)
    book = _book(scene)
    scene.draft.put(THE_DRILLS, Drills(book.keys, {one: who for one, who in book.calling.items() if one != key}))
    _withdraw(scene, drill)
    _line(scene, key, state.value, why, drill.acked_by)
    if drill.delivered_at is not None:
        _tell_end(scene, key, drill, why)
    if state in (DrillState.UNANSWERED, DrillState.UNREACHED):
        telling.tell_operator(
            scene,
            f"drill:{drill.person}",
            f"A drill did not reach {drill.person}"
            if state is DrillState.UNREACHED
            else f"{drill.person} did not answer",
            f"Drill of {drill.target}: {why}. `tocsin drill list` shows what happened.",
        )


def _withdraw(scene: Scene, drill: Drill) -> None:
    for page in drill.pending:
        _forget(scene, page)
    drill.pending = ()


def _forget(scene: Scene, page: str) -> None:
    scene.draft.put((EFFECT, page), None)
    scene.draft.put((HANDED, page), None)
    scene.draft.timer(f"handed:{page}", None)


def _tell_end(scene: Scene, key: str, drill: Drill, why: str) -> None:
    """Tell who was paged that it is over, by the way that reached them: a provider that keeps alerts closes its own."""
    person = scene.rulebook.people.get(drill.person)
    target = next((one for one in person.methods if _prefix(one) == drill.scheme), "") if person is not None else ""
    if not target:
        return
    facts = {"title": TITLE_OVER, "text": f"The drill is over: {why}.", "incident": short(key), "phase": "resolved"}
    effect_id = key_of("drill-over", key)
    effect = Effect(
        effect_id,
        EffectKind.NOTIFICATION,
        key,
        drill.person,
        target,
        TITLE_OVER,
        facts,
        made_at=scene.now,
        due=scene.now,
        deadline=scene.now + HOUR,
        methods=(target,),
        severity=Severity.P1,
    )
    scene.draft.put((EFFECT, effect_id), effect)


# --------------------------------------------------------------------------------------------------------------------
# Time.


def fire(scene: Scene, key: str) -> None:
    """The timer `drill:<key>` is due: nobody acknowledged. `drill:@<name>`: it is time for a planned one."""
    if key.startswith("@"):
        _planned(scene, key[1:])
        return
    known = cast("Drill | None", scene.draft.get((DRILL, key)))
    if known is None or known.state is not DrillState.CALLING:
        return
    drill: Drill = scene.draft.edit((DRILL, key))
    reached = f"delivered by {drill.scheme}" if drill.scheme else "not delivered yet"
    waited = show_duration(drill.until - drill.due)
    _end(scene, key, drill, DrillState.UNANSWERED, f"{reached}, and not acknowledged within {waited}")


def _planned(scene: Scene, name: str) -> None:
    plan = scene.rulebook.drills.get(name)
    if plan is None:
        return
    scene.draft.timer(f"drill:@{name}", next_after(plan.cron, plan.time_zone, scene.now))
    if next_after(plan.cron, plan.time_zone, scene.now - LATE_MAX) > scene.now:
        return
    done = obey(scene, DrillAsked(plan.target, "oncall.yaml", "plan", plan.within, plan.everybody, name))
    if done.ending != DONE:
        telling.tell_operator(scene, f"drill-plan:{name}", f"The drill “{name}” pages nobody", done.text)


def rules_changed(scene: Scene, rulebook: Rulebook) -> None:
    """Set the timers of planned drills anew, once new rules are in force. That of one that is gone does nothing."""
    for name, plan in rulebook.drills.items():
        scene.draft.timer(f"drill:@{name}", _next(plan, scene.now))


def _next(plan: DrillPlan, now: Millis) -> Millis:
    return next_after(plan.cron, plan.time_zone, now)


# --------------------------------------------------------------------------------------------------------------------
# Memory.


def _book(scene: Scene) -> Drills:
    return cast("Drills | None", scene.draft.get(THE_DRILLS)) or Drills()


def _keep(scene: Scene, key: str, name: str) -> None:
    """Note that there is one more, and forget the oldest, with its timeline, when there are too many."""
    book = _book(scene)
    known = (*book.keys, key)
    for old in known[:-KEPT]:
        _withdraw(scene, scene.draft.edit((DRILL, old)))
        scene.draft.timer(f"drill:{old}", None)
        scene.draft.put((DRILL, old), None)
        scene.draft.put((INCIDENT, old), None)
    kept = frozenset(known[-KEPT:])
    calling = {one: who for one, who in {**book.calling, key: name}.items() if one in kept}
    scene.draft.put(THE_DRILLS, Drills(known[-KEPT:], calling))


def _line(scene: Scene, key: str, what: str, text: str, by: str = "") -> None:
    scene.draft.line(key, Line(scene.now, what, text, by, scene.entry))


def _scheme(effect: Effect) -> str:
    return _prefix(effect.target)


def _prefix(target: str) -> str:
    return target.partition(":")[0]
