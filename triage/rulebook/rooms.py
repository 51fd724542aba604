"""rooms.yaml: for which incidents a room is opened in a chat service, and who is invited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

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
MOST: Final = 50


class RoomShape(Shape):
    """A kind of room; the first that fits an incident is opened for it."""

    name: Name = Field(description="What people see of this rule.")
    contact: Text = Field(description="Where: slack+room://${TOKEN}@workspace or mattermost+room://${TOKEN}@host/team.")
    severities: list[SeverityName] = Field(
        default_factory=lambda: [Severity.P0, Severity.P1], description="For incidents of these severities."
    )
    services: Texts = Field(default_factory=list, description="Only for these services; empty: for all.")
    invite: Texts = Field(default_factory=list, description="People to invite besides the responders.")
    archive: Literal["resolved", "closed"] = Field("closed", description="The phase at which the room is archived.")


class RoomsFile(Shape):
    """rooms.yaml: incident rooms."""

    rooms: list[RoomShape] = Field(default_factory=list, description="Read top to bottom.")


class RoomRule(msgspec.Struct, frozen=True):
    """For which incidents a room is opened, where, and with whom. `archive` is the phase that ends it."""

    name: str
    target: str
    severities: tuple[Severity, ...]
    services: tuple[str, ...] = ()
    invite: tuple[str, ...] = ()
    archive: str = "closed"

    def fits(self, severity: Severity, service: str) -> bool:
        """Tell whether an incident gets such a room."""
        return severity in self.severities and (not self.services or service in self.services)


def compile_rooms(
    parts: list[Part], services: dict[str, Service], people: dict[str, Person], problems: list[Problem]
) -> tuple[RoomRule, ...]:
    """Compile rooms.yaml; its faults are added to `problems`."""
    found: list[RoomRule] = []
    for part in parts:
        if not isinstance(part.shape, RoomsFile):
            continue
        if len(part.shape.rooms) > MOST:
            problems.append(part.document.problem(("rooms",), f"there are more than {MOST} kinds of rooms"))
        for index, shape in enumerate(part.shape.rooms):
            place = ("rooms", part.position("rooms", index))
            fault = secrets.method_fault(shape.contact) or _no_room(shape.contact)
            if fault:
                known = f"there are {', '.join(SCHEMES)}" if "opens no rooms" in fault else ""
                hint = secrets.REMEDY if "literal" in fault else known
                problems.append(part.document.problem((*place, "contact"), fault, hint))
            for field, names, kinds in (("services", shape.services, services), ("invite", shape.invite, people)):
                for position, name in enumerate(names):
                    if name not in kinds:
                        what = "service" if field == "services" else "person"
                        hint = closest(name, kinds)
                        message = f'there is no {what} "{name}"'
                        problems.append(part.document.problem((*place, field, position), message, hint, "warning"))
            found.append(
                RoomRule(
                    shape.name,
                    shape.contact,
                    tuple(shape.severities),
                    tuple(shape.services),
                    tuple(shape.invite),
                    shape.archive,
                )
            )
    return tuple(found)


def _no_room(contact: str) -> str:
    scheme = contact.partition("://")[0].lower()
    return "" if scheme in SCHEMES else f"{scheme}:// opens no rooms"
