"""Requests that name themselves (`Idempotency-Key`): what was done once is answered again, and not done again.

The name is in the journal, so a repeat is decided like everything else: after the first, however the answer to that got
lost. Only what was done is remembered: what was refused, or asked back, may be asked again under the same name.

Memory is bounded without an index: a name falls into one of BUCKETS, each of which keeps the last few for a day.
"""

from __future__ import annotations

import hashlib
from typing import Final, cast

import msgspec

from triage.memory import REPEATS, Key
from triage.model import DAY, Answer, Millis
from triage.repeat import Repeat, Repeats
from triage.scene import Scene

KEPT: Final[Millis] = DAY
"""How long a name stands for what was done under it."""
BUCKETS: Final = 4_096
BUCKET_MAX: Final = 8
"""How many names one bucket keeps: about 30,000 in all, evenly spread as hashes are."""
DONE: Final = "done"
REUSED: Final = "reused"
"""The ending of a request under a name that another request has."""
_KEYED: Final = "key:"


def identity(who: str, name: str, request: bytes) -> str:
    """Return the request id of a request that names itself; the same name of somebody else is another."""
    named = f"{who}\0{name}".encode()
    return f"{_KEYED}{_digest(named)}.{_digest(request)}"


def is_named(request: str) -> bool:
    """Tell whether a request id is of a request that names itself."""
    return request.startswith(_KEYED)


def _digest(raw: bytes) -> str:
    return hashlib.blake2b(raw, digest_size=16).hexdigest()


def bucket_of(request: str) -> Key:
    """Return where the names like that of a request are kept."""
    name = request.removeprefix(_KEYED).partition(".")[0]
    return (REPEATS, str(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big") % BUCKETS))


def answered(scene: Scene, request: str) -> Answer | None:
    """Return the answer that a request was given before, or None: it is to be done."""
    if not is_named(request):
        return None
    name, _, mark = request.removeprefix(_KEYED).partition(".")
    known = next((one for one in _lately(scene, request) if one.name == name), None)
    if known is None:
        return None
    if known.mark != mark:
        return Answer(REUSED, "this Idempotency-Key was used for another request: give each request one of its own")
    return known.answer


def note(scene: Scene, request: str, answer: Answer) -> None:
    """Remember what a request that names itself was answered, if it was done."""
    if not is_named(request) or answer.ending != DONE:
        return
    name, _, mark = request.removeprefix(_KEYED).partition(".")
    made = Repeat(name, mark, scene.now, msgspec.structs.replace(answer, first=scene.entry))
    scene.draft.put(bucket_of(request), Repeats((*_lately(scene, request), made)[-BUCKET_MAX:]))


def _lately(scene: Scene, request: str) -> tuple[Repeat, ...]:
    known = cast("Repeats | None", scene.draft.get(bucket_of(request)))
    return tuple(one for one in known.items if scene.now - one.at < KEPT) if known is not None else ()
