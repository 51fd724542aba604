"""Actions of actions.yaml, as routes, forms and a section of the incident's view; and what was done elsewhere."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, field_serializer, model_validator

from desk import verbs
from desk.api import Call, Office, Route
from desk.asking import CommandBody, Text
from desk.people import Person
from desk.shapes import Time
from desk.showing import time_of
from triage.actions import SHADOW
from triage.model import Millis, Verb
from triage.rulebook.actions import PARAMETERS_MAX, VALUE_MAX, Action
from triage.run import Run
from triage.store import actions as kept
from triage.store import queries, standing

IN_FORM: Final = "p."
"""What the fields of a form that are parameters begin with."""


class ActionBody(CommandBody):
    """Which action, with what. Without `confirm` it is asked back, and nothing is run."""

    action: Annotated[Text, Field(max_length=60, description="Its name in actions.yaml.")]
    parameters: Annotated[
        dict[Annotated[Text, Field(max_length=60)], Annotated[Text, Field(max_length=VALUE_MAX)]],
        Field(max_length=PARAMETERS_MAX, description="Name → value, as text."),
    ] = {}  # noqa: RUF012  pydantic copies it
    dry_run: Annotated[bool, Field(description="Say what would be sent, and send nothing.")] = False

    @model_validator(mode="before")
    @classmethod
    def _of_form(cls, given: Any) -> Any:
        """Take `p.version` of a form as the parameter `version`."""
        if not isinstance(given, dict):
            return given
        parameters = {key.removeprefix(IN_FORM): one for key, one in given.items() if key.startswith(IN_FORM)}
        rest = {key: one for key, one in given.items() if not key.startswith(IN_FORM)}
        return {**rest, "parameters": parameters} if parameters else rest

    @field_serializer("parameters", when_used="json")
    def _as_json(self, parameters: dict[str, str]) -> str:
        return json.dumps(parameters, ensure_ascii=False)


class MitigationBody(CommandBody):
    """What was done elsewhere, and which: at least one of commit, pr, version and text."""

    what: Literal["rollback", "hotfix", "scale", "restart", "flag", "rate-limit", "other"]
    commit: Annotated[Text, Field(max_length=200)] = ""
    pr: Annotated[Text, Field(max_length=200, description="Number or address of the pull request.")] = ""
    version: Annotated[Text, Field(max_length=200)] = ""


class ParameterShape(BaseModel):
    """What an action takes."""

    name: str
    type: str
    description: str
    default: str | None
    choices: list[str]
    minimum: int | None
    maximum: int | None


class ActionShape(BaseModel):
    """Something people can do about an incident."""

    name: str
    title: str
    services: list[str]
    severities: list[str]
    who: list[str]
    parameters: list[ParameterShape]
    verified: bool


class ActionPage(BaseModel):
    """The actions of actions.yaml, by name."""

    items: list[ActionShape]


class RunShape(BaseModel):
    """One run. `state`: asked, started, done, failed, unknown or expired; `helped` null: nobody knows (yet)."""

    id: str
    action: str
    by: str
    state: str
    parameters: dict[str, str]
    asked_at: Time
    started_at: Time | None
    ended_at: Time | None
    output: str
    helped: bool | None
    seen: str


class RunPage(BaseModel):
    """The runs of an incident, newest first."""

    items: list[RunShape]


async def _shadowed(office: Office, _ref: str, _person: Person, _text: str, _data: dict[str, str]) -> dict[str, str]:
    """In shadow nothing is done to the outside: triage is told, and refuses."""
    return {SHADOW: "yes"} if office.desk.settings.shadow else {}


verbs.PREPARE[Verb.ACTION] = _shadowed


async def list_actions(call: Call) -> BaseModel:
    """Return what actions.yaml lets people do about incidents."""
    rulebook = call.office.rulebooks.of(await standing.rules(call.client))
    return ActionPage(items=[_shape(one) for _, one in sorted(rulebook.actions.items())])


async def list_incident_runs(call: Call) -> BaseModel:
    """Return the runs of actions for an incident."""
    one = await queries.incident(call.client, call.request.match_info["id"])
    return RunPage(items=[_run(run) for run in await kept.runs_of(call.client, one)])


def _shape(one: Action) -> ActionShape:
    return ActionShape(
        name=one.name,
        title=one.title,
        services=list(one.services),
        severities=[severity.name for severity in one.severities],
        who=list(one.who),
        parameters=[
            ParameterShape(
                name=parameter.name,
                type=parameter.type,
                description=parameter.description,
                default=parameter.default,
                choices=list(parameter.choices),
                minimum=parameter.low,
                maximum=parameter.high,
            )
            for parameter in one.parameters
        ],
        verified=one.verify is not None,
    )


def _run(run: Run) -> RunShape:
    return RunShape(
        id=run.id,
        action=run.action,
        by=run.by,
        state=run.state.value,
        parameters=run.parameters,
        asked_at=time_of(run.asked_at),
        started_at=_time(run.started_at),
        ended_at=_time(run.ended_at),
        output=run.output,
        helped=run.helped,
        seen=run.seen,
    )


def _time(at: Millis | None) -> str | None:
    return None if at is None else time_of(at)


ROUTES: Final = (
    Route("GET", "/actions", "Actions of actions.yaml", list_actions, ActionPage),
    Route("GET", "/incidents/{id}/runs", "Actions that were run", list_incident_runs, RunPage),
    verbs.command(
        Verb.ACTION,
        "run_action",
        "Run an action of actions.yaml; asks for `confirm`",
        "Run an action: one call, made by a worker at most once.",
        "It is run; the timeline says what comes of it.",
        ActionBody,
    ),
    verbs.command(
        Verb.MITIGATION,
        "note_mitigation",
        "Note what was done elsewhere",
        "Note a hotfix, a rollback or the like that was done elsewhere, with its commit, pull request or version.",
        "Noted.",
        MitigationBody,
    ),
)
"""The routes of actions."""
