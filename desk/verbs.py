"""What people ask of one incident: a verb is one line here, and is a route of the API and a form of the view by it.

Both read the same body. What it holds besides the fields that every command has goes into the command's `data` by name;
`other` is another incident, and becomes its key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from pydantic import BaseModel

from desk import asking, commands, shapes, showing
from desk.api import BASE, Answered, Call, Office, Route
from desk.commands import Outcome
from desk.people import Person
from desk.problems import Problem
from triage.model import Verb
from triage.rulebook.durations import parse_duration
from triage.store import queries

_OWN: Final = frozenset({"text", "confirm", "person", "duration"})
"""Fields of a body that a command has by itself."""
Prepare = Callable[[Office, str, Person, str, dict[str, str]], Awaitable[dict[str, str]]]
PREPARE: Final[dict[Verb, Prepare]] = {}
"""What the desk adds to a verb's data before it is asked for; files of verbs fill it. Raises what the queries raise."""
_STATUSES: Final = {202: "Appended, but not decided within two seconds; `look` says where its outcome will be."}


async def ask(
    office: Office, verb: Verb, ref: str, person: Person, body: asking.CommandBody, request: str = ""
) -> Outcome:
    """Ask for a verb with what its body says. Raises what `commands.perform` raises."""
    given = body.model_dump(mode="json", exclude_none=True)
    if "other" in given:
        given["other"] = (await queries.incident(office.desk.client, given["other"])).key
    prepare = PREPARE.get(verb)
    data = {name: _as_text(value) for name, value in given.items() if name not in _OWN}
    if prepare is not None:
        data |= await prepare(office, ref, person, body.text, data)
    return await commands.perform(
        office.desk,
        verb,
        ref,
        person,
        text=body.text,
        confirm=body.confirm,
        request=request,
        whom=str(given.get("person", "")).strip(),
        duration=parse_duration(str(given.get("duration", ""))) if given.get("duration") else 0,
        data=data,
    )


def _as_text(value: object) -> str:
    return ("yes" if value else "") if isinstance(value, bool) else str(value)


def _handler(verb: Verb, doc: str) -> Callable[[Call], Awaitable[BaseModel | Answered]]:
    async def handle(call: Call) -> Answered:
        assert call.person is not None  # noqa: S101  a route that changes is never called without
        ref = call.request.match_info["id"]
        outcome = await ask(call.office, verb, ref, call.person, call.body, call.request_id)
        return answered(outcome, call.external_url)

    handle.__doc__ = doc
    return handle


def answered(outcome: Outcome, external_url: str) -> Answered:
    """Return the API's answer. Raises Problem 409 when it was refused, or asked back."""
    if outcome.ending == "refused":
        raise Problem(409, "refused", "Refused", outcome.text)
    if outcome.ending == "asks":
        raise Problem(409, "confirm", "Say it again to mean it", outcome.text, confirm=True)
    shape = shapes.CommandDone(
        ending=outcome.ending,
        text=outcome.text,
        entry=outcome.entry,
        incident=showing.incident(outcome.incident, external_url),
        look=f"{BASE}/why?of={outcome.entry}",
    )
    return Answered(shape, 202 if outcome.ending == "pending" else 200, outcome.again)


def command(
    verb: Verb,
    operation: str,
    summary: str,
    doc: str,
    done: str,
    body: type[asking.CommandBody] = asking.CommandBody,
    path: str = "",
    view: str = "",
) -> Route:
    """Return the route of a verb. `path` is its word in addresses where that is not the verb's own. `view` follows the
    incident's address where its form is in another view.
    """
    return Route(
        "POST",
        f"/incidents/{{id}}/{path or verb.value}",
        summary,
        _handler(verb, doc),
        shapes.CommandDone,
        body=body,
        statuses=_STATUSES,
        operation=operation,
        verb=verb,
        done=done,
        view=view,
    )


ROUTES: Final = (
    command(Verb.ACKNOWLEDGE, "acknowledge_incident", "Take an incident", "Take an incident.", "You have it now."),
    command(
        Verb.RESOLVE,
        "resolve_incident",
        "End an incident; asks for `confirm` while alerts fire, or the status page shows it",
        "End an incident.",
        "Resolved.",
        asking.ResolveBody,
    ),
    command(
        Verb.NOTE,
        "note_incident",
        "Write into the timeline",
        "Write into the timeline of an incident.",
        "Noted.",
        asking.NoteBody,
    ),
    command(
        Verb.UNACKNOWLEDGE,
        "unacknowledge_incident",
        "Give an incident back",
        "Give an incident back: nobody has it, and paging begins again.",
        "Nobody has it now; it pages again.",
    ),
    command(
        Verb.SNOOZE,
        "snooze_incident",
        "Take an incident for a time",
        "Take an incident for a time; then it pages again, the snoozer first.",
        "You have it until the snooze is over.",
        asking.SnoozeBody,
    ),
    command(
        Verb.ASSIGN,
        "assign_incident",
        "Pass an incident on to a person",
        "Pass an incident on: the person is paged at once, and nobody has it until they take it.",
        "They are being paged.",
        asking.WhomBody,
    ),
    command(
        Verb.ESCALATE,
        "escalate_incident",
        "Page the next step now",
        "Page the next step of the policy now.",
        "The next step is being paged.",
    ),
    command(
        Verb.PAGE,
        "page_person",
        "Page one more person",
        "Page one more person, beside the escalation and whoever has the incident.",
        "They are being paged.",
        asking.WhomBody,
    ),
)
"""Who has it. Verbs of other nouns stand in files of their own, made by `command` as well."""
