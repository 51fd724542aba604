"""What is said in an incident's room is taken once, however often and by however many receivers it is brought here.

Chat services send again what was not confirmed, receivers fetch what they missed, and several may listen at once. So
each message brings the id that its service gave it, and the room's place remembers the last of them.
"""

from __future__ import annotations

from typing import Final

import msgspec

from triage.memory import PLACE
from triage.model import Answer, Command, Incident, Place
from triage.responding import DONE
from triage.scene import Scene

REPEATED: Final = "repeated"
"""How a command ends that came with a message which was taken before."""
HEARD_MAX: Final = 100
"""How many messages of a room are remembered. What is older than all of them counts as taken."""
DIGITS_MAX: Final = 15
"""Longest number that is read as a time."""


def message_of(service: str, room: str, post: str, at: int) -> dict[str, str]:
    """Return what a command's `data` says of the message that it came with."""
    return {"place": f"{service}:{room}", "post": post, "said_at": str(at)} if post else {}


def before(scene: Scene, command: Command) -> bool:
    """Tell whether the message that a command came with was taken before; from now on it was."""
    place, post = command.data.get("place", ""), command.data.get("post", "")
    known: Place | None = scene.draft.get((PLACE, place)) if place and post else None
    if known is None:
        return False
    said_at = command.data.get("said_at", "")
    at = int(said_at[:DIGITS_MAX]) if said_at.isascii() and said_at.isdigit() else 0
    too_old = len(known.heard) == HEARD_MAX and 0 < at < known.heard[0][0]
    if too_old or any(post == one for _, one in known.heard):
        return True
    heard = tuple(sorted((*known.heard, (at or scene.now, post)))[-HEARD_MAX:])
    scene.draft.put((PLACE, place), msgspec.structs.replace(known, heard=heard))
    return False


def noted(_scene: Scene, _incident: Incident, _command: Command) -> Answer:
    """A message asked for nothing that is kept."""
    return Answer(DONE, "")
