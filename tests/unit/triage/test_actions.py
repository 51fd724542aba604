"""Actions: who may run which, that one run is one run, what is unknown pages people, and what is seen afterwards."""

from __future__ import annotations

import json

import msgspec

from tests.unit.triage.stage import FILES, Stage
from triage.actions import APART, GRACE, TAKEN_WITHIN
from triage.changes import last_known_good
from triage.memory import ACTION
from triage.model import DAY, MINUTE, SECOND, Acted, ActStep, Answer, Change, ChangesTold, Command, Phase, Verb
from triage.run import Run, RunState

ACTIONS = """
actions:
  rollback:
    title: Roll back
    services: [shop]
    severities: [P0, P1]
    who: [ana, ben]
    parameters: {version: {pattern: 'v[0-9]+'}, count: {type: integer, default: "3"}}
    request: {url: "https://deploy.example.org/{service}/{version}", json: {n: "{count}"}}
    timeout: 20s
    verify: {http: "https://shop.example.org/", after: 1m, every: 30s, within: 2m}
  good:
    title: Roll back to the last good one
    parameters: {version: {default: "{last_known_good}"}}
    request: {url: "https://deploy.example.org/{version}"}
  restart:
    title: Restart
    request: {url: "https://deploy.example.org/restart"}
"""


def stage() -> Stage:
    made = Stage(files={**FILES, "actions.yaml": ACTIONS})
    made.fires()
    return made


def ask(made: Stage, name: str = "rollback", by: str = "ana", *, confirm: bool = True, **more: str) -> Answer:
    parameters = {"version": "v41"} if name == "rollback" else {}
    data = {"action": name, "parameters": json.dumps(parameters), **more}
    return made.answers[made.append(Command(Verb.ACTION, made.incident.key, by, "test", confirm=confirm, data=data))]


def runs(made: Stage) -> list[Run]:
    return [value for key, value in made.memory.values.items() if key[0] == ACTION and isinstance(value, Run)]


def says(
    made: Stage, step: ActStep, *, ok: bool = True, unsure: bool = False, text: str = "", token: str = "t"
) -> None:
    (run,) = runs(made)
    made.append(Acted(run.id, token, step, run.incident, ok, unsure, text))


def lines(made: Stage, what: str = "action") -> list[str]:
    return [line.text for line in made.lines(made.incident.key) if line.what == what]


def test_it_is_asked_back_and_a_dry_run_sends_nothing() -> None:
    made = stage()
    asked = ask(made, confirm=False)
    assert (asked.ending, runs(made)) == ("asks", [])
    assert 'POST https://deploy.example.org/shop/v41 with {"n": 3}' in asked.text
    dry = ask(made, dry_run="yes")
    assert (dry.ending, runs(made)) == ("done", [])
    assert "nothing was sent" in dry.text
    assert ask(made).ending == "done"
    (run,) = runs(made)
    assert (run.state, run.call.url, run.parameters) == (
        RunState.ASKED,
        "https://deploy.example.org/shop/v41",
        {"version": "v41", "count": "3"},
    )


def test_what_may_not_be_run_is_refused_in_words() -> None:
    made = stage()
    assert "has no action “nope”" in ask(made, "nope").text
    assert "eve may not run rollback" in ask(made, by="eve").text
    assert "does not match" in ask(made, parameters='{"version": "latest"}').text
    assert "takes no more" in ask(made, parameters='{"version": "v1", "more": "1"}').text
    assert "version: say it" in ask(made, parameters="{}").text
    assert "last good" in ask(made, "good").text
    other = stage()
    other.fires(service="search")
    search = next(one for one in other.incidents if one.service == "search")
    data = {"action": "rollback", "parameters": '{"version": "v1"}'}
    answer = other.answers[other.append(Command(Verb.ACTION, search.key, "ana", "test", confirm=True, data=data))]
    assert "rollback is for shop, not for search" in answer.text
    assert runs(made) == runs(other) == []


def test_nothing_is_run_for_what_is_over() -> None:
    made = stage()
    made.command(Verb.RESOLVE, made.incident.key, "ana", confirm=True)
    assert "has ended already" in ask(made).text
    assert runs(made) == []


def test_two_people_who_press_at_once_run_it_once() -> None:
    made = stage()
    assert ask(made).ending == "done"
    second = ask(made, by="ben")
    assert (second.ending, "ana runs it already" in second.text) == ("refused", True)
    says(made, ActStep.STARTED)
    says(made, ActStep.ENDED, text="HTTP 200")
    second = ask(made, by="ben")
    assert (second.ending, "ana ran it" in second.text) == ("refused", True)
    made.advance(APART)
    assert ask(made, by="ben").ending == "done"
    assert len(runs(made)) == 2


