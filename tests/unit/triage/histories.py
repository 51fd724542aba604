"""Random histories: whatever happens to Tocsin, in whatever order, on a moved clock. The same seed, the same history.

`STEPS` is what can happen, and how often. Much of it makes no sense: incidents that do not exist, people whom nobody
knows, rules that name what another file no longer has. All of it can arrive.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from tests.unit.triage.stage import FILES, Stage, alert, report
from triage import telling, turns
from triage.decide import decide
from triage.memory import ACTION, HANDED, METRICS, POSTMORTEM, THE_RULES, VERIFYING, DictMemory
from triage.model import (
    DAY,
    HOUR,
    LATER,
    MINUTE,
    SECOND,
    Acted,
    ActStep,
    Command,
    Curve,
    Effect,
    EffectKind,
    Ending,
    Entry,
    Measured,
    Phase,
    Result,
    Role,
    RulesLoaded,
    Severity,
    Status,
    SubscriptionAsked,
    Tick,
    Verb,
    Verified,
)
from triage.rulebook import compile_files

LENGTH: Final = 200
"""How many things happen in one history."""
RULES: Final = {
    **FILES,
    "severity.yaml": FILES["severity.yaml"].replace(
        "  - name: noise",
        """  - name: verified
    matchers: ['service="search"']
    verify: [{http: "https://health.example.org/{service}", every: 30s, within: 5m}]
    metrics: {query: 'rate(errors{service="{service}"}[5m]) > 2'}
    continue: true
  - name: noise""",
    ),
    "metrics.yaml": 'prometheus: {main: {url: "http://prometheus.example.org:9090"}}\n',
    "services.yaml": """
services:
  shop:
    status_component: Shop
    verify: [{prometheus: "http://prometheus.example.org:9090", query: "up", every: 30s, within: 5m}]
    metrics: {query: up}
  search: {}
  db: {}
""",
    "postmortems.yaml": """
within: {P0: 7d, P1: 7d}
publish: ["file:///wiki"]
items: ["file:///tracker"]
tracker: {request: {url: "http://tracker.example.org/i", json: {title: "{title}"}}, answer: html_url}
""",
    "updates.yaml": """
mail: "mailtos://tocsin:${PASSWORD}@mail.example.org"
places: {all: ["terminal://all"]}
subscribers: {list: {contact: ["terminal://list"]}}
""",
    "actions.yaml": """
actions:
  back:
    title: Back to the last good version
    parameters: {version: {type: text, default: "{last_known_good}"}}
    request: {url: "http://deploy.example.org/{service}"}
    verify: {http: "http://deploy.example.org/health", after: 10s, every: 30s, within: 5m}
  go: {title: Go on, request: {url: "http://deploy.example.org/{service}"}}
""",
    "rooms.yaml": """
- {name: room, contact: "slack+room://${TOKEN}@acme", severities: [P0, P1], invite: [ana]}
""".replace("\n- ", "\nrooms:\n- ")
    + "posts:\n- {name: log, contact: 'terminal://log'}\n",
}
GOES: Final = ("metrics.yaml", "services.yaml", "postmortems.yaml", "actions.yaml", "updates.yaml")
"""Files of rules that a reload may leave out."""
ALERTS: Final = ("Down", "Slow", "Pod", "ReplicaDown")
SERVICES: Final = ("shop", "search", "db", "web", "..")
SEVERITIES: Final = ("critical", "info", "outage", "warning", "")
INSTANCES: Final = ("a", "b")
_WAITS: Final = (SECOND, 30 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE)
_LONG: Final = (HOUR, DAY, 40 * DAY)
_FAILS: Final = (
    Ending.TRY_AGAIN, Ending.GIVE_UP, Ending.TOO_OLD, Ending.HANDED_OVER, Ending.SHADOWED, Ending.WORKER_DIED,
)  # fmt: skip
_POSTMORTEM: Final = ("document", "root_cause", "whys", "owner", "resolution")


class History(Stage):
    """A stage to which things happen by chance. `chance` decides what, and how deliveries end."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        super().__init__(self._deliver, RULES)
        self.append(RulesLoaded("first", RULES))

    def play(self) -> None:
        """Let it all happen, and then time for what is under way to end."""
        weights, steps = [weight for weight, _ in STEPS], [step for _, step in STEPS]
        for step in self.chance.choices(steps, weights, k=LENGTH):
            step(self)
        self.advance(10 * MINUTE)

    def held(self, family: str) -> list[tuple[str, Any]]:
        """Return what is remembered in one family, by key, in the order in which it came."""
        return [(key, value) for (kept, key), value in self.memory.values.items() if kept == family]

    def likely(self, share: float) -> bool:
        return self.chance.random() < share

    def some_incident(self) -> str:
        known = self.incidents
        return self.chance.choice(known).key if known else "x" * 26

    def _deliver(self, effect: Effect) -> Result:
        ending = Ending.DELIVERED if self.likely(0.7) else self.chance.choice(_FAILS)
        receipt = self.chance.choice(("", "r1", "C1:100", "https://tracker.example.org/1"))
        if effect.kind is EffectKind.ROOM:
            receipt = effect.facts.get(telling.THREAD) or f"C{effect.incident[:4]}:1"
        return Result(
            effect.id,
            effect.attempt,
            ending,
            "why",
            ambiguous=ending is Ending.TRY_AGAIN and self.likely(0.3),
            incident=effect.incident,
            person=effect.person,
            scheme="x",
            receipt=receipt,
        )


