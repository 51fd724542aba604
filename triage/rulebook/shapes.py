"""The shape of the operators' files, as pydantic models: what keys there are and what each may hold.

These models only say whether a file is well formed; what its parts mean together is worked out in `compiling`. The
JSON Schemas for editors (rules/schema/) are made from them, which is why each field carries its description.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from triage.model import Millis, Severity
from triage.rulebook import durations, wall


class Shape(BaseModel):
    """A mapping in which unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


def _text(value: Any) -> Any:
    """Take numbers and true/false as the text they were written as; YAML keeps those that would not print the same."""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        raise PydanticCustomError("quote_it", 'expected text: put the number in quotes, like "1.10"')
    if not isinstance(value, str):
        raise PydanticCustomError("text", "expected text, found {found}", {"found": _found(value)})
    return value


def _found(value: Any) -> str:
    if value is None:
        return "nothing"
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else str(value)


def _severity(value: Any) -> Severity:
    if isinstance(value, str) and value in Severity.__members__:
        return Severity[value]
    raise PydanticCustomError("severity", "expected a severity, P0 to P4, found {found}", {"found": _shown(value)})


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else _found(value)


def _duration(value: Any) -> Millis:
    if value == 0 and value is not False:
        return 0
    if not isinstance(value, str):
        raise PydanticCustomError(
            "duration", "expected a duration with its unit, like 90s or 10m, found {found}", {"found": _found(value)}
        )
    try:
        return durations.parse_duration(value)
    except ValueError as error:
        raise PydanticCustomError("duration", "{words}", {"words": str(error)}) from None


def _wall(value: Any) -> int:
    """Return minutes since 1970-01-01 00:00 on the clock that the text is read from."""
    if not isinstance(value, str):
        message = 'expected a date and time in quotes, like "2026-01-05T09:00", found {found}'
        raise PydanticCustomError("wall", message, {"found": _found(value)})
    try:
        return wall.parse_wall(value)
    except ValueError as error:
        raise PydanticCustomError("wall", "{words}", {"words": str(error)}) from None


def _listed(value: Any) -> Any:
    """Take a single text where a list of texts is meant."""
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value


def _matchers(value: Any) -> Any:
    parts = value if isinstance(value, list) else [value]
    for part in parts:
        if not isinstance(part, str):
            raise PydanticCustomError(
                "matchers",
                "expected matchers in quotes, like 'severity=\"critical\"', found {found}",
                {"found": _found(part)},
            )
    return parts


_TEXT_SCHEMA = {"type": ["string", "integer", "boolean"]}
_TEXTS_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": _TEXT_SCHEMA}]}

