"""What an adapter is: one small file in `ingest/adapters/`, registered by its name.

An adapter module has a docstring that names the sender and its documentation, and these module-level names:

* `read(request: Request) -> Read` (required): body in, events out. Pure: no clock (use `request.at`), no I/O. It raises
  `Unreadable` when nothing of the body can be used; single bad items go to `Read.rejected` and the others are kept.
  No other exception may leave it, whatever the body holds.
* `methods: frozenset[str]` (optional, default POST and PUT): HTTP methods its sender uses.
* `paths: tuple[str, ...]` (optional): the sender's own fixed paths, served besides `/v1/events/{source}`.
* `resends_refused: bool` (optional, default False): true where the sender would send a refused body again for ever,
  so that an unreadable body is answered 202 with `accepted: 0` instead of a 4xx.
* `authenticate(request: Request, secret: bytes) -> str | None` (optional): checks the sender's signature when the
  source has a `secret`; returns None when it is right, else the reason for refusing.
* `answer(read: Read) -> tuple[int, bytes, str] | None` (optional): status, body, content type when the sender insists
  on an answer of its own after a successful append; None for Tocsin's usual 202.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Final

from triage.model import Change, Event, Millis, Rejected
from triage.rulebook.types import Source

DEFAULT_METHODS: Final = frozenset({"POST", "PUT"})


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as an adapter sees it. `headers` has lower-case names; `body` is already decompressed.

    `rest` is what followed the source's name in the path (`/v1/events/healthchecks/REST`), after a token, if any, was
    taken off. `at` is when it arrived (milliseconds since the epoch). `trusted`: a token or signature proved who sends.
    """

    source: Source
    at: Millis
    method: str = "POST"
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    rest: str = ""
    trusted: bool = True

    @property
    def content_type(self) -> str:
        """Return the media type in lower case without parameters, or ""."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Read:
    """What an adapter made of a request: events, what was changed, and the items it had to refuse."""

    events: list[Event]
    rejected: list[Rejected] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


class Unreadable(ValueError):
    """Nothing in this body can be used. `field` names what is at fault; the message says what to do about it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter module as one typed thing, defaults filled in. `authenticate` is None where senders do not sign."""

    name: str
    read: Callable[[Request], Read]
    methods: frozenset[str]
    paths: tuple[str, ...]
    resends_refused: bool
    authenticate: Callable[[Request, bytes], str | None] | None
    answer: Callable[[Read], tuple[int, bytes, str] | None]


def adapter_of(name: str, module: ModuleType) -> Adapter:
    """Return the typed view of an adapter's module. Raises AttributeError when it has no `read`."""
    return Adapter(
        name=name,
        read=module.read,
        methods=getattr(module, "methods", DEFAULT_METHODS),
        paths=getattr(module, "paths", ()),
        resends_refused=getattr(module, "resends_refused", False),
        authenticate=getattr(module, "authenticate", None),
        answer=getattr(module, "answer", _no_answer),
    )


def _no_answer(read: Read) -> tuple[int, bytes, str] | None:
    return None
