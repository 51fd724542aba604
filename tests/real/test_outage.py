"""One outage, told in full, against the real program: from its first alert to its last action item.

`tocsin up` runs as operators run it, with its own store and workers. A real Alertmanager sends; mail goes to a real
SMTP server; slack_sdk speaks to a Slack that answers as documented. Ana commands by the command line, ben speaks REST
and writes in the room. The postmortem that the journal makes is compared with an approved text, `outage.approved.md`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from tests.real.alertmanager import alertmanager, amtool_adds
from tests.store.upping import Up, command, until
from tests.unit.workers import http_server, slack_server, smtp_server
from tests.unit.workers.http_server import Provider
from tests.unit.workers.slack_server import APP, BOT, Room, Slack
from tests.unit.workers.smtp_server import Mailbox

pytestmark = [pytest.mark.needs("prometheus-alertmanager", "alertmanager"), pytest.mark.needs("amtool")]

APPROVED: Final = Path(__file__).with_name("outage.approved.md")
DOWN: Final = ("alertname=CheckoutDown", "service=checkout", "severity=critical", "instance=web-1")
SLOW: Final = ("alertname=Slow", "service=checkout", "severity=warning", "instance=web-2")
TOKENS: Final = {"ana": "the token of ana", "ben": "the token of ben"}
SIGNING: Final = b"the deploy server signs with it"
SECRET_WORDS: Final = ("42 reads a table", "the last deploy", "rolling back to v41", "I see errors of the database")
"""What people say among themselves; none of it may be read by the public."""

FILES: Final = {
    "oncall.yaml": """
people:
  ana: {{name: Ana, slack: U0ANA, token_sha256: {ana}, contact: ["{mail}&to=ana@example.org"]}}
  ben: {{name: Ben, slack: U0BEN, token_sha256: {ben}, contact: ["slack+bot://${{SLACK_TOKEN}}@acme/C0ALERTS"]}}
policies:
  default: {{steps: [{{notify: [ana], wait: 5m}}, {{notify: [ben], wait: 10m}}]}}
operators: [ben]
last_resort: [ben]
""",
    "rooms.yaml": """
rooms:
  - {{name: incidents, contact: "slack+room://${{SLACK_TOKEN}}@acme", severities: [P0, P1], invite: [ben]}}
""",
    "actions.yaml": """
actions:
  rollback:
    title: Roll back to the version that was last good
    services: [checkout]
    who: [ana]
    parameters: {{version: {{default: "{{last_known_good}}", pattern: 'v[0-9]+'}}}}
    request:
      url: "http://127.0.0.1:{deploys}/{{service}}/rollback"
      json: {{version: "{{version}}", incident: "{{incident}}"}}
      secret: "${{DEPLOY_SECRET}}"
    verify: {{http: "http://127.0.0.1:{deploys}/health", after: 0s, every: 5s, within: 1m}}
""",
    "updates.yaml": """
subscribers:
  management: {{contact: ["{mail}&to=management@example.org"]}}
""",
    "postmortems.yaml": """
