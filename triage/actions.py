"""Running actions of actions.yaml: asked by a person, run by a worker at most once, and looked at afterwards.

A run is begun by the one worker whose `started` was decided first; from then on nobody begins it again. If no word of
how it ended comes in time it is `unknown`, which is for people to look into: they are paged.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from triage import changes, paging, phases, telling
from triage.memory import ACTION
from triage.model import MINUTE, SECOND, Acted, ActStep, Answer, Command, Incident, Millis, Severity, key_of, short
from triage.responding import DONE, REFUSED
from triage.rulebook import actions as written
from triage.rulebook.actions import Action
from triage.rulebook.calls import holes
from triage.rulebook.durations import show_duration
from triage.run import Call, Run, RunState
from triage.scene import Scene

ASKS: Final = "asks"
SHADOW: Final = "shadow"
"""In a command's data: whoever took it runs with --paging=shadow."""
RUNS_MAX: Final = 100
"""How many runs one incident can have."""
APART: Final[Millis] = MINUTE
"""The same action is not begun again within this time: two people who press at once want it once."""
TAKEN_WITHIN: Final[Millis] = 2 * MINUTE
"""A run that no worker has taken by then is not run any more."""
GRACE: Final[Millis] = 15 * SECOND
"""How much later than its time limit the end of a run may be reported."""
SHOWN_MAX: Final = 500
MITIGATIONS: Final = ("rollback", "hotfix", "scale", "restart", "flag", "rate-limit", "other")
"""What people do elsewhere, and note here."""
REFERENCES: Final = ("commit", "pr", "version")
_REFERENCE: Final = re.compile(r"[\x21-\x7e]{1,200}\Z")


