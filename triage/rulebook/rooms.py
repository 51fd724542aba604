"""rooms.yaml: for which incidents a room is opened in a chat service, who is invited, and who else is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec
from pydantic import Field

from triage.model import Severity
from triage.rulebook import secrets
from triage.rulebook.problems import Problem, closest
from triage.rulebook.shapes import Name, SeverityName, Shape, Text, Texts
from triage.rulebook.types import Person, Service

if TYPE_CHECKING:  # which reads files by the shapes below
    from triage.rulebook.reading import Part

SCHEMES: Final = ("slack+room", "mattermost+room", "mattermost+room+http")
ALARMS: Final = frozenset({"pagerduty", "opsgenie", "pagertree", "victorops", "splunk", "spike", "signl4"})
"""Schemes by which every message is an alarm: what only tells would wake somebody."""
MOST: Final = 50
NO_ROOM: Final = "none"
"""What a rule says instead of an entry's name, so that there is no room."""


class RoomShape(Shape):
    """A kind of room; the one that a rule names is opened for an incident, else the first that fits."""

    name: Name = Field(description="What people see of this rule.")
    contact: Text = Field(description="Where: slack+room://${TOKEN}@workspace or mattermost+room://${TOKEN}@host/team.")
    severities: list[SeverityName] = Field(
        default_factory=lambda: [Severity.P0, Severity.P1],
        description="For incidents of these severities; []: only where a rule asks for it.",
    )
    services: Texts = Field(default_factory=list, description="Only for these services; empty: for all.")
    invite: Texts = Field(default_factory=list, description="People to invite besides the responders.")
    archive: Literal["resolved", "closed"] = Field("closed", description="The phase at which the room is archived.")


class PostsShape(Shape):
    """A place of a chat service that is told what happens: each one that fits an incident."""

    name: Name = Field(description="What people see of this rule.")
    contact: Text = Field(description="Where: any contact method, like discord://${ID}/${TOKEN}.")
    severities: list[SeverityName] = Field(
        default_factory=lambda: [Severity.P0, Severity.P1], description="For incidents of these severities."
    )
    services: Texts = Field(default_factory=list, description="Only for these services; empty: for all.")


class RoomsFile(Shape):
    """rooms.yaml: incident rooms, and where else is told of incidents."""

    rooms: list[RoomShape] = Field(default_factory=list, description="Read top to bottom.")
    posts: list[PostsShape] = Field(default_factory=list, description="All that fit are told.")


class PostsRule(msgspec.Struct, frozen=True):
    """Which incidents a place is told of."""

    name: str
    target: str
    severities: tuple[Severity, ...]
    services: tuple[str, ...] = ()

    def fits(self, severity: Severity, service: str) -> bool:
        """Tell whether it is for such an incident."""
        return severity in self.severities and (not self.services or service in self.services)


class RoomRule(PostsRule, frozen=True):
    """For which incidents a room is opened, where, and with whom. `archive` is the phase that ends it."""

    invite: tuple[str, ...] = ()
    archive: str = "closed"


class Rooms(NamedTuple):
    """What rooms.yaml comes to."""

    rooms: tuple[RoomRule, ...] = ()
    posts: tuple[PostsRule, ...] = ()


def compile_rooms(
    parts: list[Part], services: dict[str, Service], people: dict[str, Person], problems: list[Problem]
) -> Rooms:
    """Compile rooms.yaml; its faults are added to `problems`."""
    rooms: list[RoomRule] = []
    posts: list[PostsRule] = []
    for part in parts:
        if not isinstance(part.shape, RoomsFile):
            continue
        both: dict[str, Sequence[RoomShape | PostsShape]] = {"rooms": part.shape.rooms, "posts": part.shape.posts}
        for field, shapes in both.items():
            if len(shapes) > MOST:
                problems.append(part.document.problem((field,), f"there are more than {MOST} kinds of {field}"))
            for index, one in enumerate(shapes):
                _check(part, (field, part.position(field, index)), one, services, people, problems)
        rooms += [
            RoomRule(
                shape.name,
                shape.contact,
                tuple(shape.severities),
                tuple(shape.services),
                tuple(shape.invite),
                shape.archive,
            )
            for shape in part.shape.rooms
        ]
        posts += [
            PostsRule(shape.name, shape.contact, tuple(shape.severities), tuple(shape.services))
            for shape in part.shape.posts
        ]
    return Rooms(tuple(rooms), tuple(posts))


def _check(
    part: Part,
    place: tuple[str | int, ...],
    shape: RoomShape | PostsShape,
    services: dict[str, Service],
    people: dict[str, Person],
    problems: list[Problem],
) -> None:
    is_room = isinstance(shape, RoomShape)
    fault = secrets.method_fault(shape.contact) or (_room_fault if is_room else _no_post)(shape.contact)
    if fault:
        known = f"there are {', '.join(SCHEMES)}" if "opens no rooms" in fault else ""
        hint = secrets.REMEDY if "literal" in fault else known
        problems.append(part.document.problem((*place, "contact"), fault, hint))
    if is_room and shape.name == NO_ROOM:
        message = f'"{NO_ROOM}" is how a rule forbids a room'
        problems.append(part.document.problem((*place, "name"), message, "give the entry another name"))
    named: list[tuple[str, str, Sequence[str], Iterable[str]]] = [("services", "service", shape.services, services)]
    if isinstance(shape, RoomShape):
        named.append(("invite", "person", shape.invite, people))
    for field, what, names, kinds in named:
        for position, name in enumerate(names):
            if name not in kinds:
                message = f'there is no {what} "{name}"'
                problems.append(
                    part.document.problem((*place, field, position), message, closest(name, kinds), "warning")
                )


def _room_fault(contact: str) -> str:
    """Return why no room can be opened by a contact method, or ""."""
    scheme, _, rest = contact.partition("://")
    if (fault := _no_room(contact)) or ("@" in rest and (scheme.lower().startswith("slack") or _team(rest))):
        return fault
    where = "${TOKEN}@workspace" if scheme.lower().startswith("slack") else "${TOKEN}@host/team"
    return f"this must be written {scheme.lower()}://{where}"


def _team(rest: str) -> str:
    return rest.rpartition("@")[2].partition("/")[2].strip("/")


def _no_post(contact: str) -> str:
    if not _no_room(contact):
        return "this contact method opens rooms, which belong under `rooms`"
    scheme = contact.partition("://")[0].lower()
    return f"{scheme}:// makes an alarm of each message, and a post wakes nobody" if scheme in ALARMS else ""


def _no_room(contact: str) -> str:
    scheme = contact.partition("://")[0].lower()
    return "" if scheme in SCHEMES else f"{scheme}:// opens no rooms"
