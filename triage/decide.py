"""The judgement: `decide(memory, entry, rulebook)` returns everything that one journal entry changes.

Pure: no I/O, no clock, no environment, no randomness, no reliance on set order; it never changes the memory it reads.
Live triage, `tocsin test`, `tocsin why` and replay are this function over different memories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, cast

from triage import (
    actions,
    ahead,
    changes,
    commands,
    declaring,
    deliveries,
    drills,
    heartbeats,
    importing,
    incidents,
    ledger,
    metrics,
    overrides,
    reloads,
    repeats,
    ringing,
    rooms,
    silences,
    subscriptions,
    telling,
    threads,
    timers,
    turns,
    waking,
    woken,
)
from triage.ahead import known_in
from triage.firing import decide_event
from triage.guarding import guarded
from triage.memory import (
    ACTION,
    ALERT,
    CALENDAR,
    CHANGED,
    CROWD,
    DETAILS,
    DRILL,
    EFFECT,
    GATE,
    GROUP,
    HANDED,
    HEARTBEAT,
    INCIDENT,
    METRICS,
    OVERRIDES,
    PAST,
    PLACE,
    POSTMORTEM,
    PUBLICATION,
    SILENCE,
    TALLY,
    THE_DRILLS,
    THE_LESSONS,
    THE_RECORDED,
    THE_ROSTER,
    THE_RULES,
    THE_SILENCES,
    THE_SUBSCRIPTIONS,
    TRAY,
    VERIFYING,
    WAITING,
    Changes,
    Draft,
    Key,
    Memory,
    Missing,
)
from triage.model import (
    Acted,
    Alert,
    AlertState,
    Answer,
    CalendarRead,
    ChangesTold,
    Command,
    DeadLetter,
    Decision,
    Declared,
    DrillAsked,
    Entry,
    Event,
    Events,
    Group,
    Incident,
    Measured,
    Meta,
    Millis,
    Outcome,
    OverrideAsked,
    Reason,
    Result,
    RulesLoaded,
    Severity,
    SilenceAsked,
    Status,
    SubscriptionAsked,
    Tick,
    Verified,
)
from triage.quiet import service_gate
from triage.roster import Roster
from triage.rulebook import Rulebook
from triage.rulebook.types import HEARTBEAT_SOURCE
from triage.scene import Scene
from triage.silence import Silences
from triage.version import VERSION

SKEW_MAX: Final[Millis] = 5_000
"""How far an entry's stamp may be ahead of the store's own clock, which is in the entry's id."""


AGAIN_AFTER: Final[Millis] = 60_000
"""How long a timer that could not be decided waits until it is tried again."""


def now_of(entry: Entry, meta: Meta | None) -> Millis:
    """Return the journal's time at `entry`: its stamp, but never before the entry before it.

    An appender whose clock runs ahead cannot drag the journal along, since later timers would wait for that clock. A
    tick's stamp is taken as it is: the drain has seen to that, and time must go on when the store's clock is behind.
    """
    stamp = entry.at
    if not isinstance(entry.body, Tick):
        stamp = min(stamp, int(entry.id.partition("-")[0]) + SKEW_MAX)
    return max(stamp, meta.now if meta is not None else 0)


