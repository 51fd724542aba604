"""Digests: what wakes nobody is told together, once a person, when the window opens.

P2 outside office hours, P3 and P4 gather; who step 1 of the policy means when the window opens is told, and who
responds. What is over by then is said to be over.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Final, cast

from triage import overrides, pausing, telling, waking
from triage.memory import THE_TRAY
from triage.model import DAY, ENDED, Incident, Millis, Phase, Severity, short
from triage.rulebook import Rulebook
from triage.scene import Scene
from triage.schedules import windows
from triage.tray import Tray

TIMER: Final = "digest:"
ITEMS_MAX: Final = 1_000
"""How many incidents one round of digests speaks of; the others are counted, and on the board."""
SHOWN: Final = 15
"""How many incidents one digest names."""
AHEAD: Final[Millis] = 8 * DAY
"""How far ahead the next opening of a window that is open now is looked for; a window that never closes opens daily."""


def gather(scene: Scene, incident: Incident) -> None:
    """Put an incident into the next digest."""
    tray = cast("Tray | None", scene.draft.get(THE_TRAY))
    opens = next_opening(scene.rulebook, scene.now)
    if tray is None:
        tray = Tray()
        scene.draft.timer(TIMER, opens)
    if incident.key in tray.items:
        return
    full = len(tray.items) >= ITEMS_MAX
    scene.draft.put(THE_TRAY, Tray(tray.items, tray.more + 1) if full else Tray((*tray.items, incident.key), tray.more))
    scene.line(incident, "not-paged", f"{incident.severity} wakes nobody; it is told in the digest of {_time(opens)}")


def next_opening(rulebook: Rulebook, now: Millis) -> Millis:
    """Return when the digest's window opens next. One that is open now opens next after it has closed.

    A window that does not exist, or is always open, opens a day from now.
    """
    pieces = rulebook.time_intervals.get(rulebook.quiet.digest_window, ())
    found = [opens for opens, _ in windows(pieces, now, now + AHEAD) if opens > now]
    if not found and pieces and not rulebook.is_open(rulebook.quiet.digest_window, now):
        later = rulebook.opens_at(rulebook.quiet.digest_window, now)
        found = [later] if later is not None else []
    return min(found, default=now + DAY)


def fire(scene: Scene, _: str) -> None:
    """The timer `digest:` is due: tell each person what has gathered, once."""
    tray = cast("Tray | None", scene.draft.get(THE_TRAY))
    if tray is None:
        return
    scene.draft.put(THE_TRAY, None)
    if scene.old:
        for one in map(scene.draft.incident, tray.items):
            if one is not None:
                waking.gather(scene, one)
        return
    by_person: dict[str, list[Incident]] = {}
    for key in tray.items:
        known = scene.draft.incident(key)
        if known is None or known.merged_into or known.severity <= Severity.P1:
            continue  # forgotten, part of another one, or paged for since
        incident = scene.draft.edit_incident(key)
        if _is_over(incident) or not pausing.pause(scene, incident):
            for name in _whom(scene, incident):
                by_person.setdefault(name, []).append(incident)
    for name, incidents in by_person.items():
        _send(scene, name, incidents, tray.more)


def _whom(scene: Scene, incident: Incident) -> list[str]:
    """Return who is to hear of an incident and has not: step 1 of its policy, and who responds."""
    policy = scene.rulebook.policies.get(incident.policy) or scene.rulebook.policies.get(scene.rulebook.defaults.policy)
    steps = policy.steps_for(incident.severity) if policy is not None else ()
    found = overrides.whom(scene, steps[0].notify if steps else ())
    names = [one.person for one in found.called if telling.can_be_told(scene, one.person)]
    if not names:
        fault = "; ".join(found.empty) or ("nobody of step 1 can be told" if steps else "the policy has no steps")
        telling.tell_operator(
            scene,
            f"unreachable:{incident.policy}:notify",
            f"Nobody can be told by step 1 of policy “{incident.policy}”",
            f"{fault[:1].upper()}{fault[1:]}. Mend oncall.yaml; the last resort has the digest instead.",
        )
        names = list(scene.rulebook.last_resort)
    everybody = dict.fromkeys((*names, *incident.responders))
    return [name for name in everybody if name not in incident.told]


def _send(scene: Scene, name: str, incidents: list[Incident], more: int) -> None:
    order = sorted(incidents, key=lambda one: (_is_over(one), one.severity, one.opened_at, one.key))
    over = sum(_is_over(one) for one in order)
    counts = Counter(one.severity.name for one in order if not _is_over(one))
    said = [f"{counts[severity]} {severity}" for severity in sorted(counts)]
    title = f"Digest: {', '.join([*said, *([f'{over} over already'] if over else [])])}"
    lines = [line_of(one) for one in order[:SHOWN]]
    left = len(order) - SHOWN
    if left > 0 or more:
        lines.append(f"and {max(left, 0) + more} more: tocsin incidents")
    if not telling.tell_person(scene, name, "digest", title, "\n".join(lines)):
        return
    for one in order:
        scene.line(one, "digest", f"told to {name} in a digest", minor=True)
        if one.severity is Severity.P2 and not _is_over(one) and len(one.told) < telling.TOLD_MAX:
            one.told = (*one.told, name)


def line_of(incident: Incident) -> str:
    """Return how an incident stands, in one line."""
    state = f"taken by {incident.acked_by}" if incident.acked_by else f"since {_time(incident.opened_at)}"
    if _is_over(incident):
        state = f"over ({incident.phase})"
    return f"{short(incident.key)} {incident.severity} {incident.title[:80]}: {state}"


def _is_over(incident: Incident) -> bool:
    return incident.phase in ENDED or incident.phase is Phase.MONITORING


def _time(at: Millis) -> str:
    return datetime.fromtimestamp(at / 1_000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
