"""The words of Tocsin as types: what arrives, what is remembered, what is decided.

Everything here is data. The structs are encoded with msgpack (arrays, not maps: field order is the format, so
new fields go to the end and have a default; docs/decisions/0002 says why msgspec and not pydantic here).

Times are integer milliseconds since the Unix epoch, UTC (`Millis`); durations are milliseconds too, unless the name
ends in `_s`. A time of `None` means that nobody said.
"""

from __future__ import annotations

import base64
import enum
import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import msgspec

Millis: TypeAlias = int
SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


class Severity(enum.IntEnum):
    """P0 critical: complete outage or data loss … P4 informational. A smaller number is more severe."""

    P0 = 0
    P1 = 1
    P2 = 2
    P3 = 3
    P4 = 4

    def __str__(self) -> str:
        """Return the name people read: `P0`."""
        return self.name


class Status(enum.StrEnum):
    """What one event says of its alert."""

    FIRING = "firing"
    RESOLVED = "resolved"
    INFO = "info"


class Kind(enum.StrEnum):
    """Where an event comes from: a monitoring alert, a person's report, or a health check's result."""

    ALERT = "alert"
    REPORT = "report"
    CHECK = "check"


class Event(msgspec.Struct, array_like=True, gc=False):
    """One normalised thing that arrived. Adapters make it; nothing changes it afterwards.

    `fingerprint` is 32 hex digits from `fingerprint_of`: the identity for deduplication, stable across firing and
    resolved, and already scoped to its source. `raw_severity` is the sender's own word, or "". `starts_at` and
    `ends_at` are what the sender claims; they are shown and they tell episodes apart, but never drive a timer.
    `anonymous` is true for a report from somebody who did not prove who they are.
    """

    status: Status
    fingerprint: str
    title: str
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    raw_severity: str = ""
    starts_at: Millis | None = None
    ends_at: Millis | None = None
    url: str = ""
    kind: Kind = Kind.ALERT
    anonymous: bool = False


class Rejected(msgspec.Struct, array_like=True, gc=False):
    """One item of a body that could not become an event: which (`alerts[3]`), the field at fault, and the reason."""

    where: str
    field: str
    reason: str


# --------------------------------------------------------------------------------------------------------------------
# Journal entries: everything that can change Tocsin's mind.


class EntryKind(enum.StrEnum):
    """What an entry of the journal is; the stream field `k`."""

    EVENTS = "events"
    COMMAND = "command"
    RESULT = "result"
    TICK = "tick"
    RULES = "rules"
    DEAD_LETTER = "dead-letter"
    OVERRIDE = "override"
    SILENCE = "silence"


class Events(msgspec.Struct, array_like=True, gc=False):
    """All events of one accepted request."""

    source: str
    events: list[Event]
    request: str = ""


class Verb(enum.StrEnum):
    """What a person can ask for."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    NOTE = "note"
    UNACKNOWLEDGE = "unacknowledge"
    SNOOZE = "snooze"
    ASSIGN = "assign"
    ESCALATE = "escalate"
    PAGE = "page"
    MISTAP = "mistap"
    """A wrong number was tapped behind the link of a page. Nobody asks for it: the desk notes it."""


class Command(msgspec.Struct, array_like=True, gc=False):
    """A person (or a token) asks for something. `incident` is the full key; `confirm` answers a question asked before.

    `by` names the person or token that asked, `via` the way it came (api, desk, cli, link, …). `person` is whom it is
    about (assign, page), `duration` for how long (snooze), `page` the id of the page whose link was used, or "",
    `tries` how many wrong numbers had been tapped behind it when its choice was shown.
    """

    verb: Verb
    incident: str
    by: str
    via: str
    text: str = ""
    confirm: bool = False
    request: str = ""
    person: str = ""
    duration: Millis = 0
    page: str = ""
    tries: int = 0


class Ending(enum.StrEnum):
    """How one attempt to deliver an effect ended."""

    DELIVERED = "delivered"
    TRY_AGAIN = "try-again"
    GIVE_UP = "give-up"
    WORKER_DIED = "worker-died"


class Result(msgspec.Struct, array_like=True, gc=False):
    """A worker reports one attempt. `reason` is a sentence a person can act on; never a secret.

    `ambiguous`: the provider may have taken the message (a timeout after the body was sent), so the next copy says
    "possible repeat". `retry_after` is what the provider asked for, in milliseconds, or 0.
    """

    effect: str
    attempt: int
    ending: Ending
    reason: str = ""
    ambiguous: bool = False
    retry_after: Millis = 0
    took: Millis = 0
    incident: str = ""
    person: str = ""
    scheme: str = ""


class Tick(msgspec.Struct, array_like=True, gc=False):
    """Time has passed: timers due by the entry's `at` fire."""