def decide(
    memory: Memory, entry: Entry, rulebook: Rulebook, due: Sequence[str] = (), oldest: Millis | None = None
) -> Changes:
    """Return what `entry` changes. When it is a tick, `due` are the timers that it fires, and `oldest` is since when
    the first of all that are due has been so.

    Raises `Missing` when a key is needed that `memory` has not loaded; the caller loads it and calls again. Any other
    failure becomes part of the answer, so that no entry stops the line.
    """
    draft = Draft(memory)
    scene = Scene(draft, rulebook, entry.id, now_of(entry, draft.meta()))
    body = entry.body
    waking.note_gap(scene)
    if isinstance(body, Events):
        _decide_events(scene, body)
    elif isinstance(body, Tick):
        _decide_tick(scene, due, oldest)
    elif type(body) in _OBEY:
        _decide_asked(scene, body)
    elif isinstance(body, Result):
        ledger.count_delivery(scene, body)
        guarded(scene, "result", lambda inner: deliveries.report(inner, body))
    elif isinstance(body, RulesLoaded):
        reloads.reload(scene, body)
    elif isinstance(body, CalendarRead):
        guarded(scene, f"the calendar of {body.schedule}", lambda inner: importing.take(inner, body))
    elif isinstance(body, ChangesTold):
        guarded(scene, f"what changed, by {body.source}", lambda inner: changes.take(inner, body))
    elif isinstance(body, Acted):
        guarded(scene, "a run", lambda inner: actions.report(inner, body))
    elif isinstance(body, Verified):
        guarded(scene, "a verification", lambda inner: incidents.verified(inner, body))
    elif isinstance(body, Measured):
        guarded(scene, "metrics that were read", lambda inner: metrics.take(inner, body))
    elif isinstance(body, DeadLetter):
        _dead_letter(scene, body)
    if rings := ringing.behind(draft.changes):
        guarded(scene, "calls that ring", lambda inner: ringing.follow(inner, rings))
    if changed := threads.behind(draft.changes):
        guarded(scene, "what sent messages show", lambda inner: threads.follow(inner, changed))
    if roomed := rooms.behind(draft.changes, rulebook):
        said_in = body.data.get("place", "") if isinstance(body, Command) else ""
        lines = tuple(draft.changes.lines)
        guarded(scene, "an incident's room", lambda inner: rooms.follow(inner, roomed, lines, said_in))
    scene.edit_meta().now = scene.now
    scene.edit_meta().version = VERSION
    return draft.changes


_OBEY: Final[dict[type, tuple[str, Callable[[Scene, Any], Answer]]]] = {
    Command: ("a command", commands.obey),
    OverrideAsked: ("override", overrides.obey),
    SilenceAsked: ("silence", silences.obey),
    Declared: ("declare", declaring.obey),
    DrillAsked: ("drill", drills.obey),
    SubscriptionAsked: ("subscribe", subscriptions.obey),
}
"""What is asked for and answered: how it is called where it fails, and who obeys it."""


def _decide_asked(scene: Scene, asked: Any) -> None:
    """Do what is asked for, and answer it. What was done under the same Idempotency-Key is only answered again."""
    answer = repeats.answered(scene, asked.request)
    if answer is None:
        name, obey = _OBEY[type(asked)]
        answer = _guarded_answer(scene, getattr(asked, "verb", name), lambda inner: obey(inner, asked))
        repeats.note(scene, asked.request, answer)
    scene.draft.changes.answers[scene.entry] = answer


_OF_ALERTS: Final = frozenset({"alert", "hold", "flap"})
_TIMED: Final = {
    **dict.fromkeys(sorted(_OF_ALERTS), ALERT),
    "beat": HEARTBEAT,
    "handed": HANDED,
    "run": ACTION,
    "verify": ACTION,
    "override": OVERRIDES,
    "silence": SILENCE,
    "digest": TRAY,
    "drill": DRILL,
    "past": PAST,
}
"""Kind of timer → the family of what it names, where that is no incident."""


