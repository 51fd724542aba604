"""An action item becomes a ticket, from postmortems.yaml to trackers that speak their documented protocols."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest

from tests.unit.triage.stage import FILES, Stage
from tests.unit.workers import tracker_servers
from tests.unit.workers.tracker_servers import TOKEN, Tracker, serving
from triage.memory import POSTMORTEM
from triage.model import HOUR, Answer, Command, Effect, EffectKind, Ending, Result, Verb
from triage.postmortem import Item, Postmortem, Ticket
from triage.rulebook import RulesError, compile_files
from triage.rulebook.postmortems import Tracker as Posted
from workers import tickets
from workers.outbound import Answer as Answered
from workers.outbound import allow

SECRETS = {"TOKEN": TOKEN, "BASIC": base64.b64encode(f"bot:{TOKEN}".encode()).decode()}
GITHUB = """
tracker:
  request:
    url: "http://127.0.0.1:PORT/repos/acme/operations/issues"
    headers: {Authorization: "Bearer ${TOKEN}", Accept: application/vnd.github+json}
    json:
      title: "{title}"
      body: "{owner}, due {due}. After {incident_title}: {link}"
      labels: [postmortem, "{priority}"]
  answer: html_url
"""
JIRA = """
tracker:
  request:
    url: "http://127.0.0.1:PORT/rest/api/2/issue"
    headers: {Authorization: "Basic ${BASIC}"}
    json: {fields: {project: {key: OPS}, issuetype: {name: Task}, summary: "{title}", description: "{service}"}}
  answer: key
  address: "https://jira.example.org/browse/{answer}"
"""
GITLAB = """
tracker:
  request:
    url: "http://127.0.0.1:PORT/api/v4/projects/42/issues"
    headers: {PRIVATE-TOKEN: "${TOKEN}"}
    json: {title: "{title}", due_date: "{due}", labels: "{kind}"}
  answer: web_url
"""
LINEAR = """
tracker:
  request:
    url: "http://127.0.0.1:PORT/graphql"
    headers: {Authorization: "${TOKEN}"}
    json:
      query: "mutation Create($input: IssueCreateInput!) { issueCreate(input: $input) { success issue { url } } }"
      variables: {input: {teamId: "9cfb482a-81e3", title: "{title}", description: "{link}"}}
  answer: data.issueCreate.issue.url