def ask(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Run an action, show what it would do (`dry_run`), or ask whether it is meant."""
    name = command.data.get("action", "")
    action = scene.rulebook.actions.get(name)
    if action is None:
        known = ", ".join(sorted(scene.rulebook.actions)) or "none"
        return Answer(REFUSED, f"actions.yaml has no action “{name[:60]}”; it has {known}")
    fault = why_not(scene, incident, action, command.by)
    if fault:
        return Answer(REFUSED, fault)
    run_id = key_of("run", incident.key, scene.entry)
    try:
        run = _prepared(scene, incident, action, command, run_id)
    except ValueError as error:
        return Answer(REFUSED, str(error))
    what = f"{run.call.method} {run.call.url}" + (f" with {run.call.body.decode()[:SHOWN_MAX]}" if action.body else "")
    if command.data.get("dry_run"):
        scene.line(incident, "dry-run", f"{action.title} would be: {what}", by=command.by, minor=True)
        return Answer(DONE, f"nothing was sent; it would be: {what}")
    if command.data.get(SHADOW):
        text = f"paging is in shadow, so nothing is done outside either. {action.title} would be: {what}"
        return Answer(REFUSED, text)
    if not command.confirm:
        return Answer(ASKS, f"{action.title}{_with(run.parameters)}: {what}. Run it now?")
    if len(incident.runs) >= RUNS_MAX:
        return Answer(REFUSED, f"{RUNS_MAX} actions were run for this incident: run it where it runs, and note it here")
    incident.runs = (*incident.runs, run_id)
    scene.draft.put((ACTION, run_id), run)
    scene.draft.timer(f"run:{run_id}", scene.now + TAKEN_WITHIN)
    said = f": {command.text[:SHOWN_MAX]}" if command.text else ""
    scene.line(incident, "action", f"{command.by} runs {name}{_with(run.parameters)}{said}", by=command.by)
    phases.works(scene, incident, command, f"{command.by} runs {name}")
    return Answer(DONE, f"{name} is run now; the timeline says what comes of it")


def why_not(scene: Scene, incident: Incident, action: Action, by: str) -> str:
    """Return why somebody may not run an action now, or ""."""
    if action.services and incident.service not in action.services:
        return f"{action.name} is for {', '.join(action.services)}, not for {incident.service or 'no service'}"
    if not fits(action, incident):
        allowed = ", ".join(Severity(one).name for one in action.severities)
        return f"{action.name} may be run on {allowed}; this is {incident.severity}"
    if not may(action, by, scene.rulebook.teams):
        return f"{by} may not run {action.name}: actions.yaml lets {', '.join(action.who)}"
    for run_id in reversed(incident.runs):
        run: Run | None = scene.draft.get((ACTION, run_id))
        if run is None or run.action != action.name:
            continue
        if run.state in (RunState.ASKED, RunState.STARTED):
            return f"{run.by} runs it already; the timeline says what comes of it"
        if scene.now - run.asked_at < APART:
            ago = show_duration((scene.now - run.asked_at) // 1_000 * 1_000 or 1_000)
            return f"{run.by} ran it {ago} ago ({run.state}); look what came of it before it is run again"
        break
    return ""


def fits(action: Action, incident: Incident) -> bool:
    """Tell whether actions.yaml lets an action be run for an incident like this one."""
    of_service = not action.services or incident.service in action.services
    return of_service and (not action.severities or incident.severity in action.severities)


def may(action: Action, by: str, teams: Any) -> bool:
    """Tell whether actions.yaml lets a person run this."""
    if not action.who or by in action.who:
        return True
    return any(by in teams.get(one.removeprefix("team:"), ()) for one in action.who if one.startswith("team:"))


def _with(parameters: dict[str, str]) -> str:
    return f" ({', '.join(f'{name}={value}' for name, value in parameters.items())})" if parameters else ""


def _prepared(scene: Scene, incident: Incident, action: Action, command: Command, run_id: str) -> Run:
    """Return the run, its texts filled in. Raises ValueError in words for whoever asked."""
    facts = {
        "incident": short(incident.key),
        "service": incident.service,
        "severity": incident.severity.name,
        "title": incident.title,
        "by": command.by,
        "run": run_id,
        "last_known_good": last_known_good(scene, incident),
    }
    typed = _values(action, command.data.get("parameters", "{}"), facts)
    texts = {name: _text(value) for name, value in typed.items()}
    values = {**facts, **texts}
    if "last_known_good" in _used(action) and not facts["last_known_good"]:
        raise ValueError(f"nobody knows which version of {incident.service or 'it'} was last good: say which")
    verify = action.verify
    if verify is not None:
        address = verify.url if verify.query else written.fill_url(verify.url, values)
        verify = msgspec.structs.replace(verify, url=address, query=written.fill_query(verify.query, values))
    body = json.dumps(written.fill_body(action.body, values, typed), ensure_ascii=False).encode()
    return Run(
        id=run_id,
        action=action.name,
        title=action.title,
        incident=incident.key,
        by=command.by,
        state=RunState.ASKED,
        asked_at=scene.now,
        call=Call(action.method, written.fill_url(action.url, values), dict(action.headers), body, action.secret),
        timeout=action.timeout,
        parameters=texts,
        verify=verify,
    )


def _values(action: Action, given_text: str, facts: dict[str, str]) -> dict[str, Any]:
    try:
        given = json.loads(given_text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise ValueError("parameters: give name and value of each")  # noqa: TRY004  what a person wrote, not a type
    unknown = sorted(given.keys() - {one.name for one in action.parameters})
    if unknown:
        raise ValueError(f"{action.name} takes no {unknown[0][:60]}")
    found: dict[str, Any] = {}
    for one in action.parameters:
        text = str(given.get(one.name, "")).strip()
        if not text and one.default is not None:
            text = facts["last_known_good"] if one.default == written.LAST_KNOWN_GOOD else one.default
        if not text:
            unknown_good = one.default == written.LAST_KNOWN_GOOD
            raise ValueError(
                f"{one.name}: " + ("nobody knows a last good version; say which" if unknown_good else "say it")
            )
        found[one.name] = written.value_of(one, text)
    return found


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _used(action: Action) -> list[str]:
    verify = action.verify
    return holes(" ".join([action.url, json.dumps(action.body), *([verify.url, verify.query] if verify else [])]))


def last_known_good(scene: Scene, incident: Incident) -> str:
    """Return the version of the incident's service that was last known to be good, or ""."""
    found = changes.last_known_good(scene.draft, incident.service, scene.now) if incident.service else None
    return found.version if found is not None else ""


# ------------------------------------------------------------------------------------------------ what workers report


def report(scene: Scene, body: Acted) -> None:
    """Apply what a worker says of a run."""
    known: Run | None = scene.draft.get((ACTION, body.run))
    if known is None:
        return
    run: Run = scene.draft.edit((ACTION, body.run))
    if body.step is ActStep.STARTED:
        _started(scene, run, body)
    elif body.step is ActStep.ENDED and run.token == body.token:
        _ended(scene, run, body)
    elif body.step is ActStep.LOOKED and run.looking:
        _looked(scene, run, body)


def _started(scene: Scene, run: Run, body: Acted) -> None:
    if run.state is not RunState.ASKED:
        return  # somebody else's, or too late: this worker will see that, and not make the call
    run.state, run.token, run.started_at = RunState.STARTED, body.token, scene.now
    scene.draft.timer(f"run:{run.id}", scene.now + run.timeout + GRACE)
    _line(scene, run, f"{run.action} is under way", minor=True)


def _ended(scene: Scene, run: Run, body: Acted) -> None:
    if run.state not in (RunState.STARTED, RunState.UNKNOWN):
        return
    late = run.state is RunState.UNKNOWN
    run.output, run.ended_at = body.text, scene.now
    scene.draft.timer(f"run:{run.id}", None)
    if body.unsure:
        if not late:
            _unknown(scene, run, body.text)
        return
    run.state = RunState.DONE if body.ok else RunState.FAILED
    word = "done" if body.ok else "failed"
    _line(scene, run, f"{run.action} {word}{', known late' if late else ''}: {body.text}")
    if body.ok and run.verify is not None:
        run.verify_until = scene.now + run.verify.within
        scene.draft.timer(f"verify:{run.id}", scene.now + run.verify.after)
    if not body.ok:
        _tell(scene, run, f"{run.action} failed", body.text)


def overdue(scene: Scene, run_id: str) -> None:
    """The timer `run:<run>` is due: no worker took it, or none said how it ended."""
    known: Run | None = scene.draft.get((ACTION, run_id))
    if known is None:
        return
    run: Run = scene.draft.edit((ACTION, run_id))
    if run.state is RunState.ASKED:
        run.state, run.ended_at = RunState.EXPIRED, scene.now
        text = f"no worker took it within {show_duration(TAKEN_WITHIN)}: it was not run, and will not be"
        _line(scene, run, f"{run.action}: {text}")
        _tell(scene, run, f"{run.action} was not run", text)
    elif run.state is RunState.STARTED:
        _unknown(scene, run, "the worker that ran it never said how it ended")


def _unknown(scene: Scene, run: Run, why: str) -> None:
    """Nobody can say whether it was done. It is never run again; the responders are paged to look."""
    run.state, run.ended_at = RunState.UNKNOWN, scene.now
    _line(scene, run, f"{run.action}: nobody knows whether it was done, and it is not run again: {why}")
    incident = scene.draft.incident(run.incident)
    if incident is None:
        return
    incident = scene.draft.edit_incident(run.incident)
    reason = f"{run.action} may or may not have been done: look, and do what is needed"
    people = scene.rulebook.people
    names = dict.fromkeys([incident.acked_by, run.by, *incident.responders])
    if sum(paging.page_asked(scene, incident, name, reason) for name in names if name in people):
        return
    for name in scene.rulebook.last_resort:
        paging.page_asked(scene, incident, name, reason)


def look(scene: Scene, run_id: str) -> None:
    """The timer `verify:<run>` is due: a worker is to see whether it helped."""
    known: Run | None = scene.draft.get((ACTION, run_id))
    if known is None or known.verify is None or known.verify_until is None or known.helped is not None:
        return
    run: Run = scene.draft.edit((ACTION, run_id))
    if run.looking and scene.now > known.verify_until:
        _not_helped(scene, run, "no worker could look")
        return
    run.looking = True
    scene.draft.timer(f"verify:{run_id}", max(known.verify_until, scene.now) + MINUTE)


def _looked(scene: Scene, run: Run, body: Acted) -> None:
    run.looking, run.seen = False, body.text
    scene.draft.timer(f"verify:{run.id}", None)
    if run.verify is None or run.verify_until is None:
        return
    if body.ok:
        run.helped = True
        _line(scene, run, f"{run.action} helped: {body.text}")
        if scene.draft.incident(run.incident) is not None:
            changes.passed(scene, scene.draft.edit_incident(run.incident), run.parameters.get("version", ""))
    elif scene.now + run.verify.every > run.verify_until:
        _not_helped(scene, run, body.text)
    else:
        scene.draft.timer(f"verify:{run.id}", scene.now + run.verify.every)


def _not_helped(scene: Scene, run: Run, text: str) -> None:
    run.helped, run.looking = False, False
    within = show_duration(run.verify.within if run.verify is not None else 0)
    _line(scene, run, f"{run.action} did not help within {within}: {text}")
    _tell(scene, run, f"{run.action} did not help", text)


def _line(scene: Scene, run: Run, text: str, minor: bool = False) -> None:
    if scene.draft.incident(run.incident) is not None:
        scene.line(scene.draft.edit_incident(run.incident), "action", text, minor=minor)


def _tell(scene: Scene, run: Run, title: str, text: str) -> None:
    """Tell whoever asked for it, and whoever has the incident."""
    if scene.draft.incident(run.incident) is None:
        return
    incident = scene.draft.edit_incident(run.incident)
    for name in dict.fromkeys([run.by, incident.acked_by]):
        if name in scene.rulebook.people:
            telling.notify(
                scene, incident, name, f"run {run.id}", title, text, "you asked for it, or have the incident"
            )


# ---------------------------------------------------------------------------------------------- what is done elsewhere


def mitigation(scene: Scene, incident: Incident, command: Command) -> Answer:
    """Note what was done elsewhere against it: a hotfix or a rollback, with its commit, pull request or version."""
    kind = command.data.get("what", "")
    if kind not in MITIGATIONS:
        return Answer(REFUSED, f"“{kind[:40]}” is nothing that is noted here: there are {', '.join(MITIGATIONS)}")
    found = {name: command.data[name].strip() for name in REFERENCES if command.data.get(name, "").strip()}
    bad = [name for name, value in found.items() if not _REFERENCE.match(value)]
    if bad:
        return Answer(REFUSED, f"{bad[0]}: write it in up to 200 characters, without blanks")
    if not found and not command.text.strip():
        return Answer(REFUSED, "say which: a commit, a pull request, a version, or in words")
    which = ", ".join(f"{name} {value}" for name, value in found.items())
    said = command.text.strip()[:SHOWN_MAX]
    scene.line(incident, "mitigation", ": ".join(filter(None, [f"{kind} {which}".strip(), said])), by=command.by)
    return Answer(DONE, "noted")
