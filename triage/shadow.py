"""What would have been told, had anybody been: the last of it, for those who run Tocsin beside the pager they leave.

That nobody is told is a matter of delivery alone. A worker in shadow reports each message as `shadowed`, and triage
goes on as if it had arrived: so the journal holds the mode, message by message, and history replays.
"""

from __future__ import annotations

from typing import Final

import msgspec

from triage.model import EffectKind, Millis, Severity

KEPT: Final = 1_000
"""How many messages are remembered; the next one takes the place of the oldest."""


class Shadowed(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A message that nobody got: when, of which kind, to whom by which way, about what, and why them.

    `incident` is a full key, or "" for words that belong to none.
    """

    at: Millis
    kind: EffectKind
    person: str
    scheme: str
    incident: str
    severity: Severity
    title: str
    why: str
