"""What is remembered of page budgets and storm pages."""

from __future__ import annotations

import msgspec

from triage.model import Millis


class Budget(msgspec.Struct, array_like=True, gc=False):
    """The pages of one person lately, as far as they count; and by policy the storm page for what came past that.

    `spent`: when, and of which incident. `storms`: policy → key of the incident that is the storm page, which may have
    ended.
    """

    spent: tuple[tuple[Millis, str], ...] = ()
    storms: dict[str, str] = {}


class Storm(msgspec.Struct, array_like=True, gc=False):
    """What a storm page stands for.

    `members` are keys of incidents, the first ones only, less those found to be taken or over. `counts` says how often
    a label (`name=value`) is in the group of an incident that the page ever stood for.
    """

    person: str
    members: tuple[str, ...] = ()
    counts: dict[str, int] = {}
