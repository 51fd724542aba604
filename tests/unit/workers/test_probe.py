"""Looks at real servers on this machine: what they answer, how slowly, under which certificate, and where not."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.workers.http_server import Provider, serving
from tests.unit.workers.smtp_server import free_port
from triage.model import SECOND
from triage.rulebook.checks import Check
from workers.outbound import allow
from workers.probe import Seen, look


@pytest.fixture(autouse=True)
def here_allowed() -> Iterator[None]:
    allow(["127.0.0.0/8"])
    yield
    allow([])


def secret(name: str) -> str | None:
    return {"TOKEN": "hunter22"}.get(name)


def see(port: int, path: str = "/", context: ssl.SSLContext | None = None, scheme: str = "http", **more: Any) -> Seen:
    check = Check("shop", http=f"{scheme}://localhost:{port}{path}", **{"timeout": 5 * SECOND, **more})
    return look(check, secret, context)


def test_an_answer_as_expected_passes_and_the_request_carries_what_was_asked() -> None:
    provider = Provider(200, b'{"state": "ok"}')
    with serving(provider) as port:
        seen = see(port, "/health?deep=1", body='"state":\\s*"ok"', headers={"Authorization": "Bearer ${TOKEN}"})
    assert (seen.kind, seen.text, seen.expires_at) == ("", "", None)
    ((path, headers, _),) = provider.got
    assert (path, headers["authorization"], headers["accept-encoding"]) == (
        "/health?deep=1",
        "Bearer hunter22",
        "identity",
    )


@pytest.mark.parametrize(
    ("status", "body", "more", "kind", "words"),
    [
        (503, b"", {}, "status", "HTTP 503, expected 200 to 299"),
        (503, b"", {"statuses": ((200, 200), (503, 503))}, "", ""),
        (200, b"all is lost", {"body": "all is (well|fine)"}, "body", "the body does not match all is (well|fine)"),
        (200, b"one\ntwo", {"body": "one.two"}, "", ""),
        (200, b"Fatal error", {"not_body": "(?i)fatal"}, "body", "the body matches (?i)fatal"),
        (200, b"x" * 2_000_000 + b"end", {"body": "end"}, "body", "the body does not match end"),
        (302, b"", {}, "status", "HTTP 302, expected 200 to 299"),
    ],
)
def test_what_is_not_as_expected_is_said(status: int, body: bytes, more: Any, kind: str, words: str) -> None:
    with serving(Provider(status, body)) as port:
        seen = see(port, **more)
    assert (seen.kind, seen.text) == (kind, words)


def test_a_slow_answer_passes_only_without_a_limit() -> None:
    with serving(Provider(200, sleeps=0.05)) as port:
        assert see(port).kind == ""
        seen = see(port, latency=10)
    assert (seen.kind, seen.took >= 50) == ("latency", True)
    assert seen.text.endswith("more than 10ms")


@contextmanager
def dripping() -> Iterator[int]:
    """A server that never comes to the end of its headers, though it always says a little more."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not over.wait(0.01):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        thread.join()


def test_an_answer_that_drips_is_cut_when_its_time_is_over() -> None:
    with dripping() as port:
        seen = see(port, timeout=100)
    assert (seen.kind, seen.text) == ("timeout", "no answer within 100ms")


def test_nobody_there_and_nobody_of_that_name() -> None:
    seen = see(free_port())
    assert (seen.kind, seen.text) == ("unreachable", "the connection was refused")
    seen = look(Check("shop", http="http://nowhere.invalid/"), secret)
    assert (seen.kind, seen.text) == ("unreachable", "the host name does not resolve")


def test_a_connection_that_ends_early_is_no_answer() -> None:
    with serving(Provider(cuts=True)) as port:
        assert see(port).kind == "answer"


def test_a_private_address_is_refused_until_it_is_allowed() -> None:
    provider = Provider(200)
    allow([])
    with serving(provider) as port:
        seen = see(port)
    assert (seen.kind, provider.got) == ("forbidden", [])
    assert "--outbound.allow" in seen.text


