"""What can be asked of the API: query parameters and bodies as types. A misspelt one is refused, not ignored."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from desk.commands import TEXT_MAX
from desk.shapes import SeverityName
from triage.model import AlertState, Phase, clean_text
from triage.rulebook.durations import parse_duration

PAGE_MAX: Final = 200
Limit = Annotated[int, Field(ge=1, le=PAGE_MAX, description="How many items a page holds.")]
After = Annotated[str | None, Field(max_length=100, description="The `next` of the previous page.")]
Text = Annotated[str, AfterValidator(clean_text)]


class Query(BaseModel):
    """Query parameters of one route."""

    model_config = ConfigDict(extra="forbid")


class Nothing(Query):
    """No query parameters."""


class IncidentsQuery(Query):
    """Filters of the list of incidents."""

    open: Annotated[bool | None, Field(description="Only open ones (true) or only ended ones (false).")] = None
    phase: Phase | None = None
    severity: SeverityName | None = None
    service: Annotated[str | None, Field(max_length=500)] = None
    q: Annotated[str | None, Field(max_length=200, description="A text in title, service or key.")] = None
    limit: Limit = 50
    after: After = None


class PageQuery(Query):
    """Which page."""

    limit: Limit = 50
    after: After = None


class AlertsQuery(Query):
    """Filters of the list of alerts."""

    state: AlertState | None = None
    source: Annotated[str | None, Field(max_length=200)] = None
    label: Annotated[
        list[str],
        Field(max_length=10, description="`name=value` or `name!=value`; may be given several times, all must hold."),
    ] = []
    limit: Limit = 50
    after: After = None


class EventsQuery(Query):
    """Which entry, and how long to wait for its decision."""

    entry: Annotated[str, Field(max_length=41, description="The entry id that the door answered.")]
    wait: Annotated[float, Field(ge=0, le=10, description="Seconds to wait until it is decided.")] = 0


class WhyQuery(Query):
    """What to explain."""

    of: Annotated[
        str,
        Field(
            min_length=1,
            max_length=60,
            description="An entry id (or `<entry id>/<index>`), a fingerprint (eight digits or more), or an incident.",
        ),
    ]


class CommandBody(BaseModel):
    """What goes with a command: words for the timeline, and `confirm` to answer a question asked before."""

    model_config = ConfigDict(extra="forbid")
    text: Annotated[Text, Field(max_length=TEXT_MAX)] = ""
    confirm: bool = False


class NoteBody(CommandBody):
    """A note for the timeline: what happened, what was seen, or what is believed until it is seen."""

    text: Annotated[Text, Field(min_length=1, max_length=TEXT_MAX)]
    kind: Literal["note", "finding", "hypothesis"] = "note"


class ResolveBody(CommandBody):
    """Its end, and the last words for the public where the status page shows it."""

    public: Annotated[Text, Field(max_length=2_000, description="What the status page says last.")] = ""


class EndBody(ResolveBody):
    """What is said together with the end: how it ended, why it happened, and the last words for the public."""

    resolution: Annotated[Text, Field(max_length=TEXT_MAX, description="How it ended.")] = ""
    root_cause: Annotated[Text, Field(max_length=TEXT_MAX, description="Why it happened.")] = ""


class WhomBody(CommandBody):
    """Whom it is about: a person as oncall.yaml calls them."""

    person: Annotated[Text, Field(min_length=1, max_length=200)]


class SnoozeBody(CommandBody):
    """For how long."""

    duration: Annotated[str, Field(max_length=40, description="Like `30m`, `2h` or `1h30m`.")]

    @field_validator("duration")
    @classmethod
    def _is_one(cls, text: str) -> str:
        parse_duration(text)
        return text


def label_filter(text: str) -> tuple[str, bool, str]:
    """Return `name=value` or `name!=value` as (name, equal, value). Raises ValueError that says what is expected."""
    name, found, value = text.partition("=")
    if not found or not name.rstrip("!"):
        raise ValueError(f"{text[:80]!r} is no label filter: write name=value or name!=value")
    return name.removesuffix("!"), not name.endswith("!"), value.strip('"')
