"""Who has subscribed to status updates at run time, besides those whom updates.yaml names."""

from __future__ import annotations

import msgspec

from triage.model import Millis, Severity
from triage.status import Audience


class Subscription(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Somebody is told of updates: of all services and severities where `services` and `severities` are empty.

    `name` is a person of oncall.yaml, told by their own contact methods, where `contact` is empty; else a stakeholder.
    What stands in `contact` holds no secret: `mailto:ADDRESS`, or `place:NAME` of updates.yaml. `by` made it, at `at`.
    """

    id: str
    name: str
    audience: Audience
    services: tuple[str, ...]
    severities: tuple[Severity, ...]
    contact: tuple[str, ...]
    by: str
    at: Millis


class Subscriptions(msgspec.Struct, array_like=True, gc=False):
    """One of a kind: who has subscribed to status updates, oldest first."""

    items: tuple[Subscription, ...] = ()