# --------------------------------------------------------------------------------------------------------------------
# What can happen.


def alerts(history: History) -> None:
    """One request with up to four alerts that begin or end."""
    pick = history.chance.choice
    made = [
        alert(
            pick(ALERTS),
            pick((Status.FIRING, Status.FIRING, Status.RESOLVED)),
            service=pick(SERVICES),
            severity=pick(SEVERITIES),
            instance=pick(INSTANCES),
        )
        for _ in range(history.chance.randint(1, 4))
    ]
    history.events("am", made)


def users(history: History) -> None:
    history.events("report", [report("it hurts", "high", history.likely(0.5), history.chance.choice(SERVICES))])


def time_passes(history: History) -> None:
    history.advance(history.chance.choice(_LONG if history.likely(0.1) else _WAITS))


def readings(history: History) -> None:
    """A worker reads the metrics that are wanted, or cannot."""
    for key, measures in history.held(METRICS):
        wanted = measures.wanted
        if wanted is None or history.likely(0.3):
            continue
        curve = Curve({"a": "b"}, tuple(history.chance.choice((None, 1.0, 3.0)) for _ in range(10)))
        fault = history.chance.choice(("", "", "no answer"))
        curves = () if history.likely(0.3) else (curve,)
        history.append(Measured(key, wanted.around, wanted.at, wanted.start, wanted.step, curves, fault=fault))


def verifications(history: History) -> None:
    for key, verifying in history.held(VERIFYING):
        if verifying.wanted is not None and history.likely(0.8):
            seen = tuple((history.likely(0.6), "seen") for _ in verifying.checks)
            history.append(Verified(key, verifying.wanted, seen))


def runs(history: History) -> None:
    """Workers say of runs of actions what they say, in an order that need not be the right one."""
    for _, run in history.held(ACTION):
        if history.likely(0.8):
            step = history.chance.choice(list(ActStep))
            ok, unsure = history.likely(0.5), history.likely(0.2)
            history.append(Acted(run.id, "token", step, run.incident, ok=ok, unsure=unsure, text="out"))


def late_results(history: History) -> None:
    """A provider says later what became of a page, and a worker says once more what it had said."""
    for page, effect in history.held(HANDED):
        ending = history.chance.choice((Ending.DELIVERED, Ending.UNANSWERED, Ending.GIVE_UP))
        history.append(Result(page, LATER, ending, incident=effect.incident, person=effect.person, scheme="x"))
    said = [entry.body for entry in history.entries if isinstance(entry.body, Result)]
    if said:
        history.append(history.chance.choice(said))


def subscriptions(history: History) -> None:
    pick = history.chance.choice
    history.append(
        SubscriptionAsked(
            pick(("ana", "zed", "list")),
            "ana",
            "api",
            audience=pick(("company", "public")),
            services=pick(((), ("shop",))),
            severities=pick(((), ("P0",))),
            contact=pick(((), ("mailto:a@b.example",), ("place:all",))),
            end=pick(("", "", "abc")),
        )
    )


def reloads(history: History) -> None:
    """Rules are loaded again, without some of the files: refused where another file needs them."""
    files = {name: text for name, text in RULES.items() if name not in GOES or history.likely(0.7)}
    history.append(RulesLoaded(f"d{len(history.entries)}", files))


def commands(history: History) -> None:
    """Somebody asks for something, sensible or not; some of it in a room."""
    pick = history.chance.choice
    verb, incident = pick(list(Verb)), history.some_incident()
    data = _data(history, verb, incident)
    if history.likely(0.2):
        said_at = pick(("", "0", str(history.now)))
        data |= {"place": "slack:C1", "post": pick(("p1", "p2", "p3")), "said_at": said_at}
    history.append(
        Command(
            verb,
            incident,
            pick(("ana", "ben", "token")),
            pick(("api", "desk")),
            text=pick(("", "some text")),
            confirm=history.likely(0.6),
            person=pick(("ana", "ben", "eve", "zed", "")),
            duration=pick((0, MINUTE, HOUR)),
            data=data,
        )
    )


