"""A random night with silences and inhibitions: nobody is told of what is quiet, and nothing quiet is forgotten."""

from __future__ import annotations

from typing import cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from tests.unit.triage.stage import FILES, START, alert
from tests.unit.triage.test_decide_model import INSTANCES, NAMES, SERVICES, WORDS, Night, Watched, snapshot
from triage import silences, turns
from triage.decide import decide
from triage.memory import ALERT, DETAILS, DictMemory
from triage.model import (
    ENDED,
    MINUTE,
    Alert,
    AlertState,
    Details,
    Millis,
    Outcome,
    Phase,
    Severity,
    SilenceAsked,
    Tick,
    fingerprint_of_labels,
    rules_digest,
)
from triage.rulebook import compile_files
from triage.silence import Words

QUIET = {
    **FILES,
    "quiet.yaml": """
inhibitions:
  down: {source_matchers: ['alertname="Down"'], target_matchers: ['alertname="Slow"'], equal: [service, instance]}
""",
}
KEYS = st.sampled_from(["one", "two"])
LABELS = st.sampled_from([("service", "shop"), ("service", "search"), ("alertname", "Down"), ("instance", "a")])


class QuietNight(Night):
    """The night of the other model, with silences that come and go."""

    @initialize()
    def begin(self) -> None:
        super().begin()
        self.stage = Watched(files=QUIET)
        self.silences: dict[str, tuple[tuple[str, str], Millis, bool]] = {}

    @rule(name=NAMES, service=SERVICES, word=WORDS, instance=INSTANCES)
    def fires(self, name: str, service: str, word: str, instance: str) -> None:
        event = alert(name, at=self.stage.now, service=service, severity=word, instance=instance)
        (decision,) = self.stage.events("am", [event])
        self.sent += 1
        self.outcomes[decision.outcome] += 1
        told = {Outcome.OPENED, Outcome.ATTACHED, Outcome.REOPENED}
        quiet = {Outcome.SILENCED, Outcome.INHIBITED}
        if name == "Noise":
            assert decision.outcome is Outcome.DROPPED
        elif event.fingerprint in self.firing:
            assert decision.outcome in {Outcome.DEDUPLICATED} | quiet
        else:
            assert decision.outcome in told | quiet
            self.firing.add(event.fingerprint)

    @rule(key=KEYS, label=LABELS, minutes=st.sampled_from([3, 20, 50]), spares=st.booleans())
    def silences_something(self, key: str, label: tuple[str, str], minutes: int, spares: bool) -> None:
        ends_at = self.stage.now + minutes * MINUTE
        spared = (Severity.P0,) if spares else ()
        words = Words(((f'{label[0]}="{label[1]}"',),), ends_at=ends_at, by="ana", spared=spared)
        assert self.stage.answers[self.stage.append(silences.asked(key, words, "ana", "test"))].ending == "done"
        self.silences[key] = (label, ends_at, spares)

    @rule(key=KEYS)
    def ends_a_silence(self, key: str) -> None:
        self.stage.append(SilenceAsked(key, "ana", "test"))
        self.silences.pop(key, None)

    @rule(severity=st.sampled_from(["P0", "P2", "P4"]))
    def rules_change(self, severity: str) -> None:
        words = f"defaults: {{severity: {severity}}}"
        changed = QUIET["severity.yaml"].replace("defaults: {severity: P3}", words)
        files = {**QUIET, "severity.yaml": changed}
        self.stage.load(files, rules_digest(files))

    def _quiet(self, fingerprint: str, severity: Severity) -> bool:
        """Tell by the model alone whether something holds an alert back now."""
        details = cast("Details", self.stage.memory.get((DETAILS, fingerprint)))
        for (name, value), ends_at, spares in self.silences.values():
            spared = spares and severity is Severity.P0
            if self.stage.now < ends_at and not spared and details.labels.get(name) == value:
                return True
        if details.labels["alertname"] != "Slow":
            return False
        same = [{**details.labels, "alertname": "Down", "severity": word} for word in ("critical", "warning", "outage")]
        same += [{**details.labels, "alertname": "Down", "severity": "error"}]
        return any(fingerprint_of_labels("am", labels) in self.firing for labels in same)

    @invariant()
    def nothing_that_fires_is_forgotten(self) -> None:
        """A P0 or P1 that fires is acknowledged, paged, exhausted, or paused with a time at which that is looked at."""
        timers = self.stage.memory.timers
        for incident in self.stage.incidents:
            if incident.phase in ENDED or incident.phase is Phase.MONITORING:
                assert incident.page_at is None
                assert not incident.paused
                continue
            assert incident.firing > 0
            if incident.paused:
                assert incident.page_at is None
                assert timers[f"quiet:{incident.key}"] > self.stage.now
            elif incident.severity <= Severity.P1 and not incident.acked_by:
                exhausted = any(page.step == 999 and page.incident == incident.key for page in self.stage.pages)
                assert exhausted or timers.get(f"page:{incident.key}") == incident.page_at

    @invariant()
    def what_is_held_is_quiet_and_looked_at_again(self) -> None:
        quiet: dict[str, int] = {}
        for (family, fingerprint), value in self.stage.memory.values.items():
            if family != ALERT:
                continue
            one = cast("Alert", value)
            held = one.state is AlertState.HELD and bool(one.quiet)
            if held or one.quiet:
                assert self.stage.memory.timers[f"hold:{fingerprint}"] > self.stage.now
                assert self._quiet(fingerprint, one.severity), (one, self.silences)
            if one.quiet and not held:
                assert one.state in (AlertState.FIRING, AlertState.STALE)
                quiet[one.incident] = quiet.get(one.incident, 0) + 1
        for incident in self.stage.incidents:
            assert incident.quiet == quiet.get(incident.key, 0)

    @invariant()
    def a_paused_incident_has_nothing_to_tell(self) -> None:
        for incident in self.stage.incidents:
            if incident.paused and not incident.acked_by:
                for (family, fingerprint), value in self.stage.memory.values.items():
                    if family == ALERT and cast("Alert", value).incident == incident.key:
                        one = cast("Alert", value)
                        fires = one.state in (AlertState.FIRING, AlertState.STALE)
                        severity = min(one.severity, incident.severity) if not one.quiet else one.severity
                        assert not fires or self._quiet(fingerprint, severity)

    def teardown(self) -> None:
        """History replays, silences included."""
        if not hasattr(self, "stage"):
            return
        memory, rulebook = DictMemory(), compile_files(QUIET)
        for entry in self.stage.entries:
            due = turns.due(memory, max(entry.at, START)) if isinstance(entry.body, Tick) else ()
            memory.apply(decide(memory, entry, rulebook, due))
            rules = memory.get(("rules", ""))
            if rules is not None and rules.files:  # type: ignore[attr-defined]
                rulebook = compile_files(rules.files)  # type: ignore[attr-defined]
        assert snapshot(memory) == snapshot(self.stage.memory)


QuietNight.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestQuietNight = QuietNight.TestCase