def needs(entry: Entry, due: Sequence[str] = ()) -> Iterator[Key]:
    """Name the keys that deciding `entry` surely reads. The shell loads those of a whole batch in one go."""
    body = entry.body
    if type(body) in _OBEY and repeats.is_named(cast("Any", body).request):
        yield repeats.bucket_of(cast("Any", body).request)
    yield THE_SILENCES
    yield THE_RECORDED
    yield THE_LESSONS
    if isinstance(body, Events):
        for event in body.events:
            yield (ALERT, event.fingerprint)
            if body.source == HEARTBEAT_SOURCE:
                yield (HEARTBEAT, event.fingerprint)
    elif isinstance(body, Command):
        yield (INCIDENT, body.incident)
        if "other" in body.data:
            yield (INCIDENT, body.data["other"])
        if "place" in body.data:
            yield (PLACE, body.data["place"])
    elif isinstance(body, Result):
        yield (EFFECT, body.effect)
        yield (INCIDENT, body.incident)
    elif isinstance(body, RulesLoaded):
        yield THE_RULES
    elif isinstance(body, OverrideAsked):
        yield (OVERRIDES, body.schedule)
    elif isinstance(body, SilenceAsked):
        yield (SILENCE, body.key)
    elif isinstance(body, CalendarRead):
        yield (CALENDAR, body.schedule)
    elif isinstance(body, Acted):
        yield (ACTION, body.run)
        yield (INCIDENT, body.incident)
    elif isinstance(body, Verified):
        yield (VERIFYING, body.incident)
        yield (INCIDENT, body.incident)
    elif isinstance(body, Measured):
        yield (METRICS, body.incident)
        yield (INCIDENT, body.incident)
    elif isinstance(body, DrillAsked):
        yield THE_DRILLS
    elif isinstance(body, SubscriptionAsked):
        yield THE_SUBSCRIPTIONS
    for name in due:
        kind, _, what = name.partition(":")
        yield (_TIMED.get(kind, INCIDENT), what)


def then_needs(entry: Entry, rulebook: Rulebook, memory: Memory) -> Iterator[Key]:
    """Name the keys that deciding `entry` will likely read, once its `needs` are loaded: groups and incidents."""
    body = entry.body
    if not isinstance(body, Events):
        return
    for event in body.events:
        alert = cast("Alert | None", memory.get((ALERT, event.fingerprint)))
        if alert is not None and alert.incident:
            yield (INCIDENT, alert.incident)
        if event.status is Status.FIRING and (alert is None or alert.state is AlertState.RESOLVED):
            verdict = rulebook.verdict(body.source, event)
            yield (GROUP, verdict.group)
            if verdict.service:
                yield (GATE, service_gate(verdict.service))


def alike(missing: Key, entry: Entry, due: Sequence[str], rulebook: Rulebook, memory: Memory) -> Iterator[Key]:
    """Name `missing` and the keys of its family that the rest of `entry` may turn out to need as well.

    A large entry over a cold memory would otherwise be decided again for each of its events.
    """
    yield missing
    family = missing[0]
    if family == HEARTBEAT:
        roster = known_in(memory, THE_ROSTER)
        yield from ((HEARTBEAT, one) for one in (roster.ids if isinstance(roster, Roster) else ()))
        return
    if family == SILENCE:
        index = known_in(memory, THE_SILENCES)
        yield from ((SILENCE, one) for one in (index.keys if isinstance(index, Silences) else ()))
        return
    if family == CHANGED:
        yield from ahead.of_changes(entry, rulebook, memory)
        return
    fingerprints = [name.partition(":")[2] for name in due if name.partition(":")[0] in _OF_ALERTS]
    if isinstance(entry.body, Events):
        fingerprints = [event.fingerprint for event in entry.body.events]
    if family in (ALERT, DETAILS):
        yield from ((family, fingerprint) for fingerprint in fingerprints)
        yield from ahead.of_crowds(family, due, memory)
        yield from ahead.of_examples(family, due, memory)
    if family in (ALERT, GATE, WAITING):
        yield from ahead.of_gates(family, entry, due, rulebook, memory)
    if family == INCIDENT:
        yield from ahead.of_storms(due, memory)
        yield from ahead.of_tray(due, memory)
    if family in (INCIDENT, POSTMORTEM):
        yield from ahead.of_lessons(family, entry, rulebook, memory)
    if family not in (INCIDENT, TALLY, EFFECT, HANDED, CROWD, PUBLICATION, METRICS, VERIFYING, POSTMORTEM):
        return
    known = [cast("Alert | None", known_in(memory, (ALERT, fingerprint))) for fingerprint in fingerprints]
    incidents = {alert.incident: None for alert in known if alert is not None and alert.incident}
    incidents.update({name.partition(":")[2]: None for name in due if name.partition(":")[0] not in _OF_ALERTS})
    pages = family in (EFFECT, HANDED)
    for group in then_needs(entry, rulebook, memory) if not pages else ():
        found = known_in(memory, group) if group[0] == GROUP else None
        if isinstance(found, Group):
            incidents[found.incident] = None
    for key in incidents:
        incident = known_in(memory, (INCIDENT, key)) if pages else None
        if isinstance(incident, Incident):
            yield from ((family, page) for page in (incident.pending if family == EFFECT else incident.ringing))
        elif family == CROWD:
            yield from ahead.parts_of(key, memory)
        elif not pages:
            yield (family, key)


