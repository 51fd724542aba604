"""The parts of quiet.yaml that bound how much one person is told: the page budget, and the digests of low urgency."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from pydantic import Field

from triage.model import HOUR, MINUTE, Millis
from triage.rulebook.shapes import Duration, Shape, Text

PAGES_MAX: Final = 1_000
"""Largest page budget: this many times are remembered for each person."""
WITHIN_MIN: Final[Millis] = MINUTE
WITHIN_MAX: Final[Millis] = 24 * HOUR
OFFICE: Final = "office"
"""The time interval that opens for P2, and for digests where quiet.yaml names no other."""

Count = Annotated[int, Field(ge=1, le=PAGES_MAX)]


class StormShape(Shape):
    """How many pages one person gets before a storm page stands for the others; P0 is exempt."""

    pages: Count = Field(10, description="How many pages a person gets within the time, P0 not counted.")
    within: Duration = Field(10 * MINUTE, description="The time.")
    at_once: Count = Field(3, description="How many of these may come at once, within five seconds.")


class DigestShape(Shape):
    """When what is of low urgency is told: P2 outside office hours, P3 and P4."""

    window: Text = Field(OFFICE, description="When this time interval of severity.yaml opens, digests are sent.")


class StormLimits(msgspec.Struct, frozen=True):
    """The page budget of each person: `pages` within a time, of which `at_once` may come together."""

    pages: int = 10
    within: Millis = 10 * MINUTE
    at_once: int = 3


def storm_limits(shape: StormShape) -> StormLimits:
    """Return the page budget. Raises ValueError, for operators to read, where its time is out of bounds."""
    if not WITHIN_MIN <= shape.within <= WITHIN_MAX:
        raise ValueError("a page budget is for one minute to 24 hours")
    return StormLimits(shape.pages, shape.within, min(shape.at_once, shape.pages))
