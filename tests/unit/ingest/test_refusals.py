"""Senders without the right token stand in the audit log, and no flood of them fills it."""

from __future__ import annotations

from ingest.refusals import ADDRESSES_MAX, Refusals
from ingest.settings import DoorSettings
from tests.unit.ingest.doors import DIGEST, TOKEN, Shelf, adapter, opened
from triage.rulebook.types import Source
from triage.store.deeds import Deed


class Log:
    """What would be in the audit log."""

    def __init__(self) -> None:
        self.lines: list[Deed] = []

    async def note(self, deed: Deed) -> None:
        self.lines.append(deed)


async def test_the_first_is_told_at_once_and_a_flood_in_one_line() -> None:
    log = Log()
    refusals = Refusals(log.note)
    for number in range(10_000):
        refusals.seen("am", f"203.0.113.{number % 200}", "", "Show the source's token.")
    refusals.seen("grafana", "198.51.100.1", "10.0.0.1", "The signature is refused: too old.")
    await refusals.close()
    first, other, flood = log.lines
    assert (first.via, first.what, first.target, first.status) == ("ingest", "send", "am", 401)
    assert (first.address, first.detail) == ("203.0.113.0", "Show the source's token.")
    assert (other.target, other.forwarded) == ("grafana", "10.0.0.1")
    named = ", ".join(f"203.0.113.{number}" for number in range(1, ADDRESSES_MAX + 1))
    assert flood.detail == f"9999 more like the one before, from {named} and others"


async def test_as_long_as_they_come_a_line_a_window_is_written_and_then_the_next_is_the_first_again() -> None:
    log = Log()
    refusals = Refusals(log.note)
    for _ in range(3):
        refusals.seen("am", "203.0.113.1", "", "no token")
    refusals._end("am")
    refusals._end("am")
    refusals.seen("am", "203.0.113.2", "", "no token")
    await refusals.close()
    assert [one.detail for one in log.lines] == [
        "no token",
        "2 more like the one before, from 203.0.113.1",
        "no token",
    ]


async def test_the_door_tells_of_wrong_tokens_and_of_nothing_else() -> None:
    log = Log()
    refusals = Refusals(log.note)
    source = Source(name="plain", adapter="plain", token_sha256=(DIGEST,))
    settings = DoorSettings(strange=refusals.seen)
    async with opened(Shelf(), adapters=[adapter()], sources=[source], settings=settings) as door:
        for token, status in (("wrong", 401), (TOKEN, 202), (TOKEN, 400), ("", 401)):
            body = "nonsense" if status == 400 else '{"alerts": [{"title": "x"}]}'
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with door.client.post(door.url("/v1/events/plain"), data=body, headers=headers) as answer:
                assert answer.status == status
        async with door.client.post(door.url("/v1/events/nothing"), data="{}") as answer:
            assert answer.status == 404
    await refusals.close()
    assert [(one.target, one.address) for one in log.lines] == [("plain", "127.0.0.1")] * 2
    assert "wrong" not in str(log.lines)
    assert TOKEN not in str(log.lines)