def _decide_events(scene: Scene, body: Events) -> None:
    """Decide each event in order. One that fails becomes a dead letter; the others are decided all the same."""
    decisions: list[Decision] = []
    draft = scene.draft
    try:
        for index, event in enumerate(body.events):
            decisions.append(_decided(scene, body.source, event, index))
    except Missing:
        raise
    except Exception:  # noqa: BLE001  whatever it is, it must not stop the line; below, the culprit is found
        draft.changes = Changes()
        decisions = [_guarded_event(scene, body.source, event, index) for index, event in enumerate(body.events)]
    draft.changes.decisions[scene.entry] = decisions
    ledger.count_events(scene, body, decisions)
    _note_heard(scene, body.source)


def _note_heard(scene: Scene, source: str) -> None:
    if f"source/{source}" in scene.rulebook.cadences:
        guarded(scene, f"that {source} speaks", lambda inner: heartbeats.heard(inner, source))


def _decided(scene: Scene, source: str, event: Event, index: int) -> Decision:
    beat = heartbeats.take(scene, source, event, index)
    return decide_event(scene, source, event, index) if beat is None else beat


def _guarded_event(scene: Scene, source: str, event: Event, index: int) -> Decision:
    made: list[Decision] = []
    fault = guarded(scene, event.title, lambda inner: made.append(_decided(inner, source, event, index)))
    if fault:
        return Decision(Outcome.DEAD_LETTER, Reason.DECIDE_ERROR, Severity.P4, event.fingerprint, detail=fault)
    return made[0]


def _guarded_answer(scene: Scene, what: str, obey: Callable[[Scene], Answer]) -> Answer:
    answers: list[Answer] = []
    fault = guarded(scene, what, lambda inner: answers.append(obey(inner)))
    return Answer(overrides.REFUSED, fault) if fault else answers[0]


def _decide_tick(scene: Scene, due: Sequence[str], oldest: Millis | None) -> None:
    if waking.ends(scene, oldest):
        woken.send(scene)
    waking.begins(scene, oldest)
    heartbeats.check_rules(scene, due)
    for name in due:
        scene.draft.timer(name, None)
        if guarded(scene, f"timer {name}", partial(timers.fire, name=name)):
            # It may be the only thing that would still page somebody: a version that can decide it will find it.
            scene.draft.timer(name, scene.now + AGAIN_AFTER)
    if scene.old and len(due) < turns.LIMIT:
        scene.old = False
        woken.send(scene)


def _dead_letter(scene: Scene, body: DeadLetter) -> None:
    scene.draft.changes.dead_letters[scene.entry] = body
    ledger.count_dead_letter(scene, body)
    _note_heard(scene, body.source)
    count = len(body.rejected)
    what = f"{count} items of a body" if count else "a body"
    telling.tell_operator(
        scene,
        f"dead-letter:{body.source}",
        f"Cannot read {what} from source “{body.source}”",
        f"{body.field}: {body.reason} It is kept: `tocsin dead-letters` shows it, and sends it again once mended.",
    )
