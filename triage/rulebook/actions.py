"""actions.yaml: what people may do about an incident by pressing a button: one signed, templated HTTP call each.

`{name}` in an address, a body or a query stands for a parameter or for something of the incident; `${NAME}` for a
secret, which only the worker that makes the call fills in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

import msgspec
from pydantic import Field

from triage.model import MINUTE, SECOND, Millis, Severity
from triage.rulebook import secrets
from triage.rulebook.calls import HOLE, Calls
from triage.rulebook.checks import compile_pattern
from triage.rulebook.problems import Problem
from triage.rulebook.shapes import Duration, SeverityName, Shape, Text, Texts, VerifyShape
from triage.rulebook.types import Verification
from triage.rulebook.yaml import Path

if TYPE_CHECKING:  # which reads files by the shapes below
    from triage.rulebook.metrics import Server
    from triage.rulebook.reading import Part

FACTS: Final = ("incident", "service", "severity", "title", "by", "run", "last_known_good")
"""What `{name}` can mean besides a parameter: of the incident, who asked, the id of this run, and the version of the
service that was last known to be good."""
LAST_KNOWN_GOOD: Final = "{last_known_good}"
TIMEOUT_MAX: Final[Millis] = 5 * MINUTE
VALUE_MAX: Final = 200
"""Longest value of a parameter, in characters."""
BODY_MAX: Final = 16_384
ACTIONS_MAX: Final = 200
PARAMETERS_MAX: Final = 20
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}\Z")
_PARAMETER: Final = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")


class ParameterShape(Shape):
    """One thing that whoever runs the action says."""

    type: Literal["text", "integer", "choice", "boolean"] = Field("text", description="What kind of value it takes.")
    description: Text = Field("", description="What it means, shown beside the field.")
    default: Text | None = Field(None, description="Its value where nobody says one; {last_known_good} is allowed.")
    min: int | None = Field(None, description="The smallest integer.")
    max: int | None = Field(None, description="The largest integer.")
    choices: Texts = Field(default_factory=list, description="All values of a choice.")
    pattern: Text = Field("", description="RE2 that the whole text must match.")
    max_length: int = Field(100, ge=1, le=VALUE_MAX, description="Longest text.")


class RequestShape(Shape):
    """The call that is made."""

    url: Text = Field(description="An address, https:// or http://; {name} in its path or query.")
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = Field("POST", description="How it is called.")
    headers: dict[str, Text] = Field(default_factory=dict, description="Sent along; ${NAME} for secrets.")
    body: dict[str, Any] = Field(default_factory=dict, alias="json", description="The JSON body; {name} in its texts.")
    secret: Text = Field("", description="${NAME} of the secret that signs the call, as Standard Webhooks does.")


class ActionShape(Shape):
    """Something people can do about an incident."""

    title: Text = Field(description="What it does, in a few words.")
    services: Texts = Field(
        default_factory=list, description="Services of whose incidents it may be run; all, if none."
    )
    severities: list[SeverityName] = Field(default_factory=list, description="Severities on which it may be run.")
    who: Texts = Field(default_factory=list, description="People and team:NAME who may run it; everybody, if none.")
    parameters: dict[str, ParameterShape] = Field(default_factory=dict, description="Name → what it takes.")
    request: RequestShape = Field(description="The call that is made.")
    timeout: Duration = Field(30 * SECOND, description="How long the call may take; 5m at most.")
    verify: VerifyShape | None = Field(None, description="How to see afterwards whether it helped.")


class ActionsFile(Shape):
    """actions.yaml: what may be done about an incident by a button."""

    actions: dict[str, ActionShape] = Field(default_factory=dict, description="Name → what it does.")


class Parameter(msgspec.Struct, frozen=True):
    """One thing that whoever runs an action says. `low` and `high` bound an integer, `choices` a choice."""

    name: str
    type: str = "text"
    description: str = ""
    default: str | None = None
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    max_length: int = 100


class Action(msgspec.Struct, frozen=True):
    """Something people can do about an incident; texts hold `{name}` and `${NAME}` as they were written."""

    name: str
    title: str
    url: str
    method: str = "POST"
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}
    secret: str = ""
    services: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    who: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    timeout: Millis = 30 * SECOND
    verify: Verification | None = None


def fill(text: str, values: Mapping[str, str], quoted: Callable[[str], str]) -> str:
    """Return `text` with each `{name}` replaced by its value, made harmless by `quoted`."""
    return HOLE.sub(lambda hole: quoted(values[hole[1]]), text)


def fill_url(text: str, values: Mapping[str, str]) -> str:
    """Return an address: a value can never become another part of it, nor a step up in its path."""
    return fill(text, values, lambda value: quote(value, safe="") if value.strip(".") else value.replace(".", "%252E"))


def fill_query(text: str, values: Mapping[str, str]) -> str:
    """Return PromQL: a value can never leave the quotes it stands in, of whichever of the three kinds these are."""

    def quoted(value: str) -> str:
        return json.dumps(value, ensure_ascii=False)[1:-1].replace("'", r"\x27").replace("`", r"\x60")

    return fill(text, values, quoted)


def fill_body(value: Any, values: Mapping[str, str], typed: Mapping[str, Any]) -> Any:
    """Return a JSON value; a text that is one hole and nothing else becomes a value of that parameter's own type."""
    if isinstance(value, dict):
        return {key: fill_body(one, values, typed) for key, one in value.items()}
    if isinstance(value, list):
        return [fill_body(one, values, typed) for one in value]
    if not isinstance(value, str):
        return value
    whole = HOLE.fullmatch(value)
    return typed[whole[1]] if whole and whole[1] in typed else fill(value, values, str)