Text: TypeAlias = Annotated[str, BeforeValidator(_text), WithJsonSchema(_TEXT_SCHEMA)]
Name: TypeAlias = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=200)]
SeverityName: TypeAlias = Annotated[
    Severity, BeforeValidator(_severity), WithJsonSchema({"type": "string", "enum": [*Severity.__members__]})
]
Duration: TypeAlias = Annotated[
    Millis,
    BeforeValidator(_duration),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": durations.PATTERN}, {"const": 0}], "examples": ["90s", "1h30m", "2d"]}
    ),
]
Wall: TypeAlias = Annotated[
    int,
    BeforeValidator(_wall),
    WithJsonSchema({"type": "string", "pattern": wall.PATTERN, "examples": ["2026-01-05T09:00"]}),
]
Texts: TypeAlias = Annotated[list[Text], BeforeValidator(_listed), WithJsonSchema(_TEXTS_SCHEMA)]
Matchers: TypeAlias = Annotated[
    list[str],
    BeforeValidator(_matchers),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class TimeRange(Shape):
    """A part of the day; it does not pass midnight."""

    start_time: str = Field(description='When it opens, like "09:00".')
    end_time: str = Field(description='When it closes, like "18:00"; "24:00" is the end of the day.')


class Hours(Shape):
    """Hours in Alertmanager's words; what is left out does not limit."""

    times: list[TimeRange] | None = Field(None, description="Times of the day.")
    weekdays: Texts | None = Field(None, description='Days of the week, like "monday:friday" or "sunday".')
    days_of_month: Texts | None = Field(None, description='Days of the month, like "1:5" or "-3:-1" (from its end).')
    months: Texts | None = Field(None, description='Months, like "january:march" or "12".')
    years: Texts | None = Field(None, description='Years, like "2026" or "2026:2028".')


class Interval(Hours):
    """One piece of a time interval, in Alertmanager's words; what is left out does not limit."""

    location: str = Field("UTC", description="Time zone, like Europe/Berlin.")


class RaiseShape(Shape):
    """A reason to raise the severity later: exactly one of `after`, `firing`, `times`."""

    to: SeverityName = Field(description="The severity it is raised to.")
    after: Duration | None = Field(None, description="It still fires after this long.")
    firing: int | None = Field(None, ge=1, le=1_000_000, description="This many alerts of the incident fire at once.")
    distinct: Name | None = Field(None, description="With `firing`: count different values of this label.")
    times: int | None = Field(None, ge=1, le=10_000, description="It fired this often …")
    within: Duration | None = Field(None, description="… within this time.")


class HeartbeatShape(Shape):
    """A signal whose absence is the alert."""

    by: Texts = Field(default_factory=list, description="One heartbeat for each combination of these labels.")
    every: Duration = Field(description="How often it beats.")
    grace: Duration = Field(0, description="How late it may be.")
    expect: Texts = Field(default_factory=list, description="Values that must beat even if they never did.")
    severity: SeverityName = Field(Severity.P1, description="How severe its absence is.")


class VerifyShape(Shape):
    """How to see whether it helped: exactly one of `query` and `http`."""

    prometheus: Text = Field("", description="The Prometheus that is asked: its name in metrics.yaml, or its address.")
    query: Text = Field("", description="PromQL that has a result once it helped, like errors < 1.")
    http: Text = Field("", description="An address that answers 2xx once it helped.")
    after: Duration = Field(durations.UNITS["m"], description="How long after the action it is looked at first.")
    every: Duration = Field(30 * durations.UNITS["s"], description="How often it is looked at again.")
    within: Duration = Field(10 * durations.UNITS["m"], description="How long after the action it must have helped.")


class MetricsShape(Shape):
    """What is read of Prometheus around onset and recovery, and drawn."""

    query: Text = Field(description="PromQL; {label} stands for the value of a label of the alert.")
    prometheus: Text = Field("", description="Which one of metrics.yaml is asked; the first, if none is named.")


class RuleShape(Shape):
    """One rule. For each field the first matching rule that names it decides."""

    name: Name = Field(description="What people see as the reason; no other rule of the folder may have it.")
    matchers: Matchers = Field(description="Alertmanager's matchers; all must hold. [] holds for everything.")
    continue_: bool = Field(False, alias="continue", description="Read on after this rule matched.")
    severity: SeverityName | None = Field(None, description="The severity.")
    max_severity: SeverityName | None = Field(None, description="P3 means: at most as severe as P3.")
    policy: Name | None = Field(None, description="Escalation policy; {label} stands for a label's value.")
    runbook: Name | None = Field(None, description="A file under runbooks/ or a link; {label} stands for a value.")
    group_by: Texts | None = Field(None, description="Alerts that agree on these labels are one incident.")
    wait: Duration | None = Field(None, description="Page only if it still fires after this long.")
    raise_: list[RaiseShape] | None = Field(None, alias="raise", description="Reasons to raise the severity later.")
    during: Name | None = Field(None, description="Counts only within this time interval.")
    outcome: Literal["drop"] | None = Field(None, description="drop: forget the event, and count it.")
    heartbeat: HeartbeatShape | None = Field(None, description="Its absence is the alert.")
    room: Name | None = Field(None, description="The entry of rooms.yaml that opens its room; none: it gets no room.")
    metrics: MetricsShape | None = Field(None, description="What is drawn, instead of the alert's own expression.")
    verify: list[VerifyShape] | None = Field(None, description="What must hold before its incident resolves by itself.")


class DefaultsShape(Shape):
    """What holds where no rule speaks."""

    severity: SeverityName | None = Field(None, description="Where neither a rule nor the sender's word says one.")
    group_by: Texts | None = Field(None, description="Alerts that agree on these labels are one incident.")
    policy: Name | None = Field(None, description="The escalation policy.")
    wait: Duration | None = Field(None, description="How long to wait before the first page.")
    settle: dict[str, Duration] | None = Field(None, description="How long all must be clear, by severity.")
    reopen_within: Duration | None = Field(None, description="Firing again this soon reopens the incident.")
    remind_after: dict[str, Duration] | None = Field(None, description="Acknowledged and forgotten, by severity.")
    late_grace: Duration | None = Field(None, description="A page later than this is marked late.")
    raise_together: Duration | None = Field(None, description="Raises this close together count as one.")
    forget_alert_after: Duration | None = Field(None, description="How long a resolved alert is remembered.")
    forget_incident_after: Duration | None = Field(None, description="How long an ended incident is kept.")
    page_deadline: Duration | None = Field(None, description="When to give up delivering one page.")


class TeamSeverityFile(Shape):
    """teams/<team>/severity.yaml: rules that hold under team="<team>"."""

    time_intervals: dict[str, list[Interval]] = Field(default_factory=dict, description="Names for `during`.")
    rules: list[RuleShape] = Field(default_factory=list, description="Read top to bottom.")


class SeverityFile(TeamSeverityFile):
    """severity.yaml: what an alert means."""

    defaults: DefaultsShape = Field(default_factory=lambda: DefaultsShape.model_validate({}))
    raw_severity: dict[str, SeverityName] = Field(
        default_factory=dict, description="What senders' own words mean where no rule speaks."
    )


class PageNoticeShape(Shape):
    """One step of how somebody is paged."""

    by: Name = Field(description="The contact method, by its name under `methods`.")
    after: Duration = Field(0, description="How long after the page began; nothing comes once it is acknowledged.")


class NoticeShape(Shape):
    """One way by which somebody is told what wakes nobody."""

    by: Name = Field(description="The contact method, by its name under `methods`.")


class NotifyShape(Shape):
    """How somebody wants to be told, per urgency."""

    high: list[PageNoticeShape] = Field(default_factory=list, description="How pages come, one step after the other.")
    low: list[NoticeShape] = Field(default_factory=list, description="How notifications come.")


class PersonShape(Shape):
    """Somebody who can be told."""

    name: Text = Field("", description="As people read it.")
    contact: Texts = Field(
        default_factory=list, description="Apprise URLs, the first one preferred; ${NAME} for secrets."
    )
    methods: dict[str, Text] = Field(
        default_factory=dict, description="Instead of `contact`: name → Apprise URL, for `notify` to name."
    )
    notify: NotifyShape = Field(
        default_factory=lambda: NotifyShape.model_validate({}), description="Their own steps, per urgency."
    )
    token_sha256: Text = Field("", description="SHA-256 of the token by which they act; see `tocsin token make`.")
    role: Literal["viewer", "responder", "admin"] = Field(
        "responder", description="What they may do by that token: look; act on incidents; run Tocsin."
    )
    slack: Text = Field("", description="Their member ID in Slack, like U012AB3CD: their presses of buttons count.")
    mattermost: Text = Field("", description="Their user name in Mattermost: what they say in rooms counts.")
    time_zone: str = Field("", description="Where they are, like Europe/Berlin; quiet_hours and the check go by it.")
    quiet_hours: list[Hours] = Field(default_factory=list, description="When notifications wait; pages never do.")


class HandoffShape(Shape):
    """Hand-offs on these days of the week."""

    weekdays: Texts = Field(description='Days of the week, like "monday:friday" or "sunday".')
    time: str = Field(description='The time of day, like "09:00".')


class LayerShape(Shape):
    """People who take turns. `every` or `handoffs` says when; all times are the wall clock of the schedule's zone."""

    name: Text = Field("", description="What the timeline and the calendar call it.")
    users: Texts = Field(description="Who takes turns, in this order.")
    start: Wall = Field(description='When the first turn begins, like "2026-01-05T09:00".')
    every: Duration | None = Field(None, description="How long a turn is, in whole hours: 12h, 1d, 1w, 2w.")
    handoffs: list[HandoffShape] | None = Field(None, description="Instead of `every`: the times of the week.")
    restrict: list[Hours] | None = Field(None, description="Only at these hours; outside, lower layers cover.")
    end: Wall | None = Field(None, description="When the layer ends for good.")


class OverrideShape(Shape):
    """Somebody covers a stretch, whatever the layers say. Of two that meet, the later one in the list wins."""

    user: Text = Field(description="Who covers.")
    start: Wall = Field(description='From when, like "2026-12-24T00:00".')
    end: Wall = Field(description="Until when.")


class IcalShape(Shape):
    """A calendar to import: its events are shifts, which win over the layers; overrides win over them."""

    url: Text = Field("", description="Where it is, https:// or webcal://; ${NAME} for the secret part.")
    file: Text = Field("", description="Or a file of this folder, like calendars/primary.ics.")
    people: dict[str, Text] = Field(
        default_factory=dict, description="Names or addresses as the calendar has them → person."
    )
    by: Literal["summary", "attendee"] = Field("summary", description="Where an event names who is on call.")
    every: Duration = Field(15 * durations.UNITS["m"], description="How often it is read; 1m to 1d.")


class ScheduleShape(Shape):
    """Who is on call when. Later layers win over earlier ones where they cover; overrides win over all."""

    time_zone: str = Field(description="The clock that all its times are read from, like Europe/Berlin.")
    layers: list[LayerShape] = Field(default_factory=list, description="From the bottom up.")
    overrides: list[OverrideShape] = Field(default_factory=list, description="Planned exceptions.")
    ical: IcalShape | None = Field(None, description="A calendar whose events are shifts.")
    partial: bool = Field(False, description="Hours with nobody on call are meant.")


class StepShape(Shape):
    """Whom to page together, and how long to wait before the next step."""

    notify: Texts = Field(description="Whom to page together: people, schedule:NAME, team:NAME.")
    wait: Duration = Field(5 * durations.UNITS["m"], description="How long to wait for an acknowledgement.")


class PolicyShape(Shape):
    """An escalation policy. `P0` … `P4` replace `steps` for incidents of that severity."""

    rounds: int = Field(3, ge=1, le=100, description="How often to go through the steps.")
    steps: list[StepShape] = Field(default_factory=list, description="For all severities without steps of their own.")
    P0: list[StepShape] | None = Field(None, description="Steps for P0.")
    P1: list[StepShape] | None = Field(None, description="Steps for P1.")
    P2: list[StepShape] | None = Field(None, description="Steps for P2.")
    P3: list[StepShape] | None = Field(None, description="Steps for P3.")
    P4: list[StepShape] | None = Field(None, description="Steps for P4.")


class TeamOncallFile(Shape):
    """teams/<team>/oncall.yaml: a team's people, schedules and policies; names are shared with the whole folder."""

    people: dict[str, PersonShape] = Field(default_factory=dict, description="Name → person.")
    teams: dict[str, Texts] = Field(default_factory=dict, description="Name → its people.")
    schedules: dict[str, ScheduleShape] = Field(default_factory=dict, description="Name → who is on call when.")
    policies: dict[str, PolicyShape] = Field(default_factory=dict, description="Name → escalation policy.")


class DrillShape(Shape):
    """A test page that comes again and again, and is to be acknowledged."""

    target: Name = Field(
        description="Who is paged: a person, a policy (its first step for P1), schedule:NAME, team:NAME."
    )
    cron: Text = Field(description='When, as cron says it, like "0 10 * * mon".')
    time_zone: str = Field("UTC", description="The clock that `cron` is read from, like Europe/Berlin.")
    within: Duration = Field(15 * durations.UNITS["m"], description="How long an acknowledgement is waited for.")
    everybody: bool = Field(False, description="All steps of a policy, not only its first.")


class OncallFile(TeamOncallFile):
    """oncall.yaml: who is told."""

    drills: dict[str, DrillShape] = Field(default_factory=dict, description="Name → a test page, again and again.")

    operators: Texts = Field(default_factory=list, description="Who hears that Tocsin itself needs care.")
    last_resort: Texts = Field(default_factory=list, description="Who is paged when nobody else can be.")


class ServiceShape(Shape):
    """One service. Team, tier, runbook and status component join its alerts as service_team, service_tier …"""

    team: Text = Field("", description="The team that owns it.")
    tier: Text = Field("", description="How much depends on it; 1 is the most.")
    depends_on: Texts = Field(default_factory=list, description="Services it needs.")
    runbook: Text = Field("", description="A file under runbooks/ or a link.")
    dashboards: dict[str, Text] = Field(default_factory=dict, description="Title → link.")
    status_component: Text = Field("", description="Its name on the status page.")
    repository: Text = Field("", description="Where its code is, like shop/web: whose deploys are its changes.")
    metrics: MetricsShape | None = Field(None, description="What is drawn where neither rule nor alert say.")
    verify: list[VerifyShape] = Field(
        default_factory=list, description="What must hold before its incidents resolve by themselves."
    )


class ServicesFile(Shape):
    """services.yaml: the catalogue."""

    services: dict[str, ServiceShape] = Field(
        default_factory=dict, description="Value of the label service → what is known."
    )


class SourceShape(Shape):
    """One sender."""

    adapter: Name = Field(description="The format it speaks, like alertmanager or generic.")
    token_sha256: Texts = Field(default_factory=list, description="SHA-256 of each accepted token, in hex.")
    secret: Text = Field("", description="For signed senders: ${NAME} or file:PATH, never the secret itself.")
    signature_header: Text = Field("", description="Where the signature is, if not in the sender's usual header.")
    timestamp_header: Text = Field("", description="Where the signed time is.")
    stale_after: Duration | None = Field(None, description="After this long without a word a firing alert is stale.")
    ignore_labels: Texts | None = Field(None, description="Labels that do not tell alerts apart.")
    labels: dict[str, Text] = Field(default_factory=dict, description="Labels that every event of it gets.")
    severity: Text = Field("", description="The severity word meant when it sends none.")
    items: Text = Field("", description="JMESPath to the list of events in the body (adapter generic).")
    mapping: dict[str, Text] = Field(default_factory=dict, description="Event field → JMESPath in each item.")
    expect_every: Duration | None = Field(None, description="This long without a word is an alert, SourceSilent.")


class SourcesFile(Shape):
    """sources.yaml: who may send."""

    sources: dict[str, SourceShape] = Field(default_factory=dict, description="Name → sender.")