def test_a_redirect_is_followed_as_often_as_allowed_and_takes_no_secret_along() -> None:
    there = Provider(200, b"there")
    with serving(there) as other:
        here = Provider(302, headers={"Location": f"http://127.0.0.1:{other}/x"})
        with serving(here) as port:
            assert see(port).kind == "status"
            seen = see(port, redirects=1, body="there", headers={"X-Api-Key": "${TOKEN}"})
    assert seen.kind == ""
    assert here.got[-1][1]["x-api-key"] == "hunter22"
    assert "x-api-key" not in there.got[-1][1]


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("http://169.254.169.254/latest/meta-data/", "forbidden"),
        ("http://[::ffff:169.254.169.254]/", "forbidden"),
        ("http://10.1.2.3/", "forbidden"),
        ("file:///etc/passwd", "redirect"),
    ],
)
def test_a_redirect_leads_nowhere_that_is_nobodys_business(location: str, kind: str) -> None:
    with serving(Provider(302, headers={"Location": location})) as port:
        assert see(port, redirects=5).kind == kind


def test_a_redirect_in_a_circle_ends() -> None:
    provider = Provider(302, headers={"Location": "/again"})
    with serving(provider) as port:
        assert see(port, redirects=3).text.startswith("HTTP 302")
    assert len(provider.got) == 4


def test_a_secret_that_is_not_set_is_named_and_one_that_is_set_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = look(Check("shop", http="http://localhost/${MISSING}"), secret)
    assert (seen.kind, "MISSING_FILE" in seen.text) == ("secret", True)
    told = OSError(5, "cannot reach hunter22 now")
    monkeypatch.setattr("workers.probe.connect", lambda *_: (_ for _ in ()).throw(told))
    seen = look(Check("shop", http="http://localhost/${TOKEN}"), secret)
    assert (seen.kind, "hunter22" in seen.text) == ("unreachable", False)


_AUTHORITY = """
[ca]
default_ca = own
[own]
dir = {folder}
database = {folder}/index.txt
serial = {folder}/serial
new_certs_dir = {folder}
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:localhost
"""


def certificate(folder: Path, days: int) -> ssl.SSLContext:
    """A server whose certificate for localhost, signed by itself, ends in so many days (negative: ended before)."""
    ends = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")
    (folder / "index.txt").write_text("")
    (folder / "serial").write_text("01")
    (folder / "ca.conf").write_text(_AUTHORITY.format(folder=folder))
    key, asked, cert = folder / "key.pem", folder / "asked.pem", folder / "cert.pem"
    request = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost"]
    sign = ["ca", "-config", str(folder / "ca.conf"), "-selfsign", "-batch", "-notext", "-in", str(asked)]
    sign += ["-startdate", "20200101000000Z", "-enddate", ends, "-keyfile", str(key), "-out", str(cert)]
    for words in ([*request, "-keyout", str(key), "-out", str(asked)], sign):
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / "cert.pem"))


def test_the_end_of_a_certificate_is_seen(tmp_path: Path) -> None:
    with serving(Provider(200), tls=certificate(tmp_path, 10)) as port:
        seen = see(port, context=trusting(tmp_path), scheme="https")
        by_tcp = look(Check("shop", tcp=f"localhost:{port}", tls=True), secret, trusting(tmp_path))
    assert (seen.kind, by_tcp.kind) == ("", "")
    assert seen.expires_at is not None
    assert seen.expires_at == by_tcp.expires_at


@pytest.mark.parametrize(
    ("days", "trusted", "words"),
    [(-1, True, "certificate has expired"), (10, False, "self-signed certificate")],
)
def test_a_certificate_that_does_not_hold_fails(tmp_path: Path, days: int, trusted: bool, words: str) -> None:
    with serving(Provider(200), tls=certificate(tmp_path, days)) as port:
        context = trusting(tmp_path) if trusted else ssl.create_default_context()
        seen = see(port, context=context, scheme="https")
    assert seen.kind == "certificate"
    assert words in seen.text


def test_a_certificate_for_another_name_fails(tmp_path: Path) -> None:
    with serving(Provider(200), tls=certificate(tmp_path, 10)) as port:
        check = Check("shop", http=f"https://127.0.0.1:{port}/")
        seen = look(check, secret, trusting(tmp_path))
    assert seen.kind == "certificate"
    assert "127.0.0.1" in seen.text


def test_https_where_nobody_speaks_it() -> None:
    with serving(Provider(200)) as port:
        assert see(port, scheme="https").kind == "tls"


def test_tcp_needs_nothing_but_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert look(Check("db", tcp=f"127.0.0.1:{listener.getsockname()[1]}"), secret).kind == ""
    assert look(Check("db", tcp=f"127.0.0.1:{free_port()}"), secret).text == "the connection was refused"
    allow([])
    assert look(Check("db", tcp="169.254.169.254:80"), secret).kind == "forbidden"