def value_of(parameter: Parameter, text: str) -> str | int | bool:
    """Return the value that a text stands for. Raises ValueError that names the parameter and says what is allowed."""
    name = parameter.name
    if parameter.type == "integer":
        if not re.fullmatch(r"-?[0-9]{1,15}", text):
            raise ValueError(f"{name}: write a whole number")
        number = int(text)
        low, high = parameter.low, parameter.high
        if (low is not None and number < low) or (high is not None and number > high):
            raise ValueError(f"{name}: must be {_bounds(low, high)}, not {number}")
        return number
    if parameter.type == "boolean":
        if text not in ("true", "false"):
            raise ValueError(f"{name}: write true or false")
        return text == "true"
    if parameter.type == "choice" and text not in parameter.choices:
        raise ValueError(f"{name}: must be one of {', '.join(parameter.choices)}")
    if not text or len(text) > parameter.max_length or not text.isprintable():
        raise ValueError(f"{name}: write one line of 1 to {parameter.max_length} characters")
    if parameter.pattern and compile_pattern(parameter.pattern).fullmatch(text) is None:
        raise ValueError(f"{name}: does not match {parameter.pattern[:100]}")
    return text


def _bounds(low: int | None, high: int | None) -> str:
    if low is not None and high is not None:
        return f"from {low} to {high}"
    return f"{low} or more" if low is not None else f"{high} or less"


def compile_actions(
    parts: list[Part],
    people: Mapping[str, Any],
    teams: Mapping[str, Any],
    problems: list[Problem],
    servers: Mapping[str, Server] | None = None,
) -> dict[str, Action]:
    """Compile actions.yaml. `servers` are those of metrics.yaml."""
    compiler = _Compiler(problems, people, teams, servers)
    for part in parts:
        if isinstance(part.shape, ActionsFile):
            compiler.actions(part, part.shape)
    return compiler.found


def check_request(part: Part, place: Path, request: RequestShape, known: set[str], problems: list[Problem]) -> None:
    """Check a call that stands under `request` at `place`; `known` are the names that may stand in `{…}`."""
    _Compiler(problems, {}, {}).request(part, place, request, known)


