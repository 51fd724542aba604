"""What people do about who has an incident: take it, give it back, snooze it, pass it on, call for more people.

Each function does what one command asks and answers it. Whether the incident's phase allows it was looked at before.
"""

from __future__ import annotations

from typing import Final

from triage import paging
from triage.memory import EFFECT
from triage.model import DAY, MINUTE, Answer, Command, Effect, Incident, Millis, Phase, Role
from triage.rulebook.durations import show_duration
from triage.scene import Scene

DONE: Final = "done"
REFUSED: Final = "refused"
ADMIN: Final = "admin"
"""Who acts by the operators' own token."""
TEXT_MAX: Final = 4_000
SNOOZE_MIN: Final[Millis] = MINUTE
SNOOZE_MAX: Final[Millis] = 7 * DAY
UNLESS_TAKEN: Final = "unless_taken"
"""In a command's data: an acknowledgement that takes the incident from nobody who has it."""
MISTAPS_MAX: Final = 3
"""So many wrong numbers end the link of a page."""
PAGES_MAX: Final = 200
"""How many pages of one incident are remembered as answered, and as answered wrongly."""
RESPONDERS_MAX: Final = 50
NAMES_SHOWN: Final = 10


def acknowledge(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Take it. By the link of a page it is taken only from nobody: who has it already keeps it."""
    if command.data.get(UNLESS_TAKEN) and incident.acked_by not in ("", command.by):
        return Answer(REFUSED, f"{incident.acked_by} has it already")
    if command.page:
        fault = _link_fault(incident, command.page, command.tries)
        if fault:
            return Answer(REFUSED, fault)
        incident.answered = (*incident.answered, command.page)
        if incident.acked_by not in ("", command.by):
            return _join(scene, incident, command)
    if incident.acked_by == command.by and incident.snoozed_until is None:
        return Answer(DONE, f"{command.by} has it already")
    take(scene, incident, command)
    return Answer(DONE, f"{command.by} has it")


def take(scene: Scene, incident: Incident, command: Command, until: str = "") -> None:
    """Let whoever asks have it. `until` says for how long, where it is snoozed."""
    before = incident.acked_by
    paging.end_snooze(scene, incident)
    incident.acked_by, incident.acked_at = command.by, scene.now
    incident.taken_at = scene.now if incident.taken_at is None else incident.taken_at
    incident.last_acker = command.by
    incident.lead = incident.lead_why = ""
    if incident.phase is Phase.DETECTED:
        incident.phase = Phase.TRIAGED
    incident.page_at = None
    for timer in ("page", "notify"):
        scene.draft.timer(f"{timer}:{incident.key}", None)
    paging.cancel_pending(scene, incident, keep_asked=True)
    responds(incident, command.by)
    taken = f", taken over from {before}" if before and before != command.by else ""
    what = "snoozed" if until else "acknowledged"
    scene.line(incident, what, f"{command.by} has it{until} (by {command.via}){taken}{_said(command)}", by=command.by)
    if paging.pages_people(incident.severity) and Role.COMMANDER not in incident.roles:
        incident.roles = {**incident.roles, Role.COMMANDER: command.by}
        scene.line(incident, "role", f"{command.by} is commander: the first to have it", by=command.by)
    arm_reminder(scene, incident)


def arm_reminder(scene: Scene, incident: Incident) -> None:
    """Page again from whoever has it, should nobody do anything for the severity's time."""
    after = scene.rulebook.defaults.remind_after.get(incident.severity.name)
    if after is not None and incident.acked_by:
        scene.draft.timer(f"remind:{incident.key}", scene.now + after)


def _link_fault(incident: Incident, page: str, tries: int) -> str:
    if page in incident.answered:
        return "this link was used already; each works once"
    if incident.mistaps.get(page, 0) >= MISTAPS_MAX:
        return f"{MISTAPS_MAX} wrong numbers were tapped: this link is no longer taken"
    if incident.mistaps.get(page, 0) != tries:  # several numbers at once: nobody read them
        return "a wrong number was tapped meanwhile; open the link again"
    if len(incident.answered) >= PAGES_MAX:
        return f"{PAGES_MAX} links of this incident were used; sign in instead"
    return ""


def _join(scene: Scene, incident: Incident, command: Command) -> Answer:
    responds(incident, command.by)
    scene.line(incident, "responds", f"{command.by} answers a page (by {command.via})", by=command.by)
    return Answer(DONE, f"{incident.acked_by} has it already; it is noted that {command.by} responds too")


def mistap(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Count a wrong number behind the link of a page. No human action: a mail scanner may have tapped it."""
    count = incident.mistaps.get(command.page, 0) + 1
    kept = list(incident.mistaps.items())[-PAGES_MAX + 1 :]
    incident.mistaps = {**dict(kept), command.page: count}
    text = (
        f"a wrong number was tapped behind the link sent to {command.by} ({min(count, MISTAPS_MAX)} of {MISTAPS_MAX})"
    )
    scene.line(incident, "mistapped", text, minor=True)
    left = MISTAPS_MAX - count
    return Answer(DONE, f"that is not the number; {left} left" if left > 0 else "that was the last try of this link")


def unacknowledge(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Give it back, or take it from somebody: nobody has it, and paging begins again at step 1."""
    before = incident.acked_by
    if not before:
        return Answer(REFUSED, "nobody has it")
    whose = "gives it back" if before == command.by else f"takes it from {before}"
    scene.line(incident, "unacknowledged", f"{command.by} {whose}: nobody has it{_said(command)}", by=command.by)
    incident.last_acker = incident.lead = incident.lead_why = ""
    paging.let_go(scene, incident)
    paging.cancel_pending(scene, incident, keep_asked=True)
    paging.begin(scene, incident)
    again = "paging begins again at step 1" if paging.pages_people(incident.severity) else "nobody is paged for it"
    return Answer(DONE, f"nobody has it now; {again}")


def snooze(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Take it for a time; at its end it pages again, the snoozer first."""
    if not SNOOZE_MIN <= command.duration <= SNOOZE_MAX:
        return Answer(REFUSED, f"snooze for {show_duration(SNOOZE_MIN)} to {show_duration(SNOOZE_MAX)}, like 30m or 2h")
    incident.pageable = True
    for_ = show_duration(command.duration)
    take(scene, incident, command, f" for {for_}")
    incident.snoozed_until = scene.now + command.duration
    scene.draft.timer(f"snooze:{incident.key}", incident.snoozed_until)
    scene.draft.timer(f"remind:{incident.key}", None)
    return Answer(DONE, f"{command.by} has it for {for_}; then it pages again")


def assign(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Pass it on: the other person is paged at once, and until they take it nobody has it."""
    fault = stranger(scene, command.person)
    if fault:
        return Answer(REFUSED, fault)
    name, before = command.person, incident.acked_by
    if name in (command.by, before):
        return acknowledge(scene, incident, command) if name == command.by else Answer(DONE, f"{name} has it already")
    taken = f", taken from {before}" if before and before != command.by else ""
    scene.line(incident, "assigned", f"{command.by} gives it to {name}{taken}{_said(command)}", by=command.by)
    incident.pageable = True
    incident.last_acker = ""
    responds(incident, name)
    paging.page_first(scene, incident, name, f"{command.by} gives it to you")
    return Answer(DONE, f"{name} is paged; nobody has it until they take it")


def escalate(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Page the next step of the policy at once; whoever has it no longer does. A page asks for that once."""
    if command.page:
        fault = _link_fault(incident, command.page, command.tries)
        if fault:
            return Answer(REFUSED, fault)
        incident.answered = (*incident.answered, command.page)
    if not paging.pages_people(incident.severity):
        return Answer(REFUSED, f"the policy pages nobody for {incident.severity}; page a person instead")
    if incident.page_at is not None and incident.page_at <= scene.now:
        return Answer(DONE, "the next step is being paged already")
    taken = f", and takes it from {incident.acked_by}" if incident.acked_by not in ("", command.by) else ""
    scene.line(incident, "escalated", f"{command.by} wants the next step now{taken}{_said(command)}", by=command.by)
    incident.pageable = True
    paging.hurry(scene, incident)
    return Answer(DONE, "the next step is paged now")


def page(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Ask one more person to join, beside the escalation and whoever has it."""
    name = command.person
    fault = stranger(scene, name)
    if fault:
        return Answer(REFUSED, fault)
    if name == incident.acked_by:
        return Answer(DONE, f"{name} has it already")
    pending: list[Effect | None] = [scene.draft.get((EFFECT, one)) for one in incident.pending]
    if any(one is not None and one.person == name and one.step > paging.LAST_STEP for one in pending):
        return Answer(DONE, f"{name} is being paged already")
    scene.line(incident, "asked", f"{command.by} asks {name} to join{_said(command)}", by=command.by)
    responds(incident, name)
    paging.page_asked(scene, incident, name, f"{command.by} asks you to join")
    return Answer(DONE, f"{name} is paged")


def is_somebody(scene: Scene, name: str) -> bool:
    """Tell whether a person acts under this name: one of oncall.yaml, or the operators' own token; and no program."""
    return name == ADMIN or name in scene.rulebook.people


def stranger(scene: Scene, name: str) -> str:
    """Return why this person cannot be paged, or ""."""
    people = scene.rulebook.people
    if not name:
        return "say whom: give a person of oncall.yaml"
    if name not in people:
        known = ", ".join(sorted(people)[:NAMES_SHOWN]) or "nobody"
        more = f" and {len(people) - NAMES_SHOWN} more" if len(people) > NAMES_SHOWN else ""
        return f"oncall.yaml knows nobody called “{name[:100]}”; there are {known}{more}"
    return "" if people[name].methods else f"{name} has no contact method in oncall.yaml"


def responds(incident: Incident, name: str) -> None:
    """Count somebody among the responders."""
    if name not in incident.responders and len(incident.responders) < RESPONDERS_MAX:
        incident.responders = (*incident.responders, name)


def _said(command: Command) -> str:
    return f": {command.text[:TEXT_MAX]}" if command.text else ""
