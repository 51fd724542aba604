"""Entries of the journal: everything that can change Tocsin's mind."""

from __future__ import annotations

import enum
from typing import Final, TypeAlias

import msgspec

from triage.model.basics import Kind, Millis, Severity, Status


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
    CHANGES = "changes"
    CALENDAR = "calendar"
    DECLARED = "declared"
    ACTED = "acted"
    DRILL = "drill"
    SUBSCRIPTION = "subscription"
    MEASURED = "measured"
    VERIFIED = "verified"


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
    PHASE = "phase"
    SEVERITY = "severity"
    ROLE = "role"
    IMPACT = "impact"
    ETA = "eta"
    LINK = "link"
    MERGE = "merge"
    CHECK = "check"
    UPDATE = "update"
    ACTION = "action"
    MITIGATION = "mitigation"
    POSTMORTEM = "postmortem"
    ITEM = "item"
    MISTAP = "mistap"
    """A wrong number was tapped behind the link of a page. Nobody asks for it: the desk notes it."""
    HEARD = "heard"
    """A message in a room asked for nothing that is kept, the runbook say. The desk notes it, to answer it once."""


class Command(msgspec.Struct, array_like=True, gc=False):
    """A person (or a token) asks for something. `incident` is the full key; `confirm` answers a question asked before.

    `by` names the person or token that asked, `via` the way it came (api, desk, cli, link, …). `person` is whom it is
    about (assign, page), `duration` for how long (snooze), `page` the id of the page whose link was used, or "",
    `tries` how many wrong numbers had been tapped behind it when its choice was shown. `data` is what else a verb
    takes, by name: `to` a phase, severity or other incident, `role` a role, `kind` of a note, `at` a time (ms);
    of what was said in a room `place` (`<service>:<room>`), `post` the service's id of it, `said_at` when (ms).
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
    data: dict[str, str] = {}


class Ending(enum.StrEnum):
    """How one attempt to deliver an effect ended. Shadowed: nobody was told, as if it had been delivered."""

    DELIVERED = "delivered"
    TRY_AGAIN = "try-again"
    GIVE_UP = "give-up"
    WORKER_DIED = "worker-died"
    TOO_OLD = "too-old"
    """Not sent: it was due before a long gap in the journal."""
    HANDED_OVER = "handed-over"
    """The provider took it, and says later what became of it: a call that rings, a text on its way to the phone."""
    UNANSWERED = "unanswered"
    """The provider did its part, but nobody was there: busy, no answer, no key pressed."""
    SHADOWED = "shadowed"

    @property
    def told(self) -> bool:
        """Tell whether triage goes on as after a delivery."""
        return self in (Ending.DELIVERED, Ending.SHADOWED)


LATER: Final = -1
"""In place of an attempt: what a provider says of a message that it was handed before."""


class Result(msgspec.Struct, array_like=True, gc=False):
    """A worker reports one attempt. `reason` is a sentence a person can act on; never a secret.

    `ambiguous`: the provider may have taken the message (a timeout after the body was sent), so the next copy says
    "possible repeat". `retry_after` is what the provider asked for, in milliseconds, or 0. `remark` is what the
    operators should hear of besides; `receipt` is what the provider calls the message, for a later one to refer to.
    With `attempt` LATER it is no worker's report but the word of the provider itself, which the desk heard.
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
    remark: str = ""
    receipt: str = ""


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

    With `other` it is a swap: that shift is theirs, and for it they take the one of `person` from `other_start` to
    `other_end`. `by` names the person or token that asked, `via` the way it came. The id of an override is `key_of` of
    its entry; both of a swap have the same.
    """

    schedule: str
    person: str
    start: Millis
    end: Millis
    by: str
    via: str
    withdraw: str = ""
    request: str = ""
    other: str = ""
    other_start: Millis = 0
    other_end: Millis = 0


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


class CalendarRead(msgspec.Struct, array_like=True, gc=False):
    """A worker has read the calendar that `schedule` imports, and it is another one than before; or could not: `fault`.

    `shifts` are (start, end, person) from `start` to before `end`; `source` tells what was read, and for which names.
    `unknown` are words of the calendar for people that nobody has. `fault` is a sentence, never with a secret.
    """

    schedule: str
    source: str
    shifts: tuple[tuple[Millis, Millis, str], ...] = ()
    start: Millis = 0
    end: Millis = 0
    unknown: tuple[str, ...] = ()
    fault: str = ""


class Declared(msgspec.Struct, array_like=True, gc=False):
    """Somebody declares an incident that no alert has opened.

    `by` names the person or token, `via` the way it came. `text` says what is known, `impact` whom it hurts. `take`:
    they have it. `report` is the user's report that they declare it from (`<entry>/<index>`), or "". `confirm`: another
    one although one is open for the same group.
    """

    title: str
    severity: Severity
    by: str
    via: str
    service: str = ""
    text: str = ""
    impact: str = ""
    take: bool = False
    report: str = ""
    confirm: bool = False
    request: str = ""


class Change(msgspec.Struct, array_like=True, gc=False):
    """Something was changed: a deploy, a rollback, a flag, a configuration.

    `service` may be "", where only the `repository` (`owner/name`) is known. `at` is when, by its sender's word; `id`
    is the sender's own identity for it, so that it can be sent again. `verified`: this version was found good.
    """

    service: str
    kind: str
    summary: str
    version: str = ""
    at: Millis | None = None
    environment: str = ""
    by: str = ""
    url: str = ""
    repository: str = ""
    id: str = ""
    verified: bool = False


class ChangesTold(msgspec.Struct, array_like=True, gc=False):
    """All changes of one accepted request."""

    source: str
    changes: list[Change]


class ActStep(enum.StrEnum):
    """How far a worker is with a run of an action."""

    STARTED = "started"
    ENDED = "ended"
    LOOKED = "looked"


class Acted(msgspec.Struct, array_like=True, gc=False):
    """A worker says of a run that it begins it, how it ended, or what is seen of it afterwards.

    `token` is the worker's own for this run. `ok`: it was done, or it helped. `unsure`: it was sent, and nobody knows.
    `text` is what the other side said, without secrets.
    """

    run: str
    token: str
    step: ActStep
    incident: str = ""
    ok: bool = False
    unsure: bool = False
    text: str = ""
    took: Millis = 0


class DrillAsked(msgspec.Struct, array_like=True, gc=False):
    """Somebody asks for a test page to `target`, to be acknowledged `within` (ms); `everybody`: all steps of a policy.

    `by` names the person or token, `via` the way it came, `plan` the drill of oncall.yaml whose time has come, or "".
    """

    target: str
    by: str
    via: str
    within: Millis
    everybody: bool = False
    plan: str = ""
    request: str = ""


class SubscriptionAsked(msgspec.Struct, array_like=True, gc=False):
    """Somebody asks that `name` is told of status updates, or that the subscription `end` ends.

    `contact` is how, where `name` is no person of oncall.yaml: `mailto:ADDRESS` or `place:NAME`, never with a secret.
    `by` names the person or token that asked, `via` the way it came.
    """

    name: str
    by: str
    via: str
    audience: str = "company"
    services: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    contact: tuple[str, ...] = ()
    end: str = ""
    request: str = ""


class Around(enum.StrEnum):
    """Which moment of an incident a reading of its metrics is about."""

    ONSET = "onset"
    RECOVERY = "recovery"


class Curve(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One series: its labels, and a value for each step; None where there is none that can be drawn."""

    labels: dict[str, str]
    values: tuple[float | None, ...]


