"""What every part of the desk is given: the store, the way into the journal, the settings, the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from triage.model import DAY, Body, Millis
from triage.model.roles import Role
from triage.rulebook.quiet import Silencer
from triage.store.queries import Client


class Appends(Protocol):
    """The part of `triage.store.appender.Appender` that the desk needs."""

    async def append(self, body: Body, at: Millis) -> str:
        """Append one entry and return its id once it is on stable storage. Raises StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How this desk is reached, and who may change things.

    `tokens`: name → SHA-256 (hex) of the token that signs that name in. `external_url`: how browsers reach this desk
    ("" when nobody said). `open_reads`: reading the API needs no token; only ever set when bound to loopback without an
    external URL. `link_secret` signs the links of pages; empty: none is taken. `data_loss_accepted`: what the store may
    lose, since the operator overrode the preflight; every view says so. `silencers`: tokens that may only silence.
    `roles`: name → role, responder where none is given. `audit_ms`: how long the audit log is kept.
    `lookup` finds the secrets `${NAME}` of contact methods, with which a phone company signs what it sends.
    `slack_people`: Slack member ID → name; `slack_secret` is what Slack signs presses of buttons with ("": none are
    taken), `slack_api` where its API is, `slack_bot_token` posts answers in rooms. `mattermost_people`: user name →
    name; `mattermost_tokens` come with commands from there.
    `shadow`: nobody is told, which every view says too.
    """

    tokens: Mapping[str, str] = field(default_factory=dict)
    shadow: bool = False
    external_url: str = ""
    open_reads: bool = False
    data_loss_accepted: str = ""
    version: str = "0.1.0"
    answer_wait_s: float = 2.0
    link_secret: bytes = b""
    streams_max: int = 200
    silencers: Mapping[str, Silencer] = field(default_factory=dict)
    lookup: Callable[[str], str | None] = lambda _name: None
    roles: Mapping[str, Role] = field(default_factory=dict)
    audit_ms: Millis = 400 * DAY
    slack_people: Mapping[str, str] = field(default_factory=dict)
    slack_secret: str = ""
    slack_api: str = "https://slack.com/api"
    slack_bot_token: str = ""
    mattermost_people: Mapping[str, str] = field(default_factory=dict)
    mattermost_tokens: tuple[str, ...] = ()

    def role_of(self, name: str) -> Role:
        """Return the role of whoever has one of `tokens`."""
        return self.roles.get(name, Role.RESPONDER)

    @property
    def secure(self) -> bool:
        """Tell whether browsers reach us by https, so that cookies are kept to it."""
        return self.external_url.startswith("https://")

    @property
    def external_host(self) -> str:
        """Return the host (and port) of the external URL, or ""."""
        return urlsplit(self.external_url).netloc.lower()


@dataclass(slots=True)
class Desk:
    """One desk: handed to `desk.application.add_routes`. `clock` returns milliseconds since the epoch."""

    client: Client
    appender: Appends
    settings: Settings
    clock: Callable[[], Millis]
