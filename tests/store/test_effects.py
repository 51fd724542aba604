"""Claims on due effects: one holder at a time, the most severe first, and never again once a result is appended."""

from __future__ import annotations

import threading

import redis

from tests.store.workers_support import NOW, client, commit, decide, effect, results, withdraw
from triage.model import Ending, Result, Severity
from triage.store import effects, keys
from triage.store.client import connect

__all__ = ["client"]
LEASE = 60_000


def claim_ids(client: redis.Redis, token: str = "me", now: int = NOW, limit: int = 10) -> list[str]:
    return [claimed.effect.id for claimed in effects.claim(client, now, limit, LEASE, token).claimed]


def test_most_severe_first_then_longest_due(client: redis.Redis) -> None:
    commit(
        client,
        effect("late-p3", severity=Severity.P3, due=NOW - 9_000),
        effect("p0", severity=Severity.P0),
        effect("old-p1", due=NOW - 10),
        effect("new-p1"),
    )
    assert claim_ids(client, limit=3) == ["p0", "old-p1", "new-p1"]
    assert claim_ids(client) == ["late-p3"]


def test_what_is_not_due_is_left_alone(client: redis.Redis) -> None:
    commit(client, effect("later", due=NOW + 1))
    assert claim_ids(client) == []
    assert claim_ids(client, now=NOW + 1) == ["later"]


def test_a_claimed_effect_has_one_holder(client: redis.Redis) -> None:
    commit(client, effect("a"))
    assert claim_ids(client, "first") == ["a"]
    assert claim_ids(client, "second") == []


def test_many_claimers_never_share_an_effect(client: redis.Redis, redis_url: str) -> None:
    names = [f"e{number}" for number in range(60)]
    commit(client, *(effect(name) for name in names))
    got: list[str] = []
    lock = threading.Lock()

    def take(number: int) -> None:
        mine = connect(redis_url)
        while ids := claim_ids(mine, f"claimer{number}", limit=3):
            with lock:
                got.extend(ids)
        mine.close()

    threads = [threading.Thread(target=take, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(got) == sorted(names)


def test_the_third_claim_without_a_result_says_that_workers_died(client: redis.Redis) -> None:
    commit(client, effect("a"))
    seen = []
    for _ in range(3):
        [claimed] = effects.claim(client, NOW, 1, LEASE, "me").claimed
        seen.append((claimed.count, claimed.died))
        client.delete(keys.claim("a"))  # what the end of the lease does
    assert seen == [(1, False), (2, False), (3, True)]


def test_a_lease_ends_by_itself(client: redis.Redis) -> None:
    commit(client, effect("a"))
    claim_ids(client)
    assert 0 < int(client.pttl(keys.claim("a"))) <= LEASE


def test_withdrawn_between_looking_and_claiming_counts_as_cancelled(client: redis.Redis) -> None:
    commit(client, effect("a"), effect("b"))

    def acknowledge_first(one: object) -> bool:
        withdraw(client, "a")
        return True

    taken = effects.claim(client, NOW, 10, LEASE, "me", acknowledge_first)
    assert [claimed.effect.id for claimed in taken.claimed] == ["b"]
    assert taken.cancelled == 1
    assert client.get(keys.claim("a")) is None
    assert client.hget(keys.CLAIMS, "a") is None


def test_put_off_between_looking_and_claiming_is_not_delivered_early(client: redis.Redis) -> None:
    commit(client, effect("a"))

    def put_off(one: object) -> bool:
        commit(client, effect("a", due=NOW + 30_000))
        return True

    assert effects.claim(client, NOW, 10, LEASE, "me", put_off).claimed == []
    assert claim_ids(client, now=NOW + 30_000) == ["a"]


def test_a_reported_effect_is_not_claimed_before_its_result_is_decided(client: redis.Redis) -> None:
    commit(client, effect("a"))
    claim_ids(client)
    effects.report(client, Result("a", 0, Ending.TRY_AGAIN), "me", NOW)
    assert int(client.pttl(keys.claim("a"))) > 10 * LEASE
    assert claim_ids(client, "other", now=NOW + 10 * LEASE) == []
    assert [result.effect for result in decide(client)] == ["a"]
    assert claim_ids(client, "other") == ["a"]


def test_a_report_on_a_lost_claim_does_not_hold_up_the_next_attempt(client: redis.Redis) -> None:
    commit(client, effect("a"))
    claim_ids(client, "paused")
    client.delete(keys.claim("a"))  # the lease ended
    claim_ids(client, "second")
    effects.report(client, Result("a", 0, Ending.TRY_AGAIN), "second", NOW)
    decide(client)
    effects.report(client, Result("a", 0, Ending.DELIVERED), "paused", NOW)
    assert [result.ending for result in results(client)] == [Ending.DELIVERED]
    assert claim_ids(client, "third") == ["a"]


def test_only_the_holder_gives_a_claim_back(client: redis.Redis) -> None:
    commit(client, effect("a"))
    claim_ids(client, "me")
    assert not effects.release(client, "a", "stranger")
    assert claim_ids(client, "stranger") == []
    assert effects.release(client, "a", "me")
    [again] = effects.claim(client, NOW, 1, LEASE, "stranger").claimed
    assert again.count == 1


def test_waiting_sees_only_what_nobody_claimed(client: redis.Redis) -> None:
    assert not effects.waiting(client, NOW)
    commit(client, effect("a"), effect("later", due=NOW + 1))
    assert effects.waiting(client, NOW)
    claim_ids(client)
    assert not effects.waiting(client, NOW)


def test_reported_effects_do_not_hide_later_ones(client: redis.Redis) -> None:
    count = effects.WINDOW + 5
    with client.pipeline(transaction=False) as pipe:
        for number in range(count):
            pipe.zadd(keys.DUE, {f"r{number}": NOW - 1})
            pipe.set(keys.claim(f"r{number}"), "reported")
        pipe.execute()
    commit(client, effect("free"))
    assert claim_ids(client) == ["free"]
    assert not results(client)