"""
TITLE = 'Alert on "queue" age {owner} ${TOKEN}'
"""Text that people wrote: neither a name in it nor a secret is filled in."""


@pytest.fixture(autouse=True)
def _near() -> Iterator[None]:
    allow(["127.0.0.0/8"])
    yield
    allow([])


class Office(Stage):
    """A stage whose tickets are really sent; `tries` are the results."""

    def __init__(self, postmortems: str, port: int, secrets: dict[str, str] | None = None) -> None:
        self.tries: list[Result] = []
        self.secrets = SECRETS if secrets is None else secrets
        files = {**FILES, "postmortems.yaml": postmortems.replace("PORT", str(port))}
        super().__init__(provider=self.provide, files=files)
        self.fires()

    def provide(self, effect: Effect) -> Result:
        done = Result(effect.id, effect.attempt, Ending.DELIVERED, incident=effect.incident, person=effect.person)
        if effect.kind is not EffectKind.TICKET:
            return done
        found = tickets.send(effect, "https://tocsin.example.org/incidents/abc234", self.secrets.get)
        again = {"ending": found.ending, "reason": found.reason, "ambiguous": found.ambiguous}
        result = msgspec.structs.replace(done, retry_after=found.retry_after, receipt=found.receipt, **again)
        self.tries.append(result)
        return result

    def ask(self, text: str = "", **more: Any) -> Answer:
        command = Command(Verb.ITEM, self.incident.key, "ana", "test", text=text, **more)
        return self.answers[self.append(command)]

    @property
    def item(self) -> Item:
        return cast("Postmortem", self.memory.get((POSTMORTEM, self.incident.key))).items[0]

    @property
    def told_of_it(self) -> list[str]:
        return [line.text for line in self.lines(self.incident.key) if line.what == "ticket"]


@pytest.mark.parametrize(
    ("rules", "answers", "url"),
    [
        (GITHUB, tracker_servers.github, "https://github.example.org/acme/operations/issues/1"),
        (JIRA, tracker_servers.jira, "https://jira.example.org/browse/OPS-1"),
        (GITLAB, tracker_servers.gitlab, "https://gitlab.example.org/acme/operations/-/issues/1"),
        (LINEAR, tracker_servers.linear, "https://linear.example.org/acme/issue/OPS-1"),
    ],
)
def test_an_item_becomes_one_ticket_in_the_trackers_own_words(rules: str, answers: Any, url: str) -> None:
    tracker = Tracker(answers)
    with serving(tracker) as port:
        office = Office(rules, port)
        office.ask(TITLE, person="ben", data={"due": "2026-03-09", "priority": "high"})
        assert (office.item.ticket, office.item.ticket_url) == (Ticket.SENT, url)
        assert office.told_of_it == [f"item {office.item.id} is in the tracker: {url}"]
        office.ask(data={"id": office.item.id, "state": "done"})
        assert office.ask(data={"id": office.item.id, "state": "open", "export": "yes"}).ending == "refused"
    (made,) = tracker.created
    assert TITLE in (made.get("title"), made.get("summary"))
    if rules is GITHUB:
        assert made["body"] == "ben, due 2026-03-09. After Down: https://tocsin.example.org/incidents/abc234"
        assert made["labels"] == ["postmortem", "high"]


def test_what_certainly_did_not_arrive_is_tried_again_with_the_same_key() -> None:
    busy = (403, {"Retry-After": "60"}, {"message": "You have exceeded a secondary rate limit"})
    tracker = Tracker(tracker_servers.github, instead=[busy, (503, {}, {})])
    with serving(tracker) as port:
        office = Office(GITHUB, port)
        office.ask(TITLE)
        assert office.item.ticket is Ticket.ASKED
        assert office.ask(data={"id": office.item.id, "export": "yes"}) == Answer("refused", "it is on its way")
        office.advance(HOUR)
    assert (office.item.ticket, len(tracker.created)) == (Ticket.SENT, 1)
    assert len(tracker.keys) == 3
    assert len(set(tracker.keys)) == 1


@pytest.mark.parametrize("instead", [(502, {}, {}), (500, {}, {}), None, (201, {}, {"number": 7})])
def test_what_may_have_arrived_is_not_sent_again_but_by_a_person(instead: Any) -> None:
    tracker = Tracker(tracker_servers.github, instead=[instead] if instead else [], cuts=instead is None)
    with serving(tracker) as port:
        office = Office(GITHUB, port)
        office.ask(TITLE)
        office.advance(2 * HOUR)
        assert (office.item.ticket, len(tracker.keys)) == (Ticket.UNKNOWN, 1)
        assert ("eve", f"Action item {office.item.id} may be in the tracker, or not") in office.told
        tracker.cuts = False
        office.ask(data={"id": office.item.id, "export": "yes"})
        assert office.item.ticket is Ticket.SENT
    assert len(set(tracker.keys)) == 2


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        ({"TOKEN": "wrong-token-54321"}, 'HTTP 401: {"message": "Bad credentials"'),
        ({}, "the secret TOKEN is not set where workers run"),
    ],
)
def test_what_the_tracker_refuses_is_told_and_no_secret_with_it(secrets: dict[str, str], words: str) -> None:
    tracker = Tracker(tracker_servers.github)
    with serving(tracker) as port:
        office = Office(GITHUB, port, secrets)
        office.ask(TITLE)
        office.advance(HOUR)
    assert (office.item.ticket, tracker.created) == (Ticket.FAILED, [])
    (line,) = office.told_of_it
    assert words in line
    assert "wrong-token" not in line
    assert ("eve", f"Action item {office.item.id} could not be sent to the tracker") in office.told


def test_a_worker_that_died_with_it_leaves_it_unknown() -> None:
    office = Office(GITHUB, 1)
    died = Result("", 0, Ending.WORKER_DIED, "1 worker died while delivering this", ambiguous=True)
    office.provider = lambda effect: msgspec.structs.replace(died, effect=effect.id, incident=effect.incident)
    office.ask(TITLE)
    assert office.item.ticket is Ticket.UNKNOWN


def test_without_a_tracker_nothing_is_sent() -> None:
    office = Office("within: {P0: 7d}", 1)
    office.ask(TITLE)
    assert (office.item.ticket, office.tries) == (Ticket.NONE, [])
    asked = office.ask(data={"id": office.item.id, "export": "yes"})
    assert asked == Answer("refused", "postmortems.yaml names no tracker")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (("{title}", "{titel}"), "nothing is called {titel}"),
        (("Bearer ${TOKEN}", "Bearer abc"), "a literal secret stands here"),
        (("answer: html_url", "answer: 'html url'"), '"html url" is no place in an answer'),
        (("answer: html_url", "address: 'https://x.example/{answer}'"), "an address needs an answer"),
    ],
)
def test_a_tracker_that_cannot_work_is_refused(broken: tuple[str, str], words: str) -> None:
    with pytest.raises(RulesError, match=words.replace("{", r"\{").replace("[", r"\[")):
        compile_files({**FILES, "postmortems.yaml": GITHUB.replace("PORT", "1").replace(*broken)})


@pytest.mark.parametrize(
    ("body", "path", "value"),
    [
        (b'{"a": {"b": 7}}', "a.b", "7"),
        (b'{"a": [1]}', "a.b", ""),
        (b'{"a": true}', "a", ""),
        (b"<html>", "a", ""),
        (b"[" * 100_000, "a", ""),
        (b'{"a": "\\ud800"}', "a", "?"),
    ],
)
def test_what_an_answer_says_is_read_and_never_trusted(body: bytes, path: str, value: str) -> None:
    assert tickets.value_at(body, path) == value


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://x.example/\\u202egpj", "https://x.example/\\u0007"])
def test_an_address_that_could_mislead_is_not_kept(url: str) -> None:
    answer = Answered(201, f'{{"html_url": "{url}"}}'.encode())
    found = tickets.judge(answer, Posted("https://x.example", answer="html_url"))
    assert (found.ending, found.receipt) == (Ending.DELIVERED, "")
