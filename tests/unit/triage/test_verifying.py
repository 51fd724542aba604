"""Verified before it resolves: what is looked at when, and what fails keeps an incident from ending by itself."""

from __future__ import annotations

from typing import cast

import pytest

from tests.unit.triage.rulebook.making import said
from tests.unit.triage.stage import FILES, Stage
from triage.changes import last_known_good
from triage.decide import alike
from triage.memory import DETAILS, INCIDENT, VERIFYING, DictMemory
from triage.model import HOUR, MINUTE, Answer, Change, ChangesTold, Command, Entry, Phase, Tick, Verb, Verified
from triage.rulebook import EMPTY
from triage.verification import Verifying
from triage.verifying import AGAIN, FRESH, LOOKS_MAX, TAKEN_WITHIN

SERVICES = """
services:
  shop:
    verify:
      - {http: "https://shop.example.org/{service}/health", after: 1m, every: 1m, within: 5m}
"""


def stage(services: str = SERVICES, **files: str) -> Stage:
    named = {f"{name}.yaml": text for name, text in files.items()}
    made = Stage(files={**FILES, "services.yaml": services, **named})
    made.fires()
    made.command(Verb.ACKNOWLEDGE, made.incident.key, "ana")
    return made


def state(made: Stage) -> Verifying | None:
    return cast("Verifying | None", made.memory.values.get((VERIFYING, made.incident.key)))


def sees(made: Stage, *results: bool, text: str = "HTTP 503") -> None:
    known = state(made)
    assert known is not None
    assert known.wanted is not None, "nobody was asked to look"
    seen = tuple((ok, "HTTP 200" if ok else text) for ok in results)
    made.append(Verified(made.incident.key, known.wanted, seen))


def lines(made: Stage, what: str = "verification") -> list[str]:
    return [line.text for line in made.lines(made.incident.key) if line.what == what]


def ask(made: Stage, *, confirm: bool = False) -> Answer:
    return made.answers[made.append(Command(Verb.RESOLVE, made.incident.key, "ana", "test", confirm=confirm))]


def test_it_is_looked_at_after_the_all_clear_and_again_before_it_ends() -> None:
    made = stage()
    made.ends()
    assert made.incident.phase is Phase.MONITORING
    known = state(made)
    assert known is not None
    assert [one.url for one in known.checks] == ["https://shop.example.org/shop/health"]
    made.minutes(1)
    sees(made, True)
    assert lines(made) == ["it passes: HTTP 200"]
    made.minutes(58)
    known = state(made)
    assert known is not None and known.wanted is None, "it passed: nobody looks until it would end"
    made.minutes(1)
    assert made.incident.phase.value == "monitoring"
    sees(made, True)
    assert made.incident.phase.value == "resolved"
    assert lines(made, "resolved") == ["quiet for its settle time, and verified"]
    assert (state(made), lines(made)) == (None, ["it passes: HTTP 200"])


def test_what_fails_keeps_it_from_ending_says_why_and_tells_whoever_has_it_once() -> None:
    made = stage()
    made.ends()
    for _ in range(5):
        made.minutes(1)
        sees(made, False)
    assert lines(made) == ["it does not resolve by itself: not within 5m: HTTP 503"]
    made.minutes(55)
    sees(made, False)
    made.minutes(30)
    assert made.incident.phase is Phase.MONITORING
    told = [title for person, title in made.told if person == "ana" and title.startswith("Not verified")]
    assert told == ["Not verified: Down"]
    sees(made, True)
    assert made.incident.phase.value == "resolved"


def test_a_service_that_comes_late_is_waited_for() -> None:
    made = stage()
    made.ends()
    made.minutes(1)
    sees(made, False)
    made.minutes(1)
    sees(made, True)
    made.advance(HOUR - 2 * MINUTE)
    sees(made, True)
    assert made.incident.phase is Phase.RESOLVED
    assert not [title for _, title in made.told if title.startswith("Not verified")]


def test_a_look_that_is_fresh_is_not_made_again() -> None:
    made = stage(SERVICES.replace("after: 1m, every: 1m, within: 5m", "after: 59m, every: 1m, within: 60m"))
    made.ends()
    made.minutes(59)
    sees(made, True)
    made.advance(FRESH)
    assert made.incident.phase is Phase.RESOLVED


def test_no_worker_is_no_pass() -> None:
    made = stage()
    made.ends()
    made.minutes(1)
    made.advance(TAKEN_WITHIN + 10 * MINUTE)
    assert "no worker looked; does a probe worker run?" in lines(made)[0]
    made.advance(2 * HOUR)
    assert made.incident.phase is Phase.MONITORING


def test_what_settles_at_once_is_verified_first() -> None:
    made = stage()
    made.command(Verb.RESOLVE, made.incident.key, "ana", confirm=True)
    made.fires(severity="info", name="Slow", service="shop")
    low = Stage(files={**FILES, "services.yaml": SERVICES})
    low.fires(severity="info")
    assert low.incident.severity.name in ("P3", "P4")
    low.ends(severity="info")
    assert low.incident.phase is Phase.MONITORING
    assert lines(low, "all-clear")[0].endswith("monitoring until it is verified")
    low.minutes(1)
    sees(low, True)
    assert low.incident.phase.value == "resolved"


