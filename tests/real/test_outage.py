"""One outage, told in full: a real Alertmanager, the real clients of mail and chat, people, and what they learn.

The postmortem that the journal makes of it is compared with an approved text, `outage.approved.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real.alertmanager import alertmanager, amtool_adds
from tests.real.test_channels import Mailbox, smtp
from tests.real.world import SEVERITY, RealTown, real_town
from tests.unit.workers.slack_server import BOT, Slack, serving
from triage.model import Answer, Command, Phase, Role, Severity, Verb, short
from triage.postmortem import ItemState, State
from triage.rulebook import compile_files
from triage.store import learned, queries
from triage.store.client import connect, connect_async
from workers import channel, slack
from workers.deliver import Deliver

pytestmark = [pytest.mark.needs("prometheus-alertmanager", "alertmanager"), pytest.mark.needs("amtool")]

APPROVED = Path(__file__).with_name("outage.approved.md")
DOWN = ("alertname=Down", "service=checkout", "instance=web-1")
SLOW = ("alertname=Slow", "service=checkout", "instance=web-2")
ONCALL = """
people:
  ana: {{name: Ana, contact: ["mailto://127.0.0.1:{smtp}?from=tocsin@example.org&to=ana@example.org&mode=insecure"]}}
  ben: {{name: Ben, contact: ["slack+bot://${{SLACK_TOKEN}}@acme/C0ALERTS"]}}
policies:
  default: {{steps: [{{notify: [ana], wait: 5m}}, {{notify: [ben], wait: 10m}}]}}
operators: [ben]
last_resort: [ben]
"""
POSTMORTEMS = """
within: {{P0: 7d}}
publish: ["file://{wiki}"]
time_zone: UTC
"""


@pytest.fixture
def chat() -> Iterator[Slack]:
    with serving(Slack()) as workspace:
        slack.use(workspace.api)
        yield workspace
        slack.use("https://slack.com/api/")


class People:
    """What ana and ben ask for, and what they are answered."""

    def __init__(self, town: RealTown) -> None:
        self.town = town
        self.client = connect_async(town.url)

    async def __aenter__(self) -> People:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def ask(self, by: str, verb: Verb, text: str = "", **more: Any) -> Answer:
        """Ask, wait until it is decided and done, and return the answer."""
        command = Command(verb, self.town.incident.key, by, "cli", text, **more)
        entry = await self.town.appender.append(command, self.town.now)
        self.town.settle()
        answer = await queries.answer(self.client, entry)
        assert answer is not None
        return answer

    async def done(self, by: str, verb: Verb, text: str = "", **more: Any) -> None:
        answer = await self.ask(by, verb, text, **more)
        assert answer.ending == "done", answer


def steady(text: str, *ids: str) -> str:
    """Return a postmortem without what differs each time: times, how long things took, and names made of chance."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "TIME", text)
    text = re.sub(r"\b\d+ (?:s|min)\b(?! at)", "SPAN", text)
    text = re.sub(r"\d{4}-\d\d-\d\d", "DAY", text)
    for number, one in enumerate(ids, 1):
        text = text.replace(one, f"ID{number}")
    return text


async def test_from_the_first_alert_to_the_last_action_item(redis_url: str, tmp_path: Path, chat: Slack) -> None:
    mailbox, wiki = Mailbox(), tmp_path / "wiki.jsonl"
    with smtp(mailbox) as port:
        async with (
            real_town(redis_url, tmp_path) as town,
            alertmanager(town.wire.url, tmp_path) as sender,
            People(town) as people,
        ):
            files = {
                "severity.yaml": SEVERITY,
                "oncall.yaml": ONCALL.format(smtp=port),
                "postmortems.yaml": POSTMORTEMS.format(wiki=wiki),
            }
            compile_files(files)
            town.deliver = Deliver(connect(town.url), town.clock, channel.load(), {"SLACK_TOKEN": BOT}.get)
            await town.loads(files)
            await amtool_adds(sender.url, *DOWN)
            await town.until("ana is paged by mail", lambda: bool(mailbox.got))
            await amtool_adds(sender.url, *SLOW)
            await town.until("both alerts are in", lambda: town.incident.alerts == 2)
            await _responded(town, people)
            assert any("You are communications" in str(one) for one in chat.made("chat.postMessage"))
            await amtool_adds(sender.url, *DOWN, ends=True)
            await town.until("one is over", lambda: town.incident.firing == 1)
            await amtool_adds(sender.url, *SLOW, ends=True)
            await town.until("it is over", lambda: town.incident.phase is Phase.RESOLVED)
            await _learned(town, people, wiki)
    [(recipients, mail)] = [(to, mail) for to, mail in mailbox.got if mail["Subject"].startswith("P0 ")]
    assert (recipients, mail["Subject"]) == (["ana@example.org"], "P0 Checkout answers 500")


async def _responded(town: RealTown, people: People) -> None:
    await people.done("ana", Verb.ACKNOWLEDGE)
    await people.done("ana", Verb.IMPACT, "nobody can pay")
    await people.done("ana", Verb.ROLE, person="ben", data={"role": "communications"})
    await people.done("ana", Verb.NOTE, "the last deploy was 10 minutes before", data={"kind": "hypothesis"})
    await people.done("ana", Verb.PHASE, "rolling back to 41", data={"to": "mitigating"})
    await people.done("ana", Verb.NOTE, "errors are gone since 41 runs", data={"kind": "finding"})
    assert town.incident.roles == {Role.COMMANDER: "ana", Role.COMMUNICATIONS: "ben"}
    assert town.incident.severity == Severity.P0


async def _learned(town: RealTown, people: People, wiki: Path) -> None:
    data = {
        "resolution": "rolled back to 41",
        "root_cause": "42 reads a table that does not exist yet",
        "whys": "The migration ran after the deploy\nNothing orders the two",
        "contributing": "no canary",
        "well": "the page came at once",
        "badly": "the runbook named an old command",
    }
    await people.done("ana", Verb.POSTMORTEM, data=data)
    await people.done("ana", Verb.ITEM, "Order migrations and deploys", person="ben", data={"due": "14d"})
    one = town.incident
    found = await learned.postmortem(people.client, one)
    (item,) = found.items
    text = await learned.made(people.client, one, found, compile_files({}))
    assert steady(text, short(one.key), item.id) == APPROVED.read_text("utf-8")
    closed = {"to": "closed"}
    assert (await people.ask("ana", Verb.PHASE, data=closed)).ending == "asks"
    await people.done("ana", Verb.POSTMORTEM, data={"document": text})
    await people.done("ben", Verb.POSTMORTEM, data={"do": "review"})
    await people.done("ben", Verb.POSTMORTEM, data={"do": "publish"})
    assert "Order migrations and deploys" in wiki.read_text("utf-8")
    await people.done("ben", Verb.ITEM, data={"id": item.id, "state": "done"})
    await people.done("ana", Verb.PHASE, data=closed)
    found = await learned.postmortem(people.client, town.incident)
    assert (found.state, found.items[0].state) == (State.PUBLISHED, ItemState.DONE)
    assert town.incident.phase is Phase.CLOSED
