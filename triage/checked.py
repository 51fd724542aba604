"""What is remembered of the steps that people checked off."""

from __future__ import annotations

import msgspec

from triage.model import Millis


class CheckedOff(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A step was done: by whom, and when."""

    by: str
    at: Millis


class Checklist(msgspec.Struct, array_like=True, gc=False):
    """The steps of runbook and procedures that are checked off in one incident, by their ids."""

    steps: dict[str, CheckedOff] = {}
