"""Who may speak for which source, what strangers learn, and that tokens stay out of logs and answers."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
import structlog
from aiohttp import ClientSession

from ingest.adapter import Request
from ingest.settings import DoorSettings, Exposed, check_exposure, is_loopback
from ingest.sources import SourceBook, digest_of
from tests.unit.ingest.doors import DIGEST, TOKEN, Shelf, adapter, opened, resolve
from triage.model import DeadLetter, Events
from triage.rulebook.types import Source

GOOD = {"alerts": [{"title": "disk full"}]}
AWAY = DoorSettings(listen_host="0.0.0.0")
LOCKED = Source(name="locked", adapter="plain", token_sha256=(DIGEST,))
OPEN = Source(name="open", adapter="plain")


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


WAYS: list[tuple[str, dict[str, str]]] = [
    ("/v1/events/locked", bearer(TOKEN)),
    ("/v1/events/locked", {"Authorization": f"bearer  {TOKEN}"}),
    ("/v1/events/locked", {"Authorization": f"GenieKey {TOKEN}"}),
    ("/v1/events/locked", basic(TOKEN)),
    (f"/v1/events/locked?token={TOKEN}", {}),
    (f"/v1/events/locked/{TOKEN}", {}),
    (f"/v1/events/locked/{TOKEN}/more/path", {}),
]
WRONG: list[tuple[str, dict[str, str]]] = [
    ("/v1/events/locked", {}),
    ("/v1/events/locked", bearer("wrong")),
    ("/v1/events/locked", bearer(TOKEN + "x")),
    ("/v1/events/locked", bearer(DIGEST)),
    ("/v1/events/locked", bearer("tökén")),
    ("/v1/events/locked", {"Authorization": "Basic !!!"}),
    ("/v1/events/locked", {"Authorization": "Basic " + base64.b64encode(TOKEN.encode()).decode()}),
    ("/v1/events/locked", basic("wrong")),
    ("/v1/events/locked?token=", {}),
    ("/v1/events/locked?token=%ED%A0%80", {}),
    ("/v1/events/locked/wrong/path", {}),
]


@pytest.mark.parametrize(("path", "headers"), WAYS)
@pytest.mark.parametrize("settings", [DoorSettings(), AWAY])
async def test_every_way_of_showing_the_token_is_taken(
    path: str, headers: dict[str, str], settings: DoorSettings
) -> None:
    shelf = Shelf()
    async with (
        opened(shelf, sources=[LOCKED], settings=settings) as door,
        door.client.post(door.url(path), json=GOOD, headers=headers) as answer,
    ):
        assert answer.status == 202
    [body] = shelf.bodies
    assert isinstance(body, Events)
    rest = "more/path" if path.endswith("more/path") else ""
    assert body.events[0].labels == {"rest": rest, "trusted": "True"}, "the token is taken off the path and the query"


@pytest.mark.parametrize(("path", "headers"), WRONG)
@pytest.mark.parametrize("settings", [DoorSettings(), AWAY])
async def test_a_missing_or_wrong_token_is_refused_and_nothing_is_kept(
    path: str, headers: dict[str, str], settings: DoorSettings
) -> None:
    shelf = Shelf()
    async with (
        opened(shelf, sources=[LOCKED], settings=settings) as door,
        door.client.post(door.url(path), data=b"not json", headers=headers) as answer,
    ):
        assert answer.status == 401
        assert "Bearer" in answer.headers["WWW-Authenticate"]
        assert answer.content_type == "application/problem+json"
    assert shelf.bodies == []


async def test_beyond_loopback_an_unknown_source_looks_like_a_wrong_token() -> None:
    async with opened(Shelf(), sources=[LOCKED], settings=AWAY) as door:
        answers = []
        for name in ("locked", "nobody", "plain"):
            async with door.client.post(door.url(f"/v1/events/{name}"), json=GOOD, headers=bearer("wrong")) as answer:
                answers.append((answer.status, await answer.text()))
        assert answers == [answers[0]] * 3
        assert answers[0][0] == 401
        async with door.client.post(door.url("/v1/events/nobody"), json=GOOD, headers=bearer(TOKEN)) as answer:
            assert answer.status == 404, "whoever has a token of ours may know that the name is wrong"


async def test_on_loopback_an_unknown_source_is_named_with_those_there_are() -> None:
    async with (
        opened(Shelf(), sources=[OPEN]) as door,
        door.client.post(door.url("/v1/events/opne"), json=GOOD) as answer,
    ):
        assert answer.status == 404
        assert "open" in (await answer.json())["detail"]


async def test_an_open_source_is_served_on_loopback_and_only_there() -> None:
    shelf = Shelf()
    for settings, status in ((DoorSettings(), 202), (AWAY, 401)):
        async with (
            opened(shelf, sources=[OPEN], settings=settings) as door,
            door.client.post(door.url("/v1/events/open"), json=GOOD) as answer,
        ):
            assert answer.status == status
    assert len(shelf.bodies) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[broken"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 202),
        ({"Host": "rebound.example:9911"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": "localhost:9911"}, 202),
        ({"Host": "tocsin.example.org"}, 202),
        ({"Host": "tocsin.example.org", "Origin": "https://tocsin.example.org"}, 202),
        ({"Origin": "https://evil.example", **bearer(TOKEN)}, 403),
    ],
)
async def test_another_web_site_cannot_post_to_an_open_source(headers: dict[str, str], status: int) -> None:
    settings = DoorSettings(external_url="https://tocsin.example.org")
    async with opened(Shelf(), sources=[OPEN], settings=settings) as door:
        async with door.client.post(door.url("/v1/events/open"), json=GOOD, headers=headers) as answer:
            assert answer.status == status, await answer.text()
        async with door.client.post(
            door.url("/v1/events/open"), json=GOOD, headers={"Origin": door.url(""), "Sec-Fetch-Site": "same-origin"}
        ) as answer:
            assert answer.status == 202


async def test_whoever_shows_the_token_may_come_from_another_site() -> None:
    async with opened(Shelf(), sources=[LOCKED]) as door:
        headers = {"Origin": "https://dashboard.example", **bearer(TOKEN)}
        async with door.client.post(door.url("/v1/events/locked"), json=GOOD, headers=headers) as answer:
            assert answer.status == 202


def signed(request: Request, secret: bytes) -> str | None:
    right = hashlib.sha256(secret + request.body).hexdigest()
    if request.headers.get("x-crash"):
        raise ZeroDivisionError
    return None if request.headers.get("x-signature") == right else "it is wrong"


@pytest.mark.parametrize("settings", [DoorSettings(), AWAY])
async def test_a_signed_source_takes_what_is_signed_and_keeps_nothing_else(settings: DoorSettings) -> None:
    shelf = Shelf()
    source = Source(name="signed", adapter="plain", secret="${KEY}")
    right = hashlib.sha256(b"KEY" + b"[]").hexdigest()
    async with opened(shelf, adapters=[adapter(authenticate=signed)], sources=[source], settings=settings) as door:
        for headers, status in (({}, 401), ({"X-Signature": "wrong"}, 401), ({"X-Crash": "1"}, 401)):
            async with door.client.post(door.url("/v1/events/signed"), data=b"[]", headers=headers) as answer:
                assert answer.status == status
        assert shelf.bodies == []
        async with door.client.post(
            door.url("/v1/events/signed"), data=b"[]", headers={"X-Signature": right}
        ) as answer:
            assert answer.status == 400
    assert isinstance(shelf.bodies[0], DeadLetter), "a body that was signed may be kept"


@pytest.mark.parametrize(
    "source",
    [
        Source(name="faulty", adapter="plain", secret="${MISSING}"),
        Source(name="faulty", adapter="unsigned", secret="${KEY}"),
        Source(name="faulty", adapter="plain", token_sha256=("no hex",)),
    ],
)
async def test_a_source_that_cannot_work_asks_its_senders_to_try_again(source: Source) -> None:
    adapters = [adapter(authenticate=signed), adapter("unsigned")]
    headers = {} if source.secret else bearer(TOKEN)
    async with (
        opened(Shelf(), adapters=adapters, sources=[source]) as door,
        door.client.post(door.url("/v1/events/faulty"), json=GOOD, headers=headers) as answer,
    ):
        assert answer.status == (503 if source.secret else 401)


def test_digests_bear_any_text() -> None:
    assert digest_of(TOKEN).hex() == DIGEST
    assert len({digest_of(text) for text in ("", "\udc80", "\ud800", "tökén", "x" * 100_000)}) == 5


def test_no_token_opens_a_source_that_has_none() -> None:
    book = SourceBook([adapter()], resolve)
    book.update([LOCKED, OPEN])
    [locked], [open_] = book.named("locked"), book.named("open")
    assert not open_.welcomes([digest_of(TOKEN)])
    assert locked.welcomes([digest_of("wrong"), digest_of(TOKEN)])
    assert locked.welcomes([digest_of(TOKEN), digest_of("wrong")])
    assert not locked.welcomes([])
    assert book.any_welcomes([digest_of(TOKEN)])
    assert not book.any_welcomes([digest_of("wrong")])


async def test_sources_change_while_the_door_is_open() -> None:
    async with opened(Shelf()) as door:
        assert door.book.names == ["plain"]
        door.book.update([LOCKED, Source(name="odd", adapter="no-such-adapter")])
        assert door.book.names == ["locked"], "an adapter's own name is a source until the operator configures others"
        async with door.client.post(door.url("/v1/events/locked"), json=GOOD) as answer:
            assert answer.status == 401
        door.book.update([])
        async with door.client.post(door.url("/v1/events/plain"), json=GOOD) as answer:
            assert answer.status == 202


async def test_on_an_adapters_own_path_the_token_tells_the_source() -> None:
    shelf = Shelf()
    other = Source(name="other", adapter="plain", token_sha256=(hashlib.sha256(b"other").hexdigest(),))
    async with opened(shelf, adapters=[adapter(paths=("/api/v2/alerts",))], sources=[other, LOCKED]) as door:
        for token, status in ((TOKEN, 202), ("other", 202), ("wrong", 401)):
            async with door.client.post(door.url("/api/v2/alerts"), json=GOOD, headers=bearer(token)) as answer:
                assert answer.status == status
    assert [body.source for body in shelf.bodies if isinstance(body, Events)] == ["locked", "other"]


async def test_tokens_are_in_no_log_and_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    canary = "canary-token-0123456789"
    said: list[str] = []
    with structlog.testing.capture_logs() as lines:
        async with opened(Shelf(), sources=[LOCKED], settings=AWAY) as door:
            await _try_everywhere(door.client, door.url(""), canary, said)
    assert len(lines) >= 4
    assert canary not in repr(lines) + caplog.text + "".join(said)


async def _try_everywhere(client: ClientSession, base: str, canary: str, said: list[str]) -> None:
    tries: list[tuple[str, dict[str, Any]]] = [
        ("/v1/events/locked", {"headers": bearer(canary)}),
        ("/v1/events/locked", {"headers": basic(canary)}),
        (f"/v1/events/locked?token={canary}", {}),
        (f"/v1/events/locked/{canary}", {"data": b"{"}),
        (f"/v1/events/nobody/{canary}", {}),
    ]
    for path, options in tries:
        async with client.post(base + path, **options) as answer:
            said.append(await answer.text())


@pytest.mark.parametrize(
    ("sources", "admin", "named"),
    [
        ([], True, "no source has a token"),
        ([OPEN, LOCKED], True, "open"),
        ([LOCKED], False, "admin token"),
        ([Source(name="report", adapter="report")], True, "no source has a token"),
    ],
)
def test_an_open_door_beyond_loopback_is_refused_with_the_remedy(
    sources: list[Source], admin: bool, named: str
) -> None:
    with pytest.raises(Exposed, match=named) as refused:
        check_exposure("0.0.0.0", sources, admin=admin)
    assert "tocsin init" in str(refused.value)
    check_exposure("127.0.0.1", sources, admin=admin)


def test_a_door_whose_sources_all_prove_themselves_may_be_reached_from_afar() -> None:
    check_exposure("::", [LOCKED, Source(name="report", adapter="report")], admin=True)
    check_exposure("10.0.0.1", [Source(name="s", adapter="plain", secret="${KEY}")], admin=True)


def test_loopback_is_this_machine_and_no_other() -> None:
    here = ("localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]")
    away = ("0.0.0.0", "::", "10.0.0.1", "127.0.0.1.evil.example", "evil.example", "", "localhost.evil.example")
    assert all(map(is_loopback, here))
    assert not any(map(is_loopback, away))
