"""A program that reads what people are sent: mail, ntfy, text. It follows each address and submits each form.

It acknowledges nothing; a tap on the button of the same message does.
"""

from __future__ import annotations

import json
import re
from email.message import EmailMessage
from typing import Any

from tests.real.test_channels import Mailbox, smtp
from tests.store.phone_support import OUTSIDE, SECRET, Phones, oncall, phones
from tests.store.test_desk_links import Scanner
from tests.unit.workers.http_server import Provider, serving
from tests.unit.workers.twilio_server import method
from triage import links
from triage.model import Phase, short

ADDRESS = re.compile(r"https?://[^\s\"'<>,\\]+")


def addresses(*texts: str) -> set[str]:
    """Return every address in what was sent, as a scanner finds them."""
    return {one.rstrip(".,;)]}") for text in texts for one in ADDRESS.findall(text)}


def parts(mail: EmailMessage) -> list[str]:
    return [str(mail), *(part.get_content() for part in mail.walk() if part.get_content_maintype() == "text")]


async def scan(here: Phones, found: set[str]) -> Scanner:
    """Do to these addresses all that a program does which knows nothing of us."""
    scanner = Scanner(here.here)
    async with here.here.draining():
        for one in sorted(found):
            path = one.removeprefix(OUTSIDE)
            await scanner.visit(path)
            for body in ({}, {"number": "", "tries": "0"}):
                async with here.here.session.post(here.here.url + path, data=body) as answer:
                    await answer.read()
    return scanner


def button(headers: dict[str, str]) -> dict[str, Any]:
    (only,) = json.loads(headers["x-actions"])
    assert isinstance(only, dict)
    return only


async def test_a_program_that_follows_and_submits_everything_acknowledges_nothing(redis_url: str) -> None:
    mailbox, ntfy = Mailbox(), Provider(status=200)
    with smtp(mailbox) as mail_port, serving(ntfy) as ntfy_port:
        mail = f"mailto://127.0.0.1:{mail_port}?from=tocsin@example.org&to=ana@example.org&mode=insecure"

        def rules(port: int) -> dict[str, str]:
            return oncall(ana=[mail], ben=[f"ntfy://127.0.0.1:{ntfy_port}/ben"], eve=[method("sms", port)])

        async with phones(redis_url, rules) as here:
            [(_, letter)] = mailbox.got
            [(_, headers, body)] = ntfy.got
            [(_, text)] = here.service.taken
            by_mail = addresses(*parts(letter))
            by_ntfy = addresses(*headers.values(), json.loads(body)["message"])
            by_text = addresses(text["Body"], text["StatusCallback"])
            for found in (by_mail, by_ntfy, by_text):
                assert any("/a/" in one for one in found), found
            scanner = await scan(here, by_mail | by_ntfy | by_text)
            assert scanner.posts > 6
            now = await here.incident()
            assert (now.phase, now.acked_by, now.human_at, now.answered) == (Phase.DETECTED, "", None, ())


async def test_a_tap_on_the_button_of_ntfy_acknowledges_once(redis_url: str) -> None:
    ntfy = Provider(status=200)
    with serving(ntfy) as port:
        async with phones(redis_url, lambda _: oncall(ben=[f"ntfy://127.0.0.1:{port}/ben"])) as here:
            [(_, headers, _)] = ntfy.got
            assert (headers["x-priority"], headers["x-click"]) == (
                "max",
                f"{OUTSIDE}/incidents/{short((await here.incident()).key)}",
            )
            assert set(headers["x-tags"].split(",")) == {"P0", "rotating_light"}
            only = button(headers)
            assert (only["action"], only["method"], only["label"]) == ("http", "POST", "Acknowledge")
            assert only["body"] not in only["url"]
            assert (await tap(here, only["url"], ""))[0] == 403
            assert (await tap(here, only["url"], links.word_of(SECRET, "another page")))[0] == 403
            foreign = {"Origin": "https://ntfy.example.org", "Sec-Fetch-Site": "cross-site"}
            assert await tap(here, only["url"], only["body"], foreign) == (200, "ben has it")
            assert (await here.incident()).acked_by == "ben"
            assert "acknowledged: ben has it (by button)" in await here.lines()
            async with here.here.draining():
                await here.here.ask("POST", f"/incidents/{(await here.incident()).key}/unacknowledge", json={})
            assert (await tap(here, only["url"], only["body"]))[0] == 409
            here.here.clock.now += links.HOLDS + 1
            assert (await tap(here, only["url"], only["body"]))[0] == 410
            assert (await here.incident()).acked_by == ""


async def tap(here: Phones, url: str, body: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Do what the app does when the button is tapped."""
    path = url.removeprefix(OUTSIDE)
    sent = here.here.session.post(here.here.url + path, data=body.encode(), headers=headers)
    async with here.here.draining(), sent as answer:
        return answer.status, await answer.text()
