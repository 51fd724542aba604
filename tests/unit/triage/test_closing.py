"""Closing asks for what was to be written down, is given it, or is told why it goes without."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.triage.stage import FILES, Stage
from tests.unit.triage.test_actions import ACTIONS, says
from tests.unit.triage.test_actions import ask as act
from tests.unit.triage.test_phases import PAGE
from tests.unit.triage.test_updates import SERVICES
from triage import publishing
from triage.closing import DEMANDS
from triage.memory import PUBLICATION
from triage.model import MINUTE, ActStep, Answer, Command, Phase, Severity, Verb
from triage.public import Publication
from triage.rulebook import compile_files
from triage.rulebook.postmortems import CLOSING
from triage.rulebook.problems import RulesError


def staged(**more: str) -> Stage:
    files = {**FILES, "actions.yaml": ACTIONS, "services.yaml": SERVICES, "postmortems.yaml": "within: {}"}
    stage = Stage(files=files | {f"{name}.yaml": text for name, text in more.items()})
    stage.fires()
    return stage


def ask(stage: Stage, verb: Verb, by: str = "ana", **more: Any) -> Answer:
    return stage.answers[stage.append(Command(verb, stage.incident.key, by, "test", **more))]


def resolve(stage: Stage, text: str = "", **data: str) -> None:
    assert ask(stage, Verb.RESOLVE, confirm=True, text=text, data=data).ending == "done"


def close(stage: Stage, text: str = "", confirm: bool = False, **data: str) -> Answer:
    return ask(stage, Verb.PHASE, confirm=confirm, text=text, data={"to": "closed", **data})


def lines(stage: Stage, what: str) -> list[str]:
    return [line.text for line in stage.lines(stage.incident.key) if line.what == what]


def publish(stage: Stage, status: str = "investigating") -> None:
    data = {"audience": "public", "status": status}
    assert ask(stage, Verb.UPDATE, text="We look into it.", confirm=True, data=data).ending == "done"


def public(stage: Stage) -> Publication:
    found = stage.memory.get((PUBLICATION, stage.incident.key))
    assert isinstance(found, Publication)
    return found


def test_the_page_has_the_table() -> None:
    rows = re.findall(r"^\| (\w+) \| (?:while|without) .* \| (yes|) ?\| (yes|) ?\|$", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == [one.name for one in DEMANDS]
    for name, high, low in rows:
        for severity in Severity:
            assert (name in CLOSING[severity.name]) is bool(high if severity <= Severity.P1 else low), (name, severity)


def test_what_is_missing_is_asked_for_and_given_with_the_move() -> None:
    stage = staged()
    resolve(stage)
    answer = close(stage)
    assert answer.ending == "asks"
    assert answer.text.startswith("no resolution note, no root cause; close incident ")
    assert close(stage, resolution="rolled back").text.startswith("no root cause; close")
    assert stage.incident.resolution == ""  # asked back: nothing was done
    assert close(stage, resolution="rolled back", root_cause="a bad deploy") == Answer("done", "it is closed")
    assert (stage.incident.resolution, stage.incident.root_cause) == ("rolled back", "a bad deploy")
    assert lines(stage, "postmortem") == ["how it ended: rolled back", "root cause: a bad deploy"]
    assert lines(stage, "waived") == []


def test_closed_without_it_the_timeline_says_what_was_left_out_and_why() -> None:
    stage = staged()
    resolve(stage, "restarted")
    refused = close(stage, confirm=True)
    assert refused.ending == "refused"
    assert refused.text.startswith("no root cause: fill it in, or say why incident ")
    assert stage.incident.phase is Phase.RESOLVED
    assert close(stage, "false alarm", confirm=True).ending == "done"
    assert lines(stage, "waived") == ["closed all the same: no root cause. Why: false alarm"]


def test_lesser_ones_are_asked_for_nothing_that_was_not_begun() -> None:
    stage = staged()
    ask(stage, Verb.SEVERITY, text="small", data={"to": "P3"})
    resolve(stage)
    assert close(stage).ending == "done"


def test_postmortems_yaml_says_what_is_asked_for() -> None:
    stage = staged(postmortems="within: {}\nclosing: {P1: [root_cause], P0: []}")
    resolve(stage)
    assert close(stage).text.startswith("no root cause; close")
    ask(stage, Verb.SEVERITY, text="it was all of it", data={"to": "P0"})
    assert close(stage).ending == "done"


@pytest.mark.parametrize("text", ["closing: {P7: []}", "closing: {P1: [everything]}"])
def test_what_closing_cannot_ask_for_is_refused(text: str) -> None:
    with pytest.raises(RulesError):
        compile_files({**FILES, "postmortems.yaml": text})


def test_the_public_is_owed_last_words_that_somebody_wrote() -> None:
    stage = staged(postmortems="within: {}\nclosing: {P1: [public]}")
    publish(stage)
    resolve(stage)
    over_at = public(stage).resolved_at
    assert close(stage).text.startswith("the status page says no more than “This is resolved.”; close")
    stage.minutes(5)
    assert close(stage, public="Payments work again.").ending == "done"
    assert (public(stage).updates[-1].text, public(stage).resolved_at) == ("Payments work again.", over_at)
    assert lines(stage, "published")[-1] == "on the status page (resolved): Payments work again."


def test_a_page_that_goes_on_after_the_end_is_asked_about() -> None:
    stage = staged(postmortems="within: {}\nclosing: {P1: [public]}")
    publish(stage)
    resolve(stage, public="It works again.")
    assert public(stage).updates[-1].text == "It works again."
    publish(stage, "monitoring")
    assert close(stage).text.startswith("the status page does not say that it is over; close")
    assert close(stage, public=publishing.OVER).ending == "done"


def test_what_was_never_public_owes_the_public_nothing() -> None:
    stage = staged(postmortems="within: {}\nclosing: {P1: [public]}")
    resolve(stage)
    assert close(stage, public="not for anybody").ending == "done"
    assert stage.memory.get((PUBLICATION, stage.incident.key)) is None


def test_an_action_that_is_not_verified_yet_is_asked_about_by_resolving_and_by_closing() -> None:
    stage = staged(postmortems="within: {}\nclosing: {P1: [verification]}")
    act(stage)
    stage.ends()
    says(stage, ActStep.STARTED)
    assert ask(stage, Verb.RESOLVE).text == "Rollback is still being run: resolve it before that?"
    says(stage, ActStep.ENDED, text="HTTP 200")
    assert ask(stage, Verb.RESOLVE).text == "Whether rollback helped is not known yet: resolve it before that?"
    resolve(stage, "looks good")
    assert lines(stage, "resolved") == ["resolved by ana (whether rollback helped is not known yet): looks good"]
    assert close(stage).text.startswith("whether rollback helped is not known yet; close")
    stage.advance(MINUTE)
    says(stage, ActStep.LOOKED, text="HTTP 200")
    assert close(stage).ending == "done"


def test_what_belongs_to_the_end_is_not_taken_with_another_move() -> None:
    stage = staged()
    answer = ask(stage, Verb.PHASE, data={"to": "mitigating", "root_cause": "x"})
    assert answer == Answer("refused", "how it ended, and why it happened, is said when it is resolved or closed")
    data = {"to": "resolved", "root_cause": "a bad deploy", "resolution": "rolled back"}
    assert ask(stage, Verb.PHASE, confirm=True, data=data).ending == "done"
    assert (stage.incident.resolution, stage.incident.root_cause) == ("rolled back", "a bad deploy")
