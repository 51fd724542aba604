"""How a status update reads: the operators' templates `templates/updates/<audience>.txt`, else the one built in.

The first line is the title. What a template is given for the public holds nothing that came from an alert or that a
responder wrote for others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from triage import sandbox
from triage.model import Incident, short
from triage.rulebook.problems import Problem, RulesError, closest
from triage.status import Audience, StatusUpdate
from triage.updates import RENDERED_MAX

FOLDER: Final = "templates/updates/"
SUFFIX: Final = ".txt"
VALUES: Final = (
    "title", "status", "impact", "eta", "next", "updates", "audience", "service", "severity", "incident",
)  # fmt: skip
"""What a template can say; docs/status-updates.md has their meanings. `updates` is a list of `at`, `status`, `text`."""
SHOWN: Final = 20
"""How many updates one message repeats, the newest first."""
BUILT_IN: Final = """\
[INCIDENT] {{ title }}
Status: {{ status }}
Impact: {{ impact | default("being assessed") }}
ETA: {{ eta | time | default("not known yet") }}
Updates:
{% for one in updates %}
  {{ one.at | time }}: {{ one.text }}
{% endfor %}
Next update: {{ next | time | default("when there is news") }}
"""


def rendered(
    files: Mapping[str, str], incident: Incident, made: StatusUpdate, earlier: Sequence[StatusUpdate], service: str
) -> str:
    """Return what an update says: title and text. `earlier` are the incident's updates so far, oldest first.

    `service` is what the audience knows the service as. A template that fails gives way to the one built in.
    """
    said = [made, *reversed([one for one in earlier if one.audience is made.audience])][:SHOWN]
    public = made.audience is Audience.PUBLIC
    values: dict[str, sandbox.Value] = {
        "title": made.title,
        "status": made.status.value.capitalize(),
        "impact": made.impact,
        "eta": str(made.eta or ""),
        "next": str(made.next_at or ""),
        "updates": [{"at": str(one.at), "status": one.status.value.capitalize(), "text": one.text} for one in said],
        "audience": made.audience.value,
        "service": service,
        "severity": "" if public else incident.severity.name,
        "incident": "" if public else short(incident.key),
    }
    path = f"{FOLDER}{made.audience}{SUFFIX}"
    try:
        return _read(path, files.get(path, BUILT_IN)).render(values, RENDERED_MAX)
    except (RulesError, sandbox.Failed):
        return _read("built in", BUILT_IN).render(values, RENDERED_MAX)


def _read(path: str, source: str) -> sandbox.Template:
    return sandbox.read(path, source, VALUES, ("updates",))


def check(files: Mapping[str, str]) -> list[Problem]:
    """Return everything that is wrong with the templates of status updates among these files."""
    problems: list[Problem] = []
    for path, source in sorted(files.items()):
        if not path.startswith(FOLDER):
            continue
        name = path.removeprefix(FOLDER).removesuffix(SUFFIX)
        if name not in [one.value for one in Audience]:
            hint = closest(name, list(Audience)) or f"there are {', '.join(Audience)}"
            problems.append(
                Problem(path, 1, 1, f"there is no audience “{name}”: this file is not used", hint, "warning")
            )
            continue
        try:
            _read(path, source)
        except RulesError as error:
            problems += error.problems
    return problems
