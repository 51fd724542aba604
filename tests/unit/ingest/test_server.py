"""What the door answers, what it keeps, and that no body makes it fail."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.adapter import Read, Request, Unreadable
from ingest.adapters import load, names
from ingest.settings import DoorLimits, DoorSettings
from tests.unit.ingest.doors import DIGEST, NOW, TOKEN, Shelf, adapter, opened, read
from triage.model import DeadLetter, Event, Events, Rejected, Status
from triage.rulebook.types import Source
from triage.store import journal

URL = "/v1/events/plain"
GOOD = {"alerts": [{"title": "disk full"}]}
MIXED = {"alerts": [{"title": "disk full"}, {"no": "title"}, {"title": "disk full again"}]}


def problem(status: int, kind: str) -> dict[str, Any]:
    return {"status": status, "type": f"urn:tocsin:problem:{kind}"}


async def test_a_good_body_is_one_entry() -> None:
    shelf = Shelf()
    async with opened(shelf) as door:
        for method in ("POST", "PUT"):
            async with door.client.request(method, door.url(URL + "/a/b?c=d"), json=GOOD) as answer:
                assert answer.status == 202
                assert await answer.json() == {
                    "accepted": 1,
                    "rejected": 0,
                    "entry": f"{NOW}-{len(shelf.bodies) - 1}",
                }
        assert door.stats.requests == {("plain", 202): 2}
        assert door.stats.accepted == {"plain": 2}
        assert sum(door.stats.buckets) == 2
    body = shelf.bodies[0]
    assert isinstance(body, Events)
    assert body.source == "plain"
    assert body.events[0].labels == {"rest": "a/b", "trusted": "False", "c": "d"}


async def test_the_good_items_of_a_mixed_body_are_kept_and_the_others_named() -> None:
    shelf = Shelf()
    async with opened(shelf) as door, door.client.post(door.url(URL), json=MIXED) as answer:
        assert answer.status == 202
        assert await answer.json() == {
            "accepted": 2,
            "rejected": 1,
            "entry": f"{NOW}-0",
            "problems": [{"where": "alerts[1]", "field": "title", "reason": "missing"}],
        }
        assert door.stats.rejected == {"plain": 1}
    events, letter = shelf.bodies
    assert isinstance(events, Events)
    assert [event.title for event in events.events] == ["disk full", "disk full again"]
    assert isinstance(letter, DeadLetter)
    assert letter.rejected == [Rejected("alerts[1]", "title", "missing")]
    assert json.loads(letter.body) == MIXED


@pytest.mark.parametrize("resends", [False, True])
async def test_a_body_without_one_good_item_is_a_dead_letter(resends: bool) -> None:
    shelf = Shelf()
    async with (
        opened(shelf, adapters=[adapter(resends_refused=resends)]) as door,
        door.client.post(door.url(URL), json={"alerts": [{}]}) as answer,
    ):
        said = await answer.json()
        assert answer.status == (202 if resends else 400)
    if resends:
        assert (said["accepted"], said["rejected"], said["entry"]) == (0, 1, f"{NOW}-0")
    else:
        assert said["errors"] == [{"field": "alerts[0].title", "reason": "missing"}]
    assert [type(body) for body in shelf.bodies] == [DeadLetter]


@pytest.mark.parametrize("resends", [False, True])
async def test_an_unreadable_body_is_a_dead_letter_and_the_answer_names_the_field(resends: bool) -> None:
    shelf = Shelf()
    async with (
        opened(shelf, adapters=[adapter(resends_refused=resends)]) as door,
        door.client.post(door.url(URL), data=b'{"alerts": 7}') as answer,
    ):
        said = await answer.json()
        assert answer.status == (202 if resends else 400)
    item = {"field": "alerts", "reason": "expected a list"}
    if resends:
        assert said == {"accepted": 0, "rejected": 1, "entry": f"{NOW}-0", "problems": [{"where": "body", **item}]}
    else:
        assert said.items() >= problem(400, "unreadable").items()
        assert said["errors"] == [item]
    [letter] = shelf.bodies
    assert isinstance(letter, DeadLetter)
    assert (letter.source, letter.field, letter.reason) == ("plain", "alerts", "expected a list")
    assert (letter.body, letter.length, letter.truncated) == (b'{"alerts": 7}', 13, False)
    assert letter.content_type == "application/octet-stream"


async def test_a_dead_letter_is_trimmed_to_its_limit_and_says_so() -> None:
    shelf = Shelf()
    limits = DoorLimits(dead_letter_bytes=100)
    async with (
        opened(shelf, settings=DoorSettings(limits=limits)) as door,
        door.client.post(door.url(URL), data=b"x" * 1000) as answer,
    ):
        assert answer.status == 400
    [letter] = shelf.bodies
    assert isinstance(letter, DeadLetter)
    assert (len(letter.body), letter.length, letter.truncated) == (100, 1000, True)


async def test_a_body_that_breaks_the_adapter_is_a_dead_letter_too() -> None:
    shelf = Shelf()
    async with opened(shelf) as door, door.client.post(door.url(URL), json={"crash": 1}) as answer:
        assert answer.status == 400
        assert "ZeroDivisionError" in (await answer.json())["detail"]
    assert [type(body) for body in shelf.bodies] == [DeadLetter]


async def test_events_that_cannot_be_encoded_are_a_dead_letter() -> None:
    def surrogates(request: Request) -> Read:
        return Read([Event(Status.FIRING, "0" * 32, "\ud800", {})])

    class Encoding(Shelf):
        async def append_all(self, bodies: Any, at: int) -> list[str]:
            for body in bodies:
                journal.fields(body, at)
            return await super().append_all(bodies, at)

    shelf = Encoding()
    async with (
        opened(shelf, adapters=[adapter(read=surrogates)]) as door,
        door.client.post(door.url(URL), data=b"\xff") as answer,
    ):
        assert answer.status == 400
    assert [type(body) for body in shelf.bodies] == [DeadLetter]


async def test_an_adapters_odd_words_fit_into_a_dead_letter() -> None:
    def odd(request: Request) -> Read:
        raise Unreadable("\ud800" * 1000, "\udfff" * 1000)

    shelf = Shelf()
    async with (
        opened(shelf, adapters=[adapter(read=odd)]) as door,
        door.client.post(door.url(URL), headers={"Content-Type": "x\udcff"}) as answer,
    ):
        assert answer.status == 400
    [letter] = shelf.bodies
    assert len(journal.fields(letter, NOW)[b"b"]) < 10_000  # type: ignore[arg-type]


async def test_a_body_without_events_is_accepted_and_leaves_no_entry() -> None:
    shelf = Shelf()
    async with opened(shelf) as door, door.client.post(door.url(URL), json={"alerts": []}) as answer:
        assert answer.status == 202
        assert await answer.json() == {"accepted": 0, "rejected": 0, "entry": None}
    assert shelf.bodies == []


async def test_the_answer_lists_only_so_many_problems() -> None:
    async with (
        opened(Shelf()) as door,
        door.client.post(door.url(URL), json={"alerts": [{}] * 5000 + GOOD["alerts"]}) as answer,
    ):
        said = await answer.json()
    assert (said["rejected"], len(said["problems"])) == (5000, 100)


@pytest.mark.parametrize("body", [json.dumps(GOOD).encode(), b"{", json.dumps(MIXED).encode()])
async def test_a_store_that_cannot_write_is_a_503_for_any_body(body: bytes) -> None:
    for resends in (False, True):
        async with (
            opened(Shelf(fault="gone"), adapters=[adapter(resends_refused=resends)]) as door,
            door.client.post(door.url(URL), data=body) as answer,
        ):
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "7"
            assert (await answer.json()).items() >= problem(503, "unavailable").items()


async def test_a_full_store_is_a_503() -> None:
    shelf = Shelf()
    async with (
        opened(shelf, settings=DoorSettings(full=lambda: "the disk is nearly full")) as door,
        door.client.post(door.url(URL), data=b"{") as answer,
    ):
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "nearly full" in (await answer.json())["detail"]
    assert shelf.bodies == []


async def test_another_method_is_told_the_right_ones() -> None:
    async with opened(Shelf(), adapters=[adapter(), adapter("ping", methods=frozenset({"GET"}))]) as door:
        for method, name, allow in (
            ("GET", "plain", "POST, PUT"),
            ("DELETE", "plain", "POST, PUT"),
            ("PUT", "ping", "GET"),
        ):
            async with door.client.request(method, door.url(f"/v1/events/{name}")) as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, allow)
        async with door.client.get(door.url("/v1/events/ping")) as answer:
            assert answer.status == 400, "the adapter was asked"


async def test_a_sender_that_insists_gets_its_own_answer() -> None:
    own = adapter(answer=lambda found: (200, b"ok %d" % len(found.events), "text/plain"))
    async with opened(Shelf(), adapters=[own]) as door:
        for body, said in ((GOOD, "ok 1"), (MIXED, "ok 2")):
            async with door.client.post(door.url(URL), json=body) as answer:
                assert (answer.status, await answer.text(), answer.content_type) == (200, said, "text/plain")


LIMITS = DoorLimits(body_bytes=2000, nesting=8, body_timeout_s=0.2)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b" " * 2000, {}, 400),
        (b" " * 2001, {}, 413),
        (b" " * 900_000, {}, 413),
        (gzip.compress(json.dumps(GOOD).encode(), mtime=0), {"Content-Encoding": "gzip"}, 202),
        (b"no gzip", {"Content-Encoding": "gzip"}, 400),
        (b"no deflate", {"Content-Encoding": "deflate"}, 400),
        (gzip.compress(b" " * 5_000_000, mtime=0), {"Content-Encoding": "gzip"}, 413),
        (json.dumps(GOOD).encode(), {"Content-Encoding": "zstd"}, 400),
        (json.dumps(GOOD).encode(), {"Content-Type": "nonsense"}, 202),
        (b"[" * 9 + b"]" * 9, {}, 400),
    ],
)
async def test_limits_on_bodies(body: bytes, headers: dict[str, str], status: int) -> None:
    async def trickled() -> Any:
        yield body

    async with opened(Shelf(), settings=DoorSettings(limits=LIMITS)) as door:
        for data in (body, trickled()):
            async with door.client.post(door.url(URL), data=data, headers=headers) as answer:
                assert answer.status == status, await answer.text()
                assert answer.status == 202 or answer.content_type == "application/problem+json"


async def test_a_broken_packing_is_kept_as_it_came() -> None:
    shelf = Shelf()
    async with (
        opened(shelf) as door,
        door.client.post(door.url(URL), data=b"no gzip", headers={"Content-Encoding": "gzip"}) as answer,
    ):
        assert (await answer.json())["errors"][0]["field"] == "body"
    [letter] = shelf.bodies
    assert isinstance(letter, DeadLetter)
    assert letter.body == b"no gzip"


async def test_broken_chunks_are_a_400() -> None:
    async with opened(Shelf()) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(b"POST /v1/events/plain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx")
        line = await reader.readline()
        writer.close()
    assert b" 400 " in line


ADAPTERS = [load(name) for name in names()]
texts = st.text(max_size=20)
plain = st.none() | st.booleans() | st.integers() | st.floats() | texts
data = st.recursive(plain, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5))
bodies = (
    st.binary(max_size=200)
    | data.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({"alerts": st.lists(data | st.fixed_dictionaries({"title": texts, "labels": data}))}).map(
        lambda value: json.dumps(value).encode()
    )
    | st.sampled_from(
        [b'{"a":NaN}', b'{"a":' + b"9" * 5000 + b"}", b'{"a":"\\ud800"}', b"[" * 100_000, '{"a":1}'.encode("utf-16")]
    )
)
sources_ = st.sampled_from(["plain", *names()])
encodings = st.sampled_from(["", "gzip", "deflate", "br", "\xff"])


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from(["plain", *names()]), bodies, encodings, st.booleans()), min_size=8, max_size=8)
)
async def test_no_body_is_a_5xx(requests: list[tuple[str, bytes, str, bool]]) -> None:
    sources = [Source(name=item.name, adapter=item.name) for item in ADAPTERS]
    async with opened(Shelf(), adapters=[adapter(), *ADAPTERS], sources=sources) as door:
        for name, body, encoding, packed in requests:
            sent = gzip.compress(body) if packed and encoding == "gzip" else body
            async with door.client.post(
                door.url(f"/v1/events/{name}"), data=sent, headers={"Content-Encoding": encoding}
            ) as answer:
                assert 200 <= answer.status < 500, (name, body, await answer.text())


async def test_a_strangers_unreadable_body_is_never_kept() -> None:
    shelf = Shelf()
    report = Source(name="report", adapter="report")
    settings_ = DoorSettings(listen_host="0.0.0.0")
    async with opened(shelf, adapters=[adapter("report")], sources=[report], settings=settings_) as door:
        async with door.client.post(door.url("/v1/events/report"), data=b"{") as answer:
            assert answer.status == 400
        async with door.client.post(door.url("/v1/events/report"), json=MIXED) as answer:
            assert answer.status == 202
    assert [type(body) for body in shelf.bodies] == [Events]


async def test_the_query_reaches_the_adapter_without_the_token() -> None:
    shelf = Shelf()
    source = Source(name="plain", adapter="plain", token_sha256=(DIGEST,))
    seen: list[Request] = []

    def look(request: Request) -> Read:
        seen.append(request)
        return read(request)

    async with (
        opened(shelf, adapters=[adapter(read=look)], sources=[source]) as door,
        door.client.post(door.url(f"{URL}?token={TOKEN}&a=b"), json=GOOD) as answer,
    ):
        assert answer.status == 202
    [request] = seen
    assert dict(request.query) == {"a": "b"}
    assert request.trusted
    assert request.at == NOW
    assert request.content_type == "application/json"