class RulesLoaded(msgspec.Struct, array_like=True, gc=False):
    """The operators' folder as it was read: relative path to text (`${…}` unexpanded), or the errors that refused it.

    `digest` is `rules_digest(files)`. When `errors` is not empty the old rules stay in force, and `files` is empty.
    """

    digest: str
    files: dict[str, str]
    errors: list[str] = []
    by: str = ""


class DeadLetter(msgspec.Struct, array_like=True, gc=False):
    """A body (or an item of one) that could not be read: kept raw, with the reason, to be sent again later.

    `truncated` tells that `body` was cut to the storage limit; `length` is what arrived, in bytes. `events` is how many
    accepted events it stands for: 0, but for an entry of the journal that this version cannot read.
    """

    source: str
    reason: str
    field: str
    body: bytes
    content_type: str = ""
    length: int = 0
    truncated: bool = False
    rejected: list[Rejected] = []
    events: int = 0


class OverrideAsked(msgspec.Struct, array_like=True, gc=False):
    """Somebody asks that `person` takes `schedule` from `start` to `end`, or that the override `withdraw` ends.

    `by` names the person or token that asked, `via` the way it came. The id of an override is `key_of` of its entry.
    """

    schedule: str
    person: str
    start: Millis
    end: Millis
    by: str
    via: str
    withdraw: str = ""
    request: str = ""


class SilenceAsked(msgspec.Struct, array_like=True, gc=False):
    """Somebody asks for the silence `key` in `words` (`triage.silence.Words` as msgpack) or, without any, for its end.

    `by` names the person or token, `via` the way it came, `firing` alerts that fire and are meant, as far as known.
    """

    key: str
    by: str
    via: str
    words: bytes = b""
    firing: tuple[str, ...] = ()
    request: str = ""


Body: TypeAlias = Events | Command | Result | Tick | RulesLoaded | DeadLetter | OverrideAsked | SilenceAsked


class Entry(msgspec.Struct, gc=False):
    """One entry of the journal: its stream id (`<ms>-<n>`), when its appender stamped it, and what it says."""

    id: str
    at: Millis
    body: Body


# --------------------------------------------------------------------------------------------------------------------
# What triage makes of them.


class Outcome(enum.StrEnum):
    """What became of one accepted event: exactly one of these, closed. Log field, metric label and screen word."""

    OPENED = "opened"
    ATTACHED = "attached"
    REOPENED = "reopened"
    DEDUPLICATED = "deduplicated"
    RESOLVED = "resolved"
    SILENCED = "silenced"
    INHIBITED = "inhibited"
    HELD = "held"
    DROPPED = "dropped"
    RECORDED = "recorded"
    DEAD_LETTER = "dead-letter"


class Reason(enum.StrEnum):
    """Why that outcome. Closed, and short enough for a metric label; `Decision.detail` says the particulars."""

    NEW_GROUP = "new-group"
    LINKED = "linked-to-earlier"
    JOINED = "joined-open-incident"
    RAISED = "joined-and-raised"
    FIRES_AGAIN = "fires-again"
    REPEAT = "repeat"
    CHANGED = "repeat-with-changes"
    LATE_FIRING = "late-firing"
    LATE_RESOLVE = "late-resolve"
    EPISODE_ENDED = "episode-ended"
    LAST_ENDED = "last-firing-alert-ended"
    UNKNOWN_ALERT = "resolved-before-firing"
    ALREADY_RESOLVED = "already-resolved"
    DROPPED_BY_RULE = "dropped-by-rule"
    INFORMATIONAL = "informational"
    LOW_REPORT = "low-severity-report"
    OUTSIDE_WINDOW = "outside-window"
    DECIDE_ERROR = "decide-error"
    HEARTBEAT = "heartbeat"
    SILENCED = "silenced"
    MUTED = "muted"
    MAINTENANCE = "maintenance"
    INHIBITED = "inhibited"
    DEPENDS_ON = "depends-on"


class Decision(msgspec.Struct, array_like=True, gc=False):
    """What triage made of one event, in the order of the entry's events."""

    outcome: Outcome
    reason: Reason
    severity: Severity
    fingerprint: str
    rule: str = ""
    incident: str = ""
    detail: str = ""


