"""Checking off: which steps there are, what is said of them, and where it ends."""

from __future__ import annotations

from tests.unit.triage.stage import FILES, Stage
from triage.checking import CHECKED_MAX, SHOWN_MAX
from triage.memory import CHECKLIST
from triage.model import Answer, Command, Verb
from triage.rulebook import guides

LONG = "Look at {{ instance }} " + "again and " * 60
BOOK = "# Shop on {{ instance }}\n\n## Mitigation\n\n- [ ] " + LONG + "\n"
OTHER = "- [ ] Of another runbook\n"
PROCEDURE = "".join(f"- [ ] step {number}\n" for number in range(CHECKED_MAX))
RULES = {
    **FILES,
    "severity.yaml": FILES["severity.yaml"].replace(
        "    group_by: [service]\n", "    group_by: [service]\n    runbook: runbooks/shop.md\n", 1
    ),
    "runbooks/shop.md": BOOK,
    "runbooks/other.md": OTHER,
    "procedures/5-postmortem.md": PROCEDURE,
}


def check(stage: Stage, step: str, **more: str) -> Answer:
    command = Command(Verb.CHECK, stage.incident.key, "ana", "test", data={"step": step, **more})
    return stage.answers[stage.append(command)]


def steps(path: str) -> list[str]:
    return [part.step for _, part in guides.parse(path, RULES[path]).steps()]


def test_a_long_step_is_cut_and_its_holes_are_filled() -> None:
    stage = Stage(files=RULES)
    stage.fires(instance="node-1")
    (step,) = steps("runbooks/shop.md")
    assert check(stage, step).text == "checked off"
    (line,) = [line for line in stage.lines(stage.incident.key) if line.what == "checked"]
    assert line.text.startswith("Shop on node-1, Mitigation: Look at node-1 again and")
    assert len(line.text) == SHOWN_MAX


def test_a_step_of_a_runbook_that_is_not_this_incidents_is_refused() -> None:
    stage = Stage(files=RULES)
    stage.fires()
    (step,) = steps("runbooks/other.md")
    assert check(stage, step).ending == "refused"
    assert check(stage, "").ending == "refused"
    assert check(stage, steps("runbooks/shop.md")[0], undo="yes").text == "it was not checked off"
    assert stage.memory.get((CHECKLIST, stage.incident.key)) is None


def test_what_is_remembered_is_bounded() -> None:
    stage = Stage(files=RULES)
    stage.fires()
    for step in steps("procedures/5-postmortem.md"):
        assert check(stage, step).ending == "done"
    answer = check(stage, steps("runbooks/shop.md")[0])
    assert (answer.ending, "write a note instead" in answer.text) == ("refused", True)