within: {{P0: 7d}}
time_zone: Europe/Berlin
publish: ["file://{wiki}"]
""",
}


class People:
    """What ana types, what ben asks of the API, what he says in the room, and what anybody can look up."""

    def __init__(self, up: Up, chat: Slack) -> None:
        self.up, self.chat = up, chat
        self.id = ""
        self._said = 0

    def ana(self, *words: str, asks: bool = False) -> str:
        """Let ana type `tocsin …`; return what it prints. `asks`: it must ask back, and do nothing."""
        done = command(self.up.storage, *words, TOCSIN_ADMIN_TOKEN=TOKENS["ana"])
        assert done.returncode == (1 if asks else 0), (words, done.stdout, done.stderr)
        return done.stderr if asks else done.stdout

    def ben(self, path: str, **body: Any) -> tuple[int, Any]:
        """Let ben ask the API for a move."""
        return self.up.post(f"/api/v1/incidents/{self.id}/{path}", body, TOKENS["ben"])

    def ben_does(self, path: str, **body: Any) -> None:
        status, said = self.ben(path, **body)
        assert (status, said["ending"]) == (200, "done"), said

    def ben_says(self, text: str) -> None:
        """Let ben write in the incident's room, which Tocsin hears by Socket Mode."""
        self._said += 1
        place = next(name for name, room in self.chat.rooms.items() if room is self.room)
        said = {"type": "message", "channel": place, "user": "U0BEN", "text": text, "ts": f"{time.time():.6f}"}
        self.chat.push("events_api", {"type": "event_callback", "event_id": f"Ev{self._said}", "event": said})
        until(f"{text!r} is confirmed", lambda: len(self.chat.acked) >= self._said)

    @property
    def room(self) -> Room:
        """The room that was opened for the incident."""
        (found,) = (room for room in self.chat.rooms.values() if room.name.startswith("inc-"))
        return found

    @property
    def incident(self) -> dict[str, Any]:
        (found,) = self.up.get("/api/v1/incidents")[1]["items"]
        assert isinstance(found, dict)
        return found

    def timeline(self, what: str) -> list[str]:
        """Return the lines of one kind, newest first."""
        found = self.up.get(f"/api/v1/incidents/{self.id}/timeline")[1]["items"]
        return [line["text"] for line in found if line["what"] == what]

    def sees(self, what: str, words: str) -> None:
        """Wait until the timeline has such a line."""
        until(f"{what}: {words}", lambda: any(words in line for line in self.timeline(what)))

    def published(self, words: str, path: str = "/status") -> None:
        """Wait until the public reads these words: a page is made anew every few seconds at most."""
        until(f"the public reads {words!r}", lambda: words in self.public(path))

    def public(self, path: str) -> str:
        """Return what somebody without any token reads on the status page."""
        with urllib.request.urlopen(self.up.url + path, timeout=10) as answer:
            return str(answer.read().decode())


def steady(text: str, *ids: str) -> str:
    """Return a postmortem without what differs each time: times, how long things took, and names made of chance."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(\d\d:\d\d CES?T\)", "TIME", text)
    text = re.sub(r"\b\d+ (?:s|min|h)\b(?: \d+ min)?", "SPAN", text)
    text = re.sub(r"\d{4}-\d\d-\d\d", "DAY", text)
    for number, one in enumerate(ids, 1):
        text = text.replace(one, f"ID{number}")
    return text


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def assert_signed(headers: dict[str, str], body: bytes) -> None:
    """Check a call as https://www.standardwebhooks.com says that its receiver does."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mark = base64.b64encode(hmac.new(SIGNING, signed, hashlib.sha256).digest()).decode()
    assert f"v1,{mark}" in headers["webhook-signature"].split()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def deploys() -> Provider:
    return Provider(status=200, body=b"rolled back to v41")


@pytest.fixture
def wiki(tmp_path: Path) -> Path:
    return tmp_path / "wiki.jsonl"


@pytest.fixture
def people(tmp_path: Path, mailbox: Mailbox, deploys: Provider, wiki: Path) -> Iterator[People]:
    """Yield people around a `tocsin up` with the starting set of rules, and what this house has changed in it."""
    storage = tmp_path / "state"
    with ExitStack() as stack:
        chat = stack.enter_context(slack_server.serving(Slack()))
        mail = f"mailto://127.0.0.1:{stack.enter_context(smtp_server.serving(mailbox))}?from=tocsin@example.org&mode=insecure"
        values = {"mail": mail, "wiki": wiki, "deploys": stack.enter_context(http_server.serving(deploys))}
        assert command(storage, "init").returncode == 0
        for name, text in FILES.items():
            (storage / "rules" / name).write_text(
                text.format(**values, **{who: sha(token) for who, token in TOKENS.items()})
            )
        flags = ("--slack.api-url", chat.api, "--outbound.allow", "127.0.0.0/8")
        secrets = {
            "TOCSIN_SLACK_BOT_TOKEN": BOT,
            "TOCSIN_SLACK_APP_TOKEN": APP,
            "SLACK_TOKEN": BOT,
            "DEPLOY_SECRET": "whsec_" + base64.b64encode(SIGNING).decode(),
        }
        up = stack.enter_context(contextlib.closing(Up(storage, *flags, **secrets)))
        yield People(up.ready(), chat)


