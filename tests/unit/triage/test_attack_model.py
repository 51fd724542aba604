"""A long night: everything at once, and what must hold between any two entries of the journal."""

from __future__ import annotations

from collections import Counter
from typing import cast

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.triage.stage import FILES, alert, report
from tests.unit.triage.test_decide_model import Watched
from triage.memory import TALLY, THE_LEDGER
from triage.model import (
    ENDED,
    Alert,
    AlertState,
    Effect,
    EffectKind,
    Ending,
    Ledger,
    Phase,
    Result,
    Severity,
    Status,
    Verb,
    rules_digest,
)
from triage.tally import Tally

NAMES = st.sampled_from(["Down", "ReplicaDown", "Pod", "BatchLate", "Noise"])
SERVICES = st.sampled_from(["shop", "shop", "search"])
WORDS = st.sampled_from(["critical", "warning", "outage", "error"])
INSTANCES = st.sampled_from(["a", "b", "c", "d"])
PEOPLE = st.sampled_from(["ana", "ben", "stranger"])
MINUTES = st.sampled_from([0.1, 0.5, 1, 4, 6, 20, 31, 70, 421, 905])
ENDINGS = st.sampled_from([Ending.DELIVERED, Ending.DELIVERED, Ending.TRY_AGAIN, Ending.GIVE_UP, Ending.WORKER_DIED])
LIVE = (AlertState.FIRING, AlertState.STALE, AlertState.HELD)


