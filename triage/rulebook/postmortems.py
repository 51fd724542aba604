"""postmortems.yaml: which incidents owe a postmortem, by when, and where it and its action items go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from pydantic import Field

from triage.model import DAY, Millis
from triage.rulebook import actions, calls, intervals, secrets
from triage.rulebook.problems import Problem
from triage.rulebook.shapes import Duration, Shape, Text, Texts
from triage.rulebook.yaml import Path

if TYPE_CHECKING:  # which reads files by the shapes below
    from triage.rulebook.reading import Part

TARGETS_MAX: Final = 10
"""How many places a postmortem, and an item, can go to."""
TRACKER_FACTS: Final = (
    "item", "title", "kind", "owner", "due", "priority",
    "incident", "incident_title", "service", "severity", "by", "link",
)  # fmt: skip
"""What `{name}` means in the call to a tracker: of the item, of its incident, and that incident's address."""
_NAMES: Final = ("P0", "P1", "P2", "P3", "P4")
_PATH: Final = re.compile(r"[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{1,60}){0,9}\Z")


class TrackerShape(Shape):
    """The call that puts an action item into a tracker, as raw JSON of your wording."""

    request: actions.RequestShape = Field(description="The call; {title}, {owner} and so on of the item.")
    answer: Text = Field("", description="Where its answer has the ticket's address, like html_url or data.issue.url.")
    address: Text = Field("", description="The ticket's address where the answer has only its key, as {answer}.")


DEMANDS: Final = ("verification", "public", "resolution", "root_cause", "postmortem")
"""What closing an incident can ask for; `triage.closing` says of each when it is missing."""
DemandName = Literal["verification", "public", "resolution", "root_cause", "postmortem"]
CLOSING: Final[dict[str, tuple[str, ...]]] = {
    "P0": DEMANDS,
    "P1": DEMANDS,
    **dict.fromkeys(("P2", "P3", "P4"), ("verification", "public", "postmortem")),
}
"""What closing asks for where postmortems.yaml says nothing: of lesser ones only for what was begun."""


class PostmortemsFile(Shape):
    """postmortems.yaml: which incidents owe a postmortem, by when, and where it and its action items go."""

    within: dict[str, Duration] = Field(
        default_factory=lambda: {"P0": 7 * DAY, "P1": 7 * DAY},
        description="Severity → how long after its end the postmortem of an incident is due; none for those left out.",
    )
    publish: Texts = Field(default_factory=list, description="Contact methods (URLs) that get a published postmortem.")
    items: Texts = Field(default_factory=list, description="Contact methods (URLs) that get each action item.")
    tracker: TrackerShape | None = Field(None, description="Where each new action item becomes a ticket.")
    closing: dict[str, list[DemandName]] = Field(
        default_factory=dict,
        description="Severity → what closing asks for: verification, public, resolution, root_cause, postmortem.",
    )
    time_zone: Text = Field("UTC", description="Whose clock stands beside UTC in its timeline, like Europe/Berlin.")


class Tracker(msgspec.Struct, frozen=True):
    """The call to a tracker, with `{name}` and `${NAME}` as they were written; see TrackerShape."""

    url: str
    method: str = "POST"
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}
    secret: str = ""
    answer: str = ""
    address: str = ""


class Learning(msgspec.Struct, frozen=True):
    """What postmortems.yaml says. `within`: severity → milliseconds after the end; targets with `${…}` unexpanded.

    `closing`: severity → what closing an incident asks for.
    """

    within: dict[str, Millis]
    publish: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    time_zone: str = "UTC"
    tracker: Tracker | None = None
    closing: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=lambda: dict(CLOSING))


BUILT_IN: Final = Learning({"P0": 7 * DAY, "P1": 7 * DAY})


def compile_postmortems(parts: Iterable[Part], problems: list[Problem]) -> Learning:
    """Compile postmortems.yaml; without one P0 and P1 owe a postmortem within a week, which goes nowhere by itself."""
    found = BUILT_IN
    for part in parts:
        shape = part.shape
        if not isinstance(shape, PostmortemsFile):
            continue
        hint = "there are P0 to P4"
        for field in ("within", "closing"):
            strange = sorted(set(getattr(shape, field)) - set(_NAMES))
            problems += [_fault(part, (field, name), f'"{name}" is no severity', hint, True) for name in strange]
        for field in ("publish", "items"):
            _targets(part, field, getattr(shape, field), problems)
        try:
            intervals.zone(shape.time_zone)
        except ValueError as error:
            problems.append(_fault(part, ("time_zone",), str(error)))
        tracker = _tracker(part, shape.tracker, problems) if shape.tracker is not None else None
        closing = {**CLOSING, **{name: tuple(wanted) for name, wanted in shape.closing.items()}}
        found = Learning(
            dict(shape.within), tuple(shape.publish), tuple(shape.items), shape.time_zone, tracker, closing
        )
    return found


def _tracker(part: Part, shape: TrackerShape, problems: list[Problem]) -> Tracker:
    place: Path = ("tracker",)
    actions.check_request(part, place, shape.request, set(TRACKER_FACTS), problems)
    if shape.answer and not _PATH.match(shape.answer):
        hint = "write names with dots between them, like html_url or data.issueCreate.issue.url"
        problems.append(_fault(part, (*place, "answer"), f'"{shape.answer[:60]}" is no place in an answer', hint))
    if shape.address and (not shape.answer or calls.holes(shape.address) != ["answer"]):
        hint = 'write answer: key and address: "https://tracker.example.org/browse/{answer}"'
        problems.append(_fault(part, (*place, "address"), "an address needs an answer, and has {answer} once", hint))
    request = shape.request
    return Tracker(
        url=request.url,
        method=request.method,
        headers=dict(request.headers),
        body=request.body,
        secret=request.secret,
        answer=shape.answer,
        address=shape.address,
    )


def _targets(part: Part, field: str, urls: list[str], problems: list[Problem]) -> None:
    if len(urls) > TARGETS_MAX:
        problems.append(_fault(part, (field,), f"there are at most {TARGETS_MAX} of these", "", True))
    for index, url in enumerate(urls):
        fault = secrets.method_fault(url)
        if fault:
            hint = secrets.REMEDY if "literal" in fault else ""
            problems.append(_fault(part, (field, index), fault, hint))


def _fault(part: Part, place: Path, message: str, hint: str = "", key: bool = False) -> Problem:
    return part.document.problem(place, message, hint, key=key)
