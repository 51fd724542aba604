"""updates.yaml: how soon people hear of an incident again, by severity, and who is told besides who responds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec
from pydantic import Field

from triage.model import HOUR, MINUTE, Millis, Severity
from triage.rulebook import secrets
from triage.rulebook.problems import Problem, closest
from triage.rulebook.shapes import Duration, SeverityName, Shape, Texts
from triage.rulebook.types import Person, Service
from triage.rulebook.yaml import Path
from triage.status import Audience

if TYPE_CHECKING:  # which reads files by the shapes below
    from triage.rulebook.reading import Part

SUBSCRIBERS_MAX: Final = 200
METHODS_MAX: Final = 20
INTERVAL_MIN: Final[Millis] = 15 * MINUTE
"""Shortest interval: the reminder comes ten minutes before."""
INTERVALS: Final[Mapping[Severity, Millis]] = {Severity.P0: 30 * MINUTE, Severity.P1: HOUR, Severity.P2: 4 * HOUR}
"""How soon after an update the next one is promised, where updates.yaml says nothing; none for P3 and P4."""


class SubscriberShape(Shape):
    """Who is told of updates: of all services and severities, or of those named."""

    contact: Texts = Field(description="Where to: contact methods, as for people.")
    audience: Literal["company", "public"] = Field("company", description="Which updates.")
    services: Texts = Field(default_factory=list, description="Of these services only.")
    severities: list[SeverityName] = Field(default_factory=list, description="Of these severities only.")


class UpdatesFile(Shape):
    """updates.yaml: status updates."""

    intervals: dict[SeverityName, Duration] = Field(
        default_factory=dict, description="Severity → how soon after an update the next one is promised; 0: not at all."
    )
    subscribers: dict[str, SubscriberShape] = Field(default_factory=dict, description="Name → who is told of what.")
    mail: str = Field(
        "", description="The mail server by which subscribers with a mail address are told: mailtos://…, without `to`."
    )
    places: dict[str, Texts] = Field(
        default_factory=dict, description="Name → contact methods: channels and webhooks that can subscribe by name."
    )


class Subscriber(msgspec.Struct, frozen=True):
    """Somebody who is told of updates, by all of `methods`. Empty `services` and `severities` mean all of them.

    `why` tells them why they are, where they can end it.
    """

    name: str
    methods: tuple[str, ...]
    audience: Audience
    services: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    why: str = ""

    def wants(self, audience: Audience, service: str, severity: Severity) -> bool:
        """Tell whether they are told of an update of such an incident."""
        return (
            audience is self.audience
            and (not self.services or service in self.services)
            and (not self.severities or severity in self.severities)
        )


class UpdateRules(msgspec.Struct, frozen=True):
    """updates.yaml, compiled. `intervals` has no severity without a promise.

    `mail` is the relay for subscribers with a mail address, or ""; `places` are what subscriptions can name.
    """

    intervals: Mapping[Severity, Millis] = msgspec.field(default_factory=lambda: dict(INTERVALS))
    subscribers: tuple[Subscriber, ...] = ()
    mail: str = ""
    places: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)


def compile_updates(
    parts: list[Part], services: Mapping[str, Service], people: Mapping[str, Person], problems: list[Problem]
) -> UpdateRules:
    """Compile updates.yaml, if there is one; each fault is added to `problems`."""
    part = next((one for one in parts if isinstance(one.shape, UpdatesFile)), None)
    if part is None or not isinstance(part.shape, UpdatesFile):
        return UpdateRules()

    def fault(place: Path, message: str, hint: str = "", key: bool = False) -> None:
        problems.append(part.document.problem(place, message, hint, key=key))

    intervals = dict(INTERVALS)
    for severity, interval in part.shape.intervals.items():
        if interval and interval < INTERVAL_MIN:
            fault(("intervals", str(severity)), "the next update is promised in 15 minutes or more, or not at all (0)")
        intervals[severity] = interval
    if len(part.shape.subscribers) > SUBSCRIBERS_MAX:
        fault(("subscribers",), f"there are more than {SUBSCRIBERS_MAX} subscribers", "let some share a list", key=True)
    for name, shape in part.shape.subscribers.items():
        place: Path = ("subscribers", name)
        if name in people:
            fault(place, f'"{name}" is a person of oncall.yaml', "choose another name", key=True)
        _check_methods(shape.contact, (*place, "contact"), fault)
        for index, service in enumerate(shape.services):
            if service not in services:
                hint = closest(service, services) or "add it to services.yaml"
                fault((*place, "services", index), f'there is no service "{service}"', hint)
    if len(part.shape.places) > SUBSCRIBERS_MAX:
        fault(("places",), f"there are more than {SUBSCRIBERS_MAX} places", key=True)
    for name, methods in part.shape.places.items():
        _check_methods(methods, ("places", name), fault)
    if part.shape.mail and (said := _relay_fault(part.shape.mail)):
        fault(("mail",), said, secrets.REMEDY if "literal" in said else "")
    return UpdateRules(
        {severity: interval for severity, interval in sorted(intervals.items()) if interval},
        tuple(
            Subscriber(
                name,
                tuple(dict.fromkeys(shape.contact)),
                Audience(shape.audience),
                tuple(shape.services),
                tuple(sorted(set(shape.severities))),
            )
            for name, shape in part.shape.subscribers.items()
        ),
        part.shape.mail,
        {name: tuple(dict.fromkeys(methods)) for name, methods in part.shape.places.items()},
    )


def _check_methods(methods: Sequence[str], place: Path, fault: Callable[..., None]) -> None:
    if not 1 <= len(methods) <= METHODS_MAX:
        fault(place, f"expected one to {METHODS_MAX} contact methods")
    for index, method in enumerate(methods):
        if said := secrets.method_fault(method):
            fault((*place, index), said, secrets.REMEDY if "literal" in said else "")


def _relay_fault(url: str) -> str:
    """Return why this is no mail server to which a recipient can be added, or ""."""
    if not url.startswith(("mailto://", "mailtos://")):
        return "this is no mail server: write mailtos://user:${MAIL_PASSWORD}@mail.example.org"
    parts = urlsplit(url)
    if "to" in dict(parse_qsl(parts.query)) or parts.path.strip("/") or "#" in url:
        return "here stands no recipient, and no path: each subscriber has an address of their own"
    return secrets.method_fault(url)
