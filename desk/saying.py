"""How a command that is said in an incident's room is read: `!severity P1 why` is a verb, a severity and a reason."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from desk import guides
from triage.actions import fits, may
from triage.model import Incident, Millis, Role, Verb
from triage.rulebook import Rulebook
from triage.rulebook.actions import Action
from triage.rulebook.durations import parse_duration
from triage.status import Audience, Standing

MARK: Final = "!"
YES: Final = ("yes", "confirm")
DRY: Final = "dry"
NEXT: Final = "next="
UNKNOWN: Final = "unknown"
HELP: Final = (
    "Commands: !ack · !severity P1 why · !phase mitigating · !role scribe PERSON · !impact text · !eta 45m · "
    "!note text · !update investigating|identified|monitoring|resolved text · !next · !page PERSON · !snooze 1h · "
    "!escalate · !resolve · !runbook · !done r2 · !action. "
    "What asks back is meant with yes: !update yes …, !action yes …, !resolve yes …. "
    "Everything else that is said here is kept in the timeline."
)


class Refused(Exception):
    """Words that ask for nothing that can be done. The message is the answer."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it was read."""

    verb: Verb
    text: str = ""
    confirm: bool = False
    whom: str = ""
    duration: Millis = 0
    data: Mapping[str, str] = field(default_factory=dict)


def checked_off(guide: guides.Guide, rest: str) -> Asked:
    """Read `r2 why`: a step of the runbook or the procedure is done. Raises Refused."""
    number, _, text = rest.partition(" ")
    step = guides.step_of(guide, number.lower())
    if not step:
        raise Refused("say !done and a step as !runbook numbers it, like !done r2 rolled back to v41")
    return Asked(Verb.CHECK, text.strip(), data={"step": step})


def _sure(rest: str) -> tuple[bool, str]:
    """Tell whether it is meant, and return what else was said."""
    first, _, more = rest.partition(" ")
    return (True, more.strip()) if first.lower() in YES else (False, rest)


def _severity(rest: str) -> Asked:
    to, _, why = rest.partition(" ")
    return Asked(Verb.SEVERITY, why.strip(), data={"to": to.upper()})


def _phase(rest: str) -> Asked:
    """Read `[yes] PHASE why`."""
    sure, rest = _sure(rest)
    to, _, why = rest.partition(" ")
    return Asked(Verb.PHASE, why.strip(), confirm=sure, data={"to": to.lower()})


def _role(rest: str) -> Asked:
    which, _, name = rest.partition(" ")
    if not which:
        raise Refused(f"say !role, one of {', '.join(Role)}, and who, like !role scribe ben")
    return Asked(Verb.ROLE, whom=name.strip().lstrip("@"), data={"role": which.lower()})


def _eta(rest: str) -> Asked:
    """Read `45m why`, or `unknown why`: nobody knows any more."""
    when, _, why = rest.partition(" ")
    if not when:
        raise Refused("say !eta and when it should be over, like !eta 45m, or !eta unknown")
    return Asked(Verb.ETA, why.strip(), data={"eta": "" if when.lower() == UNKNOWN else when})


def _update(rest: str) -> Asked:
    """Read a status update for the responders. Without `yes` it is answered with how it reads."""
    sure, rest = _sure(rest)
    status, _, text = rest.partition(" ")
    data = {"audience": Audience.RESPONDERS.value, "status": status.lower()}
    if text.strip().startswith(NEXT):
        after, _, text = text.strip().removeprefix(NEXT).partition(" ")
        data["next"] = after
    if status.lower() not in list(Standing) or not text.strip():
        raise Refused(
            f"say !update, one of {', '.join(Standing)}, and what is known, like !update identified disk full, "
            f"or !update identified {NEXT}45m disk full"
        )
    return Asked(Verb.UPDATE, text.strip(), confirm=sure, data=data)


def _note_text(rest: str) -> Asked:
    if not rest:
        raise Refused("say !note and the text")
    return Asked(Verb.NOTE, rest)


def _page(rest: str) -> Asked:
    whom, _, why = rest.partition(" ")
    if not whom:
        raise Refused("say !page and whom: a person of oncall.yaml")
    return Asked(Verb.PAGE, why.strip(), whom=whom.lstrip("@"))


def _snooze(rest: str) -> Asked:
    try:
        return Asked(Verb.SNOOZE, duration=parse_duration(rest or "1h"))
    except ValueError as error:
        raise Refused(str(error)) from None


def _resolve(rest: str) -> Asked:
    sure, why = _sure(rest)
    return Asked(Verb.RESOLVE, why, confirm=sure)


def _action(rest: str) -> Asked:
    """Read `[yes|dry] NAME parameter=value … why`."""
    sure, rest = _sure(rest)
    try:
        words = shlex.split(rest)
    except ValueError:  # a quotation mark that stands alone is none
        words = rest.split()
    dry = bool(words) and words[0].lower() == DRY
    name, *more = words[1:] if dry else words
    pairs = [one.partition("=") for one in more]
    parameters = {key: value for key, mark, value in pairs if mark and key}
    why = " ".join(one for one, (key, mark, _) in zip(more, pairs, strict=True) if not (mark and key))
    data = {"action": name, "parameters": json.dumps(parameters, ensure_ascii=False)}
    return Asked(Verb.ACTION, why, confirm=sure, data=data | ({"dry_run": "yes"} if dry else {}))


READ: Final[dict[str, Callable[[str], Asked]]] = {
    "ack": lambda rest: Asked(Verb.ACKNOWLEDGE, rest),
    "escalate": lambda rest: Asked(Verb.ESCALATE, rest),
    "severity": _severity,
    "phase": _phase,
    "role": _role,
    "impact": lambda rest: Asked(Verb.IMPACT, rest),
    "eta": _eta,
    "note": _note_text,
    "update": _update,
    "page": _page,
    "snooze": _snooze,
    "resolve": _resolve,
    "action": _action,
}
"""The word behind the mark, and how what follows is read. They raise Refused, in words for whoever said it."""


def names_no_action(rest: str) -> bool:
    """Tell whether what follows `!action` names none, so that the list is wanted."""
    return not _sure(rest)[1].strip() or rest.strip().lower() == DRY


def actions_of(rulebook: Rulebook, incident: Incident, name: str) -> str:
    """Return what a person can do about an incident, and how to say it."""
    found = [
        one for _, one in sorted(rulebook.actions.items()) if fits(one, incident) and may(one, name, rulebook.teams)
    ]
    if not found:
        return f"actions.yaml has nothing that {name} may run for this incident."
    lines = [f"{one.name}{_parameters(one)}  {one.title}" for one in found]
    first = found[0].name
    return "\n".join([*lines, f"Say !action {first} to be asked, !action dry {first} to see what would be sent."])


def _parameters(one: Action) -> str:
    return "".join(f" {parameter.name}={parameter.default or '…'}" for parameter in one.parameters)
