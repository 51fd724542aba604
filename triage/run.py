"""What is remembered of one run of an action: what was asked, who runs it, and what came of it."""

from __future__ import annotations

import enum

import msgspec

from triage.model import Millis
from triage.rulebook.types import Verification


class RunState(enum.StrEnum):
    """Where a run stands. From `started` on it is never begun again, whatever becomes of the worker."""

    ASKED = "asked"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"


class Call(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The call of a run, whole but for its secrets: headers and address still say `${NAME}`. `body` is JSON."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    secret: str = ""


class Run(msgspec.Struct, array_like=True, gc=False):
    """One run of an action.

    `token` is the worker's that may make the call, and no other's. `output` is what the other side said. `looking`: a
    worker is wanted to see whether it helped, until `verify_until`; `helped` None: nobody knows (yet).
    """

    id: str
    action: str
    title: str
    incident: str
    by: str
    state: RunState
    asked_at: Millis
    call: Call
    timeout: Millis
    parameters: dict[str, str] = {}
    verify: Verification | None = None
    token: str = ""
    started_at: Millis | None = None
    ended_at: Millis | None = None
    output: str = ""
    looking: bool = False
    verify_until: Millis | None = None
    helped: bool | None = None
    seen: str = ""

    @property
    def wants_worker(self) -> bool:
        """Tell whether a worker has something to do for it."""
        return self.state is RunState.ASKED or self.looking