STEPS: Final[tuple[tuple[int, Callable[[History], None]], ...]] = (
    (20, alerts),
    (3, users),
    (17, time_passes),
    (5, readings),
    (7, verifications),
    (6, runs),
    (4, late_results),
    (4, subscriptions),
    (2, reloads),
    (34, commands),
)
"""How often each thing happens, of about a hundred."""


def _data(history: History, verb: Verb, incident: str) -> dict[str, str]:
    """Return what a verb takes besides."""
    pick = history.chance.choice
    makers: dict[Verb, Callable[[], dict[str, str]]] = {
        Verb.PHASE: lambda: {"to": pick(list(Phase)).value, **_said_at_the_end(history)},
        Verb.SEVERITY: lambda: {"to": pick(list(Severity)).name},
        Verb.ROLE: lambda: {"role": pick(list(Role)).value},
        Verb.MERGE: lambda: {"other": history.some_incident()},
        Verb.LINK: lambda: {"other": history.some_incident()},
        Verb.UPDATE: lambda: {
            "audience": pick(("responders", "company", "public")),
            "status": pick(("investigating", "identified", "monitoring", "resolved")),
            "next": pick(("", "none", "30m")),
            "components": pick(("", "Shop")),
        },
        Verb.ACTION: lambda: {
            "action": pick(("back", "go", "x")),
            "parameters": json.dumps(pick(({}, {"version": "4"}))),
            **({"shadow": "yes"} if history.likely(0.1) else {}),
        },
        Verb.MITIGATION: lambda: {"kind": "rollback", "version": "4"},
        Verb.POSTMORTEM: lambda: {
            pick(_POSTMORTEM): pick(("text", "ana", "")),
            **({"do": pick(("review", "publish"))} if history.likely(0.5) else {}),
        },
        Verb.ITEM: lambda: _item(history, incident),
        Verb.ETA: lambda: {"at": str(history.now + HOUR)},
        Verb.CHECK: lambda: {"step": "runbook:1"},
    }
    return makers.get(verb, dict)()


def _said_at_the_end(history: History) -> dict[str, str]:
    return {"resolution": "r", "root_cause": "c", "public": "p"} if history.likely(0.4) else {}


def _item(history: History, incident: str) -> dict[str, str]:
    """A new item, or a change of one that there is."""
    pick = history.chance.choice
    data = {"due": pick(("", "2026-04-01", "3d"))}
    postmortem: Any = history.memory.get((POSTMORTEM, incident))
    if postmortem is not None and postmortem.items and history.likely(0.6):
        data |= {"id": pick(postmortem.items).id, "state": pick(("open", "done", "dropped"))}
        if history.likely(0.4):
            data["export"] = "yes"
        if history.likely(0.4):
            data["other"] = history.some_incident()
    return data


def all_ends(history: History) -> None:
    """All alerts end, and people resolve what is left."""
    for _ in range(2):
        history.events("am", list(_every_end()))
        for incident in history.incidents:
            history.append(Command(Verb.RESOLVE, incident.key, "ana", "api", confirm=True))
        history.advance(3 * DAY)


def _every_end() -> Iterable[Any]:
    for name in ALERTS:
        for service in SERVICES:
            for severity in SEVERITIES:
                for instance in INSTANCES:
                    yield alert(name, Status.RESOLVED, service=service, severity=severity, instance=instance)


# --------------------------------------------------------------------------------------------------------------------
# What came of it.


def replayed(entries: Iterable[Entry]) -> DictMemory:
    """Return the memory that the journal makes, each entry as it is read back from its bytes."""
    memory, rulebook = DictMemory(), compile_files(RULES)
    for entry in entries:
        body = msgspec.msgpack.decode(msgspec.msgpack.encode(entry.body), type=type(entry.body))
        due = turns.due(memory, entry.at) if isinstance(body, Tick) else ()
        oldest = turns.oldest(memory, entry.at) if isinstance(body, Tick) else None
        memory.apply(decide(memory, Entry(entry.id, entry.at, body), rulebook, due, oldest))
        rules: Any = memory.get(THE_RULES)
        if isinstance(body, RulesLoaded) and rules is not None:
            rulebook = compile_files(rules.files)
    return memory


def encoded(memory: DictMemory) -> dict[tuple[str, str], bytes]:
    """Return what is remembered, as bytes by key: within a value nothing is sorted, so that its order counts too."""
    return {key: msgspec.msgpack.encode(value) for key, value in sorted(memory.values.items())}


def digest_of(seed: int) -> str:
    """Play the history of that seed; return a sum of all that was sent, and of all that is remembered of it then."""
    history = History(seed)
    history.play()
    memory = history.memory
    kept = (
        list(encoded(memory).items()),
        sorted(memory.timers.items()),
        sorted(memory.lines.items()),
        history.delivered,
    )
    return hashlib.sha256(msgspec.msgpack.encode(kept)).hexdigest()