async def test_from_the_first_alert_to_the_last_action_item(
    people: People, tmp_path: Path, mailbox: Mailbox, deploys: Provider, wiki: Path
) -> None:
    _something_is_deployed(people)
    async with alertmanager(people.up.url, tmp_path) as sender:
        await amtool_adds(sender.url, *DOWN)
        _somebody_is_woken(people, mailbox)
        await amtool_adds(sender.url, *SLOW)
        _more_is_known(people)
        _somebody_commands(people)
        _others_are_told(people, mailbox)
        _it_is_mended(people, deploys)
        await amtool_adds(sender.url, *DOWN, ends=True)
        people.sees("ended", "1 still firing")
        await amtool_adds(sender.url, *SLOW, ends=True)
        _it_is_over(people)
    _it_is_written_down(people)
    _it_is_published_and_closed(people, wiki)
    _nobody_was_told_too_much(people, mailbox)
    _everything_is_accounted_for(people)


def _something_is_deployed(people: People) -> None:
    now = datetime.now(UTC)
    for version, before, more in (("v41", timedelta(hours=20), {"verified": True}), ("v42", timedelta(minutes=7), {})):
        change = {"service": "checkout", "version": version, "summary": f"shop {version}", **more}
        assert people.up.post("/v1/changes", {**change, "at": (now - before).isoformat()})[0] == 202


def _somebody_is_woken(people: People, mailbox: Mailbox) -> None:
    until("ana is paged by mail", lambda: mailbox.got)
    [(recipients, mail)] = mailbox.got
    assert (recipients, mail["Subject"]) == (["ana@example.org"], "P0 Checkout answers 500")
    body = mail.get_body(("plain",))
    assert body is not None
    assert "deploy of checkout v42" in body.get_content()
    people.id = people.incident["id"]
    until("a room is opened, and ben invited", lambda: any(one.members for one in people.chat.rooms.values()))
    people.sees("room", "")


def _more_is_known(people: People) -> None:
    until("both alerts are in", lambda: people.incident["alerts"]["total"] == 2)
    status, _ = people.up.post("/v1/reports", {"title": "I cannot pay", "service": "checkout", "reporter": "mia"})
    assert status == 202
    people.sees("reported", "I cannot pay")


def _somebody_commands(people: People) -> None:
    assert "ana has it" in people.ana("ack", people.id, "-m", "on it")
    people.ana("incident", "impact", people.id, "nobody can pay")
    people.ana("incident", "role", people.id, "communications", "ben")
    people.ben_does("note", kind="hypothesis", text="the last deploy was 7 minutes before")
    people.ben_says("I see errors of the database since 10:02")
    people.sees("chat", "errors of the database")
    people.ben_says("!note v42 wants a table that is not there")
    people.sees("note", "v42 wants a table")
    guide = people.up.get(f"/api/v1/incidents/{people.id}/guide")[1]
    steps = [piece["step"] for section in guide["runbook"]["sections"] for piece in section["pieces"] if piece["step"]]
    people.ben_does("check", step=steps[1]["id"], text="v42, 7 minutes before")
    assert people.incident["roles"] == {"commander": "ana", "communications": "ben"}


def _others_are_told(people: People, mailbox: Mailbox) -> None:
    company = {"status": "identified", "audience": "company", "text": "A bad deploy; we go back to v41."}
    status, seen = people.ben("update", **company)
    assert (status, seen["confirm"]) == (409, True)
    assert "[INCIDENT] Checkout answers 500" in seen["detail"]
    people.ben_does("update", **company, confirm=True)
    until("management is told", lambda: any(to == ["management@example.org"] for to, _ in mailbox.got))
    [mail] = [mail for to, mail in mailbox.got if to == ["management@example.org"]]
    assert mail["Subject"] == "[INCIDENT] Checkout answers 500"
    words = ("--status", "identified", "--audience", "public", "--effects", "major", "-m", "Nobody can pay just now.")
    assert "Trouble with Checkout" in people.ana("incident", "update", people.id, *words, asks=True)
    assert "Nobody can pay" not in people.public("/status")
    people.ana("incident", "update", people.id, *words, "--confirm")
    people.published("Nobody can pay just now.")
    assert json.loads(people.public("/status.json"))["state"] == "major"
    assert people.incident["next_update"] is not None


