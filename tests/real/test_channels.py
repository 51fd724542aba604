"""A page by mail, by ntfy and as JSON, through Apprise, to servers that check what arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.real.programs import free_port
from tests.real.world import SEVERITY, RealTown, real_town
from triage.rulebook import compile_files
from triage.store.client import connect
from workers import channel
from workers.deliver import Deliver

ONCALL = """
people:
  ana: {{name: Ana, contact: ['{contact}']}}
policies:
  default: {{steps: [{{notify: [ana], wait: 5m}}]}}
operators: [ana]
last_resort: [ana]
"""
TITLE = "P0 Checkout answers 500"


@dataclass
class Mailbox:
    """An SMTP server. `got` are the envelopes' recipients and the mails; `refuses` is what it answers instead."""

    refuses: str = ""
    got: list[tuple[list[str], EmailMessage]] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.refuses:
            refusal, self.refuses = self.refuses, ""
            return refusal
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=default)
        self.got.append((envelope.rcpt_tos, mail))
        return "250 taken"


@contextmanager
def smtp(mailbox: Mailbox) -> Iterator[int]:
    """Serve a mailbox on a free port, in a thread of its own."""
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@dataclass
class Web:
    """An HTTP provider. `got` are path, headers and body of what it was sent; `status` is what it answers."""

    port: int = 0
    status: int = 200
    got: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((request.path, dict(request.headers), await request.json()))
        return web.json_response({"id": "x"}, status=self.status)


@pytest.fixture
async def provider() -> AsyncIterator[Web]:
    one = Web()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", one.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.port = runner.addresses[0][1]
    yield one
    await runner.cleanup()


@pytest.fixture
async def town(redis_url: str, tmp_path: Path) -> AsyncIterator[RealTown]:
    async with real_town(redis_url, tmp_path) as town:
        yield town


async def goes_down(town: RealTown, contact: str) -> str:
    """Let an alert fire whose page goes to that contact method, and return the incident's short name."""
    files = {"severity.yaml": SEVERITY, "oncall.yaml": ONCALL.format(contact=contact)}
    compile_files(files)
    await town.loads(files)
    body = {"title": "Checkout answers 500", "labels": {"service": "checkout"}, "dedup_key": "checkout"}
    await town.post_only("generic", body)
    await town.until("an incident", lambda: bool(town.incidents))
    return town.incident.key[:6]


def delivered(town: RealTown) -> list[str]:
    """What the timeline says of deliveries."""
    return [line.text for line in town.timeline(town.incident) if line.what == "delivered"]


async def test_by_mail(town: RealTown) -> None:
    mailbox = Mailbox()
    with smtp(mailbox) as port:
        target = f"mailto://127.0.0.1:{port}?from=tocsin@example.org&to=ana@example.org&mode=insecure"
        incident = await goes_down(town, target)
        await town.until("the mail came", lambda: bool(mailbox.got))
        await town.until("and that is known", lambda: bool(delivered(town)))
    [(recipients, mail)] = mailbox.got
    assert recipients == ["ana@example.org"]
    assert mail["Subject"] == TITLE
    assert "tocsin@example.org" in mail["From"]
    text = mail.get_body(("plain", "html"))
    assert text is not None
    assert f"tocsin ack {incident}" in text.get_content()
    assert town.incident.pages == 1


async def test_a_mail_server_that_is_busy_is_asked_again(town: RealTown) -> None:
    mailbox = Mailbox(refuses="451 try later")
    with smtp(mailbox) as port:
        await goes_down(town, f"mailto://127.0.0.1:{port}?from=tocsin@example.org&to=ana@example.org&mode=insecure")
        await town.until("the mail came", lambda: bool(mailbox.got))
        await town.until("and that is known", lambda: bool(delivered(town)))
    assert len(mailbox.got) == 1


async def test_by_ntfy(town: RealTown, provider: Web) -> None:
    incident = await goes_down(town, f"ntfy://127.0.0.1:{provider.port}/on-call")
    await town.until("it came", lambda: bool(provider.got))
    await town.until("and that is known", lambda: bool(delivered(town)))
    [(_, _, said)] = provider.got
    assert said["topic"] == "on-call"
    assert said["title"] == TITLE
    assert f"tocsin ack {incident}" in said["message"]


async def test_as_json_with_a_secret_header(town: RealTown, provider: Web) -> None:
    town.deliver = Deliver(connect(town.url), town.clock, channel.load(), {"HOOK_KEY": "k1"}.get)
    incident = await goes_down(town, f"json://127.0.0.1:{provider.port}/hook?+X-Key=${{HOOK_KEY}}")
    await town.until("it came", lambda: bool(provider.got))
    await town.until("and that is known", lambda: bool(delivered(town)))
    [(path, headers, said)] = provider.got
    assert (path, headers["X-Key"]) == ("/hook", "k1")
    assert said["title"] == TITLE
    assert f"tocsin ack {incident}" in said["message"]


async def test_a_provider_that_refuses_for_good_is_named_in_the_timeline(town: RealTown, provider: Web) -> None:
    provider.status = 401
    await goes_down(town, f"json://127.0.0.1:{provider.port}/hook")
    await town.until("the timeline says why", lambda: any("401" in line.text for line in town.timeline(town.incident)))
    assert delivered(town) == []
