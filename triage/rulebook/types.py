"""What the compiled rulebook is made of: the answers that `decide` asks of it.

Durations are milliseconds. Everything here is immutable; a change of the rules is another rulebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from triage.model import DAY, HOUR, MINUTE, Millis, Override, Severity, fingerprint_of
from triage.model.roles import Role
from triage.rulebook.intervals import Piece

FIELDS: Final = (
    "severity",
    "max_severity",
    "policy",
    "runbook",
    "group_by",
    "wait",
    "raise",
    "during",
    "outcome",
    "heartbeat",
    "metrics",
    "verify",
    "room",
)
"""What a severity rule can decide. For each, the first matching rule that names it wins."""


class Verification(msgspec.Struct, frozen=True, array_like=True):
    """How to see whether it helped: a PromQL `query` to `url`, or (no query) a GET of `url`. Durations are ms.

    `headers` are sent along, with `${…}` unexpanded.
    """

    url: str
    query: str
    after: Millis
    every: Millis
    within: Millis
    headers: tuple[tuple[str, str], ...] = ()


class Measure(msgspec.Struct, frozen=True):
    """PromQL that is read around onset and recovery; `server` is its Prometheus in metrics.yaml, "" the first one."""

    query: str
    server: str = ""


class Raise(msgspec.Struct, frozen=True):
    """One `raise` clause: exactly one of `after`, `firing` (with optional `distinct`), `times` (with `within`)."""

    to: Severity
    after: Millis = 0
    firing: int = 0
    distinct: str = ""
    times: int = 0
    within: Millis = 0


class Verdict(msgspec.Struct, frozen=True):
    """What the rules say of one label set. The same labels from the same source always get an equal verdict.

    `rule` names the rule that decided the severity ("" when it was mapped from `raw_severity` or is the default);
    `rules` names the deciding rule per field (see FIELDS; a field nobody named is absent). `group` is the group key as
    text: canonical JSON of `[[name, value], …]`, like `[["service","checkout"],["region","eu"]]`; when a label of
    `group_by` is missing it is `[["source",…],["alertname",…]]`, and without an alertname it is
    `[["source",…],["fingerprint",…]]`. `policy` is always one that exists; when the rules named another,
    `unknown_policy` holds that name and `policy` the default one. `during` names a time interval, or "". `heartbeat`
    names the rule by which this is a beat and no alert, or "". `metrics` is what a rule has
    drawn, and `verify` what must hold before the incident resolves by itself, `{label}` not filled in. `room` names the
    entry of rooms.yaml that opens its room, `none` forbids one; "": by what the entries say.
    """

    severity: Severity
    rule: str
    rules: dict[str, str]
    group: str
    policy: str
    service: str = ""
    runbook: str = ""
    dropped: bool = False
    wait: Millis = 0
    raises: tuple[Raise, ...] = ()
    during: str = ""
    unknown_policy: str = ""
    heartbeat: str = ""
    metrics: Measure | None = None
    verify: tuple[Verification, ...] = ()
    room: str = ""


class Step(msgspec.Struct, frozen=True):
    """Whom to page together, and how long to wait for an acknowledgement before the next step (milliseconds).

    `notify` holds targets: names of people, `schedule:NAME`, `team:NAME`; see `Rulebook.target`.
    """

    notify: tuple[str, ...]
    wait: Millis


class Policy(msgspec.Struct, frozen=True):
    """An escalation policy: its steps per severity ("" for those without steps of their own), how many rounds."""

    name: str
    steps: dict[str, tuple[Step, ...]]
    rounds: int = 3

    def steps_for(self, severity: Severity) -> tuple[Step, ...]:
        """Return the steps that hold for incidents of this severity, which may be empty."""
        own = self.steps.get(severity.name)
        return self.steps.get("", ()) if own is None else own


class Notice(msgspec.Struct, frozen=True):
    """One step of how a person wants to be paged: by the contact method at `method`, `after` their page began (ms)."""

    method: int
    after: Millis = 0


class Person(msgspec.Struct, frozen=True):
    """Somebody who can be told, by `methods` in order of preference (URLs with `${…}` unexpanded).

    `token_sha256` is the SHA-256 (lower-case hex) of the token by which they sign in and act, or "". `time_zone` is
    theirs, or "". `quiet` are the hours at which only pages reach them. `high` is how pages come, soonest first; empty:
    by the first method, and by the next one at once where that fails. `low` are the methods of what wakes nobody;
    empty: the first one. `role` is what they may do by that token. `slack` is their member ID there
    (U…), `mattermost` their user name, by which presses of buttons and words in rooms are theirs.
    """

    name: str
    display: str
    methods: tuple[str, ...]
    token_sha256: str = ""
    time_zone: str = ""
    quiet: tuple[Piece, ...] = ()
    high: tuple[Notice, ...] = ()
    low: tuple[int, ...] = ()
    role: Role = Role.RESPONDER
    slack: str = ""
    mattermost: str = ""


class Rotation(msgspec.Struct, frozen=True):
    """When a layer hands off, in minutes of the wall clock since 1970-01-01 00:00 there (`schedules` says more).

    `start` is the first hand-off. The others follow every `every` minutes or, where that is 0, at `slots`: minutes of
    the week, Sunday 00:00 being 0, in order.
    """

    start: int
    every: int = 0
    slots: tuple[int, ...] = ()


class Layer(msgspec.Struct, frozen=True):
    """People who take turns, within `restrict` if it is not empty, until the wall clock reads `end` (minutes)."""

    name: str
    users: tuple[str, ...]
    rotation: Rotation
    restrict: tuple[Piece, ...] = ()
    end: int | None = None


class Ical(msgspec.Struct, frozen=True):
    """A calendar that a schedule imports: from `url` (secrets as `${…}`, unexpanded) or `file` of the rules folder.

    `people` are names as the calendar has them → person. `by` says where it names people: in the `summary` of an event
    or as its `attendee`. It is read anew `every` so often.
    """

    url: str = ""
    file: str = ""
    people: dict[str, str] = {}
    by: str = "summary"
    every: Millis = 15 * MINUTE


class Schedule(msgspec.Struct, frozen=True):
    """Who is on call when. A later layer wins where it covers, an imported calendar over layers, an override over all.

    `partial` tells that hours with nobody on call are meant.
    """

    name: str
    time_zone: str
    layers: tuple[Layer, ...] = ()
    overrides: tuple[Override, ...] = ()
    partial: bool = False
    ical: Ical | None = None


MAPPED: Final = (
    "title", "status", "dedup_key", "severity", "description", "labels", "annotations",
    "links", "url", "starts_at", "ends_at", "source",
)  # fmt: skip
"""What the `mapping` of a source can fill, besides `labels.<name>` and `annotations.<name>`."""
REPORT: Final = "report"
"""The adapter of users' reports, and the source of that name."""
REPORT_STALE_AFTER: Final[Millis] = 30 * MINUTE
"""Reports never say that it is over: after this long without another one, what they opened is stale."""


