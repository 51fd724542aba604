"""A story of a runbook that is followed step by step, through a change of the rules, to the end of the incident."""

from __future__ import annotations

from tests.stories.town import SEVERITY, Town, oncall
from triage.model import DAY, HOUR, Command, Verb
from triage.rulebook import guides
from triage.store import keys

RUNBOOK = "# Shop\n\n## Mitigation\n\n- [ ] Roll back\n- [ ] Restart\n"


def files(town: Town, runbook: str) -> dict[str, str]:
    severity = SEVERITY.replace("severity: P0", "severity: P0\n    runbook: runbooks/shop.md")
    return {"severity.yaml": severity, "oncall.yaml": oncall(town.pages), "runbooks/shop.md": runbook}


async def check(town: Town, words: str, by: str = "ana", undo: str = "") -> None:
    step = next(part.step for _, part in guides.parse("runbooks/shop.md", RUNBOOK).steps() if part.text == words)
    data = {"step": step, "undo": undo}
    await town.appender.append(Command(Verb.CHECK, town.incident.key, by, "story", data=data), town.now)
    town.settle()


async def test_steps_are_checked_off_once_stay_so_and_are_forgotten_with_the_incident(town: Town) -> None:
    await town.loads(files(town, RUNBOOK))
    await town.fires("Down", service="checkout")
    await check(town, "Roll back")
    await check(town, "Roll back", by="ben")
    await check(town, "Restart")
    await check(town, "Restart", undo="yes")
    await town.loads(files(town, RUNBOOK.replace("Restart", "Restart slowly")))
    await check(town, "Restart")
    lines = [(line.what, line.text, line.by) for line in town.timeline(town.incident) if "checked" in line.what]
    assert lines == [
        ("checked", "Shop, Mitigation: Roll back", "ana"),
        ("checked", "Shop, Mitigation: Restart", "ana"),
        ("unchecked", "Shop, Mitigation: Restart", "ana"),
    ]
    assert town.client.hlen(keys.family("checklist")) == 1
    await town.acks("ana")
    await town.ends("Down", service="checkout")
    town.wait(hours=2)
    town.wait(hours=91 * DAY / HOUR)
    assert town.incidents == []
    assert town.client.hlen(keys.family("checklist")) == 0
