"""No provider is sent to over its rate, by however many workers; what has to wait is not lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.store.workers_support import NOW, Watched, client, commit, effect
from triage.model import MINUTE, SECOND, Millis, Severity
from triage.store import keys, rates
from triage.store.client import connect
from workers.deliver import Deliver
from workers.pace import Pace

__all__ = ["client"]


class Moment:
    """A clock that is moved."""

    def __init__(self) -> None:
        self.now: Millis = NOW

    def __call__(self) -> Millis:
        return self.now


@pytest.fixture
def other(redis_url: str) -> Iterator[redis.Redis]:
    made = connect(redis_url)
    yield made
    made.close()


def test_a_minute_has_so_many_slots_and_each_is_free_again_a_minute_after_it_was_taken(client: redis.Redis) -> None:
    taken = [rates.take(client, "ntfy://a", NOW + n * SECOND, 3) for n in range(5)]
    assert taken == [True, True, True, False, False]
    assert rates.take(client, "ntfy://b", NOW + 4 * SECOND, 3)
    assert not rates.take(client, "ntfy://a", NOW + MINUTE - 1, 3)
    assert rates.take(client, "ntfy://a", NOW + MINUTE, 3)
    assert not rates.take(client, "ntfy://a", NOW + MINUTE, 3)


def test_what_a_place_is_called_is_not_stored(client: redis.Redis) -> None:
    rates.take(client, "ntfy://secret-token.example.org", NOW, 3)
    assert not [key for key in client.scan_iter(f"{keys.PREFIX}rate:*") if b"secret" in key]


def test_two_workers_together_keep_to_the_rate_and_lose_nothing(client: redis.Redis, other: redis.Redis) -> None:
    clock, channel = Moment(), Watched()
    commit(client, *(effect(f"p{n:02}", severity=Severity.P1) for n in range(25)))
    pace = Pace(each=10)
    both = [Deliver(one, clock, {"watch": channel}, lambda _: None, pace=pace) for one in (client, other)]
    sent = []
    for _ in range(3):
        before = len(channel.messages)
        for deliver in (*both, *both):
            deliver.pump()
        sent.append(len(channel.messages) - before)
        clock.now += MINUTE
    assert sent == [10, 10, 5]
    assert len({message.id for message in channel.messages}) == 25


def test_the_most_severe_has_the_slot(client: redis.Redis) -> None:
    clock, channel = Moment(), Watched()
    commit(client, *(effect(f"p{n}", severity=Severity.P1) for n in range(5)))
    commit(client, effect("worst", severity=Severity.P0))
    Deliver(client, clock, {"watch": channel}, lambda _: None, pace=Pace(each=1)).pump()
    assert [message.id for message in channel.messages] == ["worst"]


def test_a_provider_over_its_rate_holds_up_nobody_else(client: redis.Redis) -> None:
    clock, channel = Moment(), Watched()
    commit(client, *(effect(f"a{n}", target="watch://a") for n in range(20)))
    commit(client, *(effect(f"b{n}", target="watch://b") for n in range(4)))
    Deliver(client, clock, {"watch": channel}, lambda _: None, pace=Pace(0, {"watch://a": 2})).pump()
    assert sorted(message.id for message in channel.messages) == ["a0", "a1", "b0", "b1", "b2", "b3"]


def test_a_rate_is_for_a_scheme_or_for_one_host_and_what_stays_here_has_none() -> None:
    pace = Pace(120, {"pagerduty": 100, "mailtos://mail.example.org": 30})
    places = ("pagerduty://events", "mailtos://mail.example.org", "mailtos://other", "file://", "terminal://ana")
    assert [pace.limit(place) for place in places] == [100, 30, 120, 0, 0]
