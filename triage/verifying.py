"""Verified before it resolves: what services and rules name is looked at once an incident is in monitoring, and again
when its settle time is over. What fails keeps it from ending by itself; people may still end it, and are asked first.

Nothing is looked at here: a look that is wanted waits in memory for a worker, which answers by a journal entry. The
timer `verifying:<incident>` is set for the next look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import msgspec

from triage import changes, telling
from triage.curves import cut
from triage.memory import DETAILS, VERIFYING
from triage.model import MINUTE, Details, Incident, Millis, Phase, Verified
from triage.pausing import as_event
from triage.rulebook.actions import fill_query, fill_url
from triage.rulebook.calls import holes
from triage.rulebook.durations import show_duration
from triage.rulebook.types import Verification
from triage.scene import Scene
from triage.verification import Verifying

TAKEN_WITHIN: Final[Millis] = 3 * MINUTE
"""A look that no worker has made by then has failed."""
FRESH: Final[Millis] = 2 * MINUTE
"""A look that passed within this time need not be made again when the settle time is over."""
AGAIN: Final[Millis] = 5 * MINUTE
"""How often it is looked at again while it keeps an incident from ending."""
LOOKS_MAX: Final = 288
"""How often: a day. After that somebody has to end it."""
CHECKS_MAX: Final = 10
"""How many checks one incident has at most."""
_UNSEEN: Final = "no worker looked; does a probe worker run?"


def begin(scene: Scene, incident: Incident) -> bool:
    """An incident comes to monitoring: look at it before it ends. Return whether there is something to look at."""
    checks = _checks(scene, incident)
    if not checks:
        return False
    scene.draft.put((VERIFYING, incident.key), Verifying(checks, scene.now))
    scene.draft.timer(f"verifying:{incident.key}", scene.now + max(one.after for one in checks))
    return True


def end(scene: Scene, key: str) -> None:
    """It is no longer in monitoring: nothing is to be verified."""
    scene.draft.put((VERIFYING, key), None)
    scene.draft.timer(f"verifying:{key}", None)


def hand_over(scene: Scene, gone: Incident, _into: Incident) -> None:
    """An incident became part of another, which is verified by what it names itself."""
    end(scene, gone.key)


def _of(scene: Scene, incident: Incident) -> Verifying | None:
    return cast("Verifying | None", scene.draft.get((VERIFYING, incident.key)))


def _checks(scene: Scene, incident: Incident, *, again: bool = False) -> tuple[Verification, ...]:
    """Return what its service names and what a rule names for its alert, filled in; what cannot be is said, once."""
    if not scene.rulebook.verifies:
        return ()
    service = scene.rulebook.services.get(incident.service)
    named = list(service.verify if service is not None else ())
    labels = {"service": incident.service} if incident.service else {}
    details = cast("Details | None", scene.draft.get((DETAILS, incident.example))) if incident.example else None
    alert = scene.draft.alert(incident.example) if incident.example else None
    if details is not None and alert is not None:
        labels |= details.labels
        named += scene.rulebook.verdict(alert.source, as_event(incident.example, details)).verify
    found = []
    for one in dict.fromkeys(named):
        lacking = [name for name in holes(f"{one.url} {one.query}") if not labels.get(name)]
        if lacking and not again:
            text = f"not verified: {{{lacking[0]}}} stands in {cut(one.query or one.url)}, and no alert has that label"
            scene.line(incident, "verification", text, minor=True)
        elif not lacking:
            found.append(_filled(one, labels))
    return tuple(found[:CHECKS_MAX])


def _filled(one: Verification, labels: Mapping[str, str]) -> Verification:
    address = one.url if one.query else fill_url(one.url, labels)
    return msgspec.structs.replace(one, url=address, query=fill_query(one.query, labels))


# --------------------------------------------------------------------------------------------------------------------
# Looking.


def _ask(scene: Scene, incident: Incident, state: Verifying) -> bool:
    """Ask for a look by the rules in force. Return whether they still name something to look at."""
    checks = _checks(scene, incident, again=True)
    if not checks:
        end(scene, incident.key)
        return False
    state.checks, state.wanted = checks, scene.now
    scene.draft.timer(f"verifying:{incident.key}", scene.now + TAKEN_WITHIN)
    return True


def may_end(scene: Scene, incident: Incident) -> bool:
    """The settle time is over: tell whether the incident may end now. If not, it does once a look passes."""
    known = _of(scene, incident)
    if known is None:
        return True
    if known.passed and known.looked_at is not None and scene.now - known.looked_at <= FRESH:
        return True
    state: Verifying = scene.draft.edit((VERIFYING, incident.key))
    state.settled = True
    if state.looked_at is not None and state.wanted is None:
        return not _ask(scene, incident, state)
    return False


def fire(scene: Scene, incident: Incident) -> bool:
    """The timer `verifying:<incident>` is due: it is to be looked at, or nobody did. Return whether it may end now."""
    known = _of(scene, incident)
    if known is None or incident.phase is not Phase.MONITORING:
        return False
    state: Verifying = scene.draft.edit((VERIFYING, incident.key))
    if state.wanted is None:
        return not _ask(scene, incident, state) and state.settled
    _looked(scene, incident, state, False, (_UNSEEN,))
    return False


def take(scene: Scene, incident: Incident, body: Verified) -> bool:
    """Apply what a worker saw. Return whether the incident ends by it."""
    known = _of(scene, incident)
    if known is None or incident.phase is not Phase.MONITORING or known.wanted != body.asked:
        return False
    state: Verifying = scene.draft.edit((VERIFYING, incident.key))
    passed = len(body.results) == len(state.checks) and all(ok for ok, _ in body.results)
    amiss = tuple(text for ok, text in body.results if not ok)
    _looked(scene, incident, state, passed, tuple(text for _, text in body.results) if passed else amiss or (_UNSEEN,))
    return passed and state.settled


def _looked(scene: Scene, incident: Incident, state: Verifying, passed: bool, seen: tuple[str, ...]) -> None:
    before, state.passed, state.wanted = state.passed, passed, None
    state.looked_at, state.seen = scene.now, tuple(text[:500] for text in seen)
    scene.draft.timer(f"verifying:{incident.key}", None)
    if passed:
        if before is not True:
            scene.line(incident, "verification", f"it passes: {'; '.join(state.seen)}")
        changes.passed(scene, incident)
        return
    every, within = (max(getattr(one, name) for one in state.checks) for name in ("every", "within"))
    patient = scene.now + every <= state.since + within
    if patient:
        scene.draft.timer(f"verifying:{incident.key}", scene.now + every)
    elif state.settled:
        _keep_looking(scene, incident, state)
    if not patient and not state.told:
        _tell(scene, incident, state, within)


def _keep_looking(scene: Scene, incident: Incident, state: Verifying) -> None:
    state.looks += 1
    if state.looks <= LOOKS_MAX:
        scene.draft.timer(f"verifying:{incident.key}", scene.now + AGAIN)
    else:
        scene.line(incident, "verification", "it still fails, and is not looked at any more: somebody has to end it")


def _tell(scene: Scene, incident: Incident, state: Verifying, within: Millis) -> None:
    """Say on the timeline, and to whoever has it, that it does not end by itself, and why."""
    state.told = True
    why = "; ".join(state.seen)
    scene.line(incident, "verification", f"it does not resolve by itself: not within {show_duration(within)}: {why}")
    title = f"Not verified: {incident.title}"
    text = f"Nothing fires, but it does not resolve by itself: {why}. It is looked at again; resolve it if it is over."
    names = dict.fromkeys([incident.acked_by or incident.last_acker, *incident.roles.values()])
    told = [telling.notify(scene, incident, name, "verification", title, text, "you have it") for name in names if name]
    if not any(told):
        telling.tell(scene, incident, "verification", title, text)


def missing(scene: Scene, incident: Incident) -> str:
    """Return what of an incident in monitoring is not verified, in words, or ""."""
    known = _of(scene, incident) if incident.phase is Phase.MONITORING else None
    if known is None or known.passed:
        return ""
    if known.passed is None:
        return "whether it is well again was not looked at yet"
    return f"its verification fails: {'; '.join(known.seen)}"
