"""The call of an action against a real HTTP server: what is sent, and what each answer comes to."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import msgspec
import pytest

from tests.unit.workers.http_server import Provider, serving
from triage.rulebook.types import Verification
from triage.run import Call, Run, RunState
from workers.actor import helped, make
from workers.channels import webhook
from workers.outbound import allow
from workers.verifying import judged

SECRETS = {"TOKEN": "deploy-token-1234", "SIGNING": "whsec_c2VjcmV0IG9mIHRoZSBzdG9yeQ=="}
BODY = b'{"version": "v41"}'


@pytest.fixture(autouse=True)
def _near() -> Iterator[None]:
    allow(["127.0.0.0/8"])
    yield
    allow([])


def run(port: int, *, method: str = "POST", timeout: int = 2_000, secret: str = "") -> Run:
    headers = {"Authorization": "Bearer ${TOKEN}"}
    call = Call(method, f"http://127.0.0.1:{port}/rollback", headers, BODY, secret)
    return Run("run-1", "rollback", "Roll back", "incident", "ana", RunState.STARTED, 0, call, timeout)


def test_the_call_is_signed_carries_its_id_and_its_output_is_scrubbed() -> None:
    service = Provider(status=200, body=b"rolled back with deploy-token-1234\x1b[31m")
    with serving(service) as port:
        assert make(run(port, secret="${SIGNING}"), SECRETS.get) == (True, False, "HTTP 200: rolled back with *** [31m")
    [(path, headers, body)] = service.got
    assert (path, body, headers["idempotency-key"]) == ("/rollback", BODY, "run-1")
    assert headers["authorization"] == "Bearer deploy-token-1234"
    expected = webhook.signature([webhook.key_of(SECRETS["SIGNING"])], "run-1", int(headers["webhook-timestamp"]), BODY)
    assert headers["webhook-signature"] == expected["webhook-signature"]


@pytest.mark.parametrize(
    ("status", "ok", "unsure"),
    [
        (204, True, False),
        (409, False, False),
        (302, False, False),
        (500, False, False),
        (502, False, True),
        (504, False, True),
    ],
)
def test_an_answer_is_an_answer_but_a_gateways(status: int, ok: bool, unsure: bool) -> None:
    with serving(Provider(status=status, body=b"", headers={"Location": "/elsewhere"})) as port:
        assert make(run(port), SECRETS.get)[:2] == (ok, unsure)


def test_no_answer_in_time_may_have_been_done() -> None:
    held = threading.Event()
    service = Provider(status=200, held=held)
    with serving(service) as port:
        ok, unsure, text = make(run(port, timeout=200), SECRETS.get)
        held.set()
    assert (ok, unsure, len(service.got)) == (False, True, 1)
    assert "no answer came within 0.2 s" in text


def test_an_answer_that_drips_is_cut_at_the_limit() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        taken, _ = listener.accept()
        with taken:
            taken.recv(65_536)
            taken.sendall(b"HTTP/1.1 200 OK\r\n")
            for _ in range(100):
                try:
                    taken.sendall(b"X: y\r\n")
                except OSError:
                    return
                if stop.wait(0.05):
                    return

    stop = threading.Event()
    thread = threading.Thread(target=drip)
    thread.start()
    assert make(run(listener.getsockname()[1], timeout=300), SECRETS.get)[:2] == (False, True)
    stop.set()
    thread.join(10)
    listener.close()


def test_what_was_not_sent_has_failed_and_nothing_is_unknown() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        ok, unsure, text = make(run(port), SECRETS.get)
    assert (ok, unsure, text) == (False, False, "not sent: the connection was refused")
    with serving(Provider()) as port:
        assert "secret TOKEN is not set" in make(run(port), lambda _: None)[2]
        allow([])
        assert "--outbound.allow" in make(run(port), SECRETS.get)[2]


def looks(port: int, query: str = "") -> Run:
    return msgspec.structs.replace(run(port), verify=Verification(f"http://127.0.0.1:{port}/", query, 0, 0, 0))


def test_an_address_that_answers_well_says_that_it_helped() -> None:
    service = Provider(status=200)
    with serving(service) as port:
        assert helped(looks(port), SECRETS.get) == (True, "HTTP 200")
        service.status = 503
        assert helped(looks(port), SECRETS.get) == (False, "HTTP 503")


def test_headers_are_sent_along_and_their_secrets_never_come_back() -> None:
    service = Provider(status=401, body=b"no deploy-token-1234 here")
    headers = (("Authorization", "Bearer ${TOKEN}"),)
    with serving(service) as port:
        asked = looks(port, "up == 1")
        assert asked.verify is not None
        asked = msgspec.structs.replace(asked, verify=msgspec.structs.replace(asked.verify, headers=headers))
        ok, text = helped(asked, SECRETS.get)
    assert service.got[0][1]["authorization"] == f"Bearer {SECRETS['TOKEN']}"
    assert (ok, SECRETS["TOKEN"] in text, "HTTP 401" in text) == (False, False, True)
    assert "secret TOKEN is not set" in helped(asked, lambda _: None)[1]


@pytest.mark.parametrize(
    ("data", "ok"),
    [
        ({"resultType": "vector", "result": [{"metric": {}, "value": [1, "0.5"]}]}, True),
        ({"resultType": "vector", "result": []}, False),
        ({"resultType": "scalar", "result": [1, "1"]}, True),
        ({"resultType": "scalar", "result": [1, "0"]}, False),
        ({"resultType": "scalar", "result": [1, "NaN"]}, False),
        ({"resultType": "matrix", "result": []}, False),
        ({"resultType": "vector", "result": {}}, False),
        ({"nothing": 1}, False),
        ([], False),
    ],
)
def test_what_prometheus_answers(data: object, ok: bool) -> None:
    assert judged(json.dumps({"status": "success", "data": data}).encode(), "errors < 1")[0] is ok
    assert judged(b"<html>", "errors < 1")[0] is False


def test_what_prometheus_says_is_shown_short_and_harmless() -> None:
    body = b'{"data": {"resultType": "vector", "result": [{"value": [1, "\\ud800\\u001b[31m' + b"9" * 1_000 + b'"]}]}}'
    ok, text = judged(body, "up")
    assert ok
    assert text.encode()
    assert "\x1b" not in text
    assert len(text) < 100
