"""Nobody is reached who is nobody's business, whatever the address looks like; and what an HTTP answer comes to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.workers.http_server import Provider, serving
from tests.unit.workers.smtp_server import free_port, tls
from triage.model import Ending
from workers import outbound
from workers.channel import Delivery
from workers.outbound import Answer, Forbidden, allow, check, judge, post


@pytest.fixture(autouse=True)
def nothing_allowed() -> Iterator[None]:
    allow([])
    yield
    allow([])


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def port(provider: Provider) -> Iterator[int]:
    with serving(provider, "0.0.0.0") as port:
        yield port


PRIVATE = [
    *("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "100.64.0.1", "198.18.0.1", "192.0.2.1", "::1", "fd00::1"),
    *(
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "::10.0.0.1",
    ),
]
NEVER = [
    *("169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "fe80::1%lo", "ff02::1"),
    *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "fd00:ec2::254", "100.100.100.200"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_reached_only_when_allowed(address: str) -> None:
    with pytest.raises(Forbidden, match=r"outbound\.allow"):
        check(address)
    allow(["0.0.0.0/0", "::/0"])
    check(address)


@pytest.mark.parametrize("address", NEVER)
def test_some_are_never_reached(address: str) -> None:
    allow(["0.0.0.0/0", "::/0"])
    with pytest.raises(Forbidden, match="never reached"):
        check(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2002:101:101::", "64:ff9b::101:101"]
)
def test_public_ones_are(address: str) -> None:
    check(address)


def test_what_is_allowed_is_exactly_that() -> None:
    allow(["10.1.0.0/16"])
    check("10.1.2.3")
    with pytest.raises(Forbidden):
        check("10.2.0.1")
    with pytest.raises(Forbidden):
        check("127.0.0.1")
    with pytest.raises(ValueError, match="does not appear to be"):
        allow(["everything"])


SPELLINGS = [
    "localhost",
    "127.0.0.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "0",
    "[::ffff:127.0.0.1]",
    "[::1]",
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_however_loopback_is_spelt_it_is_not_reached(provider: Provider, port: int, host: str) -> None:
    ended = post(f"http://{host}:{port}/", b"{}", {})
    assert isinstance(ended, Delivery)
    assert ended.ending is not Ending.DELIVERED
    assert provider.got == []


def test_a_name_that_resolves_to_another_address_the_second_time_gains_nothing(
    provider: Provider, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def rebinding(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        looks.append(host)
        address = "93.184.216.34" if len(looks) % 2 == 0 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    ended = post(f"http://rebind.example:{port}/", b"{}", {})
    assert isinstance(ended, Delivery)
    assert (ended.ending, looks, provider.got) == (Ending.GIVE_UP, ["rebind.example"], [])
    assert "private address" in ended.reason


def test_it_connects_to_the_very_address_that_was_looked_at(provider: Provider, port: int) -> None:
    allow(["127.0.0.0/8"])
    answer = post(f"http://localhost:{port}/a?b=c", b"body", {"X": "y"})
    assert answer == Answer(202, b"{}")
    [(path, headers, body)] = provider.got
    assert (path, headers["x"], headers["host"], body) == ("/a?b=c", "y", f"localhost:{port}", b"body")


def test_a_redirect_is_not_followed(provider: Provider, port: int) -> None:
    allow(["127.0.0.0/8"])
    provider.status, provider.headers = 307, {"Location": f"http://127.0.0.1:{port}/secret"}
    ended = judge(post(f"http://127.0.0.1:{port}/", b"{}", {}), "taken")
    assert (ended.ending, "redirects" in ended.reason) == (Ending.GIVE_UP, True)
    assert [path for path, _, _ in provider.got] == ["/"]


@pytest.mark.parametrize(
    ("status", "ending", "ambiguous"),
    [
        *((200, Ending.DELIVERED, False), (202, Ending.DELIVERED, False), (400, Ending.GIVE_UP, False)),
        *((401, Ending.GIVE_UP, False), (404, Ending.GIVE_UP, False), (408, Ending.TRY_AGAIN, False)),
        *((429, Ending.TRY_AGAIN, False), (500, Ending.TRY_AGAIN, False), (502, Ending.TRY_AGAIN, True)),
        *((503, Ending.TRY_AGAIN, False), (504, Ending.TRY_AGAIN, True)),
    ],
)
def test_what_a_status_comes_to(status: int, ending: Ending, ambiguous: bool) -> None:
    ended = judge(Answer(status, b"", 7_000), "taken")
    assert (ended.ending, ended.ambiguous) == (ending, ambiguous)
    assert ended.retry_after == (7_000 if ending is Ending.TRY_AGAIN else 0)


def test_a_pause_that_is_asked_for_is_passed_on(provider: Provider, port: int) -> None:
    allow(["127.0.0.0/8"])
    provider.status, provider.headers = 429, {"Retry-After": "42"}
    assert judge(post(f"http://127.0.0.1:{port}/", b"{}", {}), "taken").retry_after == 42_000


def test_what_was_not_sent_is_safe_to_repeat_and_what_was_is_not(
    provider: Provider, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(["127.0.0.0/8"])
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.3)
    nobody = post(f"http://127.0.0.1:{free_port()}/", b"{}", {})
    assert nobody == Delivery(Ending.TRY_AGAIN, "the connection was refused")
    provider.cuts = True
    cut = post(f"http://127.0.0.1:{port}/", b"{}", {})
    assert isinstance(cut, Delivery)
    assert (cut.ending, cut.ambiguous) == (Ending.TRY_AGAIN, True)
    provider.cuts, provider.sleeps = False, 1
    silent = post(f"http://127.0.0.1:{port}/", b"{}", {})
    assert isinstance(silent, Delivery)
    assert (silent.ending, silent.ambiguous) == (Ending.TRY_AGAIN, True)


@pytest.mark.parametrize(
    "url", ["http://", "http:///x", "http://a b/", "http://h:port/", "http://h/\r\nX: y", "http://[::1"]
)
def test_an_address_that_is_none(url: str) -> None:
    ended = post(url, b"", {})
    assert isinstance(ended, Delivery)
    assert ended.ending in (Ending.GIVE_UP, Ending.TRY_AGAIN)
    assert not ended.ambiguous


def test_over_tls_the_certificate_counts(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(["127.0.0.0/8"])
    with serving(provider, tls=tls(tmp_path)) as port:
        ended = post(f"https://127.0.0.1:{port}/", b"{}", {})
        assert isinstance(ended, Delivery)
        assert (ended.ending, ended.ambiguous) == (Ending.TRY_AGAIN, False)
        assert ended.reason.startswith("the certificate was not accepted")
        assert provider.got == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        assert post(f"https://127.0.0.1:{port}/", b"{}", {}) == Answer(202, b"{}")


@pytest.mark.parametrize(
    ("header", "millis"),
    [
        ("7", 7_000),
        (" 30 ", 30_000),
        ("999999999999", outbound.RETRY_AFTER_MAX),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10_000),
        ("Tue, 14 Nov 2023 22:13:10 GMT", 0),
        ("Tue, 14 Nov 2023 22:13:30 -0000", 10_000),
        ("soon", 0),
        ("-5", 0),
        ("", 0),
    ],
)
def test_retry_after_in_both_its_forms(header: str, millis: int) -> None:
    assert outbound.retry_after(header, 1_700_000_000.0) == millis
