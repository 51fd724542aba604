"""A random night on which everything flaps: what is held back counts as firing, and comes to an end by itself."""

from __future__ import annotations

from collections import Counter
from typing import cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from tests.unit.triage.stage import FILES, alert
from tests.unit.triage.test_decide_model import INSTANCES, NAMES, SERVICES, WORDS, Night, Watched
from triage.memory import ALERT
from triage.model import Alert, AlertState, Outcome, Reason, Status, rules_digest
from triage.rulebook import compile_files

FLAPPING = {**FILES, "quiet.yaml": "flapping: {changes: 3, within: 10m, settled_after: 5m}"}


class FlappingNight(Night):
    """The night of the other model, with senders that cannot make up their minds."""

    @initialize()
    def begin(self) -> None:
        super().begin()
        self.stage = Watched(files=FLAPPING)

    @rule(name=NAMES, service=SERVICES, word=WORDS, instance=INSTANCES)
    def fires(self, name: str, service: str, word: str, instance: str) -> None:
        event = alert(name, at=self.stage.now, service=service, severity=word, instance=instance)
        flapped = self._flaps(event.fingerprint)
        (decision,) = self.stage.events("am", [event])
        self.sent += 1
        self.outcomes[decision.outcome] += 1
        if name == "Noise":
            assert decision.outcome is Outcome.DROPPED
        elif event.fingerprint in self.firing:
            assert (decision.outcome, decision.reason) == (Outcome.DEDUPLICATED, Reason.REPEAT)
        elif flapped:
            assert (decision.outcome, decision.reason) == (Outcome.HELD, Reason.FLAPPING)
        else:
            assert decision.outcome in (Outcome.OPENED, Outcome.ATTACHED, Outcome.REOPENED)
        if name != "Noise":
            self.firing.add(event.fingerprint)

    @rule(name=NAMES, service=SERVICES, word=WORDS, instance=INSTANCES)
    def ends(self, name: str, service: str, word: str, instance: str) -> None:
        event = alert(name, Status.RESOLVED, service=service, severity=word, instance=instance)
        (decision,) = self.stage.events("am", [event])
        self.sent += 1
        self.outcomes[decision.outcome] += 1
        if event.fingerprint in self.firing:
            held = self._flaps(event.fingerprint)
            assert decision.outcome is (Outcome.HELD if held else Outcome.RESOLVED)
        else:
            assert decision.outcome in (Outcome.DEDUPLICATED, Outcome.RECORDED, Outcome.DROPPED)
        self.firing.discard(event.fingerprint)

    @rule(name=NAMES, service=SERVICES, times=st.integers(2, 6))
    def flutters(self, name: str, service: str, times: int) -> None:
        for _ in range(times):
            self.fires(name, service, "critical", "a")
            self.ends(name, service, "critical", "a")

    @rule(severity=st.sampled_from(["P0", "P2", "P4"]), keeps=st.booleans())
    def rules_change(self, severity: str, keeps: bool) -> None:
        words = f"defaults: {{severity: {severity}}}"
        changed = FILES["severity.yaml"].replace("defaults: {severity: P3}", words)
        files = {**(FLAPPING if keeps else FILES), "severity.yaml": changed}
        self.stage.load(files, rules_digest(files))

    def _known(self) -> dict[str, Alert]:
        items = self.stage.memory.values.items()
        return {key: cast("Alert", value) for (family, key), value in items if family == ALERT}

    def _flaps(self, fingerprint: str) -> bool:
        known = self._known().get(fingerprint)
        return known is not None and known.flap is not None and known.flap.since is not None

    @invariant()
    def what_flaps_counts_as_firing_and_has_a_time_at_which_it_settles(self) -> None:
        by_incident: Counter[str] = Counter()
        for fingerprint, known in self._known().items():
            flap = known.flap
            if flap is None or flap.since is None:
                fires = known.state in (AlertState.FIRING, AlertState.STALE)
                assert fires == (fingerprint in self.firing) or known.state is AlertState.STALE
                continue
            assert known.state in (AlertState.FIRING, AlertState.STALE)
            assert flap.down == (fingerprint not in self.firing)
            assert self.stage.memory.timers[f"flap:{fingerprint}"] == flap.times[-1] + flap.rest > self.stage.now
            by_incident[known.incident] += 1
        for incident in self.stage.incidents:
            assert incident.flapping == by_incident[incident.key]
            assert bool(incident.flaps) == bool(incident.flapping)

    def teardown(self) -> None:
        """In the end everything settles; and history replays."""
        if not hasattr(self, "stage"):
            return
        self.stage.minutes(6)
        assert not any(self._flaps(fingerprint) for fingerprint in self._known())
        self.replays(compile_files(FLAPPING))


FlappingNight.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestFlappingNight = FlappingNight.TestCase
