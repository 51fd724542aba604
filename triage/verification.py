"""What is remembered of the verification of an incident that seems over: what is looked at, and what was seen."""

from __future__ import annotations

import msgspec

from triage.model import Millis
from triage.rulebook.types import Verification


class Verifying(msgspec.Struct, array_like=True, gc=False):
    """The verification of one incident in monitoring. `checks` have their `{label}` filled in.

    `wanted` is when a worker was asked to look (ms), None while none is. `passed` tells how the last look ended, None
    before the first; `looked_at` is when, `seen` what each check saw. `settled`: its settle time is over, and it ends
    with the first look that passes. `told`: people know that it does not. `looks` counts those since it has settled.
    """

    checks: tuple[Verification, ...]
    since: Millis
    wanted: Millis | None = None
    passed: bool | None = None
    looked_at: Millis | None = None
    seen: tuple[str, ...] = ()
    settled: bool = False
    told: bool = False
    looks: int = 0

    @property
    def standing(self) -> str:
        """Return how it stands, as a phrase."""
        if self.passed is None:
            return "not looked at yet"
        seen = "; ".join(self.seen)
        return f"passes: {seen}" if self.passed else f"fails, so it does not resolve by itself: {seen}"