class Source(msgspec.Struct, frozen=True):
    """A configured sender. Each adapter's name is a source of that name until the operator configures others.

    `token_sha256`: hex digests of accepted tokens; none means that the source is open on loopback. `secret` is for
    signed senders, as `${ENV}` or `file:PATH`, unexpanded. `stale_after`: after this long without a word, a firing
    alert is stale. `mapping` is for `generic`: event field → JMESPath expression, `items` the expression that yields
    the list (else the body itself). `severity` is what a missing severity word means, as a raw word. After
    `expect_every` without a word its silence is an alert.
    """

    name: str
    adapter: str
    token_sha256: tuple[str, ...] = ()
    secret: str = ""
    signature_header: str = ""
    timestamp_header: str = ""
    stale_after: Millis = 6 * HOUR
    ignore_labels: frozenset[str] = frozenset({"replica", "prometheus", "prometheus_replica", "__replica__"})
    labels: dict[str, str] = {}
    severity: str = ""
    items: str = ""
    mapping: dict[str, str] = {}
    expect_every: Millis | None = None


HEARTBEAT_SOURCE: Final = "heartbeat"
"""The source of beats from heartbeats.yaml, and of the alerts about what does not beat."""
MISSED: Final = "HeartbeatMissed"
FAILED: Final = "HeartbeatFailed"
SILENT: Final = "SourceSilent"


class Cadence(msgspec.Struct, frozen=True):
    """Something that must be heard of again and again, because its absence is an alert.

    `key` is `ping/<name>` (heartbeats.yaml), `rule/<rule>` (a rule with `heartbeat:`) or `source/<name>`
    (`expect_every`). It beats `every` so often or, where `cron` is not empty, when that comes in `time_zone`, and may
    be late by `grace`. `max_run` is how long a run may take after its start (0: no matter). `by` are the labels each of
    whose combinations is a heartbeat of its own, `expect` the values of the one label in `by` that must beat.
    """

    key: str
    name: str
    every: Millis = 0
    grace: Millis = 0
    cron: str = ""
    time_zone: str = "UTC"
    max_run: Millis = 0
    severity: Severity = Severity.P1
    by: tuple[str, ...] = ()
    expect: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    token_sha256: tuple[str, ...] = ()

    def fingerprint(self, labels: Mapping[str, str]) -> str:
        """Return the identity of the heartbeat with these values of `by`, which is that of the alert about it."""
        parts = [part for name in self.by for part in (name, labels.get(name, ""))]
        return fingerprint_of(HEARTBEAT_SOURCE, self.key, *parts)

    def expected(self) -> list[dict[str, str]]:
        """Return the values of `by` of the heartbeats that must beat even if they never did."""
        return [{self.by[0]: value} for value in self.expect] if self.by else [{}]

    def expects(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a heartbeat must beat even if it never did."""
        return not self.by or (bool(self.expect) and labels.get(self.by[0], "") in self.expect)


class Service(msgspec.Struct, frozen=True):
    """One entry of the service catalogue. Its scalar fields join an alert's labels as `service_<field>`."""

    name: str
    team: str = ""
    tier: str = ""
    depends_on: tuple[str, ...] = ()
    runbook: str = ""
    dashboards: dict[str, str] = {}
    status_component: str = ""
    repository: str = ""
    metrics: Measure | None = None
    verify: tuple[Verification, ...] = ()


class Defaults(msgspec.Struct, frozen=True):
    """`defaults:` of severity.yaml, each with the value that holds when nobody says otherwise (milliseconds)."""

    severity: Severity = Severity.P3
    group_by: tuple[str, ...] = ("service", "alertname")
    policy: str = "default"
    wait: Millis = 0
    settle: dict[str, Millis] = msgspec.field(
        default_factory=lambda: {"P0": HOUR, "P1": HOUR, "P2": 15 * MINUTE, "P3": 0, "P4": 0}
    )
    reopen_within: Millis = 30 * MINUTE
    remind_after: dict[str, Millis] = msgspec.field(default_factory=lambda: {"P0": 30 * MINUTE, "P1": HOUR})
    late_grace: Millis = 2 * MINUTE
    raise_together: Millis = MINUTE
    forget_alert_after: Millis = 6 * HOUR
    forget_incident_after: Millis = 90 * DAY
    page_deadline: Millis = HOUR
