"""What is remembered of the `raise` clauses of an incident."""

from __future__ import annotations

import msgspec

from triage.model import Millis, Severity


class Tally(msgspec.Struct, array_like=True, gc=False):
    """What the `raise` clauses of one incident count. Keys are `<rule>/<clause>`, for distinct values `…/<value>`.

    `firing`: how many alerts fire under a key. `times`: when they began to fire, newest last. `after`: when a clause is
    due, and the severity it raises to. `raised`: clauses that have had their effect.
    """

    firing: dict[str, int] = {}
    times: dict[str, tuple[Millis, ...]] = {}
    after: dict[str, tuple[Millis, Severity]] = {}
    raised: tuple[str, ...] = ()
