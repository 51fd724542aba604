"""What follows when a provider is slow, busy, down, or dies in the middle: real HTTP servers, the real workers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.stories.town import SEVERITY, Town
from tests.unit.workers.http_server import Provider, serving
from triage.model import SECOND
from triage.store.client import connect
from workers.channel import load
from workers.deliver import SEATS_PER_PLACE, Deliver
from workers.outbound import allow

SECRETS = {"HOOK": "whsec_c2VjcmV0IG9mIHRoZSBzdG9yeQ=="}


@pytest.fixture(autouse=True)
def _near() -> Iterator[None]:
    allow(["127.0.0.0/8"])
    yield
    allow([])


def hook(port: int) -> str:
    return f"webhook+http://127.0.0.1:{port}/hook#${{HOOK}}"


def oncall(**contacts: list[str]) -> str:
    people = "\n".join(f"  {name}: {{contact: {json.dumps(ways)}}}" for name, ways in contacts.items())
    names = ", ".join(contacts)
    return f"""
people:
{people}
policies: {{default: {{steps: [{{notify: [{names}], wait: 10m}}]}}}}
operators: []
last_resort: [{next(iter(contacts))}]
"""


async def told_by(town: Town, limit_s: float = 10.0, **contacts: list[str]) -> None:
    town.deliver = Deliver(connect(town.url), town.clock, load(), SECRETS.get, limit_s=limit_s)
    await town.loads({"severity.yaml": SEVERITY, "oncall.yaml": oncall(**contacts)})


def copies(provider: Provider) -> list[tuple[str, bool]]:
    """Return the id of each copy that came, and whether it says that it may be a repeat."""
    said = [json.loads(body)["data"] for _, _, body in provider.got]
    for one in said:
        assert one["possible_repeat"] == ("possible repeat" in one["text"])
    return [(one["id"], one["possible_repeat"]) for one in said]


async def test_the_first_failure_begins_the_next_way_at_once_and_retry_after_is_kept(town: Town) -> None:
    busy = Provider(status=429, headers={"Retry-After": "90"})
    with serving(busy) as port:
        await told_by(town, ana=[hook(port), f"file://{town.pages}"])
        before = town.now
        await town.fires("Down")
        assert (town.paged, town.now) == (["ana"], before), "the second way did not wait"
        assert len(busy.got) == 1
        town.wait(minutes=9)
        assert len(busy.got) == 1, "delivered one way, the other is not tried again"
    await town.acks("ana")


async def test_a_provider_that_asks_for_a_pause_gets_it(town: Town) -> None:
    busy = Provider(status=429, headers={"Retry-After": "90"})
    with serving(busy) as port:
        await told_by(town, ana=[hook(port)])
        began = town.now
        await town.fires("Down")
        town.wait(minutes=1.4)
        assert len(busy.got) == 1
        busy.status = 200
        town.wait(minutes=0.5)
        assert len(busy.got) == 2
        assert town.now - began < 120 * SECOND
    assert len({one for one, _ in copies(busy)}) == 1
    assert not any(repeat for _, repeat in copies(busy)), "it said that it took nothing"
    await town.acks("ana")


async def test_back_off_grows_and_trying_ends_at_the_deadline(town: Town) -> None:
    down = Provider(status=503)
    with serving(down) as port:
        await told_by(town, ana=[hook(port)])
        await town.fires("Down")
        (first, _) = copies(down)[0]
        counts = []
        for hours in (1 / 60, 1 / 60, 1 / 60, 2, 2):
            town.wait(hours=hours)
            counts.append([one for one, _ in copies(down)].count(first))
    assert counts[0] > counts[2] - counts[0] > 0, "most tries are in the first minute"
    assert counts[2] < counts[3] == counts[4], "it is tried for a time, not for ever"
    assert any(line.what == "given-up" for line in town.timeline(town.incident))
    await town.acks("ana")


async def test_a_provider_that_dies_after_the_body_gets_the_same_message_marked(town: Town) -> None:
    dying = Provider(status=200, cuts=True)
    with serving(dying) as port:
        await told_by(town, ana=[hook(port)])
        await town.fires("Down")
        dying.cuts = False
        town.wait(minutes=1)
    (first, marked), (second, repeat) = copies(dying)
    assert (first == second, marked, repeat) == (True, False, True)
    await town.acks("ana")


async def test_a_provider_that_hangs_is_given_up_as_ambiguous_and_the_next_way_begins(town: Town) -> None:
    hanging = Provider(status=200, held=threading.Event())
    assert hanging.held is not None
    with serving(hanging) as port:
        await told_by(town, limit_s=0.2, ana=[hook(port), f"file://{town.pages}"])
        await town.fires("Down")
        assert town.paged == ["ana"]
        hanging.held.set()
    said = [line.text for line in town.timeline(town.incident) if line.what == "failed"]
    assert any("no answer within 0.2 s" in one for one in said)
    await town.acks("ana")


async def test_ten_providers_that_hang_do_not_slow_the_eleventh(town: Town) -> None:
    held = threading.Event()
    hanging = [Provider(status=200, held=held) for _ in range(10)]
    quick = Provider(status=200)
    with ExitStack() as stack:
        stack.callback(held.set)
        ports = [stack.enter_context(serving(one)) for one in hanging]
        ways = {
            f"p{index:02}{seat}": [hook(port)] for index, port in enumerate(ports) for seat in range(SEATS_PER_PLACE)
        }
        await told_by(town, limit_s=3.0, **ways, zoe=[hook(stack.enter_context(serving(quick)))])
        await town.fires("Down", settle=False)
        while town.drain.step():
            pass
        working = threading.Thread(target=town.deliver.pump)
        working.start()
        while not quick.got and working.is_alive():
            threading.Event().wait(0.01)
        assert quick.got, "it came while the others hung"
        assert not held.is_set()
        held.set()
        working.join(30)
    town.settle()
    await town.acks("zoe")
