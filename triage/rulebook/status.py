"""status.yaml: what the status page is called, which components it shows, and what is published by itself.

Components are named by `status_component` of services.yaml. Maintenance of quiet.yaml is shown where it has `public`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from pydantic import Field

from triage.model import Millis, Severity
from triage.rulebook.problems import Problem, closest
from triage.rulebook.quiet import QuietFile
from triage.rulebook.shapes import Name, Shape, Text, Texts
from triage.rulebook.types import Service
from triage.rulebook.yaml import Path

if TYPE_CHECKING:  # which reads files by the shapes below
    from triage.rulebook.reading import Part

TEXT_MAX: Final = 2_000
TITLE_MAX: Final = 200


class PublishShape(Shape):
    """What is published by itself when an incident begins, or becomes severe enough."""

    name: Name = Field(description="What the timeline calls it.")
    severity: Literal["P0", "P1"] = Field("P0", description="P1 means: incidents that are P1 or P0.")
    services: Texts = Field(default_factory=list, description="Only of these services; of all if left out.")
    title: Text = Field("Problem with {component}", description="The title; {component} stands for the name.")
    text: Text = Field("We are looking into a problem with {component}.", description="The first update.")
    effects: Literal["degraded", "partial", "major"] = Field("degraded", description="How much it hurts.")


class StatusFile(Shape):
    """status.yaml: the public status page."""

    title: Text = Field("Status", description="What the page is called.")
    about: Text = Field("", description="A sentence below the title.")
    link: Text = Field("", description="Where the title leads, http:// or https://.")
    components: dict[str, Text] = Field(
        default_factory=dict, description="Component → what it is, in the order of the page. Others follow by name."
    )
    publish: list[PublishShape] = Field(default_factory=list, description="The first that holds publishes.")


class PublishRule(msgspec.Struct, frozen=True):
    """What is published by itself; `severity` is the least severe one that it holds for."""

    name: str
    severity: Severity
    services: tuple[str, ...]
    title: str
    text: str
    effects: str

    def holds(self, severity: Severity, service: str) -> bool:
        """Tell whether it holds for an incident."""
        return severity <= self.severity and (not self.services or service in self.services)


class PublicMaintenance(msgspec.Struct, frozen=True):
    """Work on a component that the page announces: from `start` to before `end`, in words written for it."""

    component: str
    start: Millis
    end: Millis
    text: str


class StatusRules(msgspec.Struct, frozen=True):
    """What the rules say of the status page. `components`: name → description, in the order of the page."""

    title: str = "Status"
    about: str = ""
    link: str = ""
    components: dict[str, str] = {}
    publish: tuple[PublishRule, ...] = ()
    maintenance: tuple[PublicMaintenance, ...] = ()


def compile_status(parts: list[Part], services: Mapping[str, Service], problems: list[Problem]) -> StatusRules:
    """Compile status.yaml, and what of quiet.yaml is public."""
    named = sorted({one.status_component for one in services.values() if one.status_component})
    shape, publish = StatusFile.model_validate({}), []
    maintenance: list[PublicMaintenance] = []
    for part in parts:
        if isinstance(part.shape, StatusFile):
            shape = part.shape
            publish = _publish(part, shape, services, problems)
            for name in shape.components:
                if name not in named:
                    hint = closest(name, named) or "give a service in services.yaml this status_component"
                    message = f'no service has the status_component "{name}"'
                    problems.append(part.document.problem(("components", name), message, hint, key=True))
            if shape.link and not shape.link.startswith(("https://", "http://")):
                message = "this is no address, http:// or https://"
                problems.append(part.document.problem(("link",), message, "for example https://example.org"))
        elif isinstance(part.shape, QuietFile):
            maintenance += _maintenance(part, part.shape, services, problems)
    components = dict(shape.components) | {name: "" for name in named if name not in shape.components}
    return StatusRules(shape.title, shape.about, shape.link, components, tuple(publish), tuple(maintenance))


def _publish(
    part: Part, shape: StatusFile, services: Mapping[str, Service], problems: list[Problem]
) -> list[PublishRule]:
    found = []
    for index, one in enumerate(shape.publish):
        place: Path = ("publish", part.position("publish", index))
        for service in one.services:
            if service not in services:
                hint = closest(service, services) or "add it to services.yaml"
                problems.append(part.document.problem((*place, "services"), f'there is no service "{service}"', hint))
            elif not services[service].status_component:
                message = f'the service "{service}" has no status_component'
                problems.append(part.document.problem((*place, "services"), message, "give it one in services.yaml"))
        for field, text, limit in (("title", one.title, TITLE_MAX), ("text", one.text, TEXT_MAX)):
            if not text.strip() or len(text) > limit:
                message = f"this must have 1 to {limit} characters"
                problems.append(part.document.problem((*place, field), message))
        found.append(
            PublishRule(one.name, Severity[one.severity], tuple(one.services), one.title, one.text, one.effects)
        )
    return found


def _maintenance(
    part: Part, shape: QuietFile, services: Mapping[str, Service], problems: list[Problem]
) -> list[PublicMaintenance]:
    found = []
    for name, one in shape.maintenance.items():
        if not one.public:
            continue
        service = services.get(one.service)
        if service is None or not service.status_component:
            message = f'the service "{one.service}" has no status_component, so the status page cannot show this'
            problems.append(part.document.problem(("maintenance", name, "public"), message, "give it one", key=True))
            continue
        found.append(PublicMaintenance(service.status_component, one.from_, one.to, one.public[:TEXT_MAX]))
    return sorted(found, key=lambda one: (one.start, one.end, one.component))