class LongNight(RuleBasedStateMachine):
    """Alerts, reports, people, providers that fail, rules that change, and much time."""

    @initialize(ending=ENDINGS)
    def begin(self, ending: Ending) -> None:
        self.ending = ending
        self.sent = 0
        self.stage = Watched(self.provider)

    def provider(self, effect: Effect) -> Result:
        ending = self.ending if effect.kind is not EffectKind.OPERATOR else Ending.DELIVERED
        return Result(effect.id, effect.attempt, ending, incident=effect.incident, person=effect.person)

    @rule(ending=ENDINGS)
    def provider_changes(self, ending: Ending) -> None:
        self.ending = ending

    @rule(name=NAMES, service=SERVICES, word=WORDS, instance=INSTANCES, again=st.booleans())
    def fires(self, name: str, service: str, word: str, instance: str, again: bool) -> None:
        at = None if again else self.stage.now
        self.stage.events("am", [alert(name, at=at, service=service, severity=word, instance=instance)])
        self.sent += 1

    @rule(name=NAMES, service=SERVICES, word=WORDS, instance=INSTANCES)
    def changes(self, name: str, service: str, word: str, instance: str) -> None:
        event = alert(name, service=service, severity="critical", instance=instance)
        other = {**event.labels, "severity": word}
        self.stage.events("am", [msgspec.structs.replace(event, labels=other, raw_severity=word)])
        self.sent += 1

    @rule(name=NAMES, service=SERVICES, word=WORDS, instance=INSTANCES)
    def ends(self, name: str, service: str, word: str, instance: str) -> None:
        self.stage.events("am", [alert(name, Status.RESOLVED, service=service, severity=word, instance=instance)])
        self.sent += 1

    @rule(text=st.sampled_from(["slow", "down"]), word=WORDS, anonymous=st.booleans(), service=SERVICES)
    def reports(self, text: str, word: str, anonymous: bool, service: str) -> None:
        self.stage.events("report", [report(text, word, anonymous, service)])
        self.sent += 1

    @rule(who=PEOPLE, which=st.integers(0, 5), verb=st.sampled_from(Verb), confirm=st.booleans())
    def asks(self, who: str, which: int, verb: Verb, confirm: bool) -> None:
        known = self.stage.incidents
        if known:
            self.stage.command(verb, known[which % len(known)].key, who, "text", confirm)

    @rule(minutes=MINUTES)
    def time_passes(self, minutes: float) -> None:
        self.stage.minutes(minutes)

    @rule(minutes=MINUTES)
    def nobody_ticks(self, minutes: float) -> None:
        self.stage.now += int(minutes * 60_000)
        self.stage.settle()

    @rule(which=st.sampled_from(["all", "no ana", "nobody", "no raises"]))
    def rules_change(self, which: str) -> None:
        files = dict(FILES)
        if which == "no ana":
            files["oncall.yaml"] = FILES["oncall.yaml"].replace("[ana]", "[ben]").replace("{name: Ana, ", "{name: A, ")
        elif which == "nobody":
            files["oncall.yaml"] = "people:\n  eve: {name: Eve, contact: ['terminal://eve']}\nlast_resort: [eve]\n"
        elif which == "no raises":
            files["severity.yaml"] = "rules: []\n"
        before = len(self.stage.pages)
        self.stage.load(files, rules_digest(files))
        assert len(self.stage.pages) == before

    @invariant()
    def the_ledger_holds(self) -> None:
        ledger = cast("Ledger | None", self.stage.memory.get(THE_LEDGER))
        assert sum(ledger.outcomes.values() if ledger else ()) == self.sent
        assert not [name for name in (ledger.outcomes if ledger else ()) if "decide-error" in name]

    @invariant()
    def no_timer_failed(self) -> None:
        told = [title for _, title in self.stage.told if title.startswith("Could not")]
        assert not told

    @invariant()
    def counts_agree_with_the_alerts(self) -> None:
        firing: Counter[str] = Counter()
        stale: Counter[str] = Counter()
        for key, value in self.stage.memory.values.items():
            if key[0] == "alert":
                one = cast("Alert", value)
                firing[one.incident] += one.state in (AlertState.FIRING, AlertState.STALE)
                stale[one.incident] += one.state is AlertState.STALE
                assert f"alert:{key[1]}" in self.stage.memory.timers, one
                if one.state is AlertState.HELD:
                    assert f"hold:{key[1]}" in self.stage.memory.timers, one
        for incident in self.stage.incidents:
            assert (incident.firing, incident.stale) == (firing[incident.key], stale[incident.key]), incident

    @invariant()
    def timers_agree_with_the_incidents(self) -> None:
        timers = self.stage.memory.timers
        for incident in self.stage.incidents:
            key = incident.key
            assert timers.get(f"page:{key}") == incident.page_at, incident
            assert (f"settle:{key}" in timers) == (incident.phase is Phase.MONITORING), incident
            assert (f"forget:{key}" in timers) == (incident.phase in ENDED), incident
            assert (f"joined:{key}" in timers) or incident.joined == 0, incident
            quiet = incident.phase in ENDED or incident.phase is Phase.MONITORING
            if quiet:
                assert f"notify:{key}" not in timers
                assert incident.page_at is None
            tally = cast("Tally | None", self.stage.memory.get((TALLY, key)))
            assert incident.tallied == (tally is not None), incident
            if tally is not None and tally.after and not quiet:
                assert timers.get(f"after:{key}") == min(at for at, _ in tally.after.values()), (incident, tally)

    @invariant()
    def every_page_is_pending_and_every_pending_one_exists(self) -> None:
        pages = {effect.id: effect.incident for effect in self.stage._effects(None) if effect.kind is EffectKind.PAGE}
        pending = {one: incident.key for incident in self.stage.incidents for one in incident.pending}
        assert pages == pending

    @invariant()
    def nothing_that_fires_is_forgotten(self) -> None:
        for incident in self.stage.incidents:
            if incident.phase in ENDED or incident.phase is Phase.MONITORING or not incident.pageable:
                continue
            assert incident.firing > 0 or incident.stands_for, incident
            if incident.severity <= Severity.P1 and not incident.acked_by and incident.page_at is None:
                if incident.doubted:
                    continue  # everybody has a digest of it, and its sender's next word pages
                last = [line.what for line in self.stage.lines(incident.key)]
                text = " ".join(line.text for line in self.stage.lines(incident.key))
                assert "page" in last or "unreachable" in last
                assert "last resort" in text, (incident, text)

    @invariant()
    def one_page_per_incident_step_and_person(self) -> None:
        ids = [page.id for page in self.stage.pages]
        assert len(ids) == len(set(ids))

    @invariant()
    def open_incidents_of_a_group_are_one(self) -> None:
        groups = Counter(one.group for one in self.stage.incidents if one.phase not in ENDED)
        assert all(number == 1 for number in groups.values())


LongNight.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLongNight = LongNight.TestCase
