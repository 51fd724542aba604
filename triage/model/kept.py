"""What is remembered: alerts, incidents, effects, and what stands beside them."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from triage.model.basics import Kind, Millis, Severity


class AlertState(enum.StrEnum):
    """Firing, resolved, or stale: firing by its last word, but its source has been quiet for `stale_after`."""

    FIRING = "firing"
    RESOLVED = "resolved"
    STALE = "stale"
    HELD = "held"


class Flap(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The changes of an alert that may flap: it began to fire, or ended.

    `times` are those within `within` while it does not flap; while it does, the last one alone. It flaps once there are
    `limit` of them, `since` then (None: it does not), until there was none for `rest`. Meanwhile the alert counts as
    firing, `down` tells that its sender says otherwise, and `withheld` counts the changes that nobody was told of.
    """

    times: tuple[Millis, ...]
    limit: int
    within: Millis
    rest: Millis
    since: Millis | None = None
    down: bool = False
    withheld: int = 0


class Alert(msgspec.Struct, array_like=True, gc=False):
    """The short memory of one fingerprint: what deduplication needs, about 100 bytes. `quiet`: what silences it.

    `flap` is kept only where quiet.yaml says what flapping is.
    """

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
    flap: Flap | None = None


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


class Role(enum.StrEnum):
    """What somebody does for an incident; see rules/procedures/roles.md. A responder needs no role."""

    COMMANDER = "commander"
    COMMUNICATIONS = "communications"
    SCRIBE = "scribe"