def _it_is_mended(people: People, deploys: Provider) -> None:
    people.ana("incident", "phase", people.id, "mitigating", "-m", "rolling back to v41")
    asked = people.ana("incident", "action", people.id, "rollback", asks=True)
    assert '"version":"v41"' in asked.replace(" ", "")
    assert deploys.got == []
    status, refused = people.ben("action", action="rollback", confirm=True)
    assert (status, "ana" in refused["detail"]) == (409, True)
    people.ana("incident", "action", people.id, "rollback", "--confirm")
    people.sees("action", "rollback helped")
    [(path, headers, body)] = [one for one in deploys.got if one[0] != "/health"]
    assert (path, json.loads(body)) == ("/checkout/rollback", {"version": "v41", "incident": people.id})
    assert_signed(headers, body)
    change = {"service": "checkout", "version": "v41", "kind": "rollback", "summary": "back to v41"}
    assert people.up.post("/v1/changes", change)[0] == 202
    people.sees("changed", "back to v41")
    people.ben_does("note", kind="finding", text="errors are gone since v41 runs")


def _it_is_over(people: People) -> None:
    people.sees("ended", "0 still firing")
    assert people.incident["phase"] == "monitoring"
    resolve = ("resolve", people.id, "-m", "rolled back to v41")
    assert "The status page still shows it" in people.ana(*resolve, asks=True)
    people.ana(*resolve, "--public", "You can pay again. We are sorry.")
    people.published("You can pay again")
    people.published("You can pay again", "/status.atom")
    for path in ("/status", "/status.json", "/status.atom"):
        assert [words for words in SECRET_WORDS if words in people.public(path)] == []


def _it_is_written_down(people: People) -> None:
    learned = ("--well", "the page came at once", "--badly", "the runbook named an old command")
    whys = ("--why", "The migration ran after the deploy", "--why", "Nothing orders the two")
    people.ana(
        *("incident", "postmortem", people.id, "--root-cause", "42 reads a table that does not exist yet"),
        *("--contributing", "no canary", *whys, *learned),
    )
    people.ana("incident", "item", people.id, "Order migrations and deploys", "--owner", "ben", "--due", "14d")
    (item,) = people.up.get("/api/v1/items")[1]["items"]
    text = people.ana("incident", "postmortem", people.id)
    assert steady(text.removesuffix("\n"), people.id, item["id"]) == APPROVED.read_text("utf-8")


def _it_is_published_and_closed(people: People, wiki: Path) -> None:
    (item,) = people.up.get("/api/v1/items")[1]["items"]
    assert "published" in people.ana("incident", "phase", people.id, "closed", asks=True)
    people.ana("incident", "phase", people.id, "postmortem")
    document = people.up.get(f"/api/v1/incidents/{people.id}/postmortem")[1]["markdown"]
    people.ben_does("postmortem", document=document + "\nRead by everybody.\n")
    people.ana("incident", "postmortem", people.id, "--review")
    people.ana("incident", "postmortem", people.id, "--publish")
    until("it is published", wiki.exists)
    published = wiki.read_text("utf-8")
    assert "Order migrations and deploys" in published
    assert "Read by everybody." in published
    people.ben_does("item", id=item["id"], state="done")
    people.ana("incident", "phase", people.id, "closed")
    assert people.incident["phase"] == "closed"
    assert people.up.get("/api/v1/items")[1]["items"] == []
    until("the room is archived", lambda: people.room.archived)


def _nobody_was_told_too_much(people: People, mailbox: Mailbox) -> None:
    """One page for one incident, and each mail once."""
    assert people.incident["pages"] == 1
    subjects = sorted((to[0], str(mail["Subject"])) for to, mail in mailbox.got)
    assert len(subjects) == len(set(subjects)), subjects
    assert [to for to, subject in subjects if subject.startswith("P0 ")] == ["ana@example.org"]


def _everything_is_accounted_for(people: People) -> None:
    assert "step 1 of policy" in people.ana("why", people.id)
    audit = people.ana("audit", "--replay")
    assert "same digest at each" in audit
    assert "undecided 0" in audit
