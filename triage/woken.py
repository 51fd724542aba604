"""What follows when old memory wakes (`triage.waking`): one digest a person, and the end of doubt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from triage import digests, overrides, paging, telling
from triage.memory import THE_WOKEN
from triage.model import ENDED, HOUR, Incident, Phase, short
from triage.scene import Scene
from triage.tray import Tray


def send(scene: Scene) -> None:
    """What was overdue has fired: tell each person once what stands open, and the operators that memory was old."""
    meta = scene.edit_meta()
    meta.waking = False
    tray = cast("Tray | None", scene.draft.get(THE_WOKEN)) or Tray()
    scene.draft.put(THE_WOKEN, None)
    by_person: dict[str, list[Incident]] = {name: [] for name in scene.rulebook.operators}
    for key in tray.items:
        incident = scene.draft.incident(key)
        if incident is not None and not incident.merged_into:
            for name in _whom(scene, incident):
                by_person.setdefault(name, []).append(incident)
    hours = max(1, (scene.now - meta.woke_from) // HOUR)
    for name, incidents in by_person.items():
        _tell(scene, name, incidents, tray.more, hours)


def _whom(scene: Scene, incident: Incident) -> Iterator[str]:
    """Yield who is to hear of an incident: step 1 of its policy as it is now, and who had to do with it."""
    policies, default = scene.rulebook.policies, scene.rulebook.defaults.policy
    policy = policies.get(incident.policy) or policies.get(default)
    steps = policy.steps_for(incident.severity) if policy is not None else ()
    found = overrides.whom(scene, steps[0].notify if steps else ())
    yield from dict.fromkeys((*(one.person for one in found.called), *incident.responders, *incident.told))


def _tell(scene: Scene, name: str, incidents: list[Incident], more: int, hours: int) -> None:
    order = sorted(incidents, key=lambda one: (one.phase in ENDED, one.severity, one.opened_at, one.key))
    open_ = [one for one in order if one.phase not in ENDED]
    many = "1 incident stands" if len(open_) == 1 else f"{len(open_)} incidents stand"
    title = f"Tocsin goes on after {hours} h: {many} open"
    lines = ["Nobody is paged for what is past. What a sender says again fires pages anew."]
    lines += [digests.line_of(one) for one in order[: digests.SHOWN]]
    left = max(0, len(order) - digests.SHOWN) + more
    if left:
        lines.append(f"and {left} more: tocsin incidents")
    urgent = any(paging.pages_people(one.severity) and not one.acked_by for one in open_)
    if telling.tell_person(scene, name, "woken", title, "\n".join(lines), urgent):
        for one in order:
            scene.line(scene.draft.edit_incident(one.key), "digest", f"told to {name} in one digest", minor=True)


def heard(scene: Scene, key: str, how: str = "") -> None:
    """A sender says that an incident fires: if old memory was in doubt of it, it pages from step 1.

    `how` says how else one knows.
    """
    known = scene.draft.incident(key) if key else None
    if known is None or not known.doubted:
        return
    incident = scene.draft.edit_incident(key)
    incident.doubted = False
    if incident.phase in ENDED or incident.phase is Phase.MONITORING:
        return
    scene.line(incident, "confirmed", how or f"a sender says again that {short(key)} fires")
    after = scene.rulebook.defaults.remind_after.get(incident.severity.name)
    if not incident.acked_by:
        paging.begin(scene, incident)
    elif after is not None:
        scene.draft.timer(f"remind:{key}", scene.now + after)