class Thread(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A message of an incident that can be changed after it was sent, the first by `target`.

    `receipt` is what its channel calls it, `shown` what it shows of the incident (`triage.threads`), `update` the id of
    the effect that is changing it now, or "".
    """

    target: str
    receipt: str
    shown: str = ""
    update: str = ""


class Room(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The room of an incident in a chat service (`triage.rooms`).

    `target` is the service as rooms.yaml has it, `place` what it calls the room and its status (`<room>:<message>`), ""
    before it is there. `shown` is what it shows of the incident, `effect` the id of the effect that changes it now,
    or "". `archive` is the phase that ends it, `invite` whom the rule invites, `rule` its name.
    """

    target: str
    name: str
    place: str = ""
    shown: str = ""
    effect: str = ""
    archive: str = "closed"
    invite: tuple[str, ...] = ()
    archived: bool = False
    rule: str = ""


class Outlet(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A place of a chat service that hears of an incident's timeline (`triage.outlets`).

    `target` is its contact method; `room` tells that it is the incident's room. `unsaid` are lines that wait, each as
    its kind, its text, and how many it stands for; `dropped` counts those that there were too many of. `post` is the
    id of the effect that says some of them now, or "", `said_at` when the last one ended. `receipt` is what the service
    calls the first post.
    """

    target: str
    room: bool = False
    unsaid: tuple[tuple[str, str, int], ...] = ()
    dropped: int = 0
    post: str = ""
    said_at: Millis = 0
    receipt: str = ""


class Place(msgspec.Struct, array_like=True, gc=False):
    """Whose room it is: kept by `<service>:<room>`, for what is said there.

    `heard` are the last messages that were taken (`triage.heard`), as when (ms) and id, oldest first. `over`: the room
    is archived, and nothing is said there any more.
    """

    incident: str
    heard: tuple[tuple[Millis, str], ...] = ()
    over: bool = False


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
    counts alerts that joined silenced and still are; `paused` says why paging pauses, "" where it does not. `parts`
    tells which parts of its firing alerts were ever made (`triage.pausing`).
    `reached` is the episode, round and step of which somebody got a page last.

    `impact` says whom it hurts, `eta` when it should be over (None: nobody said). `roles` are who commands,
    communicates and writes. `spared` raised or declared it by hand and is not paged for that. `taken_at` and
    `mitigating_at` are when it was first acknowledged and first mitigated. `links` are incidents that have to do with
    it; `merged` became part of it, and `merged_into` is what it became part of, or "". `resolution` says how it ended,
    `root_cause` why it happened. `calls`: person → how many pages went to them, and how many of those at night.
    `storm` is the key of the storm page that stands for its pages, or ""; `stands_for` counts, on a storm page, those
    that it ever stood for. `flapping` counts its alerts that flap, and `flaps` says how much one of them does.
    `changed` is the change just before it that is nearest, as a phrase.
    `next_update` is when the next status update is promised for, `promised_at` since when; see `triage.promise`.
    `runs` are the runs of actions, oldest first.
    `doubted`: old memory has it, and no sender has said since that it fires.
    `recalled` are action items of earlier incidents like it (key of that incident, id of the item), `still_open` says
    as a phrase which of them were open when it opened. `outlets` are the places that hear of it.
    `by_night`: person → the day on whose evening a night began (`2026-03-02`) → how many pages went to them in it.
    `wants_room` names the entry of rooms.yaml that a rule asks for, or `none`.
    `reopened` says as a phrase from where it came back last, and why.
    `ringing` are the pages of calls that may ring just now; see `triage.ringing`.
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
    reached: tuple[int, ...] = ()
    impact: str = ""
    eta: Millis | None = None
    roles: dict[Role, str] = {}
    spared: str = ""
    taken_at: Millis | None = None
    mitigating_at: Millis | None = None
    links: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    merged_into: str = ""
    resolution: str = ""
    root_cause: str = ""
    calls: dict[str, tuple[int, int]] = {}
    parts: int = 0
    storm: str = ""
    stands_for: int = 0
    flapping: int = 0
    flaps: str = ""
    threads: tuple[Thread, ...] = ()
    changed: str = ""
    next_update: Millis | None = None
    runs: tuple[str, ...] = ()
    room: Room | None = None
    doubted: bool = False
    promised_at: Millis | None = None
    recalled: tuple[tuple[str, str], ...] = ()
    still_open: str = ""
    outlets: tuple[Outlet, ...] = ()
    wants_room: str = ""
    ringing: tuple[str, ...] = ()
    by_night: dict[str, dict[str, int]] = {}
    reopened: str = ""


class Group(msgspec.Struct, array_like=True, gc=False):
    """The incident that a group key leads to: the open one, or the last one that ended."""

    incident: str


class EffectKind(enum.StrEnum):
    """A page demands an acknowledgement; a notification informs; an operator message says that Tocsin needs care.

    An update changes a message that was sent before, and disturbs nobody; a room is where responders meet, and a
    post tells it or another place of a chat service what happens. A document is a postmortem that is published, an item
    one thing to be done after an incident; both go to places that postmortems.yaml names. A ticket is an item for the
    operators' tracker, which is sent at most once.
    """

    PAGE = "page"
    NOTIFICATION = "notification"
    OPERATOR = "operator"
    UPDATE = "update"
    ROOM = "room"
    DOCUMENT = "document"
    ITEM = "item"
    TICKET = "ticket"
    POST = "post"


class Effect(msgspec.Struct, array_like=True, gc=False):
    """Something that must reach the world, committed together with the change that caused it.

    `id` is stable over retries and goes into the provider's idempotency field where it has one. `target` is the
    contact method as written in oncall.yaml (an Apprise URL with `${…}` unexpanded). `due` is when the next attempt
    may start, `deadline` when trying ends. `facts` are what the message says, decided here so that replay knows it.
    `after`: how long after the page began the person's own steps send it; None: they have none for pages.
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
    after: Millis | None = None


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
    """One of a kind: the journal's clock and the version of `decide` that wrote this memory.

    `shadowed` counts the messages that nobody got, since paging was in shadow.
    `woke_at` is when the journal last went on after a long gap; `waking` tells that what was overdue then has not all
    fired yet, and `woke_from` since when it was due. See `triage.waking`.
    """

    now: Millis = 0
    version: int = 0
    operator_told: dict[str, Millis] = {}
    shadowed: int = 0
    woke_at: Millis = 0
    waking: bool = False
    woke_from: Millis = 0


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