class _Compiler(Calls):
    def __init__(
        self,
        problems: list[Problem],
        people: Mapping[str, Any],
        teams: Mapping[str, Any],
        servers: Mapping[str, Server] | None = None,
    ) -> None:
        super().__init__(problems, servers)
        self.found: dict[str, Action] = {}
        self.people = people
        self.teams = teams

    def actions(self, part: Part, shape: ActionsFile) -> None:
        if len(shape.actions) > ACTIONS_MAX:
            self.fault(part, ("actions",), f"there are more than {ACTIONS_MAX} actions")
        for name, one in shape.actions.items():
            place: Path = ("actions", name)
            if not _NAME.match(name):
                hint = "use lower-case letters, digits, _ and -"
                self.fault(part, place, f'"{name}" can\'t be the name of an action', hint, key=True)
            known = {*one.parameters, *FACTS}
            self._parameters(part, place, one)
            self.request(part, place, one.request, known)
            self._who(part, place, one)
            if not 0 < one.timeout <= TIMEOUT_MAX:
                self.fault(part, (*place, "timeout"), "this must be longer than nothing, and 5m at most")
            verify = self.verification(part, (*place, "verify"), one.verify, known) if one.verify is not None else None
            self.found[name] = _action(name, one, verify)

    def _parameters(self, part: Part, place: Path, one: ActionShape) -> None:
        if len(one.parameters) > PARAMETERS_MAX:
            self.fault(part, (*place, "parameters"), f"there are more than {PARAMETERS_MAX} parameters")
        for name, shape in one.parameters.items():
            where: Path = (*place, "parameters", name)
            if not _PARAMETER.match(name) or name in FACTS:
                hint = f"lower-case letters, digits and _, and none of {', '.join(FACTS)}"
                self.fault(part, where, f'"{name}" can\'t be the name of a parameter', hint, key=True)
            if (shape.type == "choice") is not bool(shape.choices):
                self.fault(part, where, "a choice, and only a choice, has choices", "type: choice, choices: [a, b]")
            if (shape.min is not None or shape.max is not None) and shape.type != "integer":
                self.fault(part, where, "min and max belong to an integer", "type: integer")
            if shape.min is not None and shape.max is not None and shape.min > shape.max:
                self.fault(part, (*where, "min"), f"no integer is {shape.min} or more and {shape.max} or less")
            if shape.pattern:
                try:
                    compile_pattern(shape.pattern)
                except ValueError as error:
                    self.fault(part, (*where, "pattern"), str(error))
                    continue
            self._default(part, where, name, shape)

    def _default(self, part: Part, where: Path, name: str, shape: ParameterShape) -> None:
        if shape.default is None or shape.default == LAST_KNOWN_GOOD:
            return
        try:
            value_of(_parameter(name, shape), shape.default)
        except ValueError as error:
            self.fault(part, (*where, "default"), str(error))

    def request(self, part: Part, place: Path, request: RequestShape, known: set[str]) -> None:
        place = (*place, "request")
        self.address(part, (*place, "url"), request.url, known)
        self.headers(part, (*place, "headers"), request.headers)
        if request.secret and (fault := secrets.secret_fault(request.secret) or _no_file(request.secret)):
            self.fault(part, (*place, "secret"), fault, secrets.REMEDY)
        text = json.dumps(request.body)
        if len(text) > BODY_MAX:
            self.fault(part, (*place, "json"), f"this is longer than {BODY_MAX} characters")
        self.holes(part, (*place, "json"), text, known)

    def _who(self, part: Part, place: Path, one: ActionShape) -> None:
        for index, name in enumerate(one.who):
            team = name.removeprefix("team:")
            if name not in self.people and (team == name or team not in self.teams):
                hint = "name people of oncall.yaml, or team:NAME"
                self.fault(part, (*place, "who", index), f'there is no person or team "{name}"', hint)


def _no_file(text: str) -> str:
    return "a file is no secret of an action" if text.startswith("file:") else ""


def _parameter(name: str, shape: ParameterShape) -> Parameter:
    return Parameter(
        name=name,
        type=shape.type,
        description=shape.description,
        default=shape.default,
        low=shape.min,
        high=shape.max,
        choices=tuple(shape.choices),
        pattern=shape.pattern,
        max_length=shape.max_length,
    )


def _action(name: str, one: ActionShape, verify: Verification | None) -> Action:
    return Action(
        name=name,
        title=one.title,
        url=one.request.url,
        method=one.request.method,
        headers=dict(one.request.headers),
        body=one.request.body,
        secret=one.request.secret,
        services=tuple(one.services),
        severities=tuple(sorted(set(one.severities))),
        who=tuple(one.who),
        parameters=tuple(_parameter(key, shape) for key, shape in one.parameters.items()),
        timeout=one.timeout,
        verify=verify,
    )
