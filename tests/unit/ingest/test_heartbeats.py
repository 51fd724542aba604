"""The door for beats: what a request becomes, and who may beat."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, web

from ingest.guard import GuardedRunner
from ingest.heartbeats import BODY_MAX, HeartbeatDoor
from ingest.settings import DoorSettings
from ingest.sources import SourceBook
from ingest.stats import DoorStats
from tests.unit.ingest.doors import NOW, Shelf, adapter, resolve
from triage.model import Event, Events, Kind, Status
from triage.rulebook import compile_files

TOKEN = "a-token-of-the-tests"
YAML = f"""
heartbeats:
  backup: {{every: 1d, service: shop}}
  sealed: {{every: 1d, token_sha256: [{hashlib.sha256(TOKEN.encode()).hexdigest()}]}}
"""


@contextlib.asynccontextmanager
async def opened(shelf: Shelf, settings: DoorSettings | None = None) -> AsyncIterator[tuple[ClientSession, str]]:
    settings = settings or DoorSettings()
    stats = DoorStats()
    door = HeartbeatDoor(settings, shelf, SourceBook([adapter()], resolve), lambda: NOW, stats)
    door.update(compile_files({"heartbeats.yaml": YAML}).cadences)
    app = web.Application()
    door.add_routes(app)
    runner = GuardedRunner(app, settings.limits, stats)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with ClientSession() as client:
            yield client, f"http://127.0.0.1:{runner.addresses[0][1]}/v1/heartbeats"
    finally:
        await runner.cleanup()


async def sent(method: str, path: str, shelf: Shelf | None = None, **kwargs: Any) -> tuple[int, dict[str, Any], Shelf]:
    shelf = shelf or Shelf()
    settings = kwargs.pop("settings", None)
    async with opened(shelf, settings) as (client, base), client.request(method, base + path, **kwargs) as answer:
        return answer.status, {} if method == "HEAD" else await answer.json(content_type=None), shelf


def only(shelf: Shelf) -> Event:
    (body,) = shelf.bodies
    assert isinstance(body, Events)
    assert body.source == "heartbeat"
    (event,) = body.events
    return event


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
async def test_a_beat_is_one_entry_answered_once_it_is_stored(method: str) -> None:
    status, answer, shelf = await sent(method, "/backup")
    event = only(shelf)
    assert status == 202
    assert answer in ({}, {"accepted": 1, "rejected": 0, "entry": f"{NOW}-0"})
    assert (event.status, event.kind, event.labels["heartbeat"]) == (Status.INFO, Kind.CHECK, "backup")
    assert event.labels["service"] == "shop"


@pytest.mark.parametrize(
    ("path", "signal", "code", "status"),
    [
        ("/backup/", "success", None, Status.INFO),
        ("/backup/start", "start", None, Status.INFO),
        ("/backup/fail", "fail", None, Status.FIRING),
        ("/backup/0", "success", "0", Status.INFO),
        ("/backup/137", "fail", "137", Status.FIRING),
    ],
)
async def test_what_the_end_of_the_path_says(path: str, signal: str, code: str | None, status: Status) -> None:
    _, _, shelf = await sent("GET", path)
    event = only(shelf)
    assert (event.labels["signal"], event.labels.get("exit_code"), event.status) == (signal, code, status)


@pytest.mark.parametrize("end", ["finish", "256", "-1", "1/2", "\N{SUPERSCRIPT TWO}"])
async def test_any_other_end_is_refused(end: str) -> None:
    status, answer, shelf = await sent("GET", f"/backup/{end}")
    assert (status, shelf.bodies) == (404, [])
    assert "/start, /fail, or an exit code" in answer["detail"]


async def test_an_unknown_name_is_told_what_was_likely_meant() -> None:
    status, answer, _ = await sent("GET", "/backups")
    assert (status, answer["detail"]) == (404, 'There is no such heartbeat: did you mean "backup"?')


@pytest.mark.parametrize(
    "proof",
    [
        {"headers": {"Authorization": f"Bearer {TOKEN}"}},
        {"params": {"token": TOKEN}},
    ],
)
async def test_a_token_opens(proof: dict[str, Any]) -> None:
    for settings in (DoorSettings(), DoorSettings(listen_host="0.0.0.0")):
        status, _, _ = await sent("GET", "/sealed", settings=settings, **proof)
        assert status == 202


async def test_without_its_token_it_is_refused_also_with_that_of_no_one() -> None:
    assert (await sent("GET", "/sealed"))[0] == 401
    assert (await sent("GET", "/sealed", params={"token": "wrong"}))[0] == 401


async def test_beyond_loopback_an_open_one_is_not_served_and_strangers_learn_no_names() -> None:
    far = DoorSettings(listen_host="0.0.0.0")
    answers = [await sent("GET", path, settings=far) for path in ("/backup", "/sealed", "/nothing")]
    assert {status for status, _, _ in answers} == {401}
    assert len({str(answer) for _, answer, _ in answers}) == 1
    assert (await sent("GET", "/nothing", settings=far, params={"token": TOKEN}))[0] == 404


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}]
)
async def test_another_web_site_cannot_beat(headers: dict[str, str]) -> None:
    status, _, shelf = await sent("GET", "/backup", headers=headers)
    assert (status, shelf.bodies) == (403, [])


async def test_the_body_is_kept_up_to_its_limit() -> None:
    _, _, shelf = await sent("POST", "/backup/fail", data=b"disk full \xff")
    assert only(shelf).annotations == {"body": "disk full \N{REPLACEMENT CHARACTER}"}
    _, _, shelf = await sent("POST", "/backup", data=b"x" * (BODY_MAX + 5))
    assert only(shelf).annotations["body"] == "x" * BODY_MAX + "… (cut at 10000 of 10005 bytes)"
    packed = {"Content-Encoding": "gzip"}
    _, _, shelf = await sent("POST", "/backup", data=gzip.compress(b"packed"), headers=packed, compress=None)
    assert only(shelf).annotations == {"body": "packed"}


async def test_a_body_that_cannot_be_unpacked_is_no_reason_to_miss_a_beat() -> None:
    status, _, shelf = await sent("POST", "/backup", data=b"no gzip", headers={"Content-Encoding": "gzip"})
    assert status == 202
    assert "not valid gzip" in only(shelf).annotations["body_unreadable"]


async def test_other_methods_are_refused() -> None:
    status, _, _ = await sent("DELETE", "/backup")
    assert status == 405


async def test_when_the_store_is_away_it_says_so() -> None:
    status, answer, _ = await sent("GET", "/backup", Shelf(fault="the store is away"))
    assert (status, answer["detail"]) == (503, "Not stored: the store is away.")
    status, _, _ = await sent("GET", "/backup", settings=DoorSettings(full=lambda: "the disk is full"))
    assert status == 503