def test_only_the_worker_that_was_first_is_heard() -> None:
    made = stage()
    ask(made)
    says(made, ActStep.STARTED, token="first")
    says(made, ActStep.STARTED, token="second")
    says(made, ActStep.ENDED, token="second", text="HTTP 200")
    (run,) = runs(made)
    assert (run.token, run.state) == ("first", RunState.STARTED)
    says(made, ActStep.ENDED, token="first", text="HTTP 200: rolled back")
    (run,) = runs(made)
    assert (run.state, run.output) == (RunState.DONE, "HTTP 200: rolled back")
    assert "rollback done: HTTP 200: rolled back" in lines(made)


def test_a_run_without_an_end_is_unknown_is_never_run_again_and_pages_the_responders() -> None:
    made = stage()
    made.command(Verb.ACKNOWLEDGE, made.incident.key, "ben")
    ask(made)
    says(made, ActStep.STARTED)
    before = len(made.pages)
    made.advance(20 * SECOND + GRACE - 1)
    assert len(made.pages) == before
    made.advance(1)
    (run,) = runs(made)
    assert (run.state, run.wants_worker) == (RunState.UNKNOWN, False)
    assert sorted(page.person for page in made.pages[before:]) == ["ana", "ben"]
    assert "rollback may or may not have been done" in made.pages[-1].facts["why"]
    made.minutes(30)
    assert [one.state for one in runs(made)] == [RunState.UNKNOWN]
    says(made, ActStep.STARTED, token="another")
    assert runs(made)[0].token == "t"
    says(made, ActStep.ENDED, text="HTTP 200")
    assert runs(made)[0].state is RunState.DONE
    assert any("known late" in line for line in lines(made))


def test_an_answer_that_did_not_come_is_unknown_at_once() -> None:
    made = stage()
    ask(made, "restart", by="admin")
    says(made, ActStep.STARTED)
    before = len(made.pages)
    says(made, ActStep.ENDED, ok=False, unsure=True, text="no answer came")
    assert runs(made)[0].state is RunState.UNKNOWN
    assert [page.person for page in made.pages[before:]] == ["eve"], "nobody has it, so the last resort is paged"


def test_a_run_that_no_worker_takes_is_not_run_later() -> None:
    made = stage()
    ask(made)
    made.advance(TAKEN_WITHIN)
    (run,) = runs(made)
    assert (run.state, run.wants_worker) == (RunState.EXPIRED, False)
    says(made, ActStep.STARTED)
    assert runs(made)[0].state is RunState.EXPIRED
    assert ("ana", "rollback was not run") in made.told


def test_a_failure_is_told_to_whoever_asked() -> None:
    made = stage()
    ask(made)
    says(made, ActStep.STARTED)
    says(made, ActStep.ENDED, ok=False, text="HTTP 409: busy")
    assert runs(made)[0].state is RunState.FAILED
    assert ("ana", "rollback failed") in made.told
    made.minutes(30)
    assert not runs(made)[0].looking, "what failed is not verified"


def test_it_is_looked_at_until_it_helped() -> None:
    made = stage()
    ask(made)
    says(made, ActStep.STARTED)
    says(made, ActStep.ENDED, text="HTTP 200")
    assert not runs(made)[0].looking
    made.advance(MINUTE)
    assert runs(made)[0].wants_worker
    says(made, ActStep.LOOKED, ok=False, text="HTTP 500")
    assert not runs(made)[0].looking
    made.advance(30 * SECOND)
    assert runs(made)[0].looking
    says(made, ActStep.LOOKED, text="HTTP 200")
    assert (runs(made)[0].helped, runs(made)[0].looking) == (True, False)
    assert "rollback helped: HTTP 200" in lines(made)


def test_what_did_not_help_in_time_is_said_whether_or_not_anybody_looked() -> None:
    for looks in (True, False):
        made = stage()
        ask(made)
        says(made, ActStep.STARTED)
        says(made, ActStep.ENDED, text="HTTP 200")
        for _ in range(10):
            made.advance(30 * SECOND)
            if looks and runs(made)[0].looking:
                says(made, ActStep.LOOKED, ok=False, text="HTTP 500")
        assert runs(made)[0].helped is False
        assert any("did not help within 2m" in line for line in lines(made))
        assert ("ana", "rollback did not help") in made.told


def test_the_last_known_good_version_is_filled_in_where_it_is_known() -> None:
    made = Stage(files={**FILES, "actions.yaml": ACTIONS})
    made.append(ChangesTold("deploys", [Change("shop", "deploy", "", version="v40", verified=True)]))
    made.minutes(5)
    made.append(ChangesTold("deploys", [Change("shop", "deploy", "", version="v41")]))
    made.fires()
    assert ask(made, "good").ending == "done"
    (run,) = runs(made)
    assert (run.call.url, run.parameters) == ("https://deploy.example.org/v40", {"version": "v40"})