def test_a_person_may_end_it_and_is_asked_first() -> None:
    made = stage()
    made.ends()
    assert "was not looked at yet" in ask(made).text
    made.minutes(1)
    sees(made, False)
    asked = ask(made)
    assert (asked.ending, "Its verification fails: HTTP 503" in asked.text) == ("asks", True)
    assert ask(made, confirm=True).ending == "done"
    assert made.incident.phase is Phase.RESOLVED
    assert state(made) is None
    made.minutes(120)
    good = stage()
    good.ends()
    good.minutes(1)
    sees(good, True)
    assert ask(good).ending == "done"


def test_one_that_fails_for_a_day_is_not_looked_at_for_ever() -> None:
    made = stage()
    made.ends()
    made.minutes(60)
    for _ in range(LOOKS_MAX + 20):
        known = state(made)
        assert known is not None
        if known.wanted is None:
            break
        sees(made, False)
        made.advance(AGAIN)
    assert lines(made)[-1].endswith("somebody has to end it")
    assert not [name for name in made.memory.timers if name.startswith("verifying:")]


def test_what_fires_again_is_verified_anew() -> None:
    made = stage()
    made.ends()
    made.minutes(1)
    made.fires()
    assert state(made) is None
    made.append(Verified(made.incident.key, made.now, ((True, "late"),)))
    assert made.incident.phase is not Phase.RESOLVED
    made.ends()
    made.minutes(1)
    sees(made, True)


def test_a_rule_names_verifications_for_its_alerts_and_what_lacks_a_label_is_said() -> None:
    verify = "verify: [{prometheus: 'http://p:9090', query: 'up{pod=\"{pod}\"}'}]"
    rules = FILES["severity.yaml"].replace(
        "  - name: by word\n", f"  - {{name: seen, matchers: [], continue: true, {verify}}}\n  - name: by word\n"
    )
    made = Stage(files={**FILES, "severity.yaml": rules, "services.yaml": SERVICES})
    made.fires(pod='a"b')
    made.ends(pod='a"b')
    known = state(made)
    assert known is not None
    assert [one.query for one in known.checks] == ["", 'up{pod="a\\"b"}']
    bare = stage(severity=rules)
    bare.ends()
    assert lines(bare) == ['not verified: {pod} stands in up{pod="{pod}"}, and no alert has that label']


def test_what_runs_when_it_passes_is_last_known_good() -> None:
    made = Stage(files={**FILES, "services.yaml": SERVICES})
    made.append(ChangesTold("ci", [Change("shop", "deploy", "", "v42", made.now)]))
    made.fires()
    made.append(ChangesTold("ci", [Change("shop", "rollback", "", "v41", made.now)]))
    made.ends()
    made.minutes(1)
    assert last_known_good(made.memory, "shop", made.now) is None
    sees(made, True)
    found = last_known_good(made.memory, "shop", made.now)
    assert found is not None
    assert found.version == "v41"


@pytest.mark.parametrize(
    ("verify", "words"),
    [
        ("[{http: shop}]", "this is no address"),
        ("[{query: up}]", "give either prometheus and query, or http"),
        ("[{http: 'https://x/', every: 1s}]", "every is 5s or more"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(verify: str, words: str) -> None:
    assert words in "\n".join(said({"services.yaml": f"services: {{shop: {{verify: {verify}}}}}"}))
    rule = f"rules: [{{name: x, matchers: [], verify: {verify}}}]"
    assert words in "\n".join(said({"severity.yaml": rule}))


def test_the_alerts_of_many_incidents_that_are_to_be_verified_are_named_together() -> None:
    made = stage()
    made.fires(service="search")
    memory = DictMemory()
    memory.values = {key: value for key, value in made.memory.values.items() if key[0] == INCIDENT}
    examples = [one.example for one in made.incidents]
    due = [f"verifying:{one.key}" for one in made.incidents]
    named = alike((DETAILS, examples[0]), Entry("1-1", made.now, Tick()), due, EMPTY, memory)
    assert {(DETAILS, one) for one in examples} == set(named)


@pytest.mark.parametrize("settled", [False, True])
def test_a_check_that_operators_take_away_keeps_nothing_from_ending(settled: bool) -> None:
    made = stage()
    made.ends()
    for _ in range(5):
        made.minutes(1)
        sees(made, False)
    if settled:
        made.minutes(55)
        sees(made, False)
    made.load({**FILES, "services.yaml": "services: {shop: {}}"}, "mended")
    made.minutes(6 if settled else 55)
    assert made.incident.phase is Phase.RESOLVED


def test_a_check_that_operators_mend_is_looked_at_as_it_is_now() -> None:
    made = stage()
    made.ends()
    made.load({**FILES, "services.yaml": SERVICES.replace("health", "ready")}, "mended")
    made.minutes(1)
    known = state(made)
    assert known is not None
    assert [one.url for one in known.checks] == ["https://shop.example.org/shop/ready"]