class Answer(msgspec.Struct, array_like=True, gc=False):
    """What became of a command: `done`, `refused`, or `asks` (repeat it with `confirm` to mean it)."""

    ending: str
    text: str


# --------------------------------------------------------------------------------------------------------------------
# What is remembered.


class AlertState(enum.StrEnum):
    """Firing, resolved, or stale: firing by its last word, but its source has been quiet for `stale_after`."""

    FIRING = "firing"
    RESOLVED = "resolved"
    STALE = "stale"
    HELD = "held"


class Alert(msgspec.Struct, array_like=True, gc=False):
    """The short memory of one fingerprint: what deduplication needs, about 100 bytes. `quiet`: what silences it."""

    state: AlertState
    source: str
    severity: Severity
    starts_at: Millis | None
    ends_at: Millis | None
    first_at: Millis
    seen_at: Millis
    changed_at: Millis
    count: int
    episodes: int
    incident: str
    labels_sum: int = 0
    text_sum: int = 0
    quiet: str = ""


class Details(msgspec.Struct, array_like=True, gc=False):
    """The long memory of one fingerprint, kept apart from `Alert` because it is read by people, seldom by triage."""

    title: str
    labels: dict[str, str]
    annotations: dict[str, str]
    raw_severity: str
    url: str
    kind: Kind
    rule: str
    anonymous: bool = False
    counted: tuple[str, ...] = ()


class Phase(enum.StrEnum):
    """Where an incident stands."""

    DETECTED = "detected"
    TRIAGED = "triaged"
    MITIGATING = "mitigating"
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    POSTMORTEM = "postmortem"
    CLOSED = "closed"


ENDED: Final = frozenset({Phase.RESOLVED, Phase.POSTMORTEM, Phase.CLOSED})


class Incident(msgspec.Struct, array_like=True, gc=False):
    """What people respond to.

    `firing` counts alerts that fire now (stale ones included), `alerts` all that ever joined. `episode` counts the
    times that paging began (1 after opening); `round` and `step` say which step of the policy was paged last
    (step -1: none yet). `acked_by` is empty while a page is owed. `lead` is who is paged before step 1 of this
    episode (the last acknowledger, when it fires again). `pending` holds the ids of pages not yet delivered, `told`
    everybody who was paged; `paged` tells whether this episode has paged yet. `joined` counts alerts that joined since
    the acknowledger was last told; `lines` the lines of the timeline; `example` is the fingerprint of the alert that
    gave the title. `lead_why` says why the lead is paged first ("": they had it last). `snoozed_until`: acknowledged
    only until then. `responders` took it, were given it or were asked to join; `added` counts those asked to join.
    `answered` holds the pages whose links were used, `mistaps` counts wrong numbers by page. `quiet`
    counts alerts that joined silenced and still are; `paused` says why paging pauses, "" where it does not.
    """

    key: str
    group: str
    title: str
    service: str
    severity: Severity
    phase: Phase
    policy: str
    runbook: str
    rule: str
    opened_at: Millis
    opened_by: str
    changed_at: Millis
    alerts: int = 0
    firing: int = 0
    episode: int = 0
    round: int = 0
    step: int = -1
    acked_by: str = ""
    acked_at: Millis | None = None
    last_acker: str = ""
    human_at: Millis | None = None
    monitoring_at: Millis | None = None
    resolved_at: Millis | None = None
    resolved_by: str = ""
    pages: int = 0
    pageable: bool = True
    wait: Millis = 0
    page_at: Millis | None = None
    earlier: str = ""
    lines: int = 0
    example: str = ""
    stale: int = 0
    pending: tuple[str, ...] = ()
    late: Millis = 0
    raised_at: Millis | None = None
    told: tuple[str, ...] = ()
    lead: str = ""
    joined: int = 0
    tallied: bool = False
    paged: bool = False
    lead_why: str = ""
    snoozed_until: Millis | None = None
    responders: tuple[str, ...] = ()
    added: int = 0
    answered: tuple[str, ...] = ()
    mistaps: dict[str, int] = {}
    plan: tuple[tuple[tuple[str, ...], Millis], ...] = ()
    rounds: int = 0
    quiet: int = 0
    paused: str = ""


class Group(msgspec.Struct, array_like=True, gc=False):
    """The incident that a group key leads to: the open one, or the last one that ended."""

    incident: str


