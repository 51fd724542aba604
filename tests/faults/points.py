"""Playing a history once for each place where something may go wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import redis

from tests.faults.dying import AFTER, BEFORE, Fate
from tests.faults.world import Story, World

READS = re.compile(
    r"(GET|MGET|EXISTS|WATCH|XREAD|XRANGE|XLEN|ZRANGE|ZRANGEBYSCORE|HSCAN|ZSCAN) .*|EXEC\(((HM|M)GET \S+ ?)+\)"
)
Make = Callable[[Fate], World]


def undisturbed(make: Make, story: Story) -> tuple[dict[str, Any], list[str]]:
    """Return what comes of the story when nobody dies, and the calls that were made."""
    world = story(make(Fate()))
    try:
        outcome = world.outcome()
        assert world.violations(outcome) == []
        return outcome, world.fate.trace
    finally:
        world.close()


def outcome_of(make: Make, story: Story, fate: Fate, expected: dict[str, Any]) -> tuple[World, list[str]]:
    """Play the story under a fate and return the world with the promises that were broken."""
    world = make(fate)
    try:
        story(world)
        return world, world.violations(expected)
    except (redis.RedisError, AssertionError) as broken:
        return world, [f"{type(broken).__name__}: {broken}"]
    finally:
        world.close()


def each_point(calls: list[str]) -> list[tuple[int, str]]:
    """Return all places to die. After a call that only reads, the world is as it is before the next call."""
    return [
        (point, when)
        for point, call in enumerate(calls, 1)
        for when in ((BEFORE,) if READS.fullmatch(call) else (BEFORE, AFTER))
    ]
