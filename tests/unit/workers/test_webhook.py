"""The signed webhook, to a server that checks signatures as Standard Webhooks says, with its own arithmetic."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator

import pytest

from tests.unit.workers.http_server import Provider, serving
from triage.model import EffectKind, Ending, Severity
from workers.channel import Message, choose, load
from workers.channels.webhook import send, signature
from workers.outbound import allow

KEY = b"twenty-four bytes of key"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
PAGE = Message(
    id="page1",
    kind=EffectKind.PAGE,
    title="P0 Checkout down",
    body="Acknowledge: tocsin ack abc234",
    severity=Severity.P0,
    url="https://tocsin.example.org/incidents/abc234",
    person="ana",
    incident="abc234full",
    phase="detected",
    number="47",
    answer_url="https://tocsin.example.org/a/x",
)


@pytest.fixture
def provider() -> Provider:
    return Provider(status=204, body=b"")


@pytest.fixture
def port(provider: Provider) -> Iterator[int]:
    allow(["127.0.0.0/8"])
    with serving(provider) as port:
        yield port
    allow([])


def checked(headers: dict[str, str], body: bytes, key: bytes) -> bool:
    """What a receiver does: same id and timestamp and body, young enough, one of the signatures."""
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    young = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return young and wanted in headers["webhook-signature"].split(" ")


def test_the_example_of_the_standard() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_page_arrives_signed_and_whole(provider: Provider, port: int) -> None:
    assert send(f"webhook+http://127.0.0.1:{port}/hook?team=shop#{SECRET}", PAGE).ending is Ending.DELIVERED
    [(path, headers, body)] = provider.got
    assert path == "/hook?team=shop"
    assert checked(headers, body, KEY)
    assert not checked(headers, body + b" ", KEY)
    assert headers["webhook-id"] == "page1"
    assert json.loads(body) == {
        "type": "tocsin.page",
        "data": {
            "id": "page1",
            "severity": "P0",
            "title": "P0 Checkout down",
            "text": "Acknowledge: tocsin ack abc234",
            "person": "ana",
            "incident": "abc234full",
            "phase": "detected",
            "url": "https://tocsin.example.org/incidents/abc234",
            "answer_url": "https://tocsin.example.org/a/x",
            "number": "47",
            "possible_repeat": False,
        },
    }
    assert SECRET not in str(headers)


def test_two_secrets_sign_while_one_is_replaced(provider: Provider, port: int) -> None:
    send(f"webhook+http://127.0.0.1:{port}/#{SECRET},plain text", PAGE)
    [(_, headers, body)] = provider.got
    assert checked(headers, body, KEY)
    assert checked(headers, body, b"plain text")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("webhook+https://hooks.example.org/x", "needs its secret"),
        ("webhook+https://hooks.example.org/x#whsec_%%%", "no base64"),
    ],
)
def test_without_a_secret_nothing_is_sent(target: str, words: str) -> None:
    ended = send(target, PAGE)
    assert (ended.ending, words in ended.reason) == (Ending.GIVE_UP, True)


def test_a_private_address_is_not_reached_unless_allowed(provider: Provider, port: int) -> None:
    allow([])
    ended = send(f"webhook+http://127.0.0.1:{port}/#{SECRET}", PAGE)
    assert (ended.ending, "--outbound.allow" in ended.reason) == (Ending.GIVE_UP, True)
    assert provider.got == []


def test_gone_is_for_good_and_busy_for_now(provider: Provider, port: int) -> None:
    target = f"webhook+http://127.0.0.1:{port}/#{SECRET}"
    provider.status = 410
    assert send(target, PAGE).reason.endswith("take the contact method out")
    provider.status = 503
    assert send(target, PAGE).ending is Ending.TRY_AGAIN


def test_both_schemes_are_ours() -> None:
    known = load()
    for scheme in ("webhook+https", "webhook+http"):
        assert choose(known, f"{scheme}://x").__name__ == "workers.channels.webhook"  # type: ignore[attr-defined]
