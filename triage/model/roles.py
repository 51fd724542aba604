"""Who may do what: a role is what somebody is, a scope what one route needs. Nothing is allowed that is not named."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final


class Role(enum.StrEnum):
    """What somebody is, least first."""

    VIEWER = "viewer"
    RESPONDER = "responder"
    ADMIN = "admin"


class Scope(enum.StrEnum):
    """What a route needs: to look, to silence, to act on incidents and schedules, to run the installation."""

    READ = "read"
    SILENCE = "silence"
    RESPOND = "respond"
    ADMIN = "admin"


GRANTS: Final[Mapping[Role, frozenset[Scope]]] = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.RESPONDER: frozenset({Scope.READ, Scope.SILENCE, Scope.RESPOND}),
    Role.ADMIN: frozenset(Scope),
}
"""What each role may. A token's own scopes can only be fewer."""
SILENCER: Final = frozenset({Scope.SILENCE})
"""All that a token of quiet.yaml may; it sees and ends its own silences only."""
