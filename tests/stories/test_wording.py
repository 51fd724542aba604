"""The operators' own wording, on its way from the rules in force to a person."""

from __future__ import annotations

from tests.stories.town import SEVERITY, Town, oncall
from triage.model import Verb


async def worded(town: Town, **templates: str) -> None:
    files = {f"templates/{name}.page.txt": text for name, text in templates.items()}
    await town.loads({"severity.yaml": SEVERITY, "oncall.yaml": oncall(town.pages), **files})


async def test_a_page_is_worded_by_the_template_of_its_channel_from_the_next_message_on(town: Town) -> None:
    await town.fires("Down")
    assert town.messages[-1]["title"] == "P1 Down"
    await worded(town, file="wake up: {{ title }}\n{{ acknowledge }}", default="never")
    town.wait(minutes=5)
    assert [one["title"] for one in town.messages] == ["P1 Down", "wake up: Down"]
    assert town.messages[-1]["body"].startswith("Acknowledge: tocsin ack ")
    await town.asks(Verb.ACKNOWLEDGE, "ana")


async def test_a_template_that_fails_costs_no_page_and_the_operators_hear_of_it(town: Town) -> None:
    await worded(town, default="{{ title.nothing }}")
    await town.fires("Down")
    assert town.paged == ["ana"]
    assert town.messages[0]["title"] == "P1 Down"
    (told,) = [one for one in town.messages if one["kind"] == "operator"]
    assert told["person"] == "eve"
    assert "templates/default.page.txt:1: " in told["body"]
    town.wait(minutes=5)
    assert len([one for one in town.messages if one["kind"] == "operator"]) == 1
    await town.asks(Verb.ACKNOWLEDGE, "ana")