class Measured(msgspec.Struct, array_like=True, gc=False):
    """A worker has read the metrics of an incident as they were asked for at `asked` (ms); or could not: `fault`.

    `curves` begin at `start` (ms) and go on by `step`; of `left_out` further ones nothing is kept. `whole`: the
    expression was asked as it is written, with its comparison. `fault` is a sentence, never with a secret.
    """

    incident: str
    around: Around
    asked: Millis
    start: Millis = 0
    step: Millis = 0
    curves: tuple[Curve, ...] = ()
    left_out: int = 0
    whole: bool = False
    fault: str = ""


class Verified(msgspec.Struct, array_like=True, gc=False):
    """A worker has looked whether an incident is well again, as was asked at `asked` (ms): for each check whether it
    passes, and what was seen, without secrets.
    """

    incident: str
    asked: Millis
    results: tuple[tuple[bool, str], ...]


Body: TypeAlias = (
    Events
    | Command
    | Result
    | Tick
    | RulesLoaded
    | DeadLetter
    | OverrideAsked
    | SilenceAsked
    | CalendarRead
    | Declared
    | ChangesTold
    | Acted
    | DrillAsked
    | SubscriptionAsked
    | Measured
    | Verified
)


class Entry(msgspec.Struct, gc=False):
    """One entry of the journal: its stream id (`<ms>-<n>`), when its appender stamped it, and what it says."""

    id: str
    at: Millis
    body: Body