class EffectKind(enum.StrEnum):
    """A page demands an acknowledgement; a notification informs; an operator message says that Tocsin needs care."""

    PAGE = "page"
    NOTIFICATION = "notification"
    OPERATOR = "operator"


class Effect(msgspec.Struct, array_like=True, gc=False):
    """Something that must reach the world, committed together with the change that caused it.

    `id` is stable over retries and goes into the provider's idempotency field where it has one. `target` is the
    contact method as written in oncall.yaml (an Apprise URL with `${…}` unexpanded). `due` is when the next attempt
    may start, `deadline` when trying ends. `facts` are what the message says, decided here so that replay knows it.
    """

    id: str
    kind: EffectKind
    incident: str
    person: str
    target: str
    title: str
    facts: dict[str, str]
    made_at: Millis
    due: Millis
    deadline: Millis
    attempt: int = 0
    ambiguous: bool = False
    methods: tuple[str, ...] = ()
    method: int = 0
    severity: Severity = Severity.P4
    episode: int = 0
    round: int = 0
    step: int = 0


class Override(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`person` is on call from `start` to before `end`, whatever the layers say. A file's have no `id` and `by`."""

    person: str
    start: Millis
    end: Millis
    id: str = ""
    by: str = ""


class Overrides(msgspec.Struct, array_like=True, gc=False):
    """The overrides of one schedule that were asked for at run time, oldest first; where two speak, the later wins."""

    items: tuple[Override, ...] = ()


class Rules(msgspec.Struct, array_like=True, gc=False):
    """The rules in force, as text. The compiled `Rulebook` is made from this and nothing else."""

    digest: str
    files: dict[str, str]
    loaded_at: Millis = 0
    refused: list[str] = []


class Meta(msgspec.Struct, array_like=True, gc=False):
    """One of a kind: the journal's clock and the version of `decide` that wrote this memory."""

    now: Millis = 0
    version: int = 0
    operator_told: dict[str, Millis] = {}


class Ledger(msgspec.Struct, array_like=True, gc=False):
    """Where every accepted event ended: `outcome/reason` → count, `source/status` → count, and deliveries by ending."""

    outcomes: dict[str, int] = {}
    sources: dict[str, int] = {}
    deliveries: dict[str, int] = {}
    dead_letters: dict[str, int] = {}


class Line(msgspec.Struct, array_like=True, gc=False):
    """One line of an incident's timeline: when, what kind of thing, a sentence, who did it, and the entry behind it."""

    at: Millis
    what: str
    text: str
    by: str = ""
    entry: str = ""


# --------------------------------------------------------------------------------------------------------------------
# Identity.


def _digest(parts: Iterable[str]) -> bytes:
    """Hash a sequence of texts, each preceded by its length, so that no separator can be forged."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        hasher.update(len(raw).to_bytes(4, "big"))
        hasher.update(raw)
    return hasher.digest()


def fingerprint_of(source: str, *identity: str) -> str:
    """Return the fingerprint (32 hex digits) of whatever a source identifies by these parts."""
    return _digest((source, *identity)).hex()


_PACKED: Final = msgspec.msgpack.Encoder()


def fingerprint_of_labels(source: str, labels: Mapping[str, str], ignore: frozenset[str] = frozenset()) -> str:
    """Return the fingerprint (32 hex digits) of a label set, less the labels named in `ignore`.

    The texts must be encodable (`clean_text`). This runs for every alert, hence msgpack: its lengths keep names and
    values apart as in `fingerprint_of`, at a third of the cost.
    """
    if not ignore.isdisjoint(labels):
        labels = {name: value for name, value in labels.items() if name not in ignore}
    return hashlib.blake2b(_PACKED.encode((source, sorted(labels.items()))), digest_size=16).hexdigest()


def key_of(*parts: str) -> str:
    """Return a 26-character lower-case base32 key; people see its first six characters."""
    return base64.b32encode(_digest(parts)).decode("ascii").rstrip("=").lower()


def short(key: str) -> str:
    """Return the six characters of an incident's key that people see and type."""
    return key[:6]


def rules_digest(files: Mapping[str, str]) -> str:
    """Return the identity (32 hex digits) of a rules folder: its paths and texts."""
    return _digest(part for path in sorted(files) for part in (path, files[path])).hex()


def clean_text(text: str) -> str:
    """Return `text` with lone surrogates replaced, since they cannot be stored as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
