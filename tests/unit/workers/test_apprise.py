"""The real Apprise against a provider that answers as told: what each answer comes to, and that no token leaks."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from triage.model import EffectKind, Ending, Severity
from workers.channel import Message
from workers.channels import apprise

PAGE = Message("page-id-1", EffectKind.PAGE, "P0 checkout down", "Acknowledge …\n\nMessage page-id-1", Severity.P0)


@dataclass
class Provider:
    """An HTTP provider in a thread. `status`, `headers` and `text` are what it answers; `cut` hangs up instead."""

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    text: str = "{}"
    cut: bool = False
    slow_s: float = 0.0
    got: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.got.append((request.path, dict(request.headers), await request.text()))
        await asyncio.sleep(self.slow_s)
        if self.cut and request.transport is not None:
            request.transport.abort()
        return web.Response(status=self.status, headers=self.headers, text=self.text, content_type="application/json")

    def json(self) -> Any:
        return json.loads(self.got[-1][2])


@pytest.fixture
def provider() -> Iterator[Provider]:
    one = Provider()
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", one.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        one.port = runner.addresses[0][1]
        return runner

    def serve() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(10)
    yield one
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def url(provider: Provider, rest: str = "hook", scheme: str = "json") -> str:
    return f"{scheme}://127.0.0.1:{provider.port}/{rest}"


def test_delivered_with_id_and_text_untouched(provider: Provider) -> None:
    ended = apprise.send(url(provider), PAGE)
    assert (ended.ending, ended.ambiguous) == (Ending.DELIVERED, False)
    assert provider.json()["title"] == "P0 checkout down"
    assert provider.json()["message"] == PAGE.body
    assert provider.json()["type"] == "failure"
    assert provider.json()["attachments"] == []


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (400, Ending.GIVE_UP),
        (401, Ending.GIVE_UP),
        (403, Ending.GIVE_UP),
        (404, Ending.GIVE_UP),
        (408, Ending.TRY_AGAIN),
        (429, Ending.TRY_AGAIN),
        (500, Ending.TRY_AGAIN),
        (502, Ending.TRY_AGAIN),
        (503, Ending.TRY_AGAIN),
    ],
)
def test_a_status_decides_and_is_said(provider: Provider, status: int, ending: Ending) -> None:
    provider.status = status
    ended = apprise.send(url(provider), PAGE)
    assert ended.ending is ending
    assert str(status) in ended.reason
    assert ended.ambiguous == (status == 502)
    assert len(provider.got) == 1, "a channel never retries by itself"


def test_retry_after_is_passed_on(provider: Provider) -> None:
    provider.status, provider.headers = 429, {"Retry-After": "17"}
    assert apprise.send(url(provider), PAGE).retry_after == 17_000


def test_a_retry_in_the_url_is_not_followed(provider: Provider) -> None:
    provider.status = 503
    apprise.send(url(provider, "hook?retry=3&wait=0"), PAGE)
    assert len(provider.got) == 1


def test_no_answer_after_sending_is_ambiguous(provider: Provider) -> None:
    provider.slow_s = 1.0
    ended = apprise.send(url(provider, "hook?rto=0.2"), PAGE)
    assert (ended.ending, ended.ambiguous) == (Ending.TRY_AGAIN, True)
    assert "did not answer in time" in ended.reason
    assert len(provider.got) == 1


def test_a_connection_cut_after_sending_is_ambiguous(provider: Provider) -> None:
    provider.cut = True
    ended = apprise.send(url(provider), PAGE)
    assert (ended.ending, ended.ambiguous) == (Ending.TRY_AGAIN, True)


def test_a_refused_connection_is_not_ambiguous() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        ended = apprise.send(f"json://127.0.0.1:{unused.getsockname()[1]}/", PAGE)
    assert (ended.ending, ended.ambiguous) == (Ending.TRY_AGAIN, False)
    assert "refused" in ended.reason


def test_a_name_that_does_not_resolve_is_not_ambiguous() -> None:
    ended = apprise.send("json://no-such-host.invalid/", PAGE)
    assert (ended.ending, ended.ambiguous) == (Ending.TRY_AGAIN, False)
    assert "does not resolve" in ended.reason


def test_messages_follow_each_other_without_apprises_pause(provider: Provider) -> None:
    before = time.monotonic()
    for _ in range(4):
        assert apprise.send(url(provider), PAGE).ending is Ending.DELIVERED
    assert time.monotonic() - before < 4


def test_a_long_message_in_pieces_is_not_slowed_either(provider: Provider) -> None:
    long = Message("i", EffectKind.PAGE, "t", "x" * 3_000 + "\nMessage i", Severity.P2)
    before = time.monotonic()
    ended = apprise.send(url(provider, "topic?overflow=split", "ntfy"), long)
    assert ended.ending is Ending.DELIVERED
    assert time.monotonic() - before < 4


def test_ntfy_speaks_its_own_protocol(provider: Provider) -> None:
    provider.text = json.dumps({"id": "x", "event": "message"})
    target = f"ntfy://tk_canary77@127.0.0.1:{provider.port}/alerts"
    assert apprise.send(target, PAGE).ending is Ending.DELIVERED
    assert provider.got[0][1]["Authorization"] == "Bearer tk_canary77"
    assert provider.json()["topic"] == "alerts"
    assert "github" not in str(provider.got[0][1]), "no icon from a third party"


def test_no_token_reaches_a_reason_or_a_log(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [*root.handlers, handler])
    monkeypatch.setattr(root, "level", logging.DEBUG)
    logging.getLogger("witness").debug("this is seen")
    targets = [
        f"json://user:canary77@127.0.0.1:{provider.port}/canary77?+X-Token=canary77",
        f"ntfy://tk_canary77@127.0.0.1:{provider.port}/alerts",
        "json://user:canary77@127.0.0.1:1/canary77",
    ]
    for provider.status in (200, 401, 503):
        for target in targets:
            assert "canary77" not in apprise.send(target, PAGE).reason
    assert "this is seen" in logged.getvalue()
    assert "canary77" not in logged.getvalue()
    out, err = capfd.readouterr()
    assert "canary77" not in out + err


def test_requests_of_others_are_not_watched(provider: Provider) -> None:
    import requests

    assert requests.get(f"http://127.0.0.1:{provider.port}/", timeout=5).status_code == 200
    assert apprise._seen.get() is None


def test_many_at_once_each_learn_their_own_answer(provider: Provider) -> None:
    provider.status = 503
    endings: list[tuple[str, Ending]] = []

    def one(target: str) -> None:
        endings.append((target, apprise.send(target, PAGE).ending))

    targets = [url(provider), "json://no-such-host.invalid/", "nosuch://"] * 3
    threads = [threading.Thread(target=one, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(endings) == 9
    assert {ending for target, ending in endings if target.startswith("nosuch")} == {Ending.GIVE_UP}
    assert {ending for target, ending in endings if target.startswith("json")} == {Ending.TRY_AGAIN}
