"""What quiet.yaml says of alerts that flap: how many changes are too many, and how long a rest ends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from pydantic import Field

from triage.model import DAY, MINUTE, Millis
from triage.rulebook.matcher import Matcher
from triage.rulebook.shapes import Duration, Matchers, Shape

CHANGES_MIN: Final = 3
"""Fewer changes are what every alert does that fires once and ends."""
CHANGES_MAX: Final = 50
"""How many changes are remembered of one alert."""
LONGEST: Final[Millis] = DAY
"""How wide a window, and how long a rest, may be."""


class FlapRuleShape(Shape):
    """Other limits for some alerts; what is left out is as for all. The first rule whose matchers hold decides."""

    matchers: Matchers = Field(description="Alertmanager's matchers; all must hold.")
    changes: int | None = Field(None, ge=CHANGES_MIN, le=CHANGES_MAX, description="How many changes are flapping.")
    within: Duration | None = Field(None, description="Within how long.")
    settled_after: Duration | None = Field(None, description="How long a rest ends it.")
    never: bool = Field(False, description="These are never held back.")


class FlappingShape(Shape):
    """Alerts that fire and end again and again: one page says so, and their ends are held back until they settle."""

    changes: int = Field(
        5, ge=CHANGES_MIN, le=CHANGES_MAX, description="So many changes are flapping; to fire is one, to end another."
    )
    within: Duration = Field(10 * MINUTE, description="Within so long.")
    settled_after: Duration = Field(10 * MINUTE, description="Without a change for so long, it is over.")
    rules: list[FlapRuleShape] = Field(default_factory=list, description="Other limits for some alerts.")


class Limits(msgspec.Struct, frozen=True):
    """`changes` within `within` are flapping; `rest` without a change ends it."""

    changes: int
    within: Millis
    rest: Millis


class FlapRule(msgspec.Struct, frozen=True):
    """Limits for alerts that a set of matchers accepts; None: these are never held back."""

    matchers: tuple[Matcher, ...]
    limits: Limits | None

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the rule means an alert with these labels."""
        return all(matcher.matches(labels) for matcher in self.matchers)


class Flapping(msgspec.Struct, frozen=True):
    """What is flapping: the limits of the first rule that holds, else `limits`."""

    limits: Limits
    rules: tuple[FlapRule, ...] = ()

    def for_labels(self, labels: Mapping[str, str]) -> Limits | None:
        """Return the limits for an alert with these labels (as rules see them), or None: it is never held back."""
        return next((rule.limits for rule in self.rules if rule.holds(labels)), self.limits)