def test_what_is_done_elsewhere_is_noted() -> None:
    made = stage()

    def note(**data: str) -> Answer:
        return made.answers[made.append(Command(Verb.MITIGATION, made.incident.key, "ana", "test", data=data))]

    assert note(what="hotfix", commit="1f2e3d4", pr="812").ending == "done"
    assert lines(made, "mitigation") == ["hotfix commit 1f2e3d4, pr 812"]
    assert note(what="magic", version="v1").ending == "refused"
    assert note(what="rollback").ending == "refused"
    assert note(what="rollback", version="two words").ending == "refused"


def test_a_run_is_kept_as_it_is() -> None:
    made = stage()
    ask(made)
    (run,) = runs(made)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(run), type=Run) == run


def test_in_shadow_it_is_refused_with_what_it_would_be_and_a_dry_run_shows_it() -> None:
    made = stage()
    for confirm in (True, False):
        refused = ask(made, confirm=confirm, shadow="yes")
        assert (refused.ending, runs(made)) == ("refused", [])
        assert "in shadow" in refused.text
        assert "POST https://deploy.example.org/shop/v41" in refused.text
    assert "nothing was sent" in ask(made, shadow="yes", dry_run="yes").text
    assert made.incident.phase is Phase.DETECTED


def test_whoever_runs_one_has_it_and_mitigates_it() -> None:
    made = stage()
    ask(made, confirm=False)
    assert made.incident.phase.value == "detected", "it was only asked back"
    ask(made)
    assert (made.incident.phase, made.incident.acked_by) == (Phase.MITIGATING, "ana")
    assert "triaged → mitigating: ana runs rollback" in lines(made, "phase")
    made.ends()
    made.minutes(2)
    ask(made, "restart", by="ben")
    assert made.incident.phase.value == "monitoring", "what is over is not begun anew"


def test_a_program_that_runs_one_keeps_nobody_asleep() -> None:
    made = stage()
    assert ask(made, "restart", by="deploy-bot").ending == "done"
    assert (made.incident.phase, made.incident.acked_by) == (Phase.DETECTED, "")
    made.minutes(6)
    assert made.paged == ["ana", "ben"], "paging goes on"
    made.command(Verb.ACKNOWLEDGE, made.incident.key, "ben")
    says(made, ActStep.STARTED)
    says(made, ActStep.ENDED, ok=True)
    assert ask(made, "restart", by="deploy-bot").ending == "done"
    assert (made.incident.phase, made.incident.acked_by) == (Phase.MITIGATING, "ben")


def deployed(made: Stage, version: str) -> None:
    made.append(ChangesTold("ci", [Change("shop", "deploy", "", version, made.now)]))


def good(made: Stage) -> str:
    found = last_known_good(made.memory, "shop", made.now)
    return found.version if found is not None else ""


def helps(made: Stage) -> None:
    says(made, ActStep.STARTED)
    says(made, ActStep.ENDED, text="HTTP 200")
    made.minutes(1)
    says(made, ActStep.LOOKED, text="HTTP 200")


def test_what_runs_once_it_helped_has_passed_its_verification() -> None:
    made = Stage(files={**FILES, "actions.yaml": ACTIONS})
    deployed(made, "v41")
    deployed(made, "v42")
    made.fires()
    ask(made)
    assert good(made) == ""
    helps(made)
    assert good(made) == "v41", "it was rolled back to, although nobody told of that"
    assert lines(made, "verified") == ["shop v41 passed its verification: it is last known good now"]


def test_a_version_under_which_the_incident_began_is_not_good_because_it_ended() -> None:
    made = Stage(files={**FILES, "actions.yaml": ACTIONS})
    deployed(made, "v42")
    made.fires()
    ask(made)
    helps(made)
    assert (good(made), lines(made, "verified")) == ("", [])
    hot = Stage(files={**FILES, "actions.yaml": ACTIONS})
    deployed(hot, "v42")
    hot.fires()
    ask(hot)
    deployed(hot, "v43")
    helps(hot)
    assert good(hot) == "v43"


def merged() -> tuple[Stage, str]:
    """A rollback was run for one incident, which became part of another."""
    made = Stage(files={**FILES, "actions.yaml": ACTIONS})
    made.fires()
    made.seconds(1)
    made.fires("Slow", service="search")
    shop, search = (one.key for one in made.incidents)
    data = {"action": "restart"}
    made.append(Command(Verb.ACTION, shop, "ana", "test", confirm=True, data=data))
    made.append(Command(Verb.MERGE, shop, "ana", "test", data={"other": search}))
    return made, search


def test_what_was_run_for_a_merged_incident_is_not_run_again_for_the_other() -> None:
    made, search = merged()
    data = {"action": "restart"}
    answer = made.answers[made.append(Command(Verb.ACTION, search, "ben", "test", confirm=True, data=data))]
    assert answer == Answer("refused", "ana runs it already; the timeline says what comes of it")


def test_runs_are_forgotten_with_their_incident() -> None:
    made, search = merged()
    made.command(Verb.RESOLVE, search, "ana", confirm=True)
    made.advance(200 * DAY)
    assert (made.incidents, runs(made)) == ([], [])
